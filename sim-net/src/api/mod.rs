//! The sockets of programs: tokio's types with tokio's method names and signatures, and the I/O traits of `futures`.
//!
//! What tokio has as extension traits (`read_exact`, `write_all` and so on) is inherent here, so that moving a module
//! between tokio and the simulation is a change of imports.

mod connection;
mod foreign;
#[cfg(feature = "hyper")]
pub mod hyper;
mod listener;
mod socket;
mod split;
mod stream;
mod tcp_halves;
mod udp;
pub(crate) mod unix;

pub use listener::TcpListener;
pub use socket::TcpSocket;
pub use stream::TcpStream;
pub use tcp_halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use udp::UdpSocket;
pub use unix::{UnixDatagram, UnixListener, UnixSocket, UnixStream};
