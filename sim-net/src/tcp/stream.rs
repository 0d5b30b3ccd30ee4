//! One end of a connection, as plain data, and how it changes where no packet is involved.

use super::buffer::{Payload, Queue};
use super::options::Options;
use crate::errno;
use crate::readiness::{Ready, Waiters};
use sim_core::slab::Key;
use sim_core::{EventKey, NodeId};
use std::collections::VecDeque;
use std::io;
use std::net::SocketAddr;
use std::task::{Poll, Waker};

/// Where an end is in its life.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Phase {
    /// SYN_SENT: `connect` is under way.
    Connecting,
    /// SYN_RECEIVED: the server's half of a handshake, not yet accepted.
    Accepting,
    /// ESTABLISHED and the half-closed states.
    Open,
    /// Ended by a reset, a refusal or a timeout.
    Dead,
}

/// An error that is told once and then turns into the end of the stream (reads) and `EPIPE` (writes), like
/// `sk_err` in Linux.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Fault {
    Refused,
    Reset,
    TimedOut,
    /// A reset after the peer's FIN: tcp_reset() of Linux in CLOSE_WAIT.
    BrokenPipe,
}

impl Fault {
    pub fn error(self) -> io::Error {
        match self {
            Fault::Refused => errno::connection_refused(),
            Fault::Reset => errno::connection_reset(),
            Fault::TimedOut => errno::timed_out(),
            Fault::BrokenPipe => errno::broken_pipe(),
        }
    }
}

/// No FIN has been sent by the peer.
pub(crate) const NEVER: u64 = u64::MAX;

/// One end of a connection.
pub(crate) struct Stream {
    pub node: NodeId,
    pub peer_node: NodeId,
    pub phase: Phase,
    /// The application found no room to write and has not since: it is to be told of room.
    pub wants_room: bool,
    /// An event for the first credit is posted.
    pub credit_posted: bool,
    /// The application will write no more.
    pub write_shut: bool,
    /// The application will read no more.
    pub read_shut: bool,
    /// The application has let go; the kernel still drains what it wrote.
    pub orphan: bool,
    /// A readiness set watches.
    pub watched: bool,
    /// There is a [`Stall`].
    pub stalled: bool,
    pub fault: Option<Fault>,
    /// The other end; stale when it is gone.
    pub peer: Key,
    // Sending.
    /// From when the last thing sent is visible to the peer, ns.
    pub last_arrival: u64,
    /// Bytes written and not acknowledged.
    pub outstanding: usize,
    /// How much may be outstanding: our send buffer and the peer's receive buffer.
    pub limit: usize,
    pub writers: Waiters,
    // Receiving.
    /// Bytes read and not acknowledged.
    pub unacked: usize,
    /// How many of them are worth an acknowledgement: a quarter of what the peer may have outstanding.
    pub ack_after: usize,
    pub readers: Waiters,
    pub queue: Queue,
    /// From when the peer's FIN is visible, ns.
    pub fin: u64,
    pub cold: Box<Cold>,
}

/// What the hot path does not touch.
pub(crate) struct Cold {
    pub local: SocketAddr,
    pub remote: SocketAddr,
    pub options: Options,
    /// Acknowledgements under way to us: from when they count, and how many bytes.
    pub credits: VecDeque<(u64, usize)>,
    /// What waits for a retransmission.
    pub stall: Option<Box<Stall>>,
    /// The pending retransmission of data, SYN or SYN-ACK.
    pub timer: Option<EventKey>,
    pub keepalive: Option<Keepalive>,
    pub handshake: Handshake,
    /// The listener that made this end, until it is accepted.
    pub listener: Key,
    /// The port's entry counts this end.
    pub holds_port: bool,
}

/// SYNs, or SYN-ACKs, sent so far.
#[derive(Clone, Copy, Default, Debug)]
pub(crate) struct Handshake {
    pub retries: u32,
    /// When the last one left, ns.
    pub sent: u64,
    /// One of them waits in a clog.
    pub held: bool,
    /// The client's machine tracks the connection.
    pub tracked: bool,
}

/// A keepalive that is switched on.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Keepalive {
    pub timer: EventKey,
    pub unanswered: u32,
}

/// A sender whose packets do not get through. Data that was lost and all that was written behind it waits here; an
/// empty stall is a probe: of a full window, or for an acknowledgement that cannot come.
#[derive(Debug, Default)]
pub(crate) struct Stall {
    pub queue: VecDeque<Payload>,
    pub fin: bool,
    /// Retransmissions in a row that failed.
    pub retries: u32,
    /// The timeout of the first of them, ns; 0 before that. Nothing measures the round trip while nothing gets through
    /// (RFC 6298, 5.5 to 5.7).
    pub timeout: u64,
    /// The clog will tell when it is released.
    pub held: bool,
}

impl Stream {
    pub fn new(
        node: NodeId,
        peer_node: NodeId,
        local: SocketAddr,
        remote: SocketAddr,
        options: Options,
    ) -> Self {
        Stream {
            node,
            peer_node,
            phase: Phase::Connecting,
            wants_room: false,
            credit_posted: false,
            write_shut: false,
            read_shut: false,
            orphan: false,
            watched: false,
            stalled: false,
            fault: None,
            peer: Key::NONE,
            last_arrival: 0,
            outstanding: 0,
            limit: options.send_buffer + options.receive_buffer,
            writers: Waiters::default(),
            unacked: 0,
            ack_after: (options.send_buffer + options.receive_buffer) / 4,
            readers: Waiters::default(),
            queue: Queue::default(),
            fin: NEVER,
            cold: Box::new(Cold {
                local,
                remote,
                options,
                credits: VecDeque::new(),
                stall: None,
                timer: None,
                keepalive: None,
                handshake: Handshake::default(),
                listener: Key::NONE,
                holds_port: false,
            }),
        }
    }

