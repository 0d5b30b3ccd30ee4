//! Simulated: servers are on a machine of their own, behind a link.

pub use sim::fs::{self, File, OpenOptions};
pub use sim::net::unix::unlink;
pub use sim::net::{
    TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, UnixDatagram, UnixListener, UnixSocket,
    UnixStream, lookup_host,
};
pub use sim::{spawn, time};

pub const ANY: &str = "0.0.0.0:0";
pub const HOST: &str = "server";

pub use crate::peer::simulated as peer;

pub fn run(body: impl Future<Output = std::io::Result<()>> + 'static) {
    let config = sim::Config::seed(7);
    sim::run(config, |sim| {
        sim.node(HOST);
        body
    })
    .result
    .unwrap()
    .unwrap();
}

/// Runs what belongs to the server.
pub async fn on_server<F: Future<Output: 'static> + 'static>(future: F) -> F::Output {
    sim::Sim::current().node(HOST).spawn(future).await.unwrap()
}

/// A folder for the sockets of one body.
pub struct Folder;

pub fn folder() -> Folder {
    Folder
}

impl Folder {
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        std::path::Path::new("/run/parity").join(name)
    }
}

/// What is dropped is closed.
pub async fn settle() {}

pub async fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    file.read_at(buffer, offset).await
}

pub async fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
    file.write_at(bytes, offset).await
}

pub async fn try_lock(file: &File, exclusive: bool) -> std::io::Result<bool> {
    crate::got(if exclusive { file.try_lock() } else { file.try_lock_shared() })
}

pub async fn unlock(file: &File) -> std::io::Result<()> {
    file.unlock().await
}

#[path = "clock.rs"]
pub mod clock;
#[path = "dns.rs"]
pub mod dns;
#[path = "files.rs"]
pub mod files;
#[path = "open_files.rs"]
pub mod open_files;
#[path = "tasks.rs"]
pub mod tasks;
#[path = "tcp.rs"]
pub mod tcp;
#[path = "udp.rs"]
pub mod udp;
#[path = "unix.rs"]
pub mod unix;
