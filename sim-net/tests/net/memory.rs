//! Memory follows what is alive, not what has happened.

use crate::ms;
use sim_core::time::{sleep, timeout};
use sim_core::{Config, Schedule, run};
use sim_net::{NetExt, TcpListener, TcpStream, UdpSocket};
use std::rc::Rc;

fn config() -> Config {
    Config::seed(1).schedule(Schedule::Fifo)
}

#[test]
fn ten_million_messages_leave_no_trace() {
    const MESSAGES: u64 = 10_000_000;
    let outcome = run(config(), |sim| async move {
        let (mut client, mut server) = crate::pair(sim).await.unwrap();
        let reading = sim_core::spawn(async move {
            let mut buf = vec![0; 64 << 10];
            let mut got = 0;
            while got < MESSAGES {
                got += server.read(&mut buf).await.unwrap() as u64;
            }
        });
        for i in 0..MESSAGES {
            client.write_all(&[i as u8]).await.unwrap();
        }
        reading.await.unwrap();
        sim.network_census()
    });
    let census = outcome.result.unwrap();
    assert_eq!((census.streams, census.most_streams), (1, 2));
    assert!(outcome.stats.packets >= MESSAGES);
    // What is under way at once is bounded by the window, 256 KiB of messages of a byte.
    assert!(outcome.stats.most_events < 300_000, "{}", outcome.stats.most_events);
}

#[test]
fn datagrams_and_connections_come_and_go() {
    let outcome = run(config(), |sim| async move {
        let receiver = Rc::new(UdpSocket::bind("0.0.0.0:9").await.unwrap());
        let sender = UdpSocket::bind("0.0.0.0:0").await.unwrap();
        let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
        let target = (sim.harness().address(), 9);
        for _ in 0..20_000 {
            sender.send_to(b"x", target).await.unwrap();
            receiver.recv_from(&mut [0]).await.unwrap();
            let client = TcpStream::connect("harness:80").await.unwrap();
            drop(listener.accept().await.unwrap());
            drop(client);
        }
        sleep(ms(100)).await;
        sim.network_census()
    });
    let census = outcome.result.unwrap();
    assert_eq!((census.streams, census.datagrams, census.ports), (0, 0, 3), "{census:?}");
    assert!(census.most_streams <= 6 && census.most_datagrams <= 2, "{census:?}");
    assert!(outcome.stats.most_events < 50);
}

#[test]
fn waits_in_vain_leave_no_wakers() {
    let outcome = run(config(), |sim| async move {
        let (_client, mut server) = crate::pair(sim).await.unwrap();
        for _ in 0..100_000 {
            assert!(timeout(ms(1), server.read(&mut [0])).await.is_err());
        }
    });
    outcome.result.unwrap();
    assert!(outcome.stats.most_events < 50);
}
