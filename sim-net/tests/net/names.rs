//! Names and addresses: getaddrinfo(3), tokio's `ToSocketAddrs`.

use crate::{kind, on, simulate};
use sim_net::{TcpListener, TcpStream, lookup_host};
use std::io::ErrorKind::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};

#[test]
fn everything_that_tokio_takes_resolves() {
    simulate(|sim| async move {
        let node = sim.node("payment");
        node.add_address("10.7.7.7".parse().unwrap());
        let v4 = node.addresses().into_iter().filter(|ip| ip.is_ipv4());
        let all: Vec<SocketAddr> = v4.map(|ip| (ip, 80).into()).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(lookup_host("payment:80").await?.collect::<Vec<_>>(), all);
        assert_eq!(lookup_host(("payment", 80)).await?.collect::<Vec<_>>(), all);
        assert_eq!(lookup_host(("payment".to_string(), 80)).await?.collect::<Vec<_>>(), all);
        assert_eq!(lookup_host("payment:80".to_string()).await?.collect::<Vec<_>>(), all);
        assert_eq!(lookup_host(&all[..]).await?.collect::<Vec<_>>(), all);
        assert_eq!(lookup_host(all[0]).await?.next(), Some(all[0]));
        assert_eq!(lookup_host((node.address(), 80)).await?.next(), Some(all[0]));
        assert_eq!(lookup_host("[::1]:5").await?.next(), Some("[::1]:5".parse().unwrap()));
        assert_eq!(lookup_host("localhost:5").await?.next(), Some((Ipv4Addr::LOCALHOST, 5).into()));
        Ok(())
    });
}

#[test]
fn what_does_not_resolve_says_why() {
    simulate(|_| async {
        let unknown = TcpStream::connect("nobody:80").await.unwrap_err();
        assert_eq!(unknown.to_string(), "failed to lookup address information: Name or service not known");
        assert_eq!(kind(TcpStream::connect("nobody").await), InvalidInput);
        assert_eq!(kind(TcpStream::connect("localhost:99999").await), InvalidInput);
        assert_eq!(kind(TcpStream::connect(&[][..]).await), InvalidInput);
        Ok(())
    });
}

#[test]
fn connect_tries_each_address() {
    simulate(|sim| async move {
        let extra: IpAddr = "10.9.9.9".parse().unwrap();
        sim.node("server").add_address(extra);
        let _listener = on(sim, "server", TcpListener::bind((extra, 80))).await.unwrap()?;
        let stream = TcpStream::connect("server:80").await?;
        assert_eq!(stream.peer_addr()?.ip(), extra);
        Ok(())
    });
}
