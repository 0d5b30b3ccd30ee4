//! One end of a stream: reading, writing, shutting down.

use super::address::SocketAddr;
use super::memory::{MOST_SEGMENT, SEND_BUFFER, of_segment, writable};
use crate::errno;
use crate::network::Net;
use crate::readiness::{Ready, Source, Waiters};
use crate::tcp::Payload;
use sim_core::NodeId;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::collections::VecDeque;
use std::io;
use std::net::Shutdown;
use std::task::{Poll, Waker};

/// One end of a connection.
pub(super) struct Stream {
    pub node: NodeId,
    /// The other end; stale when it is gone.
    pub peer: Key,
    pub local: SocketAddr,
    pub remote: SocketAddr,
    /// The name is this end's own: that of an accepted end is its listener's.
    pub bound: bool,
    /// The listener in whose queue it waits.
    pub listener: Key,
    /// No more comes, from the peer or because we want no more.
    pub read_shut: bool,
    pub write_shut: bool,
    /// The peer closed without reading everything: told once.
    pub reset: bool,
    pub watched: bool,
    /// What was written for us, and the memory that each piece is charged to its writer.
    pub queue: VecDeque<(Payload, usize)>,
    /// How many bytes of the first piece are read.
    begun: usize,
    /// How much memory of ours lies in the peer's queue.
    pub sent: usize,
    pub readers: Waiters,
    pub writers: Waiters,
}

impl Stream {
    pub fn new(node: NodeId, local: SocketAddr, remote: SocketAddr) -> Self {
        Stream {
            node,
            peer: Key::NONE,
            local,
            remote,
            bound: false,
            listener: Key::NONE,
            read_shut: false,
            write_shut: false,
            reset: false,
            watched: false,
            queue: VecDeque::new(),
            begun: 0,
            sent: 0,
            readers: Waiters::default(),
            writers: Waiters::default(),
        }
    }

    /// As `unix_poll` of Linux says.
    pub fn readiness(&self) -> Ready {
        let mut ready = Ready::EMPTY;
        if !self.queue.is_empty() {
            ready |= Ready::READABLE;
        }
        if self.read_shut {
            ready |= Ready::READABLE | Ready::READ_CLOSED;
            if self.write_shut {
                ready |= Ready::WRITE_CLOSED;
            }
        }
        if writable(self.sent) {
            ready |= Ready::WRITABLE;
        }
        if self.reset {
            ready |= Ready::ERROR;
        }
        ready
    }

    pub fn take_error(&mut self) -> Option<io::Error> {
        std::mem::take(&mut self.reset).then(errno::connection_reset)
    }

    pub fn forget_waiters(&mut self, dropped: &mut Vec<Waker>) {
        self.readers.take(dropped);
        self.writers.take(dropped);
    }

    /// Moves what is there to `buf`, and says how much that was and how much memory became free.
    fn take(&mut self, buf: &mut [u8]) -> (usize, usize) {
        let (mut read, mut freed) = (0, 0);
        while read < buf.len()
            && let Some((data, charge)) = self.queue.front()
        {
            let data = &data.as_slice()[self.begun..];
            let n = data.len().min(buf.len() - read);
            buf[read..read + n].copy_from_slice(&data[..n]);
            read += n;
            self.begun += n;
            if n == data.len() {
                freed += *charge;
                self.queue.pop_front();
                self.begun = 0;
            }
        }
        (read, freed)
    }
}

impl Net {
    fn unix_stream(&mut self, key: Key) -> io::Result<&mut Stream> {
        self.unix.streams.get_mut(key).ok_or_else(errno::bad_descriptor)
    }

