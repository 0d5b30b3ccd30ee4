//! Real: tokio on this machine's loopback.

/// What is inherent in the simulation.
pub use tokio::fs::{self, File, OpenOptions};
pub use tokio::io::{AsyncReadExt as _, AsyncSeekExt as _, AsyncWriteExt as _};
pub use tokio::net::{
    TcpListener, TcpSocket, TcpStream, ToSocketAddrs, UdpSocket, UnixDatagram, UnixListener, UnixSocket,
    UnixStream, lookup_host,
};
pub use tokio::task::spawn_local as spawn;
pub use tokio::time;

/// Where servers bind, and where clients find them.
pub const ANY: &str = "127.0.0.1:0";
pub const HOST: &str = "127.0.0.1";

pub use crate::peer::real as peer;

/// Bodies that do without sockets run on tokio's paused clock, so that no test waits; the kernel behind a socket knows
/// only the real one.
pub fn run(subject: &str, body: impl Future<Output = std::io::Result<()>>) {
    let paused = matches!(subject, "clock" | "tasks");
    let mut builder = tokio::runtime::Builder::new_current_thread();
    let runtime = builder.enable_all().start_paused(paused).build().unwrap();
    tokio::task::LocalSet::new().block_on(&runtime, body).unwrap();
}

/// Runs what belongs to the server: here on the same machine.
pub async fn on_server<F: Future>(future: F) -> F::Output {
    future.await
}

/// A folder for the sockets of one body.
pub struct Folder(std::path::PathBuf);

pub fn folder() -> Folder {
    static LAST: std::sync::atomic::AtomicU32 = std::sync::atomic::AtomicU32::new(0);
    let number = LAST.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
    let path = std::env::temp_dir().join(format!("sim-parity-{}-{number}", std::process::id()));
    std::fs::create_dir(&path).unwrap();
    Folder(path)
}

impl Folder {
    pub fn path(&self, name: &str) -> std::path::PathBuf {
        self.0.join(name)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

pub use std::fs::remove_file as unlink;

/// tokio's files are closed, and what they had buffered is written, some time after they are dropped.
pub async fn settle() {
    tokio::task::spawn_blocking(|| ()).await.unwrap();
}

// What tokio leaves to std.

async fn plain(file: &File) -> std::io::Result<std::fs::File> {
    Ok(file.try_clone().await?.into_std().await)
}

pub async fn read_at(file: &File, buffer: &mut [u8], offset: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::read_at(&plain(file).await?, buffer, offset)
}

pub async fn write_at(file: &File, bytes: &[u8], offset: u64) -> std::io::Result<usize> {
    std::os::unix::fs::FileExt::write_at(&plain(file).await?, bytes, offset)
}

/// Whether it got the lock.
pub async fn try_lock(file: &File, exclusive: bool) -> std::io::Result<bool> {
    let file = plain(file).await?;
    crate::got(if exclusive { file.try_lock() } else { file.try_lock_shared() })
}

pub async fn unlock(file: &File) -> std::io::Result<()> {
    plain(file).await?.unlock()
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
