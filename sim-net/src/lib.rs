//! The simulated network: links with latency, loss, limited bandwidth, partitions and clogs; TCP and UDP as programs
//! see them on Linux; names; readiness; typed requests and replies.
//!
//! | module | subject |
//! | --- | --- |
//! | `link` | parameters of links, topology, what becomes of a packet, [`NetExt`] |
//! | `tcp`, `udp`, [`unix`] | kernels: plain data and non-blocking operations |
//! | `dns` | names to addresses |
//! | `fault` | the families of faults that the nemesis has of the network |
//! | [`readiness`] | what would not wait, who waits, sets as in epoll(7) |
//! | `api` | sockets with tokio's names and signatures |
//! | [`rpc`] | typed request and reply |
//! | `hyper`, with the feature of this name | what hyper, axum and tonic need to run on these sockets |
//! | `network` | the network of a world, and the door to it |
//! | `handle` | handles as plain data, the future that waits on them |
//! | `ports`, `route` | who has which port, which machine has which address |
//!
//! Sockets belong to the process that made them: after its death their calls say `EBADF`. Used outside of a simulation,
//! or in another than theirs, they panic and say so; dropped there, they do nothing.
//!
//! ```
//! use sim_core::{Config, run};
//! use sim_net::{NetExt, TcpListener, TcpStream};
//! use std::time::Duration;
//!
//! let outcome = run(Config::seed(7), |sim| async move {
//!     sim.node("server").run(|| async {
//!         let listener = TcpListener::bind("0.0.0.0:80").await?;
//!         let (mut stream, _) = listener.accept().await?;
//!         stream.write_all(b"hello").await
//!     });
//!     sim.node("client");
//!     let cut = sim.partition("client", "server");
//!     sim.after(Duration::from_millis(100), move || drop(cut));
//!     let read = sim.node("client").spawn(async {
//!         let mut text = String::new();
//!         TcpStream::connect("server:80").await?.read_to_string(&mut text).await?;
//!         std::io::Result::Ok(text)
//!     });
//!     read.await.unwrap()
//! });
//! assert_eq!(outcome.result.unwrap().unwrap(), "hello");
//! // The first SYN was lost, the second left after a second.
//! assert!(outcome.now > Duration::from_secs(1));
//! ```

mod api;
mod dns;
mod errno;
mod fault;
mod handle;
mod limits;
mod link;
mod network;
mod ports;
pub mod readiness;
mod route;
pub mod rpc;
mod tcp;
mod traffic;
mod udp;
pub mod unix;

#[cfg(feature = "hyper")]
pub use api::hyper;
pub use api::{
    OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, TcpListener, TcpSocket, TcpStream, UdpSocket,
    UnixDatagram, UnixListener, UnixSocket, UnixStream, WriteHalf,
};
pub use dns::{Dns, DnsFault, ToSocketAddrs, lookup_host};
pub use fault::families;
pub use link::{Bandwidth, Census, Clog, IntoNames, Latency, Link, NetExt, Partition, fixtures};
pub use readiness::{Interest, Ready};
pub use traffic::Traffic;
