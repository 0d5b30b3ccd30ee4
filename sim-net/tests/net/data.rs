//! Bytes in order, bounded buffers, loss that only delays: tcp(7), RFC 9293, RFC 6298.

use crate::{kind, ms, pair, secs, simulate};
use sim_core::time::{sleep, timeout};
use sim_net::{Bandwidth, Interest, NetExt, TcpListener, TcpSocket, TcpStream};
use std::io::ErrorKind::*;

fn pattern(n: usize) -> Vec<u8> {
    (0..n).map(|i| (i * 31 + i / 251) as u8).collect()
}

/// Sends `n` bytes one way and checks that they are the same on the other side.
async fn transfer(mut from: TcpStream, mut to: TcpStream, n: usize, piece: usize) -> std::io::Result<()> {
    let sending = sim_core::spawn(async move {
        for piece in pattern(n).chunks(piece) {
            from.write_all(piece).await?;
        }
        from.shutdown().await?;
        std::io::Result::Ok(from)
    });
    let mut all = Vec::new();
    to.read_to_end(&mut all).await?;
    assert!(all == pattern(n), "{} of {n} bytes, or others", all.len());
    sending.await.unwrap().map(drop)
}

#[test]
fn data_flows_without_a_flush_and_in_order() {
    simulate(|sim| async move {
        let (client, server) = pair(sim).await?;
        transfer(client, server, 1_000_000, 777).await
    });
}

#[test]
fn reads_cross_the_borders_of_writes() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        for piece in ["he", "ll", "o"] {
            client.write_all(piece.as_bytes()).await?;
        }
        sleep(ms(50)).await;
        let mut buf = [0; 16];
        assert_eq!(server.peek(&mut buf).await?, 5);
        assert_eq!(server.read(&mut buf[..3]).await?, 3);
        assert_eq!(server.read(&mut buf[3..]).await?, 2);
        assert_eq!(&buf[..5], b"hello");
        Ok(())
    });
}

#[test]
fn a_reader_that_does_not_read_stops_the_writer() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        let mut written = 0;
        while let Ok(n) = timeout(secs(60), client.write(&[7; 10_000])).await {
            written += n?;
        }
        assert_eq!(written, 256 << 10, "a send and a receive buffer");
        assert_eq!(kind(client.try_write(b"x")), WouldBlock);
        let writing =
            sim_core::spawn(async move { client.write_all(&vec![8; 100_000]).await.map(|()| client) });
        let mut read = 0;
        let mut buf = vec![0; 8_192];
        while read < written + 100_000 {
            read += server.read(&mut buf).await?;
        }
        writing.await.unwrap()?;
        Ok(())
    });
}

#[test]
fn small_buffers_work_and_are_what_was_asked_for() {
    simulate(|sim| async move {
        let listener = crate::on(sim, "server", async {
            let socket = TcpSocket::new_v4()?;
            socket.set_recv_buffer_size(1)?;
            assert_eq!(socket.recv_buffer_size()?, 2304);
            socket.bind("0.0.0.0:80".parse().unwrap())?;
            socket.listen(1)
        });
        let listener = listener.await.unwrap()?;
        let socket = TcpSocket::new_v4()?;
        socket.set_send_buffer_size(1)?;
        let connecting = sim.harness().spawn(socket.connect((sim.node("server").address(), 80).into()));
        let (server, _) = listener.accept().await?;
        let client = connecting.await.unwrap()?;
        assert_eq!(client.try_write(&[0; 100_000])?, 2304 + 4608);
        let mut server = server;
        server.read_exact(&mut [0; 2304 + 4608]).await?;
        client.writable().await?;
        transfer(client, server, 200_000, 50_000).await
    });
}

#[test]
fn a_writer_may_stop_waiting() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        client.write_all(&vec![1; 256 << 10]).await?;
        for _ in 0..10 {
            assert!(timeout(ms(10), client.write(&[2])).await.is_err());
        }
        let mut buf = vec![0; 256 << 10];
        server.read_exact(&mut buf).await?;
        client.write_all(&[3]).await?;
        server.read_exact(&mut buf[..1]).await?;
        assert_eq!(buf[0], 3, "what was not written was not sent");
        Ok(())
    });
}

#[test]
fn loss_delays_and_loses_nothing() {
    simulate(|sim| async move {
        let (client, server) = pair(sim).await?;
        sim.link("client", "server").loss(0.2).both();
        transfer(client, server, 3_000_000, 5_000).await?;
        assert!(sim.stats().lost > 10 && sim.traffic().retransmissions > 10);
        Ok(())
    });
}

