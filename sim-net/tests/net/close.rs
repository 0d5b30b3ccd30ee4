//! How connections end: shutdown(2), RFC 9293, RFC 2525 2.17, tcp_reset() of Linux.

use crate::{kind, ms, pair, secs, simulate};
use sim_core::time::{sleep, timeout};
use sim_net::{NetExt, TcpStream};
use std::io::ErrorKind::*;
use std::time::Duration;

#[test]
fn dropping_a_stream_lets_data_drain_and_then_ends_it() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        client.write_all(&[7; 100_000]).await?;
        drop(client);
        let mut all = Vec::new();
        assert_eq!(server.read_to_end(&mut all).await?, 100_000);
        assert_eq!(server.read(&mut [0]).await?, 0, "the end stays the end");
        Ok(())
    });
}

#[test]
fn half_close_leaves_the_other_direction_open() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        client.write_all(b"question").await?;
        client.shutdown().await?;
        assert_eq!(kind(client.write(b"x").await), BrokenPipe);
        let mut text = String::new();
        server.read_to_string(&mut text).await?;
        assert_eq!(text, "question");
        sleep(secs(10)).await;
        server.write_all(b"answer").await?;
        drop(server);
        text.clear();
        client.read_to_string(&mut text).await?;
        assert_eq!(text, "answer");
        Ok(())
    });
}

#[test]
fn dropping_the_owned_write_half_is_a_half_close() {
    simulate(|sim| async move {
        let (client, mut server) = pair(sim).await?;
        let (mut read, write) = client.into_split();
        drop(write);
        assert_eq!(server.read(&mut [0]).await?, 0);
        server.write_all(b"x").await?;
        read.read_exact(&mut [0]).await?;
        Ok(())
    });
}

#[test]
fn closing_with_unread_data_resets() {
    simulate(|sim| async move {
        let (mut client, server) = pair(sim).await?;
        client.write_all(b"never read").await?;
        sleep(ms(50)).await;
        drop(server);
        assert_eq!(kind(client.read(&mut [0]).await), ConnectionReset);
        assert_eq!(client.read(&mut [0]).await?, 0, "the error is told once");
        assert_eq!(kind(client.write(b"x").await), BrokenPipe);
        Ok(())
    });
}

#[test]
fn a_writer_is_told_of_the_reset_first_and_of_the_broken_pipe_then() {
    simulate(|sim| async move {
        let (mut client, server) = pair(sim).await?;
        client.write_all(b"never read").await?;
        sleep(ms(50)).await;
        drop(server);
        sleep(ms(50)).await;
        assert_eq!(kind(client.write(b"x").await), ConnectionReset);
        assert_eq!(kind(client.write(b"x").await), BrokenPipe);
        Ok(())
    });
}

#[test]
fn data_for_a_connection_that_is_closed_is_answered_by_a_reset() {
    simulate(|sim| async move {
        let (mut client, server) = pair(sim).await?;
        drop(server);
        assert_eq!(client.read(&mut [0]).await?, 0);
        // The first write leaves; its answer is a reset. After a FIN, Linux tells EPIPE.
        client.write_all(b"x").await?;
        sleep(ms(50)).await;
        assert_eq!(kind(client.write(b"y").await), BrokenPipe);
        assert_eq!(client.read(&mut [0]).await?, 0);
        Ok(())
    });
}

#[test]
fn data_that_arrives_after_the_close_is_answered_by_a_reset() {
    simulate(|sim| async move {
        sim.default_link().latency(ms(10));
        let (mut client, server) = pair(sim).await?;
        client.write_all(b"under way").await?;
        drop(server);
        sleep(ms(50)).await;
        assert_eq!(kind(client.write(b"x").await), BrokenPipe);
        Ok(())
    });
}

#[test]
fn what_arrived_before_a_reset_can_be_read() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        server.write_all(b"last words").await?;
        client.write_all(b"never read").await?;
        sleep(ms(50)).await;
        drop(server);
        sleep(ms(50)).await;
        let mut words = [0; 10];
        client.read_exact(&mut words).await?;
        assert_eq!(&words, b"last words");
        assert_eq!(kind(client.read(&mut [0]).await), ConnectionReset);
        Ok(())
    });
}

#[test]
fn a_linger_of_zero_resets() {
    simulate(|sim| async move {
        let (client, mut server) = pair(sim).await?;
        client.set_zero_linger()?;
        assert_eq!(client.linger()?, Some(Duration::ZERO));
        drop(client);
        assert_eq!(kind(server.read(&mut [0]).await), ConnectionReset);
        Ok(())
    });
}

#[test]
fn a_fin_that_is_lost_is_sent_again() {
    simulate(|sim| async move {
        let (client, mut server) = pair(sim).await?;
        let cut = sim.partition("client", "server");
        drop(client);
        sleep(ms(100)).await;
        drop(cut);
        assert_eq!(timeout(secs(1), server.read(&mut [0])).await.unwrap()?, 0);
        drop(server);
        sleep(secs(1)).await;
        assert_eq!(sim.network_census().streams, 0);
        Ok(())
    });
}

#[test]
fn a_closed_stream_that_cannot_drain_is_given_up() {
    simulate(|sim| async move {
        let (mut client, server) = pair(sim).await?;
        let _cut = sim.partition("client", "server");
        client.write_all(b"x").await?;
        drop(client);
        assert_eq!(sim.network_census().streams, 2, "the kernel drains what was written");
        sleep(secs(300)).await;
        assert_eq!(sim.network_census().streams, 1, "tcp_orphan_retries");
        drop(server);
        Ok(())
    });
}

#[test]
fn shutdown_of_a_dead_connection_says_so() {
    simulate(|sim| async move {
        let (client, mut server) = pair(sim).await?;
        client.set_zero_linger()?;
        drop(client);
        server.readable().await?;
        assert_eq!(kind(server.shutdown().await), NotConnected);
        assert_eq!(kind(server.peer_addr()), NotConnected);
        assert_eq!(server.take_error()?.unwrap().kind(), ConnectionReset);
        assert!(server.take_error()?.is_none());
        Ok(())
    });
}

#[test]
fn two_ends_that_close_at_once_both_end() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        client.shutdown().await?;
        server.shutdown().await?;
        assert_eq!(client.read(&mut [0]).await?, 0);
        assert_eq!(server.read(&mut [0]).await?, 0);
        drop((client, server));
        sleep(secs(1)).await;
        assert_eq!(sim.network_census().streams, 0);
        assert_eq!(kind(TcpStream::connect("server:80").await), ConnectionRefused);
        Ok(())
    });
}
