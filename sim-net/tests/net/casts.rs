//! Broadcast, groups, sizes and the calls on datagram sockets that `udp` leaves out.

use crate::{kind, ms, on, secs, simulate};
use sim_core::Sim;
use sim_core::time::{sleep, timeout};
use sim_net::{NetExt, UdpSocket};
use std::io::ErrorKind::*;
use std::io::Result;
use std::net::{Ipv4Addr, Ipv6Addr};
use std::task::Poll;

const GROUP: Ipv4Addr = Ipv4Addr::new(239, 1, 2, 3);
const GROUP6: Ipv6Addr = Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 0x77);
const ANY: Ipv4Addr = Ipv4Addr::UNSPECIFIED;

async fn bind(sim: Sim, node: &str, address: &'static str) -> UdpSocket {
    on(sim, node, UdpSocket::bind_reuse(address)).await.unwrap().unwrap()
}

/// Which of these sockets hear something within a second.
async fn heard(sockets: &[&UdpSocket]) -> Vec<usize> {
    sleep(secs(1)).await;
    let some = |s: &&UdpSocket| std::iter::from_fn(|| s.try_recv(&mut [0; 8]).ok()).count();
    sockets.iter().map(some).collect()
}

fn code<T: std::fmt::Debug>(result: Result<T>) -> Option<i32> {
    result.expect_err("an error").raw_os_error()
}

#[test]
fn a_broadcast_reaches_the_zone() {
    simulate(|sim| async move {
        for node in ["a", "b", "c"] {
            sim.node(node);
        }
        sim.zone("here", ["a", "b"]);
        sim.zone("there", ["c"]);
        let [a, b, c] = [
            bind(sim, "a", "0.0.0.0:9").await,
            bind(sim, "b", "0.0.0.0:9").await,
            bind(sim, "c", "0.0.0.0:9").await,
        ];
        let again = bind(sim, "b", "255.255.255.255:9").await;
        let other = bind(sim, "b", "0.0.0.0:10").await;
        let specific = on(sim, "a", async { UdpSocket::bind_reuse(("a", 9)).await }).await.unwrap()?;
        let all = [&a, &b, &c, &again, &other, &specific];
        assert_eq!(kind(a.send_to(b"x", (Ipv4Addr::BROADCAST, 9)).await), PermissionDenied);
        assert_eq!(kind(a.connect((Ipv4Addr::BROADCAST, 9)).await), PermissionDenied);
        assert_eq!((a.broadcast()?, heard(&all).await), (false, vec![0; 6]));
        a.set_broadcast(true)?;
        a.send_to(b"x", (Ipv4Addr::BROADCAST, 9)).await?;
        // Itself, and every socket of the port; one bound to the machine's address hears no broadcast.
        assert_eq!((a.broadcast()?, heard(&all).await), (true, vec![1, 1, 0, 1, 0, 0]));
        let cut = sim.partition("a", "b");
        a.send_to(b"x", (Ipv4Addr::BROADCAST, 9)).await?;
        assert_eq!(heard(&all).await, [1, 0, 0, 0, 0, 0], "over links, as anything");
        drop(cut);
        a.connect((Ipv4Addr::BROADCAST, 9)).await?;
        a.send(b"x").await?;
        assert_eq!(heard(&all).await, [0, 1, 0, 1, 0, 0]);
        assert_eq!(sim.network_census().datagrams, 0);
        Ok(())
    });
}

#[test]
fn a_group_is_heard_by_its_members_in_the_zone() {
    simulate(|sim| async move {
        for node in ["a", "b", "c", "d"] {
            sim.node(node);
        }
        sim.zone("there", ["d"]);
        let sockets = [
            bind(sim, "a", "0.0.0.0:9").await,
            bind(sim, "b", "0.0.0.0:9").await,
            bind(sim, "c", "0.0.0.0:9").await,
            bind(sim, "d", "0.0.0.0:9").await,
        ];
        let [a, b, c, d] = &sockets;
        let all = [a, b, c, d];
        let send = || a.send_to(b"x", (GROUP, 9));
        send().await?;
        assert_eq!(heard(&all).await, [0; 4]);
        b.join_multicast_v4(GROUP, ANY)?;
        d.join_multicast_v4(GROUP, ANY)?;
        send().await?;
        assert_eq!(heard(&all).await, [0, 1, 0, 0], "zones have no routers between them");
        a.join_multicast_v4(GROUP, ANY)?;
        send().await?;
        assert_eq!(heard(&all).await, [1, 1, 0, 0], "the sender's machine too");
        a.set_multicast_loop_v4(false)?;
        send().await?;
        assert_eq!(heard(&all).await, [0, 1, 0, 0]);
        a.set_multicast_loop_v4(true)?;
        a.set_multicast_ttl_v4(0)?;
        send().await?;
        assert_eq!(heard(&all).await, [1, 0, 0, 0], "it stays on the machine");
        a.set_multicast_ttl_v4(1)?;
        b.leave_multicast_v4(GROUP, ANY)?;
        send().await?;
        assert_eq!(heard(&all).await, [1, 0, 0, 0]);
        // IP_MULTICAST_ALL: who is bound to the port hears what another socket of the machine joined.
        let member = bind(sim, "c", "0.0.0.0:0").await;
        member.join_multicast_v4(GROUP, ANY)?;
        let bound = on(sim, "c", UdpSocket::bind_reuse((GROUP, 9))).await.unwrap()?;
        send().await?;
        assert_eq!(heard(&[c, &bound, &member]).await, [1, 1, 0]);
        drop(member);
        send().await?;
        assert_eq!(heard(&[c, &bound]).await, [0, 0], "closing a socket leaves its groups");
        sim.node("a").kill();
        assert_eq!(code(a.join_multicast_v4(GROUP, ANY)), Some(9), "EBADF");
        Ok(())
    });
}

