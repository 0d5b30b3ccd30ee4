//! Names to addresses: the names of nodes, records, `localhost`, and literals; with the types of tokio's `net`.
//!
//! `server` knows the names and what is wrong with the service, `control` is what tests call, `literal` reads what
//! getaddrinfo(3) takes for an address.

mod control;
mod literal;
mod server;

pub use control::{Dns, DnsFault};
pub(crate) use server::Server;

use crate::network::op;
use sim_core::time::{Duration, sleep};
use std::io;
use std::net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr, SocketAddrV4, SocketAddrV6};

/// What can be turned into socket addresses: tokio's trait of this name, with the same implementors.
///
/// Host names are those of nodes, records of [`Dns::set`], or `localhost`, in capitals or not. A node's name stands for its
/// addresses of the family that its first one has, in the order in which it got them: with both families, each connect into
/// the void would last twice as long. The answer takes no time, as from /etc/hosts, unless [`Dns::slow`] says so. IPv4
/// literals may also be short, hexadecimal or octal, as inet_aton(3) has them.
pub trait ToSocketAddrs: sealed::Resolve {}

impl<T: sealed::Resolve + ?Sized> ToSocketAddrs for T {}

/// The addresses of a host: tokio's `lookup_host`.
///
/// # Errors
/// "failed to lookup address information: Name or service not known", as getaddrinfo(3) and std say, for a name that does
/// not exist, and "…: Temporary failure in name resolution" when the service fails. Their kind is `Other`, since that of
/// std's cannot be named or made by anybody else. `InvalidInput` for text that is no `host:port`.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// sim.node("payment");
/// let first = sim_net::lookup_host("payment:80").await.unwrap().next();
/// assert_eq!(first, Some((sim.node("payment").address(), 80).into()));
/// # }).result.unwrap();
/// ```
pub async fn lookup_host<T: ToSocketAddrs>(host: T) -> io::Result<impl Iterator<Item = SocketAddr>> {
    Ok(resolve(&host).answered().await?.into_iter())
}

/// The address that `host` is, if it is one: then there is nothing to ask or to wait for.
#[inline]
pub(crate) fn address<T: ToSocketAddrs + ?Sized>(host: &T) -> Option<SocketAddr> {
    host.literal()
}

/// Asks for the addresses that `host` stands for here and now.
#[inline]
#[track_caller]
pub(crate) fn resolve<T: ToSocketAddrs + ?Sized>(host: &T) -> Lookup {
    match host.literal() {
        Some(address) => Lookup { delay: 0, answer: Ok(Addresses::One(address)) },
        None => host.ask(),
    }
}

/// A question that was asked: its answer, and when that comes.
#[derive(Debug)]
pub struct Lookup {
    delay: u64,
    answer: io::Result<Addresses>,
}

impl Lookup {
    fn at_once(answer: io::Result<Addresses>) -> Self {
        Lookup { delay: 0, answer }
    }

    /// The answer, when it is there.
    #[inline]
    pub(crate) async fn answered(self) -> io::Result<Addresses> {
        if self.delay > 0 {
            // In a box, since few wait.
            Box::pin(sleep(Duration::from_nanos(self.delay))).await;
        }
        self.answer
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

/// Asks for a host by its name, or by a literal of its address.
#[track_caller]
fn by_name(host: &str, port: u16) -> Lookup {
    if let Ok(ip) = host.parse::<IpAddr>() {
        return Lookup::at_once(Ok(Addresses::One((ip, port).into())));
    }
    if let Some(ip) = literal::parse(host) {
        return Lookup::at_once(Ok(Addresses::One((ip, port).into())));
    }
    if host.contains('\0') {
        return Lookup::at_once(Err(invalid("file name contained an unexpected NUL byte")));
    }
    let (delay, answer) = op(|net, k| net.look_up(k, host));
    let with_port = |all: Vec<IpAddr>| all.into_iter().map(|ip| (ip, port).into()).collect();
    Lookup { delay, answer: answer.map(|all| Addresses::Many(with_port(all))) }
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

        #[track_caller]
        fn ask(&self) -> Lookup;
    }

    impl<T: Resolve + ?Sized> Resolve for &T {
        fn literal(&self) -> Option<SocketAddr> {
            (**self).literal()
        }

        fn ask(&self) -> Lookup {
            (**self).ask()
        }
    }

    macro_rules! literals {
        ($($t:ty),*) => {
            $(impl Resolve for $t {
                #[inline]
                fn literal(&self) -> Option<SocketAddr> {
                    Some((*self).into())
                }

                fn ask(&self) -> Lookup {
                    Lookup::at_once(Ok(Addresses::One((*self).into())))
                }
            })*
        };
    }
    literals!(SocketAddr, SocketAddrV4, SocketAddrV6, (IpAddr, u16), (Ipv4Addr, u16), (Ipv6Addr, u16));

    impl Resolve for [SocketAddr] {
        fn ask(&self) -> Lookup {
            Lookup::at_once(Ok(Addresses::Many(self.to_vec())))
        }
    }

    impl Resolve for (&str, u16) {
        #[track_caller]
        fn ask(&self) -> Lookup {
            by_name(self.0, self.1)
        }
    }

    impl Resolve for (String, u16) {
        #[track_caller]
        fn ask(&self) -> Lookup {
            by_name(&self.0, self.1)
        }
    }

    impl Resolve for str {
        #[track_caller]
        fn ask(&self) -> Lookup {
            if let Ok(address) = self.parse::<SocketAddr>() {
                return Lookup::at_once(Ok(Addresses::One(address)));
            }
            let Some((host, port)) = self.rsplit_once(':') else {
                return Lookup::at_once(Err(invalid("invalid socket address")));
            };
            match port.parse() {
                Ok(port) => by_name(host, port),
                Err(_) => Lookup::at_once(Err(invalid("invalid port value"))),
            }
        }
    }

    impl Resolve for String {
        #[track_caller]
        fn ask(&self) -> Lookup {
            self.as_str().ask()
        }
    }
}
