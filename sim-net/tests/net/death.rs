//! What the death of a process or a machine looks like from outside.

use crate::{kind, ms, on, pair, secs, simulate};
use sim_core::time::{sleep, timeout};
use sim_net::{NetExt, TcpListener, TcpStream, UdpSocket};
use std::io::ErrorKind::*;

/// A server that accepts one connection, writes `words` and then keeps the connection without reading.
async fn server(words: &'static [u8]) -> std::io::Result<()> {
    let listener = TcpListener::bind("0.0.0.0:80").await?;
    let (mut stream, _) = listener.accept().await?;
    stream.write_all(words).await?;
    std::future::pending().await
}

#[test]
fn a_kill_drains_what_was_sent_and_then_ends_the_stream() {
    simulate(|sim| async move {
        sim.node("server").run(|| server(&[7; 50_000]));
        sleep(ms(1)).await;
        let mut client = TcpStream::connect("server:80").await?;
        client.readable().await?;
        sim.node("server").kill();
        let mut all = Vec::new();
        assert_eq!(client.read_to_end(&mut all).await?, 50_000);
        Ok(())
    });
}

#[test]
fn a_kill_with_unread_data_resets() {
    simulate(|sim| async move {
        sim.node("server").run(|| server(b""));
        sleep(ms(1)).await;
        let mut client = TcpStream::connect("server:80").await?;
        client.write_all(b"never read").await?;
        sleep(ms(50)).await;
        sim.node("server").kill();
        assert_eq!(kind(client.read(&mut [0]).await), ConnectionReset);
        Ok(())
    });
}

#[test]
fn a_kill_under_a_partition_drains_after_it() {
    simulate(|sim| async move {
        sim.node("server").run(|| server(b"last words"));
        sleep(ms(1)).await;
        let mut client = TcpStream::connect("server:80").await?;
        let cut = sim.partition("server", "harness");
        sleep(ms(50)).await;
        sim.node("server").kill();
        sleep(ms(500)).await;
        drop(cut);
        let mut text = String::new();
        client.read_to_string(&mut text).await?;
        assert_eq!(text, "last words");
        Ok(())
    });
}

#[test]
fn the_peer_of_a_machine_without_power_hears_nothing() {
    simulate(|sim| async move {
        sim.node("server").run(|| server(b""));
        sleep(ms(1)).await;
        let mut client = TcpStream::connect("server:80").await?;
        sleep(ms(50)).await;
        sim.node("server").power_cut();
        assert!(timeout(secs(10 * 3600), client.read(&mut [0])).await.is_err());
        client.write_all(b"x").await?;
        assert_eq!(kind(client.read(&mut [0]).await), TimedOut);
        Ok(())
    });
}

#[test]
fn a_machine_that_came_back_resets_old_connections() {
    simulate(|sim| async move {
        sim.node("server").run(|| server(b""));
        sleep(ms(1)).await;
        let mut client = TcpStream::connect("server:80").await?;
        sleep(ms(50)).await;
        sim.node("server").power_cut();
        client.write_all(b"x").await?;
        sleep(secs(5)).await;
        sim.node("server").start();
        let start = sim.elapsed();
        assert_eq!(kind(client.read(&mut [0]).await), ConnectionReset);
        assert!(sim.elapsed() - start < secs(10), "the next retransmission");
        Ok(())
    });
}

#[test]
fn data_under_way_to_a_machine_that_loses_power_is_noticed() {
    simulate(|sim| async move {
        sim.node("server").run(|| server(b""));
        sleep(ms(1)).await;
        let mut client = TcpStream::connect("server:80").await?;
        sleep(ms(50)).await;
        client.write_all(b"under way").await?;
        sim.node("server").power_cut();
        assert_eq!(kind(client.read(&mut [0]).await), TimedOut);
        Ok(())
    });
}

