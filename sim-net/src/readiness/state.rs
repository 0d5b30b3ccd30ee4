//! Bits of readiness and of interest, with the names of tokio's.

use std::fmt;
use std::ops::{BitAnd, BitOr, BitOrAssign};

/// What a socket is ready for.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default)]
pub struct Ready(u8);

impl Ready {
    /// Nothing.
    pub const EMPTY: Ready = Ready(0);
    /// Data, a connection to accept, or the end of the stream: EPOLLIN.
    pub const READABLE: Ready = Ready(1);
    /// Room to write, or a write would fail at once: EPOLLOUT.
    pub const WRITABLE: Ready = Ready(2);
    /// The peer writes no more: EPOLLRDHUP.
    pub const READ_CLOSED: Ready = Ready(4);
    /// We cannot write any more; with [`Ready::READ_CLOSED`] it is EPOLLHUP.
    pub const WRITE_CLOSED: Ready = Ready(8);
    /// An error is pending: EPOLLERR.
    pub const ERROR: Ready = Ready(16);

    const NAMES: [(Ready, &str); 5] = [
        (Ready::READABLE, "READABLE"),
        (Ready::WRITABLE, "WRITABLE"),
        (Ready::READ_CLOSED, "READ_CLOSED"),
        (Ready::WRITE_CLOSED, "WRITE_CLOSED"),
        (Ready::ERROR, "ERROR"),
    ];

    /// Whether it is nothing.
    pub fn is_empty(self) -> bool {
        self.0 == 0
    }

    /// Whether all of `other` is in it.
    pub fn contains(self, other: Ready) -> bool {
        self.0 & other.0 == other.0
    }

    /// Whether a read would not wait.
    pub fn is_readable(self) -> bool {
        self.contains(Ready::READABLE) || self.is_read_closed()
    }

    /// Whether a write would not wait.
    pub fn is_writable(self) -> bool {
        self.contains(Ready::WRITABLE) || self.is_write_closed()
    }

    /// Whether the peer writes no more.
    pub fn is_read_closed(self) -> bool {
        self.contains(Ready::READ_CLOSED)
    }

    /// Whether we cannot write any more.
    pub fn is_write_closed(self) -> bool {
        self.contains(Ready::WRITE_CLOSED)
    }

    /// Whether an error is pending.
    pub fn is_error(self) -> bool {
        self.contains(Ready::ERROR)
    }
}

impl BitOr for Ready {
    type Output = Ready;
    fn bitor(self, other: Ready) -> Ready {
        Ready(self.0 | other.0)
    }
}

impl BitAnd for Ready {
    type Output = Ready;
    fn bitand(self, other: Ready) -> Ready {
        Ready(self.0 & other.0)
    }
}

impl BitOrAssign for Ready {
    fn bitor_assign(&mut self, other: Ready) {
        self.0 |= other.0;
    }
}

impl fmt::Debug for Ready {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let names: Vec<_> = Ready::NAMES.iter().filter(|n| self.contains(n.0)).map(|n| n.1).collect();
        if names.is_empty() { f.write_str("EMPTY") } else { f.write_str(&names.join(" | ")) }
    }
}

/// What somebody wants to be told of.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interest(Ready);

impl Interest {
    /// Data, connections, the end of the stream.
    pub const READABLE: Interest = Interest(Ready(1));
    /// Room to write.
    pub const WRITABLE: Interest = Interest(Ready(2));
    /// Only what is always told: errors and the end of the connection.
    pub const NONE: Interest = Interest(Ready(0));

    /// Both.
    pub const fn add(self, other: Interest) -> Interest {
        Interest(Ready(self.0.0 | other.0.0))
    }

    /// Whether it asks for readability.
    pub const fn is_readable(self) -> bool {
        self.0.0 & 1 != 0
    }

    /// Whether it asks for writability.
    pub const fn is_writable(self) -> bool {
        self.0.0 & 2 != 0
    }

    /// What of `ready` it asks for; errors and hang-ups are always told, epoll_ctl(2).
    pub(crate) fn mask(self, ready: Ready) -> Ready {
        let mut wanted = self.0 | Ready::ERROR;
        if self.is_readable() {
            wanted |= Ready::READ_CLOSED;
        }
        if self.is_writable() {
            wanted |= Ready::WRITE_CLOSED;
        }
        let closed = Ready::READ_CLOSED | Ready::WRITE_CLOSED;
        if ready.contains(closed) {
            wanted |= closed;
        }
        ready & wanted
    }
}

impl BitOr for Interest {
    type Output = Interest;
    fn bitor(self, other: Interest) -> Interest {
        self.add(other)
    }
}

impl fmt::Debug for Interest {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?}", self.0)
    }
}
