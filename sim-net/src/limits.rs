//! What a machine holds of what can be limited, and what it may have more.

use crate::network::Net;
use crate::tcp::Phase;
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use sim_core::{Holdings, NodeId, OBJECT};
use std::io;

impl Net {
    /// Whether a process may have one more socket.
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    #[inline]
    pub fn may_open(&self, k: &mut Kernel, node: NodeId) -> io::Result<()> {
        if k.is_limited(node) { k.admit_descriptor(node, self.holdings(node)) } else { Ok(()) }
    }

    /// The same of two: socketpair(2).
    ///
    /// # Errors
    /// `EMFILE`, `ENOMEM`.
    pub fn may_open_two(&self, k: &mut Kernel, node: NodeId) -> io::Result<()> {
        if !k.is_limited(node) {
            return Ok(());
        }
        let mut held = self.holdings(node);
        held.descriptors += 1;
        held.bytes += OBJECT;
        k.admit_descriptor(node, held)
    }

    /// Whether a machine may track one more connection.
    #[inline]
    pub fn may_track(&self, k: &mut Kernel, node: NodeId) -> bool {
        !k.is_limited(node) || k.admit_connection(node, self.holdings(node))
    }

    /// What a node holds here.
    #[cold]
    pub fn holdings(&self, node: NodeId) -> Holdings {
        let (mut sockets, mut connections, mut bytes) = (0, 0, 0);
        for (_, stream) in self.streams.iter().filter(|(_, stream)| stream.node == node) {
            sockets += u64::from(!stream.orphan && stream.cold.listener == Key::NONE);
            connections += u64::from(stream.phase != Phase::Connecting || stream.cold.handshake.tracked);
            let received = self.streams.get(stream.peer).map_or(0, |peer| peer.outstanding);
            bytes += (stream.outstanding + received) as u64;
        }
        sockets += self.listeners.iter().filter(|(_, listener)| listener.node == node).count() as u64;
        sockets += self.bound.iter().filter(|(_, socket)| socket.node == node).count() as u64;
        let (udp, queued) = self.udp_held(node);
        let (unix, waiting) = self.unix.held(node);
        let descriptors = Holdings::descriptors(sockets + udp + unix + self.sets.held(node));
        Holdings { connections, bytes: descriptors.bytes + bytes + queued + waiting, ..descriptors }
    }
}
