//! Counters of what happened on the network, besides the packets and bytes that [`sim_core::Stats`] has.

use serde::{Deserialize, Serialize};

/// What happened on the network of a run so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Traffic {
    /// Datagrams delivered to a socket.
    pub datagrams: u64,
    /// Datagrams that found the receiver's queue full.
    pub datagrams_dropped: u64,
    /// Packets that links delivered twice; TCP drops the second.
    pub duplicated: u64,
    /// Packets that links kept back, so that later ones overtook them.
    pub reordered: u64,
    /// Packets whose bits flipped on the way. All are lost but the datagrams whose damage beat the checksum.
    pub corrupted: u64,
    /// Connections attempted.
    pub connects: u64,
    /// Connections that a listener accepted into its queue.
    pub accepted: u64,
    /// Connections that ended by a reset (a refusal included).
    pub resets: u64,
    /// Connections that ended because nobody answered.
    pub timeouts: u64,
    /// Retransmissions of SYNs, data and probes.
    pub retransmissions: u64,
}
