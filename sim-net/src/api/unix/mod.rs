//! Unix sockets with tokio's names and signatures.

mod datagram;
mod halves;
mod listener;
mod socket;
mod stream;

pub use datagram::UnixDatagram;
pub use halves::{OwnedReadHalf, OwnedWriteHalf, ReadHalf, ReuniteError, WriteHalf};
pub use listener::UnixListener;
pub use socket::UnixSocket;
pub use stream::{UCred, UnixStream};

use crate::network::op;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;

/// Removes the file of a Unix socket: what `std::fs::remove_file` does on a real machine, where services call it before
/// they bind. The socket stays open, and cannot be reached any more.
///
/// # Errors
/// `NotFound` when no socket of this node was bound to the path, or it was unlinked since.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |_| async {
/// use sim_net::{UnixListener, unix};
/// use std::io::ErrorKind;
///
/// drop(UnixListener::bind("/run/app.sock")?);
/// assert_eq!(UnixListener::bind("/run/app.sock").unwrap_err().kind(), ErrorKind::AddrInUse);
/// unix::unlink("/run/app.sock")?;
/// UnixListener::bind("/run/app.sock")?;
/// # std::io::Result::Ok(())
/// # }).result.unwrap().unwrap();
/// ```
#[track_caller]
pub fn unlink<P: AsRef<Path>>(path: P) -> io::Result<()> {
    op(|net, k| net.unlink_unix(k, path.as_ref().as_os_str().as_bytes()))
}
