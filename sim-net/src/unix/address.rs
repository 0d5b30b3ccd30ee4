//! Addresses of Unix sockets, unix(7).

use std::ffi::OsStr;
use std::fmt;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::sync::Arc;

/// The size of `sun_path`, bytes, in which a path ends with a zero and an abstract name begins with one.
const SUN_PATH: usize = 108;

/// The address of a Unix socket: tokio's `unix::SocketAddr`.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |_| async {
/// let listener = sim_net::UnixListener::bind("/run/app.sock")?;
/// assert_eq!(listener.local_addr()?.as_pathname(), Some("/run/app.sock".as_ref()));
/// # std::io::Result::Ok(())
/// # }).result.unwrap().unwrap();
/// ```
#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub struct SocketAddr(pub(super) Address);

#[derive(Clone, PartialEq, Eq, Hash, Default)]
pub(super) enum Address {
    #[default]
    Unnamed,
    Path(Arc<[u8]>),
    Abstract(Arc<[u8]>),
}

impl SocketAddr {
    /// What tokio's `UnixListener::bind` and `UnixStream::connect` take: a path, or an abstract name after a zero byte.
    ///
    /// # Errors
    /// `InvalidInput` for more than 107 bytes, or a zero inside of a path.
    pub(crate) fn from_path_or_abstract(path: &Path) -> io::Result<Self> {
        match path.as_os_str().as_bytes() {
            [0, name @ ..] if name.len() < SUN_PATH => Ok(SocketAddr(Address::Abstract(name.into()))),
            [0, ..] => Err(invalid("abstract socket name must be shorter than SUN_LEN")),
            _ => Self::from_path(path),
        }
    }

    /// What std's functions take: a path. An empty one is no address, which a bind replaces by an abstract name.
    ///
    /// # Errors
    /// `InvalidInput` for more than 107 bytes, or a zero among them.
    pub(crate) fn from_path(path: &Path) -> io::Result<Self> {
        let path = path.as_os_str().as_bytes();
        if path.contains(&0) {
            return Err(invalid("paths must not contain interior null bytes"));
        }
        if path.len() >= SUN_PATH {
            return Err(invalid("path must be shorter than SUN_LEN"));
        }
        Ok(SocketAddr(if path.is_empty() { Address::Unnamed } else { Address::Path(path.into()) }))
    }

    pub(super) fn abstract_name(name: &[u8]) -> Self {
        SocketAddr(Address::Abstract(name.into()))
    }

    /// Whether the socket has no name.
    pub fn is_unnamed(&self) -> bool {
        self.0 == Address::Unnamed
    }

    /// The path, as it was given to `bind`.
    pub fn as_pathname(&self) -> Option<&Path> {
        match &self.0 {
            Address::Path(path) => Some(Path::new(OsStr::from_bytes(path))),
            _ => None,
        }
    }

    /// The abstract name, without the zero in front.
    pub fn as_abstract_name(&self) -> Option<&[u8]> {
        match &self.0 {
            Address::Abstract(name) => Some(name),
            _ => None,
        }
    }
}

impl fmt::Debug for SocketAddr {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.0 {
            Address::Unnamed => f.write_str("(unnamed)"),
            Address::Path(path) => write!(f, "{:?} (pathname)", OsStr::from_bytes(path)),
            Address::Abstract(name) => write!(f, "\"{}\" (abstract)", name.escape_ascii()),
        }
    }
}

fn invalid(what: &'static str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}
