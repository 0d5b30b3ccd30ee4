//! A Unix socket before it listens, connects or receives.

use super::{UnixDatagram, UnixListener, UnixStream};
use crate::handle::Handle;
use crate::network::op;
use crate::unix::SocketAddr;
use std::io;
use std::path::Path;

/// A Unix socket of either type that is not in use yet: tokio's `UnixSocket`.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |_| async {
/// use sim_net::{UnixSocket, UnixStream};
///
/// let socket = UnixSocket::new_stream()?;
/// socket.bind("/run/app.sock")?;
/// let listener = socket.listen(16)?;
/// let _client = UnixStream::connect("/run/app.sock").await?;
/// let _server = listener.accept().await?;
/// # std::io::Result::Ok(())
/// # }).result.unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct UnixSocket(Type);

#[derive(Debug)]
enum Type {
    Stream(Plain),
    Datagram(UnixDatagram),
}

#[derive(Debug)]
struct Plain(Handle);

impl Drop for Plain {
    fn drop(&mut self) {
        self.0.on_drop(|net, _, key| net.close_unix_socket(key));
    }
}

impl UnixSocket {
    /// A socket for datagrams.
    ///
    /// # Errors
    /// In the destructors of a dead process.
    #[track_caller]
    pub fn new_datagram() -> io::Result<UnixSocket> {
        UnixDatagram::unbound().map(|socket| UnixSocket(Type::Datagram(socket)))
    }

    /// A socket for streams.
    ///
    /// # Errors
    /// In the destructors of a dead process.
    #[track_caller]
    pub fn new_stream() -> io::Result<UnixSocket> {
        op(|net, k| net.unix_socket(k).map(|key| UnixSocket(Type::Stream(Plain(Handle::new(k, key))))))
    }

    /// Binds it to a path, or to an abstract name after a zero byte.
    ///
    /// # Errors
    /// `AddrInUse`; `InvalidInput` when it is bound already or the path is over 107 bytes.
    #[track_caller]
    pub fn bind(&self, path: impl AsRef<Path>) -> io::Result<()> {
        let address = SocketAddr::from_path_or_abstract(path.as_ref())?;
        match &self.0 {
            Type::Stream(socket) => socket.0.op(|net, k, key| net.bind_unix_socket(k, key, &address)),
            Type::Datagram(socket) => socket.bind_to(&address),
        }
    }

    /// Listens, with a queue that takes one connection more than `backlog`.
    ///
    /// # Errors
    /// `InvalidInput` when it is not bound; an error for a socket for datagrams.
    #[track_caller]
    pub fn listen(self, backlog: u32) -> io::Result<UnixListener> {
        let Type::Stream(socket) = &self.0 else {
            return Err(io::Error::other("listen cannot be called on a datagram socket"));
        };
        socket
            .0
            .op(|net, k, key| net.listen_unix(k, key, backlog).map(|listener| UnixListener::new(k, listener)))
    }

    /// Connects; the peer sees the name that it was bound to.
    ///
    /// # Errors
    /// As [`UnixStream::connect`]; an error for a socket for datagrams.
    pub async fn connect(self, path: impl AsRef<Path>) -> io::Result<UnixStream> {
        let Type::Stream(socket) = &self.0 else {
            return Err(io::Error::other("connect cannot be called on a datagram socket"));
        };
        let address = SocketAddr::from_path_or_abstract(path.as_ref())?;
        socket.0.op(|net, k, key| {
            net.connect_unix(k, Some(key), &address).map(|stream| UnixStream::new(k, stream))
        })
    }

    /// The socket for datagrams.
    ///
    /// # Errors
    /// An error for a socket for streams.
    pub fn datagram(self) -> io::Result<UnixDatagram> {
        match self.0 {
            Type::Datagram(socket) => Ok(socket),
            Type::Stream(_) => Err(io::Error::other("datagram cannot be called on a stream socket")),
        }
    }
}