#[test]
fn groups_of_v6_and_those_of_everybody() {
    simulate(|sim| async move {
        sim.node("a");
        sim.node("b");
        let (a, b) = (bind(sim, "a", "[::]:9").await, bind(sim, "b", "[::]:9").await);
        a.send_to(b"x", (GROUP6, 9)).await?;
        assert_eq!(heard(&[&a, &b]).await, [0, 0]);
        a.join_multicast_v6(&GROUP6, 0)?;
        b.join_multicast_v6(&GROUP6, 2)?;
        a.send_to(b"x", (GROUP6, 9)).await?;
        assert_eq!(heard(&[&a, &b]).await, [1, 1]);
        assert!(a.multicast_loop_v6()?);
        a.set_multicast_loop_v6(false)?;
        a.send_to(b"x", (GROUP6, 9)).await?;
        assert_eq!(heard(&[&a, &b]).await, [0, 1]);
        b.leave_multicast_v6(&GROUP6, 2)?;
        a.send_to(b"x", (GROUP6, 9)).await?;
        assert_eq!(heard(&[&a, &b]).await, [0, 0]);
        let everybody: Ipv6Addr = "ff02::1".parse().unwrap();
        a.send_to(b"x", (everybody, 9)).await?;
        a.send_to(b"x", (Ipv4Addr::new(224, 0, 0, 1), 9)).await?;
        assert_eq!(heard(&[&a, &b]).await, [1, 2], "nobody joins these");
        Ok(())
    });
}

#[test]
fn options_are_checked_as_linux_does() {
    simulate(|sim| async move {
        let v4 = bind(sim, "harness", "0.0.0.0:0").await;
        let v6 = bind(sim, "harness", "[::]:0").await;
        assert_eq!((v4.ttl()?, v4.multicast_ttl_v4()?, v4.multicast_loop_v4()?), (64, 1, true));
        assert_eq!(
            (code(v4.set_ttl(0)), code(v4.set_ttl(256)), code(v4.set_multicast_ttl_v4(256))),
            (Some(22), Some(22), Some(22))
        );
        v4.set_ttl(255)?;
        assert_eq!(v4.ttl()?, 255);
        assert_eq!(code(v4.join_multicast_v4(Ipv4Addr::LOCALHOST, ANY)), Some(22), "EINVAL");
        assert_eq!(code(v4.join_multicast_v4(GROUP, Ipv4Addr::new(192, 0, 2, 1))), Some(19), "ENODEV");
        assert_eq!(code(v4.leave_multicast_v4(GROUP, ANY)), Some(99), "EADDRNOTAVAIL");
        v4.join_multicast_v4(GROUP, ANY)?;
        assert_eq!(code(v4.join_multicast_v4(GROUP, ANY)), Some(98), "EADDRINUSE");
        for i in 1..20 {
            v4.join_multicast_v4(Ipv4Addr::new(239, 0, 0, i), ANY)?;
        }
        assert_eq!(code(v4.join_multicast_v4(Ipv4Addr::new(239, 0, 0, 99), ANY)), Some(105), "ENOBUFS");
        assert_eq!(code(v4.join_multicast_v6(&GROUP6, 0)), Some(92), "ENOPROTOOPT");
        assert_eq!(code(v4.set_multicast_loop_v6(true)), Some(92));
        assert_eq!(code(v6.join_multicast_v6(&GROUP6, 3)), Some(19));
        assert_eq!(code(v6.join_multicast_v6(&Ipv6Addr::LOCALHOST, 0)), Some(22));
        assert_eq!(code(v6.leave_multicast_v6(&GROUP6, 0)), Some(99));
        Ok(())
    });
}

