//! TCP as applications see it on Linux: tcp(7), RFC 9293, RFC 6298.
//!
//! A segment goes straight into the receiver's queue, marked with the instant from which it is visible. The event at
//! that instant carries no data: it only wakes readers. Segments held up behind an earlier one become visible with
//! it and need no event. Acknowledgements are credits that the sender's next write counts; only a sender that waits
//! for room costs an event. Timers run only where a packet is known not to have got through.
//!
//! | file | subject |
//! | --- | --- |
//! | `stream` | one end of a connection as data |
//! | `buffer` | segments and their memory |
//! | `options` | setsockopt(2) |
//! | `socket` | sockets that neither listen nor are connected yet |
//! | `handshake` | listen, connect, accept |
//! | `data` | write, read, acknowledgements |
//! | `retransmit` | packets that did not get through, keepalive |
//! | `close` | FIN, half-close, reset, death |

mod buffer;
mod close;
mod data;
mod handshake;
mod options;
mod retransmit;
mod socket;
mod stream;

pub(crate) use buffer::Payload;
pub(crate) use handshake::Listener;
pub(crate) use options::Options;
pub(crate) use socket::Bound;
pub(crate) use stream::{Phase, Stream};
