//! Sockets: those of the host lead out of the world, and calls on them wait for the host.
//!
//! The error is `EPERM`, the answer of firewalls and sandboxes (connect(2), accept(2)), which nobody takes for a peer that
//! will come back. `getaddrinfo` answers `EAI_FAIL`, a failure for good.

use std::ffi::{c_char, c_int, c_uint, c_void};

use libc::{addrinfo, mmsghdr, msghdr, size_t, sockaddr, socklen_t, ssize_t, timespec};

use super::refuse::{failed, refused};

pub(super) const REMEDY: &str =
    "Use sim::net: its TcpStream, TcpListener, UdpSocket and lookup_host have tokio's names and signatures.";
pub(super) const ERROR: c_int = libc::EPERM;

refused! {
    REMEDY;
    /// socket(2).
    fn socket(domain: c_int, kind: c_int, protocol: c_int) -> c_int => failed(ERROR);
    /// socketpair(2).
    fn socketpair(domain: c_int, kind: c_int, protocol: c_int, pair: *mut c_int) -> c_int => failed(ERROR);
    /// bind(2).
    fn bind(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int => failed(ERROR);
    /// listen(2).
    fn listen(fd: c_int, backlog: c_int) -> c_int => failed(ERROR);
    /// connect(2).
    fn connect(fd: c_int, address: *const sockaddr, length: socklen_t) -> c_int => failed(ERROR);
    /// accept(2).
    fn accept(fd: c_int, address: *mut sockaddr, length: *mut socklen_t) -> c_int => failed(ERROR);
    /// accept4(2).
    fn accept4(fd: c_int, address: *mut sockaddr, length: *mut socklen_t, flags: c_int) -> c_int => failed(ERROR);
    /// send(2).
    fn send(fd: c_int, bytes: *const c_void, length: size_t, flags: c_int) -> ssize_t => failed(ERROR) as ssize_t;
    /// sendto(2).
    fn sendto(
        fd: c_int, bytes: *const c_void, length: size_t, flags: c_int, to: *const sockaddr, size: socklen_t
    ) -> ssize_t => failed(ERROR) as ssize_t;
    /// sendmsg(2).
    fn sendmsg(fd: c_int, message: *const msghdr, flags: c_int) -> ssize_t => failed(ERROR) as ssize_t;
    /// sendmmsg(2).
    fn sendmmsg(fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int) -> c_int => failed(ERROR);
    /// recv(2).
    fn recv(fd: c_int, bytes: *mut c_void, length: size_t, flags: c_int) -> ssize_t => failed(ERROR) as ssize_t;
    /// recvfrom(2).
    fn recvfrom(
        fd: c_int, bytes: *mut c_void, length: size_t, flags: c_int, from: *mut sockaddr, size: *mut socklen_t
    ) -> ssize_t => failed(ERROR) as ssize_t;
    /// recvmsg(2).
    fn recvmsg(fd: c_int, message: *mut msghdr, flags: c_int) -> ssize_t => failed(ERROR) as ssize_t;
    /// recvmmsg(2).
    fn recvmmsg(
        fd: c_int, messages: *mut mmsghdr, count: c_uint, flags: c_int, timeout: *mut timespec
    ) -> c_int => failed(ERROR);
    /// getaddrinfo(3), address literals included: std and tokio read those themselves.
    fn getaddrinfo(
        node: *const c_char, service: *const c_char, hints: *const addrinfo, found: *mut *mut addrinfo
    ) -> c_int => libc::EAI_FAIL;
}
