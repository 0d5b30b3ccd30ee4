//! What a node may run out of: each limit makes calls fail as on Linux, and lifted it changes nothing.

use sim_core::fault::{Fault, Swarm};
use sim_core::fs::{self, DiskExt, File};
use sim_core::time::{Duration, sleep, timeout};
use sim_core::{Config, Node, OBJECT, Resource, Sim, run};
use sim_net::readiness::ReadinessSet;
use sim_net::{TcpListener, TcpStream, UdpSocket, UnixDatagram, UnixListener, UnixStream};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::future::Future;
use std::io;
use std::rc::Rc;

fn secs(n: u64) -> Duration {
    Duration::from_secs(n)
}

fn world<T: 'static, Fut: Future<Output = T> + 'static>(body: impl FnOnce(Sim) -> Fut) -> T {
    run(Config::seed(7), body).result.unwrap()
}

fn code<T>(result: io::Result<T>) -> i32 {
    result.map_or_else(|e| e.raw_os_error().unwrap_or(-1), |_| 0)
}

/// Accepts and holds everything.
fn hold(node: Node) -> Node {
    node.run(|| async {
        let listener = TcpListener::bind("0.0.0.0:80").await?;
        let mut held = Vec::new();
        loop {
            match listener.accept().await {
                Ok(accepted) => held.push(accepted),
                Err(_) => sleep(Duration::from_millis(10)).await,
            }
        }
        #[allow(unreachable_code)]
        io::Result::Ok(())
    })
}

/// What every call says that gives a descriptor.
async fn every_call(server: std::net::IpAddr, set: bool) -> Vec<(&'static str, i32)> {
    let mut said = vec![
        ("open", code(File::create("/new").await)),
        ("tcp listen", code(TcpListener::bind("0.0.0.0:81").await)),
        ("tcp connect", code(TcpStream::connect((server, 80)).await)),
        ("udp", code(UdpSocket::bind("0.0.0.0:9").await)),
        ("unix listen", code(UnixListener::bind("/socket"))),
        ("unix datagram", code(UnixDatagram::unbound())),
        ("unix pair", code(UnixStream::pair())),
        ("unix datagram pair", code(UnixDatagram::pair())),
    ];
    if set {
        said.push(("epoll", code(ReadinessSet::new())));
    }
    let _ = sim_net::unix::unlink("/socket");
    said
}

#[test]
fn without_descriptors_no_call_opens_anything() {
    for (resource, number) in [(Resource::OpenFiles, libc::EMFILE), (Resource::Memory, libc::ENOMEM)] {
        world(move |sim| async move {
            let server = hold(sim.node("server")).address();
            let node = sim.node("a");
            let here = node.spawn(async move {
                let file = File::create("/held").await.unwrap();
                let node = Sim::current().here();
                let held = node.holdings();
                assert_eq!(
                    (held.descriptors, held.bytes),
                    (4, OBJECT),
                    "standard input, output, error, and a file"
                );
                let before = every_call(server, true).await;
                assert!(before.iter().all(|(_, code)| *code == 0), "{before:?}");
                assert_eq!(node.holdings().descriptors, 4, "everything is closed again");
                let limit = node.limit(resource, if resource == Resource::Memory { held.bytes } else { 4 });
                let said = every_call(server, true).await;
                assert!(said.iter().all(|(_, code)| *code == number), "{resource}: {said:?}");
                assert_eq!(code(file.try_clone().await), number);
                assert_eq!(code(fs::write("/held", b"x").await), number);
                assert!(node.disk().read("/none").is_err(), "what is not opened is not made");
                assert_eq!(node.disk().read("/held").unwrap(), b"", "and not cut to nothing");
                drop(limit);
                let after = every_call(server, true).await;
                assert!(after.iter().all(|(_, code)| *code == 0), "{after:?}");
            });
            here.await.unwrap();
            let faults = sim.faults();
            assert_eq!(faults.len(), 1);
            assert_eq!((&*faults[0].family, faults[0].effects), (resource.family(), 11));
        });
    }
}

#[test]
fn one_more_descriptor_is_one_more_and_a_pair_needs_two() {
    world(|sim| async move {
        let node = sim.node("a");
        let here = node.spawn(async move {
            let node = Sim::current().here();
            let _limit = node.limit(Resource::OpenFiles, 5);
            assert_eq!(code(UnixStream::pair()), 0);
            let one = UdpSocket::bind("0.0.0.0:9").await.unwrap();
            assert_eq!(code(UnixStream::pair()), libc::EMFILE);
            assert_eq!(code(UnixDatagram::pair()), libc::EMFILE);
            let two = UnixDatagram::unbound().unwrap();
            assert_eq!(code(UnixDatagram::unbound()), libc::EMFILE);
            drop(one);
            assert_eq!(code(File::create("/a").await), 0);
            drop(two);
            let _tighter = node.limit(Resource::OpenFiles, 4);
            let _one = File::create("/b").await.unwrap();
            assert_eq!(code(File::create("/c").await), libc::EMFILE, "the least counts");
        });
        here.await.unwrap();
    });
}

