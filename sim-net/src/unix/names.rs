//! Which socket has which name: paths and abstract names, of each machine its own.

use super::address::{Address, SocketAddr};
use crate::errno;
use sim_core::NodeId;
use sim_core::slab::Key;
use std::collections::BTreeMap;
use std::io;

/// The socket behind a name.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub(crate) enum Holder {
    /// A stream socket that neither listens nor is connected.
    Socket(Key),
    Stream(Key),
    Listener(Key),
    Datagram(Key),
}

/// The names of every machine.
///
/// A socket file outlives its socket until it is unlinked, and on a disk it outlives the process and a power cut. There
/// are no folders yet: any path can be bound, as seen from a working directory of `/`.
#[derive(Default)]
pub(crate) struct Names {
    /// By normal path; `None` is a file whose socket is gone.
    paths: BTreeMap<(NodeId, Vec<u8>), Option<Holder>>,
    abstracts: BTreeMap<(NodeId, Vec<u8>), Holder>,
    /// How many names were given to sockets that asked for any.
    given: u32,
}

impl Names {
    pub fn clear(&mut self) {
        self.paths.clear();
        self.abstracts.clear();
        self.given = 0;
    }

    /// bind(2): gives `address` to `holder`. Without an address it gets an abstract one of five hexadecimal digits:
    /// autobind, unix(7).
    ///
    /// # Errors
    /// `EADDRINUSE` when the file is there, or another socket has the abstract name.
    pub fn bind(&mut self, node: NodeId, address: &SocketAddr, holder: Holder) -> io::Result<SocketAddr> {
        match &address.0 {
            Address::Path(path) => {
                let place = (node, normal(path));
                if self.paths.contains_key(&place) {
                    return Err(errno::address_in_use());
                }
                self.paths.insert(place, Some(holder));
                Ok(address.clone())
            }
            Address::Abstract(name) => {
                let place = (node, name.to_vec());
                if self.abstracts.contains_key(&place) {
                    return Err(errno::address_in_use());
                }
                self.abstracts.insert(place, holder);
                Ok(address.clone())
            }
            Address::Unnamed => loop {
                let any = SocketAddr::abstract_name(format!("{:05x}", self.given & 0xfffff).as_bytes());
                self.given += 1;
                if let Ok(address) = self.bind(node, &any, holder) {
                    return Ok(address);
                }
            },
        }
    }

    /// The socket that a connect(2) or sendto(2) reaches.
    ///
    /// # Errors
    /// `ENOENT` without a file, `ECONNREFUSED` when nobody is behind it or the abstract name, `EINVAL` without a name.
    pub fn find(&self, node: NodeId, address: &SocketAddr) -> io::Result<Holder> {
        match &address.0 {
            Address::Path(path) => {
                let file = self.paths.get(&(node, normal(path))).ok_or_else(errno::no_entry)?;
                file.ok_or_else(errno::connection_refused)
            }
            Address::Abstract(name) => {
                let holder = self.abstracts.get(&(node, name.to_vec()));
                holder.copied().ok_or_else(errno::connection_refused)
            }
            Address::Unnamed => Err(errno::invalid_argument()),
        }
    }

    /// The name of `old` is that of `new` from now on, if it still has it.
    pub fn pass_on(&mut self, node: NodeId, address: &SocketAddr, old: Holder, new: Option<Holder>) {
        match &address.0 {
            Address::Path(path) => {
                if let Some(holder) = self.paths.get_mut(&(node, normal(path)))
                    && *holder == Some(old)
                {
                    *holder = new;
                }
            }
            Address::Abstract(name) => {
                let place = (node, name.to_vec());
                if self.abstracts.get(&place) == Some(&old) {
                    match new {
                        Some(new) => drop(self.abstracts.insert(place, new)),
                        None => drop(self.abstracts.remove(&place)),
                    }
                }
            }
            Address::Unnamed => {}
        }
    }

    /// unlink(2). The socket stays, and cannot be reached any more.
    ///
    /// # Errors
    /// `ENOENT` without a file.
    pub fn unlink(&mut self, node: NodeId, path: &[u8]) -> io::Result<()> {
        self.paths.remove(&(node, normal(path))).map(drop).ok_or_else(errno::no_entry)
    }
}

/// The same bytes for each way to write a path.
fn normal(path: &[u8]) -> Vec<u8> {
    let mut parts: Vec<&[u8]> = Vec::new();
    for part in path.split(|&b| b == b'/') {
        match part {
            b"" | b"." => {}
            b".." => drop(parts.pop()),
            part => parts.push(part),
        }
    }
    parts.join(&b'/')
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    const NODE: NodeId = NodeId(1);

    fn path(path: &str) -> SocketAddr {
        SocketAddr::from_path(Path::new(path)).unwrap()
    }

    fn holder(slot: u32) -> Holder {
        Holder::Listener(Key::new(slot, 0))
    }

    #[test]
    fn a_path_is_the_same_however_it_is_written_and_belongs_to_its_machine() {
        let mut n = Names::default();
        n.bind(NODE, &path("/run/./x/../a.sock"), holder(1)).unwrap();
        assert_eq!(n.find(NODE, &path("run//a.sock")).unwrap(), holder(1));
        assert!(n.find(NodeId(2), &path("/run/a.sock")).is_err());
        assert!(n.bind(NODE, &path("run/a.sock"), holder(2)).is_err());
    }

    #[test]
    fn a_file_outlives_its_socket_and_a_socket_its_file() {
        let mut n = Names::default();
        let a = path("a");
        n.bind(NODE, &a, holder(1)).unwrap();
        n.pass_on(NODE, &a, holder(1), None);
        assert_eq!(n.find(NODE, &a).unwrap_err().raw_os_error(), Some(libc::ECONNREFUSED));
        n.unlink(NODE, b"a").unwrap();
        assert_eq!(n.unlink(NODE, b"a").unwrap_err().raw_os_error(), Some(libc::ENOENT));
        n.bind(NODE, &a, holder(2)).unwrap();
        n.pass_on(NODE, &a, holder(1), None);
        assert_eq!(n.find(NODE, &a).unwrap(), holder(2), "the name was another's when the first closed");
    }

    #[test]
    fn a_bind_to_nothing_gets_a_free_abstract_name() {
        let mut n = Names::default();
        let zero = SocketAddr::abstract_name(b"00000");
        n.bind(NODE, &zero, holder(1)).unwrap();
        let given = n.bind(NODE, &SocketAddr::default(), holder(2)).unwrap();
        assert_eq!(given.as_abstract_name(), Some(&b"00001"[..]));
        n.pass_on(NODE, &zero, holder(1), None);
        assert!(n.find(NODE, &zero).is_err(), "an abstract name goes with its socket");
    }
}
