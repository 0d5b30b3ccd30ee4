//! A Unix socket that listens.

use super::UnixStream;
use crate::handle::{Handle, Wait};
use crate::network::{Net, op};
use crate::readiness::{POLLED, Source, Watch};
use crate::unix::{Acceptors, SocketAddr};
use sim_core::kernel::Kernel;
use sim_core::slab::Key;
use std::io;
use std::path::Path;
use std::task::{Context, Poll};

/// A Unix socket that listens: tokio's `UnixListener`.
///
/// Dropping it leaves its file where it is; see [`unlink`](crate::unix::unlink).
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |_| async {
/// use sim_net::{UnixListener, UnixStream};
///
/// let listener = UnixListener::bind("\0control")?; // an abstract name
/// let _client = UnixStream::connect("\0control").await?;
/// let (_server, from) = listener.accept().await?;
/// assert!(from.is_unnamed());
/// # std::io::Result::Ok(())
/// # }).result.unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct UnixListener {
    handle: Handle,
}

impl Drop for UnixListener {
    fn drop(&mut self) {
        self.handle.on_drop(|net, k, key| net.close_unix_listener(k, key));
    }
}

impl Watch for UnixListener {
    fn source(&self) -> Source {
        Source::UnixListener(self.handle.key())
    }
}

impl UnixListener {
    pub(super) fn new(k: &Kernel, key: Key) -> Self {
        UnixListener { handle: Handle::new(k, key) }
    }

    /// Listens on a path, or on an abstract name after a zero byte, with the longest queue that there is: 4096.
    ///
    /// # Errors
    /// `AddrInUse` when the file is there, even if nobody listens any more, `InvalidInput` for a path over 107 bytes.
    #[track_caller]
    pub fn bind<P: AsRef<Path>>(path: P) -> io::Result<UnixListener> {
        Self::bind_addr(&SocketAddr::from_path_or_abstract(path.as_ref())?)
    }

    /// The same for an address that a socket had.
    ///
    /// # Errors
    /// As [`UnixListener::bind`].
    #[track_caller]
    pub fn bind_addr(socket_addr: &SocketAddr) -> io::Result<UnixListener> {
        op(|net, k| {
            let socket = net.unix_socket(k)?;
            let bound = net.bind_unix_socket(k, socket, socket_addr);
            let listener = bound.and_then(|()| net.listen_unix(k, socket, u32::MAX));
            if listener.is_err() {
                net.close_unix_socket(socket);
            }
            listener.map(|key| UnixListener::new(k, key))
        })
    }

    /// Waits for a connection. Cancel-safe; several tasks may wait.
    ///
    /// # Errors
    /// `EBADF` when the process of the listener is dead.
    pub async fn accept(&self) -> io::Result<(UnixStream, SocketAddr)> {
        Wait::<Acceptors, _>::new(&self.handle, accept).await
    }

    /// Takes a connection, or has the task of `cx` woken when there is one. Only the last caller is.
    ///
    /// # Errors
    /// As [`UnixListener::accept`].
    pub fn poll_accept(&self, cx: &mut Context<'_>) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
        self.handle.op(|net, k, key| {
            let accepted = accept(net, k, key);
            if accepted.is_pending() {
                net.wait::<Acceptors>(key, &mut { POLLED }, cx);
            }
            accepted
        })
    }

    /// Where it listens.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn local_addr(&self) -> io::Result<SocketAddr> {
        self.handle.op(|net, _, key| net.unix_listener_addr(key))
    }

    /// The pending error: a listener has none.
    ///
    /// # Errors
    /// `EBADF` when its process is dead.
    #[track_caller]
    pub fn take_error(&self) -> io::Result<Option<io::Error>> {
        self.local_addr().map(|_| None)
    }
}

fn accept(net: &mut Net, k: &mut Kernel, key: Key) -> Poll<io::Result<(UnixStream, SocketAddr)>> {
    net.accept_unix(k, key).map_ok(|(stream, remote)| (UnixStream::new(k, stream), remote))
}