#[test]
fn a_connection_that_cannot_be_accepted_stays_in_the_queue() {
    world(|sim| async move {
        let server = sim.node("server");
        let told = server.spawn(async move {
            let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
            let limit = Sim::current().here().limit(Resource::OpenFiles, 4);
            assert!(timeout(secs(1), listener.accept()).await.is_err(), "without a connection it waits");
            sleep(secs(2)).await;
            assert_eq!(code(listener.accept().await), libc::EMFILE);
            assert_eq!(code(listener.accept().await), libc::EMFILE);
            drop(limit);
            let (mut stream, _) = listener.accept().await.unwrap();
            let mut byte = [0];
            stream.read_exact(&mut byte).await.unwrap();
            byte
        });
        let address = server.address();
        let client = sim.node("client").spawn(async move {
            sleep(secs(2)).await;
            let mut stream = TcpStream::connect((address, 80)).await.unwrap();
            stream.write_all(b"x").await.unwrap();
            sleep(secs(10)).await;
        });
        assert_eq!(told.await.unwrap(), *b"x");
        client.await.unwrap();
    });
}

#[test]
fn a_machine_that_can_track_no_more_drops_what_would_begin_a_connection() {
    for limited in ["server", "client"] {
        world(move |sim| async move {
            let address = hold(sim.node("server")).address();
            let client = sim.node("client");
            let limit = sim.node(limited).limit(Resource::Connections, 2);
            let here = client.spawn(async move {
                let _two = (TcpStream::connect((address, 80)).await, TcpStream::connect((address, 80)).await);
                assert!(timeout(secs(20), TcpStream::connect((address, 80))).await.is_err(), "silence");
                assert_eq!(code(TcpStream::connect((address, 80)).await), libc::ETIMEDOUT);
                let waits = sim_core::spawn(async move { code(TcpStream::connect((address, 80)).await) });
                sleep(secs(1)).await;
                drop(limit);
                assert_eq!(waits.await.unwrap(), 0, "the next SYN is heard");
            });
            here.await.unwrap();
            let held = client.holdings();
            assert_eq!((held.descriptors, held.connections), (3, 0), "everything is closed");
        });
    }
}

#[test]
fn buffers_are_memory_of_both_machines() {
    world(|sim| async move {
        let server = sim.node("server");
        server.spawn(async {
            let listener = TcpListener::bind("0.0.0.0:80").await.unwrap();
            let _held = listener.accept().await.unwrap();
            sleep(secs(100)).await;
        });
        let (client, address) = (sim.node("client"), server.address());
        client.spawn(async move {
            let mut stream = TcpStream::connect((address, 80)).await.unwrap();
            stream.write_all(&[0; 10_000]).await.unwrap();
            sleep(secs(100)).await;
        });
        sleep(secs(2)).await;
        assert_eq!(server.holdings().bytes, 10_000 + 2 * OBJECT);
        assert_eq!(server.holdings().connections, 1);
        server.kill();
        sleep(secs(2)).await;
        assert_eq!((server.holdings().descriptors, server.holdings().bytes), (3, 0));
    });
}

#[test]
fn healing_lifts_limits() {
    world(|sim| async move {
        let node = sim.node("a");
        node.limit(Resource::OpenFiles, 0).forget();
        assert_eq!(node.spawn(async { code(File::create("/a").await) }).await.unwrap(), libc::EMFILE);
        sim.heal().await;
        assert_eq!(node.spawn(async { code(File::create("/a").await) }).await.unwrap(), 0);
        let told: Vec<String> = sim.faults().iter().map(ToString::to_string).collect();
        assert_eq!(told.len(), 1);
        assert!(told[0].ends_with("open-files of a: most 0"), "{told:?}");
    });
}

/// Errors of calls by their numbers, and connections that did not come about, while the nemesis limits a node.
fn chaos(family: &'static str, on: bool) -> (BTreeMap<i32, u32>, Vec<Fault>) {
    let outcome = run(Config::seed(3), move |sim| async move {
        let seen = Rc::new(RefCell::new(BTreeMap::new()));
        let server = hold(sim.node("server")).address();
        let told = seen.clone();
        sim.node("a").run(move || {
            let told = told.clone();
            async move {
                let mut held = Vec::new();
                for turn in 0u64.. {
                    sleep(Duration::from_millis(50)).await;
                    held.truncate(if turn.is_multiple_of(40) { 0 } else { 30 });
                    let failed = match timeout(secs(1), TcpStream::connect((server, 80))).await {
                        Ok(Ok(stream)) => {
                            held.push(stream);
                            continue;
                        }
                        Ok(Err(error)) => error.raw_os_error().unwrap_or(-1),
                        Err(_) => libc::ETIMEDOUT,
                    };
                    *told.borrow_mut().entry(failed).or_default() += 1;
                }
                io::Result::Ok(())
            }
        });
        let swarm = Swarm::default().at_full_strength().only([family]).during(secs(1)..secs(40));
        sim.nemesis(if on { swarm } else { swarm.without([family]) });
        sleep(secs(40)).await;
        sim.heal().await;
        seen.take()
    });
    (outcome.result.unwrap(), outcome.faults)
}

#[test]
fn the_nemesis_limits_nodes() {
    for (family, number) in
        [("open-files", libc::EMFILE), ("connections", libc::ETIMEDOUT), ("memory", libc::ENOMEM)]
    {
        let (seen, faults) = chaos(family, true);
        assert!(seen.contains_key(&number), "{family}: {seen:?} {faults:#?}");
        assert!(faults.iter().any(|fault| fault.effects > 0 && fault.family == family));
        assert!(faults.iter().all(|fault| fault.end.is_some()));
        assert_eq!(chaos(family, false), (BTreeMap::new(), Vec::new()), "without {family}");
    }
}