#[test]
fn limited_bandwidth_takes_its_time() {
    simulate(|sim| async move {
        let (client, server) = pair(sim).await?;
        sim.link("client", "server").bandwidth(Bandwidth::mbit(8)).queue(4 << 20);
        let start = sim.elapsed();
        transfer(client, server, 1_000_000, 10_000).await?;
        let took = sim.elapsed() - start;
        assert!((ms(1_000)..ms(1_500)).contains(&took), "a megabyte a second, not {took:?}");
        Ok(())
    });
}

#[test]
fn an_overflowing_queue_on_the_way_only_delays() {
    simulate(|sim| async move {
        let (client, server) = pair(sim).await?;
        sim.link("client", "server").bandwidth(Bandwidth::mbit(8)).queue(20_000);
        transfer(client, server, 500_000, 5_000).await?;
        assert!(sim.stats().lost > 0);
        Ok(())
    });
}

#[test]
fn a_partition_of_100_ms_delays_a_stream_and_nothing_more() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        client.write_all(b"before").await?;
        sleep(ms(50)).await;
        let cut = sim.partition("client", "server");
        client.write_all(b"during").await?;
        sleep(ms(100)).await;
        drop(cut);
        client.write_all(b"after").await?;
        let mut all = [0; 17];
        let start = sim.elapsed();
        server.read_exact(&mut all).await?;
        assert_eq!(&all, b"beforeduringafter");
        // The first retransmission, 200 ms and a round trip after the loss.
        assert!(sim.elapsed() - start < ms(300));
        Ok(())
    });
}

#[test]
fn a_link_that_is_slow_while_nothing_gets_through_does_not_put_off_retransmissions() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        let cut = sim.partition("client", "server");
        client.write_all(b"lost").await?;
        sleep(secs(1)).await;
        // Nobody can measure this: the timeout stays a doubling of the 200 ms that it was before.
        sim.link("client", "server").both().latency(secs(10)..secs(11));
        sleep(secs(3)).await;
        sim.link("client", "server").both().latency(ms(1)..ms(2));
        drop(cut);
        let start = sim.elapsed();
        server.read_exact(&mut [0; 4]).await?;
        assert!(sim.elapsed() - start < secs(3), "{:?}", sim.elapsed() - start);
        Ok(())
    });
}

#[test]
fn a_long_partition_ends_the_connection_with_a_timeout() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        let _cut = sim.partition("client", "server");
        let start = sim.elapsed();
        client.write_all(b"lost").await?;
        assert_eq!(kind(client.read(&mut [0]).await), TimedOut);
        let took = sim.elapsed() - start;
        // tcp(7): tcp_retries2 = 15 makes 924.6 s at the least RTO.
        assert!((secs(924)..secs(940)).contains(&took), "{took:?}");
        assert_eq!(kind(client.write(b"x").await), BrokenPipe);
        assert_eq!(client.read(&mut [0]).await?, 0);
        // Who only reads hears nothing.
        assert!(timeout(secs(3600), server.read(&mut [0])).await.is_err());
        Ok(())
    });
}

#[test]
fn a_writer_that_waits_for_room_finds_out_about_a_partition() {
    simulate(|sim| async move {
        let (mut client, _server) = pair(sim).await?;
        client.write_all(&vec![1; 256 << 10]).await?;
        let writing = sim_core::spawn(async move { client.write_all(&[2]).await });
        sleep(secs(1)).await;
        sim.partition("client", "server").forget();
        assert_eq!(kind(writing.await.unwrap()), TimedOut);
        Ok(())
    });
}

#[test]
fn acknowledgements_that_cannot_come_back_stop_the_sender() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        let _cut = sim.partition("server", "client").one_way();
        client.write_all(b"first").await?;
        client.write_all(b"second").await?;
        let mut buf = [0; 16];
        server.read_exact(&mut buf[..5]).await?;
        assert_eq!(kind(client.read(&mut [0]).await), TimedOut);
        Ok(())
    });
}

#[test]
fn a_clog_holds_and_lets_go() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        let clog = sim.clog("client", "server");
        client.write_all(b"held ").await?;
        client.write_all(b"back").await?;
        assert!(timeout(secs(3), server.read(&mut [0])).await.is_err());
        let start = sim.elapsed();
        drop(clog);
        let mut all = [0; 9];
        server.read_exact(&mut all).await?;
        assert_eq!(&all, b"held back");
        assert!(sim.elapsed() - start <= ms(10), "at the release, not at a retransmission");
        // The other direction was never touched.
        server.write_all(b"ok").await?;
        client.read_exact(&mut [0; 2]).await?;
        Ok(())
    });
}

