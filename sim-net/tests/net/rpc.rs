//! Typed requests and replies.

use crate::{ms, on, secs, simulate};
use serde::{Deserialize, Serialize};
use sim_core::time::sleep;
use sim_net::rpc::{Client, Error, Fate, Refusal, Request, Server, hook};
use sim_net::{NetExt, TcpListener, TcpStream};
use std::cell::{Cell, RefCell};
use std::rc::Rc;

#[derive(Serialize, Deserialize, Clone, Debug, PartialEq)]
struct Add(u32, u32);
impl Request for Add {
    type Reply = Result<u32, String>;
    const NAME: &'static str = "add";
}

#[derive(Serialize, Deserialize)]
struct Slow(u64);
impl Request for Slow {
    type Reply = ();
    const NAME: &'static str = "slow";
}

#[derive(Serialize, Deserialize)]
struct Blob(Vec<u8>);
impl Request for Blob {
    type Reply = Vec<u8>;
    const NAME: &'static str = "blob";
}

thread_local! {
    static FINISHED: Cell<u32> = const { Cell::new(0) };
}

async fn serve() -> std::io::Result<()> {
    let add = |Add(a, b)| async move { a.checked_add(b).ok_or_else(|| "too much".to_string()) };
    let slow = |Slow(millis)| async move {
        sleep(ms(millis)).await;
        FINISHED.set(FINISHED.get() + 1);
    };
    Server::new().on(add).on(slow).on(|Blob(b)| async move { b }).serve("0.0.0.0:80").await
}

async fn started(sim: sim_core::Sim) -> Client {
    sim.node("server").run(serve);
    sleep(ms(1)).await;
    FINISHED.set(0);
    Client::new("server:80")
}

#[test]
fn calls_of_several_types_share_a_connection_and_overlap() {
    simulate(|sim| async move {
        let client = started(sim).await;
        let slow = sim_core::spawn({
            let client = client.clone();
            async move { client.call(Slow(500)).await }
        });
        let calls = (0..50).map(|i| client.call(Add(i, i)));
        let sums = futures::future::join_all(calls).await;
        assert!(sums.into_iter().enumerate().all(|(i, sum)| sum.unwrap() == Ok(2 * i as u32)));
        assert_eq!(client.call(Add(u32::MAX, 1)).await.unwrap(), Err("too much".to_string()));
        assert!(sim.elapsed() < ms(400), "the slow one does not hold up the others");
        slow.await.unwrap().unwrap();
        assert_eq!(sim.traffic().connects, 1);
        Ok(())
    });
}

#[test]
fn a_deadline_ends_a_call_and_its_handler() {
    simulate(|sim| async move {
        let client = started(sim).await.deadline(ms(100));
        assert!(matches!(client.call(Slow(1_000)).await, Err(Error::Timeout)));
        assert_eq!(sim.elapsed(), ms(101));
        sleep(secs(5)).await;
        assert_eq!(FINISHED.get(), 0, "the server was told");
        client.call_within(secs(2), Slow(1_000)).await.unwrap();
        assert_eq!(FINISHED.get(), 1);
        Ok(())
    });
}

#[test]
fn a_deadline_holds_in_a_partition_too() {
    simulate(|sim| async move {
        let client = started(sim).await;
        let _cut = sim.partition("server", "harness");
        let start = sim.elapsed();
        assert!(matches!(client.call(Add(1, 2)).await, Err(Error::Timeout)));
        assert_eq!(sim.elapsed() - start, secs(10));
        Ok(())
    });
}

#[test]
fn dropping_a_call_cancels_it() {
    simulate(|sim| async move {
        let client = started(sim).await;
        let call = sim_core::spawn({
            let client = client.clone();
            async move { client.call(Slow(1_000)).await }
        });
        sleep(ms(100)).await;
        call.abort();
        sleep(secs(5)).await;
        assert_eq!(FINISHED.get(), 0);
        assert_eq!(client.call(Add(1, 2)).await.unwrap(), Ok(3), "the connection is as good as new");
        Ok(())
    });
}

#[test]
fn a_killed_server_breaks_calls_and_the_next_one_connects_again() {
    simulate(|sim| async move {
        let client = started(sim).await;
        client.call(Add(1, 1)).await.unwrap().unwrap();
        let call = sim_core::spawn({
            let client = client.clone();
            async move { client.call(Slow(1_000)).await }
        });
        sleep(ms(100)).await;
        sim.node("server").kill();
        assert!(matches!(call.await.unwrap(), Err(Error::Disconnected)));
        assert!(matches!(client.call(Add(1, 1)).await, Err(Error::Io(_))), "nobody listens");
        sim.node("server").start();
        sleep(ms(10)).await;
        assert_eq!(client.call(Add(1, 1)).await.unwrap(), Ok(2));
        Ok(())
    });
}

