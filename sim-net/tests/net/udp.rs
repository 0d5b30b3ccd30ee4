//! Datagrams: udp(7), RFC 768.

use crate::{kind, ms, on, secs, simulate};
use sim_core::time::{sleep, timeout};
use sim_net::{Interest, NetExt, UdpSocket};
use std::io::ErrorKind::*;

#[test]
fn datagrams_keep_their_borders_and_are_cut_to_the_buffer() {
    simulate(|sim| async move {
        let receiver = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let sender = UdpSocket::bind("0.0.0.0:0").await?;
        sim.default_link().latency(ms(1));
        sender.send_to(b"first", "b:9").await?;
        sender.send_to(b"", "b:9").await?;
        sender.send_to(b"third", "b:9").await?;
        let mut buf = [0; 3];
        let mut got = Vec::new();
        let peeked = receiver.peek_from(&mut buf).await?.0;
        for _ in 0..3 {
            let (n, from) = receiver.recv_from(&mut buf).await?;
            assert_eq!(from, (sim.harness().address(), sender.local_addr()?.port()).into());
            got.push(buf[..n].to_vec());
        }
        assert_eq!(got[0].len(), peeked, "a look leaves it there");
        // Sent at one instant, they may come in any order.
        got.sort();
        assert_eq!(got, [b"".to_vec(), b"fir".to_vec(), b"thi".to_vec()]);
        Ok(())
    });
}

#[test]
fn latency_reorders_them() {
    simulate(|sim| async move {
        let receiver = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let sender = UdpSocket::bind("0.0.0.0:0").await?;
        let mut got = Vec::new();
        for i in 0..50 {
            sender.send_to(&[i], "b:9").await?;
        }
        for _ in 0..50 {
            let mut byte = [0];
            receiver.recv_from(&mut byte).await?;
            got.push(byte[0]);
        }
        assert!(!got.is_sorted());
        got.sort_unstable();
        assert_eq!(got, (0..50).collect::<Vec<_>>(), "but all arrive, once");
        Ok(())
    });
}

#[test]
fn too_large_a_datagram_is_refused() {
    simulate(|sim| async move {
        let receiver = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let sender = UdpSocket::bind("0.0.0.0:0").await?;
        let target = (sim.node("b").address(), 9);
        assert_eq!(sender.send_to(&[0; 65_507], target).await?, 65_507);
        assert_eq!(
            sender.send_to(&[0; 65_508], target).await.unwrap_err().raw_os_error(),
            Some(90),
            "EMSGSIZE"
        );
        assert_eq!(receiver.recv_from(&mut [0; 70_000]).await?.0, 65_507);
        Ok(())
    });
}

#[test]
fn the_queue_is_bounded() {
    simulate(|sim| async move {
        let receiver = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let sender = UdpSocket::bind("0.0.0.0:0").await?;
        for _ in 0..1000 {
            sender.send_to(&[0; 1000], "b:9").await?;
        }
        sleep(ms(100)).await;
        let mut got = 0;
        while receiver.try_recv(&mut [0]).is_ok() {
            got += 1;
        }
        assert_eq!(got, 212_992 / 1704);
        assert_eq!(sim.traffic().datagrams_dropped, 1000 - got);
        assert_eq!(kind(receiver.try_recv_from(&mut [0])), WouldBlock);
        Ok(())
    });
}

#[test]
fn connected_sockets_hear_only_their_peer_and_of_its_absence() {
    simulate(|sim| async move {
        let server = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let client = UdpSocket::bind("0.0.0.0:0").await?;
        assert_eq!(kind(client.peer_addr()), NotConnected);
        assert_eq!(client.send(b"x").await.unwrap_err().raw_os_error(), Some(89), "EDESTADDRREQ");
        client.connect((sim.node("b").address(), 9)).await?;
        assert_eq!(client.peer_addr()?.port(), 9);
        client.send(b"ping").await?;
        let (n, from) = server.recv_from(&mut [0; 8]).await?;
        assert_eq!((n, from), (4, client.local_addr()?));
        let stranger = on(sim, "b", UdpSocket::bind("0.0.0.0:10")).await.unwrap()?;
        stranger.send_to(b"spam", from).await?;
        assert!(timeout(secs(1), client.recv(&mut [0; 8])).await.is_err());
        server.send_to(b"pong", from).await?;
        assert_eq!(client.recv(&mut [0; 8]).await?, 4);
        drop(server);
        client.send(b"ping").await?;
        assert_eq!(kind(client.recv(&mut [0]).await), ConnectionRefused);
        client.send(b"ping").await?;
        sleep(ms(50)).await;
        assert_eq!(kind(client.send(b"ping").await), ConnectionRefused);
        Ok(())
    });
}

#[test]
fn unconnected_sockets_send_into_the_void() {
    simulate(|sim| async move {
        sim.node("b");
        let client = UdpSocket::bind("0.0.0.0:0").await?;
        client.send_to(b"x", "b:9").await?;
        client.send_to(b"x", "192.0.2.1:9").await?;
        assert!(timeout(secs(1), client.recv(&mut [0])).await.is_err());
        assert_eq!(sim.network_census().datagrams, 0);
        Ok(())
    });
}

#[test]
fn ports_are_exclusive_and_come_back() {
    simulate(|_| async {
        let first = UdpSocket::bind("0.0.0.0:9").await?;
        assert_eq!(kind(UdpSocket::bind("0.0.0.0:9").await), AddrInUse);
        drop(first);
        let second = UdpSocket::bind("127.0.0.1:9").await?;
        assert_eq!(kind(UdpSocket::bind("192.0.2.1:9").await), AddrNotAvailable);
        assert!(second.ready(Interest::WRITABLE).await?.is_writable());
        Ok(())
    });
}

#[test]
fn a_socket_follows_an_address_that_moves_and_the_connection_that_it_makes() {
    simulate(|sim| async move {
        let moving = "10.9.9.9".parse::<std::net::IpAddr>().unwrap();
        let [b, c] = ["b", "c"].map(|name| sim.node(name));
        b.add_address(moving);
        let at_b = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let at_c = on(sim, "c", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let sender = UdpSocket::bind("0.0.0.0:0").await?;
        let mut buf = [0; 8];
        for text in [b"one", b"two"] {
            sender.send_to(text, (moving, 9)).await?;
            at_b.recv_from(&mut buf).await?;
        }
        b.with_addresses([b.address()]);
        c.add_address(moving);
        sender.send_to(b"three", (moving, 9)).await?;
        let (n, from) = timeout(secs(1), at_c.recv_from(&mut buf)).await.unwrap()?;
        assert_eq!(&buf[..n], b"three");
        assert!(at_b.try_recv_from(&mut buf).is_err(), "the old holder hears nothing");
        // What the peer of a connected socket says of a datagram reaches it, although it sent there before.
        sender.send_to(b"four", (c.address(), 8)).await?;
        sleep(ms(100)).await;
        sender.connect((c.address(), 8)).await?;
        assert_eq!(sender.local_addr()?.ip(), from.ip());
        sender.send_to(b"five", (c.address(), 8)).await?;
        sleep(ms(100)).await;
        assert_eq!(kind(sender.send(b"six").await), ConnectionRefused);
        Ok(())
    });
}
