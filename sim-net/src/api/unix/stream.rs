//! A connection between two sockets of one machine.

use super::halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, WriteHalf, owned_halves};
use crate::api::connection::{Connection, Transport};
use crate::network::{Net, op};
use crate::readiness::{Source, Watch};
use crate::unix::{Readers, SocketAddr, Writers};
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::io;
use std::net::Shutdown;
use std::path::Path;
use std::task::Poll;

/// A Unix stream: tokio's `UnixStream`.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |_| async {
/// use sim_net::{UnixListener, UnixStream};
///
/// let listener = UnixListener::bind("/run/app.sock")?;
/// let mut client = UnixStream::connect("/run/app.sock").await?;
/// client.write_all(b"hello").await?;
/// client.shutdown().await?;
/// let (mut server, _) = listener.accept().await?;
/// let mut text = String::new();
/// server.read_to_string(&mut text).await?;
/// assert_eq!(text, "hello");
/// # std::io::Result::Ok(())
/// # }).result.unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct UnixStream {
    connection: Connection<Unix>,
}

/// The kernel's side of a [`UnixStream`].
pub(crate) struct Unix;

impl Transport for Unix {
    type Readers = Readers;
    type Writers = Writers;

    fn source(key: Key) -> Source {
        Source::UnixStream(key)
    }

    fn read(net: &mut Net, k: &mut Kernel, key: Key, buf: &mut [u8]) -> Poll<io::Result<usize>> {
        net.read_unix(k, key, buf)
    }

    fn write(net: &mut Net, k: &mut Kernel, key: Key, data: &[u8]) -> Poll<io::Result<usize>> {
        net.write_unix(k, key, data)
    }

    fn shutdown(net: &mut Net, k: &mut Kernel, key: Key, how: Shutdown) -> io::Result<()> {
        net.shutdown_unix(k, key, how)
    }

    fn let_go(net: &mut Net, k: &mut Kernel, key: Key) {
        net.close_unix_stream(k, key);
    }
}

impl Watch for UnixStream {
    fn source(&self) -> Source {
        self.connection.source()
    }
}

/// Who is at the other end: tokio's `UCred`. There is none: see [`UnixStream::peer_cred`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub enum UCred {}

impl UCred {
    /// The user.
    pub fn uid(&self) -> u32 {
        match *self {}
    }

    /// The group.
    pub fn gid(&self) -> u32 {
        match *self {}
    }

    /// The process.
    pub fn pid(&self) -> Option<i32> {
        match *self {}
    }
}

impl UnixStream {
    pub(super) fn new(k: &Kernel, key: Key) -> Self {
        UnixStream { connection: Connection::new(k, key) }
    }

    /// Connects to a listener of this node, by its path, or by its abstract name after a zero byte. The connection is
    /// there at once, and can be written to before it is accepted.
    ///
    /// # Errors
    /// `NotFound` when the path is not there, `ConnectionRefused` when nobody listens, `EPROTOTYPE` for a datagram
    /// socket, `WouldBlock` when the listener's queue is full (as from tokio, which does not wait there either),
    /// `InvalidInput` for a path over 107 bytes.
    pub async fn connect<P: AsRef<Path>>(path: P) -> io::Result<UnixStream> {
        Self::connect_to(&SocketAddr::from_path_or_abstract(path.as_ref())?)
    }

    /// The same for an address that a socket had.
    ///
    /// # Errors
    /// As [`UnixStream::connect`].
    pub async fn connect_addr(socket_addr: &SocketAddr) -> io::Result<UnixStream> {
        Self::connect_to(socket_addr)
    }

    fn connect_to(address: &SocketAddr) -> io::Result<UnixStream> {
        op(|net, k| net.connect_unix(k, None, address).map(|key| UnixStream::new(k, key)))
    }

    /// Two streams that are connected to each other: socketpair(2).
    ///
    /// # Errors
    /// In the destructors of a dead process.
    #[track_caller]
    pub fn pair() -> io::Result<(UnixStream, UnixStream)> {
        op(|net, k| {
            let (first, second) = net.unix_pair(k)?;
            Ok((UnixStream::new(k, first), UnixStream::new(k, second)))
        })
    }

    pub(super) fn stream(&self) -> &Connection<Unix> {
        &self.connection
    }

    /// The address of this end: unnamed for who connects, the listener's for who is connected to.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.connection.op(|net, _, key| net.unix_stream_addr(key))
    }

    /// The address of the peer, which stays when that is gone.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn peer_addr(&self) -> io::Result<SocketAddr> {
        self.connection.op(|net, _, key| net.unix_peer_addr(key))
    }

    /// Not simulated: nodes have no users, groups and process numbers.
    ///
    /// # Errors
    /// Always `Unsupported`.
    #[track_caller]
    pub fn peer_cred(&self) -> io::Result<UCred> {
        self.connection.op(|net, _, key| net.unix_peer_addr(key))?;
        let what = "UnixStream::peer_cred is not simulated: nodes have no users, groups and process numbers";
        Err(io::Error::new(io::ErrorKind::Unsupported, what))
    }

    /// The pending error, told once: SO_ERROR.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.connection.op(|net, _, key| net.unix_stream_error(key))
    }
}

crate::api::split::readable!(UnixStream);
crate::api::split::writable!(UnixStream);
crate::api::split::whole!(UnixStream);
