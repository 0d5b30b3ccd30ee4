//! The sockets of programs: tokio's types with tokio's method names and signatures, and the I/O traits of `futures`.
//!
//! What tokio has as extension traits (`read_exact`, `write_all` and so on) is inherent here, so that moving a module
//! between tokio and the simulation is a change of imports.

mod listener;
mod socket;
mod split;
mod stream;
mod udp;

pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use split::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use stream::TcpStream;
pub use udp::UdpSocket;
