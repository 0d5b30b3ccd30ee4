//! Names and addresses: getaddrinfo(3), tokio's `ToSocketAddrs`.

use crate::{kind, ms, on, secs, simulate};
use sim_core::{Config, Sim, Source, run};
use sim_net::{DnsFault, NetExt, TcpListener, TcpStream, lookup_host};
use std::io::ErrorKind::*;
use std::net::{IpAddr, Ipv4Addr, SocketAddr};
use std::sync::Arc;

#[test]
fn everything_that_tokio_takes_resolves() {
    simulate(|sim| async move {
        let node = sim.node("payment");
        node.add_address("10.7.7.7".parse().unwrap());
        let v4 = node.addresses().into_iter().filter(|ip| ip.is_ipv4());
        let all: Vec<SocketAddr> = v4.map(|ip| (ip, 80).into()).collect();
        assert_eq!(all.len(), 2);
        assert_eq!(lookup_host("payment:80").await?.collect::<Vec<_>>(), all);
        assert_eq!(lookup_host(("payment", 80)).await?.collect::<Vec<_>>(), all);
        assert_eq!(lookup_host(("payment".to_string(), 80)).await?.collect::<Vec<_>>(), all);
        assert_eq!(lookup_host("payment:80".to_string()).await?.collect::<Vec<_>>(), all);
        assert_eq!(lookup_host(&all[..]).await?.collect::<Vec<_>>(), all);
        assert_eq!(lookup_host(all[0]).await?.next(), Some(all[0]));
        assert_eq!(lookup_host((node.address(), 80)).await?.next(), Some(all[0]));
        assert_eq!(lookup_host("[::1]:5").await?.next(), Some("[::1]:5".parse().unwrap()));
        assert_eq!(lookup_host("localhost:5").await?.next(), Some((Ipv4Addr::LOCALHOST, 5).into()));
        Ok(())
    });
}

#[test]
fn what_does_not_resolve_says_why() {
    simulate(|_| async {
        let unknown = TcpStream::connect("nobody:80").await.unwrap_err();
        assert_eq!(unknown.to_string(), "failed to lookup address information: Name or service not known");
        assert_eq!(kind(TcpStream::connect("nobody").await), InvalidInput);
        assert_eq!(kind(TcpStream::connect("localhost:99999").await), InvalidInput);
        assert_eq!(kind(TcpStream::connect(&[][..]).await), InvalidInput);
        Ok(())
    });
}

#[test]
fn connect_tries_each_address() {
    simulate(|sim| async move {
        let extra: IpAddr = "10.9.9.9".parse().unwrap();
        sim.node("server").add_address(extra);
        let _listener = on(sim, "server", TcpListener::bind((extra, 80))).await.unwrap()?;
        let stream = TcpStream::connect("server:80").await?;
        assert_eq!(stream.peer_addr()?.ip(), extra);
        Ok(())
    });
}

fn ip(text: &str) -> IpAddr {
    text.parse().unwrap()
}

/// The addresses of a name, as the harness is told.
async fn look_up(name: &str) -> std::io::Result<Vec<IpAddr>> {
    Ok(lookup_host((name, 80)).await?.map(|a| a.ip()).collect())
}

const AGAIN: &str = "failed to lookup address information: Temporary failure in name resolution";
const UNKNOWN: &str = "failed to lookup address information: Name or service not known";

#[test]
fn records_add_names_and_replace_those_of_nodes() {
    simulate(|sim| async move {
        let own = sim.node("payment").address();
        let dns = sim.dns();
        dns.set("Payment.Internal", [ip("10.1.0.1"), ip("fd00::9")]);
        assert_eq!(look_up("payment.internal").await?, [ip("10.1.0.1"), ip("fd00::9")]);
        assert_eq!(look_up("PAYMENT.internal.").await?, [ip("10.1.0.1"), ip("fd00::9")]);
        assert_eq!(look_up("Payment").await?, [own], "names are the same in capitals");
        dns.set("payment", [ip("10.1.0.2")]);
        assert_eq!(look_up("payment").await?, [ip("10.1.0.2")]);
        dns.set("payment", []);
        assert_eq!(look_up("payment").await.unwrap_err().to_string(), UNKNOWN);
        dns.unset("payment");
        assert_eq!(look_up("payment").await?, [own]);
        Ok(())
    });
}