#[test]
fn keepalive_finds_a_silent_death() {
    simulate(|sim| async move {
        sim.node("server").run(|| server(b""));
        sleep(ms(1)).await;
        let mut client = TcpStream::connect("server:80").await?;
        client.set_keepalive(Some((secs(60), secs(10), 3)))?;
        assert!(timeout(secs(3600), client.read(&mut [0])).await.is_err(), "a live peer answers");
        sim.node("server").power_cut();
        let start = sim.elapsed();
        assert_eq!(kind(client.read(&mut [0]).await), TimedOut);
        let took = sim.elapsed() - start;
        assert!((secs(30)..=secs(100)).contains(&took), "{took:?}");
        Ok(())
    });
}

#[test]
fn keepalive_finds_a_machine_that_came_back() {
    simulate(|sim| async move {
        sim.node("server").run(|| server(b""));
        sleep(ms(1)).await;
        let mut client = TcpStream::connect("server:80").await?;
        client.set_keepalive(Some((secs(60), secs(10), 3)))?;
        sleep(secs(1)).await;
        sim.node("server").power_cut();
        sim.node("server").start();
        assert_eq!(kind(client.read(&mut [0]).await), ConnectionReset);
        Ok(())
    });
}

#[test]
fn ports_are_free_after_each_kind_of_death() {
    simulate(|sim| async move {
        let both = || async {
            let _udp = UdpSocket::bind("0.0.0.0:80").await?;
            server(b"").await
        };
        let node = sim.node("server").run(both);
        for death in 0..6 {
            sleep(ms(100)).await;
            let client = TcpStream::connect("server:80").await?;
            match death % 3 {
                0 => node.kill(),
                1 => node.power_cut(),
                _ => node.stop_within(ms(10)).await,
            }
            drop(client);
            node.start();
        }
        sleep(ms(100)).await;
        TcpStream::connect("server:80").await?;
        Ok(())
    });
}

#[test]
fn a_restart_without_a_kill_finds_its_port_free() {
    simulate(|sim| async move {
        let node = sim.node("server").run(|| server(b""));
        sleep(ms(10)).await;
        node.restart();
        sleep(ms(10)).await;
        TcpStream::connect("server:80").await?;
        Ok(())
    });
}

#[test]
fn destructors_of_a_dead_process_send_nothing() {
    struct Farewell(TcpStream);
    impl Drop for Farewell {
        fn drop(&mut self) {
            assert!(self.0.try_write(b"farewell").is_err());
        }
    }
    simulate(|sim| async move {
        sim.node("server").run(|| async {
            let listener = TcpListener::bind("0.0.0.0:80").await?;
            let _farewell = Farewell(listener.accept().await?.0);
            std::future::pending::<std::io::Result<()>>().await
        });
        sleep(ms(1)).await;
        let mut client = TcpStream::connect("server:80").await?;
        sleep(ms(50)).await;
        sim.node("server").kill();
        let mut all = Vec::new();
        assert_eq!(client.read_to_end(&mut all).await?, 0);
        Ok(())
    });
}

#[test]
fn a_handle_of_a_dead_process_is_a_bad_descriptor() {
    simulate(|sim| async move {
        let (client, mut server) = pair(sim).await?;
        sim.node("server").kill();
        let read = server.read(&mut [0]).await;
        assert_eq!(read.unwrap_err().raw_os_error(), Some(9), "EBADF");
        assert!(server.local_addr().is_err() && server.set_nodelay(true).is_err());
        drop((client, server));
        // The same while the kernel still drains what was written.
        let (mut client, mut server) = pair(sim).await?;
        let cut = sim.partition("client", "server");
        server.write_all(b"last words").await?;
        sim.node("server").kill();
        assert!(server.read(&mut [0]).await.is_err() && server.write(b"x").await.is_err());
        drop((server, cut));
        let mut text = String::new();
        client.read_to_string(&mut text).await?;
        assert_eq!(text, "last words");
        Ok(())
    });
}