    /// send(2): takes as much as there is memory for. `Pending` when there is none.
    ///
    /// # Errors
    /// `EPIPE` when either side shut this direction down, or the peer is gone.
    pub fn write_unix(&mut self, k: &mut Kernel, key: Key, data: &[u8]) -> Poll<io::Result<usize>> {
        let st = match self.unix_stream(key) {
            Ok(st) => st,
            Err(e) => return Poll::Ready(Err(e)),
        };
        if st.write_shut {
            return Poll::Ready(Err(errno::broken_pipe()));
        }
        if let Err(e) = Net::actor(k) {
            return Poll::Ready(Err(e));
        }
        if data.is_empty() {
            return Poll::Ready(Ok(0));
        }
        let (peer, mut sent) = (st.peer, st.sent);
        let Some(p) = self.unix.streams.get_mut(peer) else {
            return Poll::Ready(Err(errno::broken_pipe()));
        };
        let mut left = data;
        while sent < SEND_BUFFER && !left.is_empty() {
            let (segment, rest) = left.split_at(left.len().min(MOST_SEGMENT));
            let charge = of_segment(segment.len());
            p.queue.push_back((Payload::copy(segment), charge));
            sent += charge;
            left = rest;
        }
        let n = data.len() - left.len();
        if n == 0 {
            return Poll::Pending;
        }
        k.stats().bytes += n as u64;
        if let Some(st) = self.unix.streams.get_mut(key) {
            st.sent = sent;
        }
        self.unix_readable(k, peer);
        Poll::Ready(Ok(n))
    }

    /// recv(2): what is there, at least a byte; 0 is the end.
    ///
    /// # Errors
    /// `ECONNRESET`, once and after everything was read, when the peer closed without reading everything.
    pub fn read_unix(&mut self, k: &mut Kernel, key: Key, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        let st = match self.unix_stream(key) {
            Ok(st) => st,
            Err(e) => return Poll::Ready(Err(e)),
        };
        if st.queue.is_empty() {
            return match st.take_error() {
                Some(error) => Poll::Ready(Err(error)),
                None if st.read_shut => Poll::Ready(Ok(0)),
                None => Poll::Pending,
            };
        }
        let peer = st.peer;
        let (read, freed) = st.take(buf);
        if freed > 0
            && let Some(p) = self.unix.streams.get_mut(peer)
        {
            p.sent -= freed;
            if writable(p.sent) {
                self.unix_writable(k, peer);
            }
        }
        Poll::Ready(Ok(read))
    }

    /// shutdown(2), which the peer sees at once from its side.
    pub fn shutdown_unix(&mut self, k: &mut Kernel, key: Key, how: Shutdown) -> io::Result<()> {
        Net::actor(k)?;
        let st = self.unix_stream(key)?;
        let (read, write) = (how != Shutdown::Write, how != Shutdown::Read);
        st.read_shut |= read;
        st.write_shut |= write;
        let peer = st.peer;
        if let Some(p) = self.unix.streams.get_mut(peer) {
            p.read_shut |= write;
            p.write_shut |= read;
        }
        for end in [key, peer] {
            self.unix_readable(k, end);
            self.unix_writable(k, end);
        }
        Ok(())
    }

    pub fn unix_stream_addr(&mut self, key: Key) -> io::Result<SocketAddr> {
        self.unix_stream(key).map(|s| s.local.clone())
    }

    pub fn unix_peer_addr(&mut self, key: Key) -> io::Result<SocketAddr> {
        self.unix_stream(key).map(|s| s.remote.clone())
    }

    pub fn unix_stream_error(&mut self, key: Key) -> io::Result<Option<io::Error>> {
        self.unix_stream(key).map(Stream::take_error)
    }

    pub(super) fn unix_readable(&mut self, k: &mut Kernel, key: Key) {
        if let Some(st) = self.unix.streams.get_mut(key) {
            st.readers.wake(k, &mut self.out.wake);
            if st.watched {
                self.tell_watchers(k, Source::UnixStream(key));
            }
        }
    }

    pub(super) fn unix_writable(&mut self, k: &mut Kernel, key: Key) {
        if let Some(st) = self.unix.streams.get_mut(key) {
            st.writers.wake(k, &mut self.out.wake);
            if st.watched {
                self.tell_watchers(k, Source::UnixStream(key));
            }
        }
    }
}