#[test]
fn slow_answers_take_their_time_and_no_fault_takes_none() {
    simulate(|sim| async move {
        sim.node("server");
        look_up("server").await?;
        assert_eq!(sim.elapsed(), ms(0));
        let slow = sim.dns().slow(ms(100)..ms(200));
        look_up("server").await?;
        let took = sim.elapsed();
        assert!((ms(100)..ms(200)).contains(&took), "{took:?}");
        look_up("localhost").await?;
        look_up("127.0.0.1").await?;
        assert_eq!(sim.elapsed(), took, "nobody is asked for these");
        drop(slow);
        look_up("server").await?;
        assert_eq!(sim.elapsed(), took);
        // A connect waits for the answer first.
        let _slow = sim.dns().slow(ms(500));
        assert_eq!(kind(TcpStream::connect("server:80").await), ConnectionRefused);
        assert!(sim.elapsed() > took + ms(500));
        Ok(())
    });
}

#[test]
fn a_server_that_fails_says_so_at_once_and_a_silent_one_after_ten_seconds() {
    simulate(|sim| async move {
        sim.node("server");
        let fault = sim.dns().failing();
        assert_eq!(look_up("server").await.unwrap_err().to_string(), AGAIN);
        assert_eq!(sim.elapsed(), ms(0));
        drop(fault);
        for silent in [true, false] {
            let fault = if silent { sim.dns().silent() } else { sim.dns().slow(secs(30)) };
            let before = sim.elapsed();
            assert_eq!(look_up("server").await.unwrap_err().to_string(), AGAIN);
            assert_eq!(sim.elapsed() - before, secs(10));
            fault.forget();
            sim.heal();
        }
        look_up("server").await?;
        Ok(())
    });
}

#[test]
fn missing_names_are_unknown_where_the_fault_says() {
    simulate(|sim| async move {
        sim.node("a");
        sim.node("b");
        let dns = sim.dns();
        let missing = dns.clone().asked_by("a").about("B.").missing();
        let asked = |node: &'static str, name: &'static str| on(sim, node, look_up(name));
        assert_eq!(asked("a", "b").await.unwrap().unwrap_err().to_string(), UNKNOWN);
        asked("a", "a").await.unwrap()?;
        asked("b", "b").await.unwrap()?;
        missing.heal();
        asked("a", "b").await.unwrap()?;
        Ok(())
    });
}

#[test]
fn stale_answers_are_those_of_before() {
    simulate(|sim| async move {
        sim.node("client");
        sim.dns().set("db", [ip("10.1.0.1")]);
        let stale = sim.dns().asked_by("client").stale();
        sim.dns().set("db", [ip("10.1.0.2")]);
        sim.dns().set("new", [ip("10.1.0.3")]);
        assert_eq!(on(sim, "client", look_up("db")).await.unwrap()?, [ip("10.1.0.1")]);
        assert!(on(sim, "client", look_up("new")).await.unwrap().is_err());
        assert_eq!(look_up("db").await?, [ip("10.1.0.2")]);
        drop(stale);
        assert_eq!(on(sim, "client", look_up("db")).await.unwrap()?, [ip("10.1.0.2")]);
        Ok(())
    });
}

#[test]
fn shuffled_answers_begin_with_any_address_and_lose_none() {
    simulate(|sim| async move {
        let all = ["10.1.0.1", "10.1.0.2", "10.1.0.3"].map(ip);
        sim.dns().set("db", all);
        let shuffled = sim.dns().about("db").shuffled();
        let mut first = std::collections::BTreeSet::new();
        for _ in 0..60 {
            let mut answer = look_up("db").await?;
            first.insert(answer[0]);
            answer.sort_unstable();
            assert_eq!(answer, all);
        }
        assert_eq!(first.len(), 3);
        drop(shuffled);
        assert_eq!(look_up("db").await?, all, "in the order in which they were given");
        Ok(())
    });
}

