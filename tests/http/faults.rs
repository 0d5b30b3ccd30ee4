//! What becomes of HTTP when things go wrong, and at which instant: bodies for the simulation alone.

use crate::simulated::peers::{Body, Server, answer, full, io_kind, text};
use crate::simulated::{Connector, Executor, Timer, io};
use axum::Router;
use axum::routing::get;
use hyper::{Request, Uri};
use hyper_util::client::legacy::Client;
use hyper_util::server::conn::auto;
use sim::net::hyper::serve;
use sim::prelude::*;
use sim::time::{Instant, sleep, timeout};
use std::io::{ErrorKind, Result};

fn run(body: impl Future<Output = Result<()>> + 'static) {
    crate::simulated::run(body);
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn client() -> Client<Connector, Body> {
    Client::builder(Executor::new()).pool_timer(Timer::new()).build(Connector::new())
}

#[test]
fn a_server_gives_up_on_a_head_that_does_not_come_when_its_timer_says_so() {
    run(async {
        let (listener, server) = Server::listen().await?;
        crate::simulated::start(async move {
            let (stream, _) = listener.accept().await.unwrap();
            let mut server = auto::Builder::new(Executor::new());
            server.http1().timer(Timer::new()).header_read_timeout(ms(700));
            let _ = server
                .serve_connection(io(stream), hyper::service::service_fn(|_| async { answer("") }))
                .await;
        });
        let mut stream = server.connect().await?;
        stream.write_all(b"GET / HTTP/1.1\r\nhost: se").await?;
        let start = Instant::now();
        let mut rest = Vec::new();
        let _ = stream.read_to_end(&mut rest).await;
        assert!((ms(700)..ms(740)).contains(&start.elapsed()), "{:?}", start.elapsed());
        Ok(())
    });
}

#[test]
fn pings_find_a_silent_peer() {
    run(async {
        let server = Server::start(|_| std::future::pending()).await?;
        let mut builder = hyper::client::conn::http2::Builder::new(Executor::new());
        builder.timer(Timer::new()).keep_alive_interval(Duration::from_secs(3));
        builder.keep_alive_timeout(Duration::from_secs(2));
        let (mut requests, connection) = builder.handshake(server.connect().await?).await.unwrap();
        spawn(connection);
        let cut_at = ms(500);
        let start = Instant::now();
        Sim::current().after(cut_at, || std::mem::forget(Sim::current().partition("harness", "server")));
        let error = requests.send_request(server.get("/")).await.unwrap_err();
        assert!(error.is_timeout() || io_kind(&error) == Some(ErrorKind::TimedOut), "{error:?}");
        // A ping after three seconds, and two for its answer.
        assert!((ms(5000)..ms(5010)).contains(&start.elapsed()), "{:?}", start.elapsed());
        Ok(())
    });
}

#[test]
fn idle_connections_are_closed_when_their_time_is_up() {
    run(async {
        let server = Server::start(|_| async { answer("hello") }).await?;
        let mut builder = Client::builder(Executor::new());
        let client: Client<_, Body> = builder
            .pool_timer(Timer::new())
            .pool_idle_timeout(Duration::from_secs(10))
            .build(Connector::new());
        for (pause, connections) in [(0, 1), (9, 1), (11, 2)] {
            sleep(Duration::from_secs(pause)).await;
            assert_eq!(text(client.request(server.get("/")).await.unwrap()).await?, "hello");
            assert_eq!(server.accepted(), connections, "after {pause} s");
        }
        Ok(())
    });
}

#[test]
fn a_connect_into_a_partition_ends_at_its_limit_or_after_127_s() {
    run(async {
        let (_listener, server) = Server::listen().await?;
        let _cut = Sim::current().partition("harness", "server");
        for (limit, ends) in [(Some(ms(1500)), ms(1500)), (None, Duration::from_secs(127))] {
            let mut connector = Connector::new();
            connector.set_connect_timeout(limit);
            let client: Client<_, Body> = Client::builder(Executor::new()).build(connector);
            let start = Instant::now();
            let error = client.request(server.get("/")).await.unwrap_err();
            assert!(error.is_connect(), "{error:?}");
            assert_eq!((io_kind(&error), start.elapsed()), (Some(ErrorKind::TimedOut), ends));
        }
        Ok(())
    });
}

#[test]
fn a_short_partition_only_delays_an_answer() {
    run(async {
        let server = Server::start(|_| async { answer("late") }).await?;
        let client = client();
        text(client.request(server.get("/")).await.unwrap()).await?;
        let start = Instant::now();
        let cut = Sim::current().partition("harness", "server");
        Sim::current().after(ms(100), || drop(cut));
        assert_eq!(text(client.request(server.get("/")).await.unwrap()).await?, "late");
        assert!(start.elapsed() > ms(100));
        assert_eq!(server.accepted(), 1);
        Ok(())
    });
}

#[test]
fn a_server_that_dies_is_found_again_when_it_is_back() {
    run(async {
        let node = Sim::current().node("web").run(|| async {
            let router = Router::new().route("/", get(|| async { "hello" }));
            serve(TcpListener::bind("0.0.0.0:80").await?, router).await
        });
        sleep(ms(1)).await;
        let client = client();
        let ask = || client.get(Uri::from_static("http://web/"));
        assert_eq!(text(ask().await.unwrap()).await?, "hello");
        // The kernel of the dead process says that its connections are over: no request is lost on them.
        node.restart();
        sleep(ms(50)).await;
        assert_eq!(text(ask().await.unwrap()).await?, "hello");
        // A machine without power says nothing. The request goes into the void; a fresh connection finds the machine.
        node.power_cut();
        assert!(timeout(ms(400), ask()).await.is_err());
        node.start();
        sleep(ms(1)).await;
        assert_eq!(text(ask().await.unwrap()).await?, "hello");
        Ok(())
    });
}

#[test]
fn a_process_that_is_asked_to_stop_answers_first() {
    run(async {
        let node = Sim::current().node("web").run(|| async {
            let slow = || async {
                sleep(ms(300)).await;
                "finished"
            };
            let router = Router::new().route("/", get(slow));
            let listener = TcpListener::bind("0.0.0.0:80").await?;
            serve(listener, router).with_graceful_shutdown(sim::signal::stopped()).await
        });
        sleep(ms(1)).await;
        let idle = TcpStream::connect("web:80").await?;
        let asked = spawn(client().get(Uri::from_static("http://web/")));
        sleep(ms(100)).await;
        let start = Instant::now();
        node.stop().await;
        assert!((ms(150)..ms(250)).contains(&start.elapsed()), "{:?}", start.elapsed());
        assert_eq!(text(asked.await?.unwrap()).await?, "finished");
        drop(idle);
        Ok(())
    });
}

#[test]
fn what_the_connector_cannot_do_it_says() {
    run(async {
        for (uri, says) in [("https://web/", "not http"), ("http://nowhere/", "")] {
            let error = client().request(Request::get(uri).body(full("")).unwrap()).await.unwrap_err();
            let reason = std::error::Error::source(&error).unwrap().to_string();
            assert!(error.is_connect() && reason.contains(says), "{uri}: {reason}");
        }
        Ok(())
    });
}

#[test]
fn addresses_of_ipv6_are_taken_out_of_their_brackets() {
    run(async {
        let (listener, server) = Server::listen().await?;
        let address = Sim::current().node("server").add_address("fd00::7".parse().unwrap());
        drop((listener, address));
        Sim::current().node("harness").add_address("fd00::1".parse().unwrap());
        let uri = format!("http://[fd00::7]:{}/", server.port);
        let error = client().get(uri.parse().unwrap()).await.unwrap_err();
        assert_eq!(io_kind(&error), Some(ErrorKind::ConnectionRefused), "{error:?}");
        Ok(())
    });
}