#[test]
fn a_paused_process_still_takes_connections_and_data() {
    simulate(|sim| async move {
        sim.node("server").run(|| async {
            let listener = TcpListener::bind("0.0.0.0:80").await?;
            let (mut stream, _) = listener.accept().await?;
            let mut word = [0; 4];
            stream.read_exact(&mut word).await?;
            stream.write_all(&word).await?;
            std::future::pending::<std::io::Result<()>>().await
        });
        sleep(ms(1)).await;
        sim.node("server").pause();
        let mut client = TcpStream::connect("server:80").await?;
        client.write_all(b"ping").await?;
        assert!(timeout(secs(10), client.read(&mut [0])).await.is_err());
        sim.node("server").resume();
        timeout(ms(100), client.read_exact(&mut [0; 4])).await.unwrap()?;
        Ok(())
    });
}

#[test]
fn a_frozen_machine_is_silent_and_goes_on_afterwards() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        sim.node("server").freeze();
        assert_eq!(kind(timeout(secs(200), TcpStream::connect("server:80")).await.unwrap()), TimedOut);
        client.write_all(b"hello").await?;
        sleep(secs(2)).await;
        sim.node("server").resume();
        let reading = on(sim, "server", async move {
            let mut word = [0; 5];
            server.read_exact(&mut word).await.map(|_| server)
        });
        timeout(secs(10), reading).await.unwrap().unwrap()?;
        Ok(())
    });
}

#[test]
fn a_handshake_stands_still_with_its_machine() {
    simulate(|sim| async move {
        let listening = on(sim, "server", TcpListener::bind("0.0.0.0:80"));
        let listener = listening.await.unwrap()?;
        // The client's half: its SYN is lost, and it freezes before it sends another.
        sim.node("client");
        sim.partition("server", "client").forget();
        let connecting = on(sim, "client", TcpStream::connect("server:80"));
        sleep(ms(500)).await;
        sim.node("client").freeze();
        let sent = sim.traffic().retransmissions;
        sleep(secs(500)).await;
        assert_eq!(sim.traffic().retransmissions, sent, "a frozen client sends no SYN");
        sim.heal();
        sim.node("client").resume();
        let client = timeout(secs(2), connecting).await.unwrap().unwrap()?;
        drop((client, listener.accept().await?));
        // The server's half: its SYN-ACK is lost, and only its own timer is left.
        let _cut = sim.partition("server", "client").one_way();
        let connecting = on(sim, "client", TcpStream::connect("server:80"));
        sleep(ms(500)).await;
        sim.node("server").freeze();
        sim.node("client").kill();
        assert!(connecting.await.is_err());
        let sent = sim.traffic().retransmissions;
        sleep(secs(500)).await;
        assert_eq!(sim.traffic().retransmissions, sent, "a frozen server sends no SYN-ACK");
        sim.node("server").resume();
        sleep(secs(3)).await;
        assert!(sim.traffic().retransmissions > sent, "it goes on afterwards");
        sleep(secs(200)).await;
        assert_eq!(sim.network_census().streams, 0);
        Ok(())
    });
}

#[test]
fn a_handle_of_another_world_says_so_and_may_be_dropped() {
    use sim_core::{Config, run};
    let listener = run(Config::seed(1), |_| TcpListener::bind("0.0.0.0:80")).result.unwrap().unwrap();
    let second = run(Config::seed(1), move |_| async move { listener.accept().await.map(drop) });
    let failure = second.result.map(|_| ()).unwrap_err();
    assert!(failure.message.contains("belongs to another simulation"), "{failure:?}");
    let listener = run(Config::seed(1), |_| TcpListener::bind("0.0.0.0:80")).result.unwrap().unwrap();
    drop(listener);
    run(Config::seed(1), |_| TcpListener::bind("0.0.0.0:80")).result.unwrap().unwrap();
}