    /// Counts acknowledgements that have arrived by `now`.
    #[inline]
    pub fn harvest(&mut self, now: u64) {
        while let Some(&(at, n)) = self.cold.credits.front()
            && at <= now
        {
            self.outstanding -= n;
            self.cold.credits.pop_front();
        }
    }

    /// How many bytes may be written at `now`.
    #[inline]
    pub fn room(&mut self, now: u64) -> usize {
        // Nothing is lost by counting late while there is plenty of room.
        if self.outstanding * 2 >= self.limit {
            self.harvest(now);
        }
        self.limit.saturating_sub(self.outstanding)
    }

    /// Adds an acknowledgement that arrives at `at`. They are cumulative: a later one that arrives sooner covers
    /// those before it.
    pub fn credit(&mut self, at: u64, bytes: usize) {
        let mut bytes = bytes;
        while let Some(&(later, n)) = self.cold.credits.back()
            && later >= at
        {
            bytes += n;
            self.cold.credits.pop_back();
        }
        self.cold.credits.push_back((at, bytes));
    }

    /// Whether the peer's FIN is visible at `now` and everything before it was read.
    #[inline]
    pub fn at_end(&self, now: u64) -> bool {
        self.fin <= now && self.queue.is_empty()
    }

    /// What a call would not have to wait for, as `tcp_poll` of Linux says.
    pub fn readiness(&mut self, now: u64) -> Ready {
        let mut ready = Ready::EMPTY;
        match self.phase {
            Phase::Connecting | Phase::Accepting => return ready,
            Phase::Dead => {
                ready = Ready::READABLE | Ready::WRITABLE | Ready::READ_CLOSED | Ready::WRITE_CLOSED
            }
            Phase::Open => {
                if self.queue.visible(now) {
                    ready |= Ready::READABLE;
                }
                if self.fin <= now || self.read_shut {
                    ready |= Ready::READABLE | Ready::READ_CLOSED;
                }
                if self.write_shut {
                    ready |= Ready::WRITABLE | Ready::WRITE_CLOSED;
                } else if self.room(now) > 0 {
                    ready |= Ready::WRITABLE;
                }
            }
        }
        if self.fault.is_some() {
            ready |= Ready::ERROR;
        }
        ready
    }

    /// Whether the application on this end still takes what arrives.
    #[inline]
    pub fn takes(&self) -> bool {
        !self.orphan && !self.read_shut && self.phase != Phase::Dead
    }

    /// What a read says that took no data: the end, an error, or that it has to wait.
    #[inline]
    pub fn nothing(&mut self, now: u64, nothing_asked: bool) -> Poll<io::Result<usize>> {
        if nothing_asked && self.queue.visible(now) || self.at_end(now) || self.read_shut {
            return Poll::Ready(Ok(0));
        }
        match (self.phase, self.take_fault()) {
            (_, Some(fault)) => Poll::Ready(Err(fault)),
            (Phase::Dead, None) => Poll::Ready(Ok(0)),
            _ => Poll::Pending,
        }
    }

    /// The pending error, told once.
    #[inline]
    pub fn take_fault(&mut self) -> Option<io::Error> {
        // An inline test: reads ask each time they find nothing.
        if self.fault.is_none() { None } else { self.fault.take().map(Fault::error) }
    }

    /// Gives up everybody who waits: the stream goes away with its process.
    pub fn forget_waiters(&mut self, dropped: &mut Vec<Waker>) {
        self.readers.take(dropped);
        self.writers.take(dropped);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stream() -> Stream {
        let a = SocketAddr::from(([10, 0, 0, 1], 1));
        let mut s = Stream::new(NodeId(1), NodeId(2), a, a, Options::default());
        s.phase = Phase::Open;
        s
    }

    #[test]
    fn acknowledgements_count_when_they_arrive_and_overtaken_ones_are_covered() {
        let mut s = stream();
        s.outstanding = s.limit;
        s.credit(10, 100);
        s.credit(30, 200);
        s.credit(20, 50);
        assert_eq!((s.room(9), s.room(10), s.room(19)), (0, 100, 100));
        assert_eq!((s.room(20), s.cold.credits.len()), (350, 0));
    }

    #[test]
    fn readiness_follows_the_state() {
        let mut s = stream();
        assert_eq!(s.readiness(0), Ready::WRITABLE);
        s.outstanding = s.limit;
        assert_eq!(s.readiness(0), Ready::EMPTY);
        s.fin = 5;
        assert_eq!(s.readiness(4), Ready::EMPTY);
        assert_eq!(s.readiness(5), Ready::READABLE | Ready::READ_CLOSED);
        s.phase = Phase::Dead;
        s.fault = Some(Fault::Reset);
        assert!(s.readiness(5).contains(Ready::ERROR | Ready::WRITE_CLOSED));
        assert_eq!(s.take_fault().unwrap().kind(), io::ErrorKind::ConnectionReset);
        assert!(s.take_fault().is_none());
    }
}
