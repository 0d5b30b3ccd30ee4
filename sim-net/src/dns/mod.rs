//! Names to addresses: the names of nodes, `localhost`, and literals; with the types of tokio's `net`.

use crate::network::op;
use sim_core::kernel::Kernel;
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What can be turned into socket addresses: tokio's trait of this name, with the same implementors.
///
/// Host names are those of nodes, or `localhost`. A node's name stands for its addresses of the family that its first
/// one has, in the order in which it got them: with both families, each connect into the void would last twice as
/// long. The answer takes no time, as from /etc/hosts.
pub trait ToSocketAddrs: sealed::Resolve {}

impl<T: sealed::Resolve + ?Sized> ToSocketAddrs for T {}

/// The addresses of a host: tokio's `lookup_host`.
///
/// # Errors
/// As getaddrinfo(3) for a name that no node has; `InvalidInput` for text that is no `host:port`.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// sim.node("payment");
/// let first = sim_net::lookup_host("payment:80").await.unwrap().next();
/// assert_eq!(first, Some((sim.node("payment").address(), 80).into()));
/// # }).result.unwrap();
/// ```
pub async fn lookup_host<T: ToSocketAddrs>(host: T) -> io::Result<impl Iterator<Item = SocketAddr>> {
    Ok(resolve(&host)?.into_iter())
}

/// The addresses that `host` stands for here and now.
#[track_caller]
pub(crate) fn resolve<T: ToSocketAddrs + ?Sized>(host: &T) -> io::Result<Addresses> {
    match host.literal() {
        Some(address) => Ok(Addresses::One(address)),
        None => op(|_, k| host.resolve(k)),
    }
}

/// Addresses; one needs no memory.
#[derive(Clone, Debug)]
pub enum Addresses {
    /// A single one.
    One(SocketAddr),
    /// Several, to be tried in this order.
    Many(Vec<SocketAddr>),
}

impl Addresses {
    /// One by one.
    fn into_iter(self) -> impl Iterator<Item = SocketAddr> {
        let (one, many) = match self {
            Addresses::One(one) => (Some(one), Vec::new()),
            Addresses::Many(many) => (None, many),
        };
        one.into_iter().chain(many)
    }

    /// One by one.
    pub(crate) fn iter(&self) -> std::slice::Iter<'_, SocketAddr> {
        match self {
            Addresses::One(one) => std::slice::from_ref(one).iter(),
            Addresses::Many(many) => many.iter(),
        }
    }

    /// The first.
    ///
    /// # Errors
    /// `InvalidInput` when there is none.
    pub(crate) fn first(&self) -> io::Result<SocketAddr> {
        self.iter().next().copied().ok_or_else(nothing)
    }
}

/// What tokio says when a list of addresses is empty.
pub(crate) fn nothing() -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, "could not resolve to any address")
}

fn by_name(k: &Kernel, host: &str, port: u16) -> io::Result<Addresses> {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Ok(Addresses::One((ip, port).into()));
    }
    if host == "localhost" {
        return Ok(Addresses::One((Ipv4Addr::LOCALHOST, port).into()));
    }
    let node = k
        .by_name(host)
        .ok_or_else(|| io::Error::other("failed to lookup address information: Name or service not known"))?;
    let addresses = &k.machine(node).addresses;
    let v4 = addresses.first().is_some_and(|ip| ip.is_ipv4());
    let of_family = addresses.iter().filter(|ip| ip.is_ipv4() == v4);
    Ok(Addresses::Many(of_family.map(|&ip| (ip, port).into()).collect()))
}

fn invalid(what: &str) -> io::Error {
    io::Error::new(io::ErrorKind::InvalidInput, what)
}

mod sealed {
    use super::*;

    /// Turns itself into addresses.
    pub trait Resolve {
        /// An address that needs no name service, nor a world.
        fn literal(&self) -> Option<SocketAddr> {
            None
        }

        fn resolve(&self, k: &Kernel) -> io::Result<Addresses>;
    }

    impl<T: Resolve + ?Sized> Resolve for &T {
        fn literal(&self) -> Option<SocketAddr> {
            (**self).literal()
        }

        fn resolve(&self, k: &Kernel) -> io::Result<Addresses> {
            (**self).resolve(k)
        }
    }

    macro_rules! literals {
        ($($t:ty),*) => {
            $(impl Resolve for $t {
                #[inline]
                fn literal(&self) -> Option<SocketAddr> {
                    Some((*self).into())
                }

                fn resolve(&self, _: &Kernel) -> io::Result<Addresses> {
                    Ok(Addresses::One((*self).into()))
                }
            })*
        };
    }
    literals!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

    impl Resolve for [SocketAddr] {
        fn resolve(&self, _: &Kernel) -> io::Result<Addresses> {
            Ok(Addresses::Many(self.to_vec()))
        }
    }

    impl Resolve for (&str, u16) {
        fn resolve(&self, k: &Kernel) -> io::Result<Addresses> {
            by_name(k, self.0, self.1)
        }
    }

    impl Resolve for (String, u16) {
        fn resolve(&self, k: &Kernel) -> io::Result<Addresses> {
            by_name(k, &self.0, self.1)
        }
    }

    impl Resolve for str {
        fn resolve(&self, k: &Kernel) -> io::Result<Addresses> {
            if let Ok(address) = self.parse::<SocketAddr>() {
                return Ok(Addresses::One(address));
            }
            let (host, port) = self.rsplit_once(':').ok_or_else(|| invalid("invalid socket address"))?;
            by_name(k, host, port.parse().map_err(|_| invalid("invalid port value"))?)
        }
    }

    impl Resolve for String {
        fn resolve(&self, k: &Kernel) -> io::Result<Addresses> {
            self.as_str().resolve(k)
        }
    }
}