#[test]
fn callers_elsewhere_learn_that_the_owner_of_their_connection_died() {
    for power_cut in [false, true] {
        simulate(move |sim| async move {
            let client = started(sim).await;
            let first = client.clone();
            on(sim, "owner", async move { first.call(Add(1, 1)).await }).await.unwrap().unwrap().unwrap();
            let waiting = sim_core::spawn({
                let client = client.clone();
                async move { client.call(Slow(5_000)).await }
            });
            sleep(ms(100)).await;
            let start = sim.elapsed();
            if power_cut {
                sim.node("owner").power_cut()
            } else {
                sim.node("owner").kill()
            }
            assert!(matches!(waiting.await.unwrap(), Err(Error::Disconnected)));
            assert_eq!(sim.elapsed(), start, "no deadline was waited for");
            assert_eq!(client.call(Add(1, 1)).await.unwrap(), Ok(2), "over a connection of its own");
            Ok(())
        });
    }
}

#[test]
fn frames_are_bounded() {
    simulate(|sim| async move {
        let client = started(sim).await;
        let big = Blob(vec![7; 1 << 20]);
        assert_eq!(client.call(big).await.unwrap().len(), 1 << 20);
        let small = client.clone().largest_frame(1000);
        match small.call(Blob(vec![7; 1000])).await {
            Err(Error::TooLarge { bytes, limit: 1000 }) => assert!(bytes > 1000),
            other => panic!("{other:?}"),
        }
        Ok(())
    });
}

#[test]
fn a_server_survives_whatever_bytes_it_gets() {
    simulate(|sim| async move {
        let client = started(sim).await;
        for garbage in [&b"GET / HTTP/1.1\r\n\r\n"[..], &[255; 64], &[3, 0, 0, 0, 9, 9, 9], &[0; 10]] {
            let mut stream = TcpStream::connect("server:80").await?;
            stream.write_all(garbage).await?;
            let _ = stream.read(&mut [0]).await;
        }
        assert_eq!(client.call(Add(1, 2)).await.unwrap(), Ok(3));
        Ok(())
    });
}

#[test]
fn a_client_survives_a_server_that_speaks_something_else() {
    simulate(|sim| async move {
        let listener = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        let serving = sim_core::spawn(async move {
            let (mut stream, _) = listener.accept().await?;
            stream.write_all(b"HTTP/1.1 400 Bad Request\r\n\r\n").await?;
            stream.read(&mut [0]).await
        });
        let call = Client::new("server:80").call(Add(1, 2)).await;
        assert!(matches!(call, Err(Error::Disconnected)), "{call:?}");
        let _ = serving.await;
        Ok(())
    });
}

#[test]
fn what_the_server_does_not_know_is_refused() {
    #[derive(Serialize, Deserialize)]
    struct Other;
    impl Request for Other {
        type Reply = ();
        const NAME: &'static str = "other";
    }
    #[derive(Serialize, Deserialize)]
    struct FalseAdd(String);
    impl Request for FalseAdd {
        type Reply = ();
        const NAME: &'static str = "add";
    }
    simulate(|sim| async move {
        let client = started(sim).await;
        assert!(matches!(client.call(Other).await, Err(Error::Remote(Refusal::Unknown))));
        let malformed = client.call(FalseAdd("seven".into())).await;
        assert!(matches!(malformed, Err(Error::Remote(Refusal::Malformed(_)))), "{malformed:?}");
        Ok(())
    });
}

#[test]
fn hooks_see_and_steer_calls_of_their_type() {
    simulate(|sim| async move {
        let client = started(sim).await.deadline(secs(1));
        let seen = Rc::new(RefCell::new(Vec::new()));
        let log = seen.clone();
        let observing = hook(move |request: &Add, call| {
            log.borrow_mut().push((call.from.clone(), call.to.clone(), request.clone()));
            Fate::Deliver
        });
        client.call(Add(1, 2)).await.unwrap().unwrap();
        client.call(Slow(1)).await.unwrap();
        assert_eq!(*seen.borrow(), [("harness".into(), "server:80".into(), Add(1, 2))]);
        drop(observing);
        for (fate, carried_out) in
            [(Fate::Fail, 1), (Fate::Lose, 1), (Fate::LoseReply, 2), (Fate::Delay(ms(500)), 3)]
        {
            let steering = hook(move |_: &Slow, _| fate);
            let start = sim.elapsed();
            let result = client.call(Slow(1)).await;
            match fate {
                Fate::Fail => assert!(matches!(result, Err(Error::Disconnected))),
                Fate::Delay(_) => assert!(result.is_ok() && sim.elapsed() - start > ms(500)),
                _ => assert!(matches!(result, Err(Error::Timeout))),
            }
            drop(steering);
            assert_eq!(FINISHED.get(), carried_out, "{fate:?}");
        }
        client.call(Slow(1)).await.unwrap();
        Ok(())
    });
}

#[test]
fn the_connection_ends_with_the_last_client() {
    simulate(|sim| async move {
        let client = started(sim).await;
        client.call(Add(1, 2)).await.unwrap().unwrap();
        let other = client.clone();
        drop(client);
        other.call(Add(1, 2)).await.unwrap().unwrap();
        assert_eq!(sim.established("harness", "server"), 1);
        drop(other);
        sleep(secs(1)).await;
        assert_eq!(sim.network_census().streams, 0);
        Ok(())
    });
}