#[test]
fn what_must_not_be_cut_has_to_fit() {
    simulate(|sim| async move {
        sim.node("a");
        sim.node("b");
        let a = bind(sim, "a", "[::]:0").await;
        let b = bind(sim, "b", "[::]:9").await;
        let v4 = (sim.node("b").addresses()[0], 9);
        let v6 = (sim.node("b").addresses()[1], 9);
        a.send_to(&[0; 65_507], v4).await?;
        assert_eq!(
            b.recv(&mut vec![0; 70_000]).await?,
            65_507,
            "Linux cuts what does not fit, unless told otherwise"
        );
        assert_eq!(code(a.send_to(&[0; 65_508], v4).await), Some(90), "EMSGSIZE");
        a.send_to(&[0; 65_527], v6).await?;
        assert_eq!(b.recv(&mut vec![0; 70_000]).await?, 65_527);
        a.set_dont_fragment(true)?;
        assert!(a.dont_fragment()?);
        for (to, most) in [(v4, 1472), (v6, 1452)] {
            a.send_to(&vec![0; most], to).await?;
            assert_eq!(b.recv(&mut [0; 2000]).await?, most);
            assert_eq!(code(a.send_to(&vec![0; most + 1], to).await), Some(90));
        }
        sim.link("a", "b").mtu(9000);
        a.send_to(&[0; 8972], v4).await?;
        assert_eq!(code(a.send_to(&[0; 8973], v4).await), Some(90));
        // Loopback takes 65,536.
        a.send_to(&[0; 65_488], (Ipv6Addr::LOCALHOST, 9)).await?;
        assert_eq!(code(a.send_to(&[0; 65_489], (Ipv6Addr::LOCALHOST, 9)).await), Some(90));
        assert_eq!(code(a.send_to(&[0; 1473], (GROUP, 9)).await), Some(90));
        Ok(())
    });
}

#[test]
fn of_those_who_share_an_address_the_last_gets_what_is_for_one() {
    simulate(|sim| async move {
        sim.node("b");
        let alone = on(sim, "b", UdpSocket::bind("0.0.0.0:8")).await.unwrap()?;
        assert_eq!(kind(on(sim, "b", UdpSocket::bind_reuse("0.0.0.0:8")).await.unwrap()), AddrInUse);
        drop(alone);
        let (first, second) = (bind(sim, "b", "0.0.0.0:9").await, bind(sim, "b", "0.0.0.0:9").await);
        assert_eq!(kind(on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()), AddrInUse);
        let client = UdpSocket::bind("0.0.0.0:0").await?;
        client.send_to(b"x", "b:9").await?;
        assert_eq!(heard(&[&first, &second]).await, [0, 1]);
        drop(second);
        client.send_to(b"x", "b:9").await?;
        assert_eq!(heard(&[&first]).await, [1]);
        Ok(())
    });
}

#[test]
fn peeks_polls_and_buffers() {
    simulate(|sim| async move {
        sim.default_link().latency(ms(1));
        let b = on(sim, "b", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let a = UdpSocket::bind("0.0.0.0:0").await?;
        let from = (sim.harness().address(), a.local_addr()?.port()).into();
        assert_eq!(kind(b.try_peek_sender()), WouldBlock);
        for data in [&b"abcdef"[..], b"", b"ghi"] {
            a.send_to(data, "b:9").await?;
            sleep(ms(2)).await;
        }
        let mut buf = [0; 4];
        assert_eq!(b.peek(&mut buf).await?, 4);
        assert_eq!((b.try_peek(&mut buf)?, b.try_peek_from(&mut buf)?), (4, (4, from)));
        assert_eq!((b.peek_sender().await?, b.try_peek_sender()?), (from, from));
        std::future::poll_fn(|cx| {
            assert!(matches!(b.poll_peek(cx, &mut buf), Poll::Ready(Ok(4))));
            assert!(matches!(b.poll_peek_sender(cx), Poll::Ready(Ok(_))));
            assert!(matches!(b.poll_recv_ready(cx), Poll::Ready(Ok(()))));
            assert!(matches!(b.poll_send_ready(cx), Poll::Ready(Ok(()))));
            assert!(matches!(b.poll_recv(cx, &mut buf), Poll::Ready(Ok(4))));
            Poll::Ready(())
        })
        .await;
        let mut all = Vec::with_capacity(16);
        assert_eq!(b.recv_buf(&mut all).await?, 0, "an empty datagram is one");
        assert_eq!(b.try_recv_buf_from(&mut all)?, (3, from));
        assert_eq!(all, b"ghi");
        assert_eq!(kind(b.try_recv_buf(&mut all)), WouldBlock);
        // Whoever polls is woken.
        let waiting = std::future::poll_fn(|cx| b.poll_recv_ready(cx));
        assert!(timeout(secs(1), waiting).await.is_err());
        std::future::poll_fn(|cx| a.poll_send_to(cx, b"late", (sim.node("b").address(), 9).into())).await?;
        assert_eq!(std::future::poll_fn(|cx| b.poll_recv_from(cx, &mut buf)).await?, (4, from));
        assert!(
            matches!(futures::poll!(std::future::poll_fn(|cx| a.poll_send(cx, b"x"))), Poll::Ready(Err(_))),
            "no peer"
        );
        Ok(())
    });
}
