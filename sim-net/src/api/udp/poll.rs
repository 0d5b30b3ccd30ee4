//! What does not wait: `try_` says `WouldBlock` instead, `poll_` leaves a waker.

use super::super::connection::not_waiting;
use super::{UdpSocket, append};
use crate::handle::Receivers;
use crate::network::Net;
use crate::readiness::{Interest, POLLED, Source};
use bytes::BufMut;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::io;
use std::net::SocketAddr;
use std::task::{Context, Poll};

impl UdpSocket {
    /// Sends to the peer of `connect`.
    ///
    /// # Errors
    /// As [`UdpSocket::send`].
    #[track_caller]
    pub fn try_send(&self, buf: &[u8]) -> io::Result<usize> {
        self.handle.op(|net, k, key| net.send_to(k, key, buf, None))
    }

    /// Sends to an address.
    ///
    /// # Errors
    /// As [`UdpSocket::send`].
    #[track_caller]
    pub fn try_send_to(&self, buf: &[u8], target: SocketAddr) -> io::Result<usize> {
        self.handle.op(|net, k, key| net.send_to(k, key, buf, Some(target)))
    }

    /// A datagram that is there.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    #[track_caller]
    pub fn try_recv_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        not_waiting(self.handle.op(|net, _, key| net.recv_from(key, buf, false)))
    }

    /// A datagram that is there, without its sender.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    #[track_caller]
    pub fn try_recv(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_recv_from(buf)?.0)
    }

    /// A datagram that is there, into the room that `buf` has.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    #[track_caller]
    pub fn try_recv_buf_from<B: BufMut>(&self, buf: &mut B) -> io::Result<(usize, SocketAddr)> {
        not_waiting(self.handle.op(|net, _, key| net.recv_with(key, false, |data| append(buf, data))))
    }

    /// The same without its sender.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    #[track_caller]
    pub fn try_recv_buf<B: BufMut>(&self, buf: &mut B) -> io::Result<usize> {
        Ok(self.try_recv_buf_from(buf)?.0)
    }

    /// A datagram that is there and stays.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    #[track_caller]
    pub fn try_peek_from(&self, buf: &mut [u8]) -> io::Result<(usize, SocketAddr)> {
        not_waiting(self.handle.op(|net, _, key| net.recv_from(key, buf, true)))
    }

    /// The same without its sender.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    #[track_caller]
    pub fn try_peek(&self, buf: &mut [u8]) -> io::Result<usize> {
        Ok(self.try_peek_from(buf)?.0)
    }

    /// Who sent the datagram that is there and stays.
    ///
    /// # Errors
    /// `WouldBlock` when there is none.
    #[track_caller]
    pub fn try_peek_sender(&self) -> io::Result<SocketAddr> {
        Ok(self.try_peek_from(&mut [])?.1)
    }

    /// Sends to the peer of `connect`; never pending.
    ///
    /// # Errors
    /// As [`UdpSocket::send`].
    pub fn poll_send(&self, _cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Poll::Ready(self.try_send(buf))
    }

    /// Sends to an address; never pending.
    ///
    /// # Errors
    /// As [`UdpSocket::send`].
    pub fn poll_send_to(
        &self,
        _cx: &mut Context<'_>,
        buf: &[u8],
        target: SocketAddr,
    ) -> Poll<io::Result<usize>> {
        Poll::Ready(self.try_send_to(buf, target))
    }

    /// Whether sending would not wait: it never does.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub fn poll_send_ready(&self, _cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(self.socket(|_| ()))
    }

    /// A datagram, or the task of `cx` is woken when there is one. Of the `poll_` functions that receive, only the last
    /// caller is.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub fn poll_recv_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll(cx, |net, _, key| net.recv_from(key, buf, false))
    }

    /// As [`UdpSocket::poll_recv_from`], without the sender.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub fn poll_recv(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_recv_from(cx, buf).map_ok(|(n, _)| n)
    }

    /// As [`UdpSocket::poll_recv_from`], and the datagram stays.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub fn poll_peek_from(
        &self,
        cx: &mut Context<'_>,
        buf: &mut [u8],
    ) -> Poll<io::Result<(usize, SocketAddr)>> {
        self.poll(cx, |net, _, key| net.recv_from(key, buf, true))
    }

    /// As [`UdpSocket::poll_peek_from`], without the sender.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub fn poll_peek(&self, cx: &mut Context<'_>, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        self.poll_peek_from(cx, buf).map_ok(|(n, _)| n)
    }

    /// Who sent the next datagram, which stays.
    ///
    /// # Errors
    /// As [`UdpSocket::recv_from`].
    pub fn poll_peek_sender(&self, cx: &mut Context<'_>) -> Poll<io::Result<SocketAddr>> {
        self.poll_peek_from(cx, &mut []).map_ok(|(_, from)| from)
    }

    /// Whether a receive would not wait.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    pub fn poll_recv_ready(&self, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        self.poll(cx, |net, k, key| match net.ready(k, Source::Udp(key), Interest::READABLE) {
            None => Poll::Ready(Err(crate::errno::bad_descriptor())),
            Some(ready) if Interest::READABLE.mask(ready).is_empty() => Poll::Pending,
            Some(_) => Poll::Ready(Ok(())),
        })
    }

    fn poll<T>(
        &self,
        cx: &mut Context<'_>,
        operation: impl FnOnce(&mut Net, &mut Kernel, Key) -> Poll<io::Result<T>>,
    ) -> Poll<io::Result<T>> {
        self.handle.op(|net, k, key| {
            let result = operation(net, k, key);
            if result.is_pending() {
                net.wait::<Receivers>(key, &mut { POLLED }, cx);
            }
            result
        })
    }
}
