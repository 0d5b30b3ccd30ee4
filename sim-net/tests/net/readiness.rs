//! Readiness sets: epoll(7).

use crate::{kind, ms, on, pair, secs, simulate};
use sim_core::time::{sleep, timeout};
use sim_net::readiness::{Event, Mode, ReadinessSet};
use sim_net::{Interest, Ready, TcpListener, TcpStream, UdpSocket};
use std::io::ErrorKind::*;

const READ: Interest = Interest::READABLE;
const WRITE: Interest = Interest::WRITABLE;

async fn wait(set: &ReadinessSet) -> Vec<Event> {
    let mut events = Vec::new();
    match timeout(secs(1), set.wait(&mut events, 16)).await {
        Ok(n) => assert_eq!(n.unwrap(), events.len()),
        Err(_) => assert!(events.is_empty()),
    }
    events
}

#[test]
fn level_tells_until_it_is_read() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        let set = ReadinessSet::new()?;
        set.register(&server, 7, READ, Mode::Level)?;
        assert!(wait(&set).await.is_empty());
        client.write_all(b"xy").await?;
        for _ in 0..3 {
            assert_eq!(wait(&set).await, [Event { token: 7, ready: Ready::READABLE }]);
        }
        server.read_exact(&mut [0]).await?;
        assert_eq!(wait(&set).await.len(), 1, "a byte is left");
        server.read_exact(&mut [0]).await?;
        assert!(wait(&set).await.is_empty());
        Ok(())
    });
}

#[test]
fn edge_tells_once_a_change() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        let set = ReadinessSet::new()?;
        set.register(&server, 7, READ, Mode::Edge)?;
        client.write_all(b"x").await?;
        assert_eq!(wait(&set).await.len(), 1);
        assert!(wait(&set).await.is_empty(), "nothing has changed");
        client.write_all(b"y").await?;
        assert_eq!(wait(&set).await.len(), 1, "more data is a change, though the first byte was not read");
        server.read_exact(&mut [0; 2]).await?;
        drop(client);
        let end = wait(&set).await;
        assert!(end[0].ready.is_read_closed());
        Ok(())
    });
}

#[test]
fn oneshot_tells_once_until_it_is_armed_again() {
    simulate(|sim| async move {
        let (mut client, server) = pair(sim).await?;
        let set = ReadinessSet::new()?;
        set.register(&server, 7, READ, Mode::Oneshot)?;
        client.write_all(b"x").await?;
        assert_eq!(wait(&set).await.len(), 1);
        client.write_all(b"y").await?;
        assert!(wait(&set).await.is_empty());
        set.modify(&server, 8, READ, Mode::Oneshot)?;
        assert_eq!(
            wait(&set).await,
            [Event { token: 8, ready: Ready::READABLE }],
            "what is there is told at once"
        );
        Ok(())
    });
}

#[test]
fn writability_is_told_when_room_comes_back() {
    simulate(|sim| async move {
        for mode in [Mode::Level, Mode::Edge] {
            let (mut client, mut server) = pair(sim).await?;
            let set = ReadinessSet::new()?;
            set.register(&client, 1, WRITE, mode)?;
            assert!(wait(&set).await[0].ready.is_writable());
            client.write_all(&vec![0; 256 << 10]).await?;
            assert_eq!(kind(client.try_write(b"x")), WouldBlock);
            assert!(wait(&set).await.is_empty());
            server.read_exact(&mut vec![0; 256 << 10]).await?;
            assert!(wait(&set).await[0].ready.is_writable());
        }
        Ok(())
    });
}

#[test]
fn many_sources_share_a_set_and_none_starves() {
    simulate(|sim| async move {
        let listener = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        let udp = on(sim, "server", UdpSocket::bind("0.0.0.0:9")).await.unwrap()?;
        let set = ReadinessSet::new()?;
        set.register(&listener, 1, READ, Mode::Level)?;
        set.register(&udp, 2, READ, Mode::Level)?;
        let _client = TcpStream::connect("server:80").await?;
        UdpSocket::bind("0.0.0.0:0").await?.send_to(b"x", "server:9").await?;
        sleep(ms(50)).await;
        let mut seen = Vec::new();
        let mut events = Vec::new();
        for _ in 0..4 {
            set.wait(&mut events, 1).await?;
            seen.push(events[0].token);
        }
        assert!(seen == [1, 2, 1, 2] || seen == [2, 1, 2, 1], "{seen:?}");
        listener.accept().await?;
        udp.recv_from(&mut [0]).await?;
        assert_eq!(set.poll_now(&mut events, 8)?, 0);
        Ok(())
    });
}

#[test]
fn interest_can_change_and_end_while_others_wait() {
    simulate(|sim| async move {
        let (mut client, server) = pair(sim).await?;
        let set = std::sync::Arc::new(ReadinessSet::new()?);
        assert_eq!(kind(set.modify(&server, 1, READ, Mode::Level)), NotFound);
        set.register(&server, 1, Interest::NONE, Mode::Level)?;
        assert_eq!(kind(set.register(&server, 1, READ, Mode::Level)), AlreadyExists);
        client.write_all(b"x").await?;
        let waiting = set.clone();
        let waiting = sim_core::spawn(async move { wait(&waiting).await });
        sleep(ms(100)).await;
        set.modify(&server, 2, READ, Mode::Level)?;
        assert_eq!(waiting.await.unwrap(), [Event { token: 2, ready: Ready::READABLE }]);
        set.deregister(&server)?;
        assert_eq!(kind(set.deregister(&server)), NotFound);
        assert!(wait(&set).await.is_empty());
        Ok(())
    });
}

#[test]
fn errors_are_told_unasked_and_closed_sockets_leave() {
    simulate(|sim| async move {
        let (client, server) = pair(sim).await?;
        let set = ReadinessSet::new()?;
        set.register(&server, 1, Interest::NONE, Mode::Level)?;
        client.set_zero_linger()?;
        drop(client);
        assert!(wait(&set).await[0].ready.is_error());
        drop(server);
        assert!(wait(&set).await.is_empty());
        drop(set);
        assert_eq!(sim_net::NetExt::network_census(&sim).sets, 0);
        Ok(())
    });
}

#[test]
fn one_source_in_two_sets() {
    simulate(|sim| async move {
        let (mut client, server) = pair(sim).await?;
        let sets = [ReadinessSet::new()?, ReadinessSet::new()?];
        for set in &sets {
            set.register(&server, 1, READ, Mode::Edge)?;
        }
        client.write_all(b"x").await?;
        assert_eq!((wait(&sets[0]).await.len(), wait(&sets[1]).await.len()), (1, 1));
        let [first, second] = sets;
        drop(first);
        client.write_all(b"x").await?;
        assert_eq!(wait(&second).await.len(), 1);
        Ok(())
    });
}
