//! What setsockopt(2) keeps for a TCP socket: tcp(7), socket(7).

use super::stream::{Phase, Stream};
use crate::errno;
use crate::network::Net;
use sim_core::NodeId;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::io;
use std::net::SocketAddr;
use std::time::Duration;

/// The options of a socket. Those that only matter for speed on a real wire (Nagle) are kept and have no effect.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Options {
    /// TCP_NODELAY.
    pub nodelay: bool,
    /// IP_TTL.
    pub ttl: u32,
    /// SO_LINGER. Zero makes close(2) a reset; a longer time changes nothing, because dropping a handle must not
    /// block its thread.
    pub linger: Option<Duration>,
    /// SO_REUSEADDR.
    pub reuse_address: bool,
    /// IPV6_V6ONLY.
    pub only_v6: bool,
    /// SO_SNDBUF as the kernel keeps it (twice what was set), bytes.
    pub send_buffer: usize,
    /// SO_RCVBUF as the kernel keeps it (twice what was set), bytes.
    pub receive_buffer: usize,
    /// SO_KEEPALIVE.
    pub keepalive: bool,
    /// TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT.
    pub keepalive_idle: Duration,
    pub keepalive_interval: Duration,
    pub keepalive_count: u32,
}

impl Default for Options {
    fn default() -> Self {
        Options {
            nodelay: false,
            ttl: 64,
            linger: None,
            reuse_address: false,
            only_v6: false,
            send_buffer: 128 << 10,
            receive_buffer: 128 << 10,
            keepalive: false,
            keepalive_idle: Duration::from_secs(7200),
            keepalive_interval: Duration::from_secs(75),
            keepalive_count: 9,
        }
    }
}

/// net.core.wmem_max and rmem_max.
const MOST: u32 = 212_992;

impl Options {
    /// SO_SNDBUF: socket(7) says that the kernel doubles the value and that the least result is 2048; Linux 6 keeps at
    /// least 4608.
    pub fn set_send_buffer(&mut self, bytes: u32) {
        self.send_buffer = (bytes.min(MOST) as usize * 2).max(4608);
    }

    /// SO_RCVBUF: doubled, at least 2304.
    pub fn set_receive_buffer(&mut self, bytes: u32) {
        self.receive_buffer = (bytes.min(MOST) as usize * 2).max(2304);
    }
}

impl Net {
    /// The stream of a handle.
    ///
    /// # Errors
    /// `EBADF` when it is gone.
    pub fn stream(&mut self, key: Key) -> io::Result<&mut Stream> {
        self.open_stream(key).ok_or_else(errno::bad_descriptor)
    }

    /// The stream of a handle. An orphan has none: a process that died closed it.
    #[inline]
    pub fn open_stream(&mut self, key: Key) -> Option<&mut Stream> {
        self.streams.get_mut(key).filter(|s| !s.orphan)
    }

    /// getpeername(2).
    ///
    /// # Errors
    /// `ENOTCONN` before and after the connection.
    pub fn peer_addr(&mut self, key: Key) -> io::Result<SocketAddr> {
        let stream = self.stream(key)?;
        if stream.phase == Phase::Open { Ok(stream.cold.remote) } else { Err(errno::not_connected()) }
    }

    /// SO_KEEPALIVE with TCP_KEEPIDLE, TCP_KEEPINTVL and TCP_KEEPCNT.
    pub fn set_keepalive(
        &mut self,
        k: &mut Kernel,
        key: Key,
        keepalive: Option<(Duration, Duration, u32)>,
    ) -> io::Result<()> {
        let options = &mut self.stream(key)?.cold.options;
        options.keepalive = keepalive.is_some();
        if let Some((idle, interval, count)) = keepalive {
            if idle.is_zero() || interval.is_zero() || count == 0 {
                return Err(errno::invalid_argument());
            }
            options.keepalive_idle = idle;
            options.keepalive_interval = interval;
            options.keepalive_count = count;
        }
        self.stop_keepalive(k, key);
        self.start_keepalive(k, key);
        Ok(())
    }

    /// How many connections `from` has open to `to`.
    pub fn established_between(&self, from: NodeId, to: NodeId) -> usize {
        let open = |s: &Stream| s.phase == Phase::Open && !s.orphan && (s.node, s.peer_node) == (from, to);
        self.streams.iter().filter(|(_, s)| open(s)).count()
    }
}
