//! What system calls fail with: `io::Error`s that carry the raw code of the platform, so that both
//! `ErrorKind` and `raw_os_error` are what a program sees in production.

use std::io;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:ident;)*) => {
        $($(#[$doc])* #[cold] pub(crate) fn $name() -> io::Error { io::Error::from_raw_os_error(libc::$code) })*
    };
}

errors! {
    /// bind(2): the address is taken.
    address_in_use = EADDRINUSE;
    /// bind(2): not an address of this machine; connect(2): no ephemeral port is left.
    address_not_available = EADDRNOTAVAIL;
    /// The handle outlived its socket: the process that owned it died.
    bad_descriptor = EBADF;
    /// send(2): the write side is shut down, or the connection is known to be gone.
    broken_pipe = EPIPE;
    /// connect(2): nothing listens there.
    connection_refused = ECONNREFUSED;
    /// recv(2): the peer reset the connection.
    connection_reset = ECONNRESET;
    /// connect(2): no machine has this address.
    host_unreachable = EHOSTUNREACH;
    /// setsockopt(2): no more groups may be joined.
    no_buffers = ENOBUFS;
    /// setsockopt(2): no interface has this address or index.
    no_device = ENODEV;
    /// setsockopt(2): an option of another family than the socket.
    no_protocol_option = ENOPROTOOPT;
    /// getsockopt(2): the same.
    not_supported = EOPNOTSUPP;
    /// A value that the call does not allow.
    invalid_argument = EINVAL;
    /// connect(2), send(2): a broadcast address without SO_BROADCAST.
    permission_denied = EACCES;
    /// send(2): the datagram is larger than the protocol allows, or than the link does when it must not be cut.
    message_too_large = EMSGSIZE;
    /// What the destructors of a dead process get.
    network_down = ENETDOWN;
    /// connect(2): this machine has no address of that family.
    network_unreachable = ENETUNREACH;
    /// The socket has no peer.
    not_connected = ENOTCONN;
    /// send(2): an unconnected datagram socket needs a destination.
    destination_required = EDESTADDRREQ;
    /// The address is of another family than the socket.
    family_not_supported = EAFNOSUPPORT;
    /// connect(2): the path is not there.
    no_entry = ENOENT;
    /// send(2): the receiver takes datagrams of another only.
    not_permitted = EPERM;
    /// connect(2): a stream meets a datagram socket.
    wrong_type = EPROTOTYPE;
    /// The retransmissions ran out.
    timed_out = ETIMEDOUT;
    /// A non-blocking call would have to wait.
    would_block = EAGAIN;
}

/// epoll_ctl(2): the socket is in the set already.
#[cold]
pub(crate) fn already_registered() -> io::Error {
    io::Error::from_raw_os_error(libc::EEXIST)
}

/// epoll_ctl(2): the socket is not in the set.
#[cold]
pub(crate) fn not_registered() -> io::Error {
    no_entry()
}
