//! Nodes with several addresses, of both families.

use crate::{kind, on, simulate};
use sim_core::Sim;
use sim_net::{TcpListener, TcpStream, UdpSocket};
use std::io::ErrorKind::*;
use std::net::{IpAddr, SocketAddr};

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

fn declare(sim: Sim) {
    let two = ["192.168.1.1", "192.168.2.1", "fd01::1"].map(ip);
    sim.node("two").with_addresses(two);
    sim.node("v6").with_addresses([ip("fd01::2")]);
    sim.node("v4").with_addresses([ip("192.168.1.2")]);
    sim.node("both");
}

#[test]
fn a_socket_hears_what_comes_for_its_address() {
    simulate(|sim| async move {
        declare(sim);
        let bind = |address: &'static str| on(sim, "two", UdpSocket::bind(address));
        let first = bind("192.168.1.1:9").await.unwrap()?;
        let second = bind("192.168.2.1:9").await.unwrap()?;
        let sixth = bind("[fd01::1]:9").await.unwrap()?;
        assert_eq!(kind(bind("0.0.0.0:9").await.unwrap()), AddrInUse);
        assert_eq!(kind(bind("192.168.1.2:9").await.unwrap()), AddrNotAvailable);
        let client = on(sim, "both", UdpSocket::bind("[::]:0")).await.unwrap()?;
        for (address, socket) in
            [("192.168.1.1:9", &first), ("192.168.2.1:9", &second), ("[fd01::1]:9", &sixth)]
        {
            client.send_to(address.as_bytes(), address.parse::<SocketAddr>().unwrap()).await?;
            let mut buf = [0; 32];
            let (n, from) = socket.recv_from(&mut buf).await?;
            assert_eq!(&buf[..n], address.as_bytes());
            // The source is the sender's address of the same family.
            let own = sim.node("both").addresses();
            assert_eq!(from.ip(), own[usize::from(from.is_ipv6())]);
            socket.send_to(b"back", from).await?;
            let (n, back) = client.recv_from(&mut buf).await?;
            assert_eq!((&buf[..n], back.ip().to_canonical()), (&b"back"[..], socket.local_addr()?.ip()));
        }
        Ok(())
    });
}

#[test]
fn the_source_is_the_address_that_was_bound() {
    simulate(|sim| async move {
        declare(sim);
        let server = on(sim, "v4", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        for (bound, source) in [("0.0.0.0:0", "192.168.1.1"), ("192.168.2.1:0", "192.168.2.1")] {
            let client = on(sim, "two", UdpSocket::bind(bound)).await.unwrap()?;
            client.send_to(b"x", (ip("192.168.1.2"), 9)).await?;
            assert_eq!(server.recv_from(&mut [0]).await?.1.ip(), ip(source));
            client.connect((ip("192.168.1.2"), 9)).await?;
            assert_eq!(client.local_addr()?.ip(), ip(source), "connect fixes it");
        }
        // To itself, a node's source is the address that it calls.
        let own = on(sim, "two", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        own.send_to(b"x", (ip("192.168.2.1"), 9)).await?;
        assert_eq!(own.recv_from(&mut [0]).await?.1, (ip("192.168.2.1"), 9).into());
        Ok(())
    });
}

#[test]
fn families_do_not_mix() {
    simulate(|sim| async move {
        declare(sim);
        let only6 = on(sim, "v6", UdpSocket::bind("[::]:0")).await.unwrap()?;
        assert_eq!(kind(only6.send_to(b"x", (ip("192.168.1.1"), 9)).await), NetworkUnreachable);
        let connect = on(sim, "v6", TcpStream::connect((ip("192.168.1.1"), 80))).await.unwrap();
        assert_eq!(kind(connect), NetworkUnreachable);
        let only4 = on(sim, "v4", UdpSocket::bind("0.0.0.0:0")).await.unwrap()?;
        let error = only4.send_to(b"x", (ip("fd01::2"), 9)).await.unwrap_err();
        assert_eq!(error.raw_os_error(), Some(97), "EAFNOSUPPORT");
        assert_eq!(kind(on(sim, "v6", UdpSocket::bind("192.168.1.1:0")).await.unwrap()), AddrNotAvailable);
        Ok(())
    });
}

#[test]
fn a_v6_listener_takes_both_families() {
    simulate(|sim| async move {
        declare(sim);
        let listener = on(sim, "two", TcpListener::bind("[::]:80")).await.unwrap()?;
        for (from, to) in [("v6", "fd01::1"), ("v4", "192.168.1.1"), ("v4", "192.168.2.1")] {
            let client = on(sim, from, TcpStream::connect((ip(to), 80))).await.unwrap()?;
            let (server, peer) = listener.accept().await?;
            assert_eq!(peer.ip().to_canonical(), client.local_addr()?.ip());
            assert!(peer.is_ipv6(), "a v4 peer is mapped");
            assert_eq!(server.local_addr()?.ip().to_canonical(), ip(to));
            assert_eq!(client.peer_addr()?, (ip(to), 80).into());
        }
        let only = on(sim, "v6", TcpListener::bind("[fd01::2]:80")).await.unwrap()?;
        assert_eq!(only.local_addr()?, (ip("fd01::2"), 80).into());
        Ok(())
    });
}