#[test]
fn held_acknowledgements_come_with_the_release() {
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        client.write_all(&vec![1; 256 << 10]).await?;
        let clog = sim.clog("server", "client");
        let reading = sim_core::spawn(async move {
            let mut buf = vec![0; (256 << 10) + 1];
            server.read_exact(&mut buf).await.map(|_| server)
        });
        let writing = sim_core::spawn(async move { client.write_all(&[2]).await.map(|()| client) });
        sleep(secs(100)).await;
        assert!(!writing.is_finished());
        let start = sim.elapsed();
        drop(clog);
        let _client = writing.await.unwrap()?;
        let _server = reading.await.unwrap()?;
        assert!(sim.elapsed() - start < ms(60), "{:?}", sim.elapsed() - start);
        Ok(())
    });
}

#[test]
fn try_calls_and_readiness_agree() {
    simulate(|sim| async move {
        let (mut client, server) = pair(sim).await?;
        assert_eq!(kind(server.try_read(&mut [0])), WouldBlock);
        client.write_all(b"xy").await?;
        server.readable().await?;
        let ready = server.ready(Interest::READABLE | Interest::WRITABLE).await?;
        assert!(ready.is_readable() && ready.is_writable() && !ready.is_read_closed());
        assert_eq!(server.try_read(&mut [0; 8])?, 2);
        assert_eq!(server.try_write(b"z")?, 1);
        drop(client);
        assert!(server.ready(Interest::READABLE).await?.is_read_closed());
        Ok(())
    });
}

#[test]
fn several_tasks_wait_on_one_socket() {
    simulate(|sim| async move {
        let (mut client, server) = pair(sim).await?;
        let server = std::sync::Arc::new(server);
        let waiting: Vec<_> = (0..5)
            .map(|_| {
                let server = server.clone();
                sim_core::spawn(async move { server.readable().await })
            })
            .collect();
        sleep(ms(10)).await;
        client.write_all(b"x").await?;
        for task in waiting {
            task.await.unwrap()?;
        }
        Ok(())
    });
}

#[test]
fn halves_work_apart_and_together() {
    simulate(|sim| async move {
        let (client, mut server) = pair(sim).await?;
        let (mut read, mut write) = client.into_split();
        let echo = sim_core::spawn(async move {
            let (mut r, mut w) = server.split();
            let mut buf = [0; 64];
            loop {
                match r.read(&mut buf).await? {
                    0 => return std::io::Result::Ok(()),
                    n => w.write_all(&buf[..n]).await?,
                }
            }
        });
        let writing = sim_core::spawn(async move {
            write.write_all(b"there and back").await?;
            std::io::Result::Ok(write)
        });
        let mut back = [0; 14];
        read.read_exact(&mut back).await?;
        assert_eq!(&back, b"there and back");
        let write = writing.await.unwrap()?;
        let (other, _other) = {
            let listener = TcpListener::bind("127.0.0.1:1").await?;
            let stream = TcpStream::connect("127.0.0.1:1").await?;
            let _accepted = listener.accept().await?;
            stream.into_split()
        };
        let wrong = write.reunite(other).unwrap_err();
        let whole = wrong.1.reunite(read).unwrap();
        drop(whole);
        echo.await.unwrap()
    });
}

#[test]
fn the_traits_of_futures_work() {
    use futures::io::{AsyncReadExt, AsyncWriteExt};
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        AsyncWriteExt::write_all(&mut client, b"hello").await?;
        AsyncWriteExt::flush(&mut client).await?;
        AsyncWriteExt::close(&mut client).await?;
        let mut text = String::new();
        AsyncReadExt::read_to_string(&mut server, &mut text).await?;
        assert_eq!(text, "hello");
        Ok(())
    });
}

#[test]
fn handles_and_futures_are_send_and_sync() {
    fn check<T: Send + Sync>(_: &T) {}
    simulate(|sim| async move {
        let (mut client, mut server) = pair(sim).await?;
        check(&client);
        let mut buf = [0; 4];
        let read = server.read_exact(&mut buf);
        check(&read);
        drop(read);
        check(&client.write_all(b"x"));
        check(&client.ready(Interest::READABLE));
        check(&TcpStream::connect("server:1"));
        check(&client.into_split());
        Ok(())
    });
}