#[test]
fn the_boring_answer_is_the_given_order_after_the_least_delay() {
    let boring = Source::Explicit { seed: 1, deviations: Arc::default() };
    let body = |sim: Sim| async move {
        let all = ["10.1.0.2", "10.1.0.1", "10.1.0.3"].map(ip);
        sim.dns().set("db", all);
        let _shuffled = sim.dns().shuffled();
        let _slow = sim.dns().slow(ms(100)..ms(200));
        for n in 1..=20 {
            assert_eq!(look_up("db").await.unwrap(), all);
            assert_eq!(sim.elapsed(), ms(100) * n);
        }
    };
    run(Config::seed(1).source(boring), body).result.unwrap();
}

#[test]
fn nobody_waits_longer_than_for_a_silent_server() {
    simulate(|sim| async move {
        sim.node("server");
        let took = |faults: Vec<DnsFault>| async move {
            let before = sim.elapsed();
            assert_eq!(look_up("server").await.unwrap_err().to_string(), AGAIN);
            drop(faults);
            sim.elapsed() - before
        };
        let dns = sim.dns();
        assert_eq!(took(vec![dns.slow(secs(3)), dns.failing()]).await, secs(3));
        assert_eq!(took(vec![dns.failing(), dns.slow(secs(3)), dns.slow(secs(4))]).await, secs(7));
        assert_eq!(took(vec![dns.slow(secs(30)), dns.failing()]).await, secs(10));
        assert_eq!(took(vec![dns.slow(secs(3)), dns.silent(), dns.failing()]).await, secs(10));
        assert_eq!(took(vec![dns.failing(), dns.silent()]).await, secs(10));
        assert_eq!(took(vec![dns.slow(secs(6)), dns.slow(secs(6))]).await, secs(10));
        Ok(())
    });
}

#[test]
#[should_panic(expected = "no node is called \"nobody\"")]
fn a_fault_for_a_node_that_is_not_there_is_a_mistake() {
    let body = |sim: Sim| async move { drop(sim.dns().asked_by("nobody").failing()) };
    let outcome = run(Config::seed(1), body);
    panic!("{}", outcome.result.unwrap_err().message);
}

#[test]
fn it_does_not_matter_which_fault_began_first() {
    simulate(|sim| async move {
        sim.dns().set("db", [ip("10.1.0.1")]);
        for stale_first in [false, true] {
            let begin = |first: bool| if first { sim.dns().stale() } else { sim.dns().missing() };
            let _faults = [begin(stale_first), begin(!stale_first)];
            assert!(look_up("db").await.is_err());
        }
        Ok(())
    });
}

/// What a shrinker saves of one run is replayed in another, whose names may have fewer addresses.
#[test]
fn decisions_of_another_run_do_no_harm() {
    use sim_core::{Config, Source, run};
    let shuffle = |addresses: u8| {
        move |sim: sim_core::Sim| async move {
            sim.dns().set("db", (1..=addresses).map(|i| IpAddr::from([10, 1, 0, i])));
            let _shuffled = sim.dns().shuffled();
            let mut all = Vec::new();
            for _ in 0..30 {
                all.push(look_up("db").await.unwrap());
                sim_core::time::sleep(ms(1)).await;
            }
            all
        }
    };
    let many = run(Config { record: true, ..Config::seed(1) }, shuffle(9));
    let deviations = many.log.unwrap().deviations.into_iter().map(|d| (d.name, d.value)).collect();
    let source = Source::Explicit { seed: 1, deviations: std::sync::Arc::new(deviations) };
    let few = run(Config { source: Some(source), ..Config::seed(1) }, shuffle(2)).result.unwrap();
    assert!(few.iter().all(|answer| answer.len() == 2));
    let boring = Source::Explicit { seed: 1, deviations: Default::default() };
    let given = run(Config { source: Some(boring), ..Config::seed(1) }, shuffle(3)).result.unwrap();
    assert!(given.iter().all(|answer| answer.is_sorted()), "the boring answer is the order that was given");
}

#[test]
#[should_panic(expected = "no name to ask for")]
fn a_name_with_a_port_is_a_mistake() {
    let body = |sim: sim_core::Sim| async move { drop(sim.dns().about("db:80").failing()) };
    panic!("{}", sim_core::run(sim_core::Config::seed(1), body).result.unwrap_err().message);
}
