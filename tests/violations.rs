//! Code of real programs that reaches for the host inside of a simulation: the run fails with the name of the call, the
//! line that made it and what to do instead.

#![cfg(all(feature = "guards", target_os = "linux", target_env = "gnu"))]
#![expect(clippy::disallowed_methods, reason = "the tests are about what the guards do to these")]

use std::io::ErrorKind;
use std::net::{TcpListener, TcpStream, ToSocketAddrs, UdpSocket};
use std::os::unix::net::{UnixListener, UnixStream};
use std::thread;
use std::time::Duration;

use sim::{Builder, Failure, FailureKind, Isolate, Sim, sim_test};

/// The failure of a run whose node does this, as a process.
fn failure_of<T: 'static>(what: fn() -> T) -> Failure {
    let outcome = Builder::new().seed(1).run(move |sim: Sim| async move {
        sim.node("shop").spawn(async move { drop(what()) }).await.unwrap();
    });
    outcome.result.expect_err("a violation")
}

/// Checks that a run that does this fails for that call, in this file.
#[track_caller]
fn violates<T: 'static>(call: &str, what: fn() -> T) {
    let failure = failure_of(what);
    assert_eq!(failure.signature(), format!("violation {call}"), "{failure:?}");
    assert!(failure.message.starts_with(&format!("{call} was called from ")), "{failure:?}");
    assert!(failure.details.iter().any(|frame| frame.contains("tests/violations.rs:")), "{failure:?}");
    assert_eq!(failure.node.as_deref(), Some("shop"));
}

#[test]
fn std_threads_and_sleeps() {
    violates("pthread_create", || thread::spawn(|| ()));
    violates("pthread_create", || thread::scope(|scope| drop(scope.spawn(|| ()))));
    let failure = failure_of(|| thread::sleep(Duration::from_secs(3600)));
    assert!(
        failure.signature().ends_with("nanosleep") && failure.kind == FailureKind::Violation,
        "{failure:?}"
    );
    assert!(failure.message.contains("sim::time::sleep"), "{failure:?}");
}

#[test]
fn std_sockets() {
    violates("socket", || TcpStream::connect("127.0.0.1:9"));
    violates("socket", || TcpListener::bind("127.0.0.1:0"));
    violates("socket", || UdpSocket::bind("127.0.0.1:0"));
    violates("socket", || UnixListener::bind("/tmp/never-made"));
    violates("socketpair", UnixStream::pair);
    violates("getaddrinfo", || ("localhost", 80).to_socket_addrs().map(Iterator::count));
    violates("getaddrinfo", || TcpStream::connect("localhost:9"));
}

#[test]
fn a_refused_call_is_an_error_for_its_caller() {
    violates("socket", || {
        assert_eq!(TcpStream::connect("127.0.0.1:9").unwrap_err().kind(), ErrorKind::PermissionDenied);
        assert!(("localhost", 80).to_socket_addrs().is_err());
    });
}

#[test]
fn address_literals_are_read_without_the_host() {
    let outcome = Builder::new().seed(1).run(|_| async {
        ("127.0.0.1", 80).to_socket_addrs().unwrap().count() + "[::1]:80".to_socket_addrs().unwrap().count()
    });
    assert_eq!(outcome.result.unwrap(), 2);
}

#[test]
fn tokio_runtimes() {
    violates("pthread_create", || {
        tokio::runtime::Builder::new_current_thread().build().unwrap().block_on(async {
            tokio::task::spawn_blocking(|| ()).await.unwrap();
        })
    });
    violates("socket", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::net::TcpStream::connect("127.0.0.1:9").await.unwrap() })
    });
    violates("epoll_wait", || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
        runtime.block_on(async { tokio::time::sleep(Duration::from_secs(3600)).await });
    });
}

#[test]
fn child_processes_that_are_waited_for() {
    violates("poll", || std::process::Command::new("true").output());
}

#[sim_test(seeds = 1)]
#[should_panic(expected = "signature: violation pthread_create")]
async fn a_test_fails_by_the_name_of_the_call() {
    thread::spawn(|| ());
}

#[sim_test(seeds = 1)]
#[should_panic(expected = "Spawn a task with sim::spawn")]
async fn a_test_says_what_to_do() {
    thread::spawn(|| ());
}

#[sim_test(seeds = 1)]
#[should_panic(expected = "tests/violations.rs:")]
async fn a_test_says_where_it_was() {
    thread::sleep(Duration::from_secs(1));
}

#[test]
fn runs_of_a_sweep_are_told_apart() {
    for isolate in [Isolate::Process, Isolate::Thread] {
        let report = sim::sweep(0..6).isolate(isolate).run(|sim: Sim| async move {
            sim::time::sleep(Duration::from_millis(sim.seed())).await;
            match sim.seed() {
                1 => thread::sleep(Duration::from_secs(1)),
                3 => drop(thread::spawn(|| ())),
                _ => {}
            }
        });
        let failures: Vec<_> = report.failures.iter().map(|run| (run.seed, run.failure.kind)).collect();
        assert_eq!(failures, [(1, FailureKind::Violation), (3, FailureKind::Violation)]);
    }
}

#[test]
fn outside_of_a_simulation_all_of_it_works() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let address = listener.local_addr().unwrap();
    let client = thread::spawn(move || TcpStream::connect(address).map(drop));
    assert!(listener.accept().is_ok());
    client.join().unwrap().unwrap();
    assert!(UnixStream::pair().is_ok());
    assert!(UdpSocket::bind("127.0.0.1:0").unwrap().send_to(b"x", address).is_ok());
    assert!(std::process::Command::new("true").output().unwrap().status.success());
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    runtime.block_on(async {
        let listener = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let address = listener.local_addr().unwrap();
        let (made, accepted) = tokio::join!(tokio::net::TcpStream::connect(address), listener.accept());
        made.unwrap();
        accepted.unwrap();
        assert_eq!(tokio::task::spawn_blocking(|| 7).await.unwrap(), 7);
    });
}
