//! connect, listen, accept: connect(2), listen(2), tcp(7).

use crate::{kind, ms, on, pair, secs, simulate};
use sim_core::time::{sleep, timeout};
use sim_net::{NetExt, TcpListener, TcpSocket, TcpStream};
use std::io::ErrorKind::*;

#[test]
fn nobody_listens() {
    simulate(|sim| async move {
        sim.node("server");
        assert_eq!(kind(TcpStream::connect("server:80").await), ConnectionRefused);
        assert!((ms(2)..=ms(20)).contains(&sim.elapsed()), "a round trip, not {:?}", sim.elapsed());
        Ok(())
    });
}

#[test]
fn into_a_partition_it_times_out_after_the_syn_retries() {
    simulate(|sim| async move {
        let server = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        let _cut = sim.partition("server", "harness");
        assert_eq!(kind(TcpStream::connect("server:80").await), TimedOut);
        assert_eq!(sim.elapsed(), secs(127), "tcp_syn_retries = 6");
        drop(server);
        Ok(())
    });
}

#[test]
fn to_a_machine_without_power_it_times_out() {
    simulate(|sim| async move {
        sim.node("server").power_cut();
        assert_eq!(kind(TcpStream::connect("server:80").await), TimedOut);
        Ok(())
    });
}

#[test]
fn a_retried_syn_finds_the_healed_link() {
    simulate(|sim| async move {
        let _server = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        let cut = sim.partition("server", "harness");
        sim.after(ms(2500), move || drop(cut));
        TcpStream::connect("server:80").await?;
        // The SYNs at 0 and 1 s were lost; the third left at 3 s.
        assert!((ms(3002)..ms(3021)).contains(&sim.elapsed()), "{:?}", sim.elapsed());
        Ok(())
    });
}

#[test]
fn each_packet_of_the_handshake_may_be_lost() {
    simulate(|sim| async move {
        let listener = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        sim.link("server", "harness").loss(0.1).both();
        for _ in 0..20 {
            let client = sim.harness().spawn(async {
                loop {
                    if let Ok(stream) = TcpStream::connect("server:80").await {
                        return std::io::Result::Ok(stream);
                    }
                }
            });
            let (mut server, _) = timeout(secs(10_000), listener.accept()).await.unwrap()?;
            let mut client = client.await.unwrap()?;
            client.write_all(b"x").await?;
            let mut byte = [0];
            server.read_exact(&mut byte).await?;
        }
        Ok(())
    });
}

#[test]
fn no_machine_has_the_address() {
    simulate(|_| async {
        assert_eq!(kind(TcpStream::connect("192.0.2.1:80").await), HostUnreachable);
        Ok(())
    });
}

#[test]
fn a_full_backlog_drops_syns_which_are_retried() {
    simulate(|sim| async move {
        let listener = on(sim, "server", async {
            let socket = TcpSocket::new_v4()?;
            socket.bind("0.0.0.0:80".parse().unwrap())?;
            socket.listen(2)
        });
        let listener = listener.await.unwrap()?;
        let clients: Vec<_> = (0..6).map(|_| sim.harness().spawn(TcpStream::connect("server:80"))).collect();
        sleep(ms(500)).await;
        // sk_acceptq_is_full(): one more than the backlog.
        assert_eq!(sim.established("harness", "server"), 3);
        let mut accepted = Vec::new();
        for _ in 0..6 {
            accepted.push(listener.accept().await?);
        }
        for client in clients {
            client.await.unwrap()?;
        }
        assert!(sim.elapsed() >= secs(1), "the others came with a retried SYN");
        Ok(())
    });
}

#[test]
fn a_listener_that_goes_away_resets_whom_it_did_not_accept() {
    simulate(|sim| async move {
        let listener = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        let mut client = TcpStream::connect("server:80").await?;
        sleep(ms(100)).await;
        drop(listener);
        assert_eq!(kind(client.read(&mut [0]).await), ConnectionReset);
        assert_eq!(kind(TcpStream::connect("server:80").await), ConnectionRefused);
        Ok(())
    });
}

#[test]
fn a_connect_that_is_given_up_leaves_nothing() {
    simulate(|sim| async move {
        let listener = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        for after in [0, 1, 3, 5, 8, 12, 20] {
            let _ = timeout(ms(after), TcpStream::connect("server:80")).await;
        }
        sleep(secs(300)).await;
        while let Ok(accepted) = timeout(ms(1), listener.accept()).await {
            drop(accepted);
        }
        sleep(secs(1)).await;
        assert_eq!(sim.network_census().streams, 0);
        Ok(())
    });
}

#[test]
fn addresses_in_use() {
    simulate(|sim| async move {
        let first = TcpListener::bind("0.0.0.0:80").await?;
        assert_eq!(kind(TcpListener::bind("0.0.0.0:80").await), AddrInUse);
        assert_eq!(kind(TcpListener::bind("127.0.0.1:80").await), AddrInUse);
        assert_eq!(kind(TcpListener::bind("[::]:80").await), AddrInUse, "v6 for any address takes v4");
        let _other = on(sim, "other", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        drop(first);
        TcpListener::bind("0.0.0.0:80").await?;
        Ok(())
    });
}

#[test]
fn so_reuseaddr_binds_beside_connections_and_time_wait() {
    simulate(|sim| async move {
        let (client, server) = pair(sim).await?;
        let bind = |reuse: bool| {
            on(sim, "server", async move {
                let socket = TcpSocket::new_v4()?;
                socket.set_reuseaddr(reuse)?;
                socket.bind("0.0.0.0:80".parse().unwrap())?;
                socket.listen(1).map(drop)
            })
        };
        assert_eq!(kind(bind(false).await.unwrap()), AddrInUse, "a connection uses the port");
        bind(true).await.unwrap()?;
        drop(server);
        drop(client);
        sleep(secs(1)).await;
        assert_eq!(kind(bind(false).await.unwrap()), AddrInUse, "TIME_WAIT of the side that closed first");
        bind(true).await.unwrap()?;
        sleep(secs(60)).await;
        bind(false).await.unwrap()
    });
}

#[test]
fn port_0_is_a_free_one_and_addresses_are_told() {
    simulate(|sim| async move {
        let listener = on(sim, "server", TcpListener::bind("0.0.0.0:0")).await.unwrap()?;
        let port = listener.local_addr()?.port();
        assert!((32_768..=60_999).contains(&port), "net.ipv4.ip_local_port_range, not {port}");
        let other = on(sim, "server", TcpListener::bind("0.0.0.0:0")).await.unwrap()?;
        assert_ne!(other.local_addr()?.port(), port);
        let client = TcpStream::connect(("server", port)).await?;
        let (server, from) = listener.accept().await?;
        assert_eq!(client.peer_addr()?, (sim.node("server").address(), port).into());
        assert_eq!(client.local_addr()?.ip(), sim.harness().address());
        assert_eq!((from, server.peer_addr()?), (client.local_addr()?, client.local_addr()?));
        assert_eq!(server.local_addr()?, client.peer_addr()?);
        Ok(())
    });
}

#[test]
fn a_bind_to_one_address_hears_only_that_one() {
    simulate(|sim| async move {
        let server = sim.node("server");
        let (v4, v6) = (server.addresses()[0], server.addresses()[1]);
        let local = on(sim, "server", TcpListener::bind("127.0.0.1:80")).await.unwrap()?;
        assert_eq!(kind(TcpStream::connect((v4, 80)).await), ConnectionRefused);
        drop(local);
        let _only_v6 = on(sim, "server", TcpListener::bind((v6, 80))).await.unwrap()?;
        assert_eq!(kind(TcpStream::connect((v4, 80)).await), ConnectionRefused);
        TcpStream::connect((v6, 80)).await?;
        assert_eq!(kind(TcpListener::bind((v4, 80)).await), AddrNotAvailable, "of another machine");
        Ok(())
    });
}

#[test]
fn a_v6_listener_takes_v4_unless_told_not_to() {
    simulate(|sim| async move {
        let v4 = sim.node("server").address();
        let both = on(sim, "server", TcpListener::bind("[::]:80")).await.unwrap()?;
        let client = TcpStream::connect((v4, 80)).await?;
        let (_, from) = both.accept().await?;
        // ipv6(7): the peer is reported as a mapped address.
        assert!(from.is_ipv6() && from.ip().to_canonical() == client.local_addr()?.ip());
        drop(both);
        let only = on(sim, "server", async {
            let socket = TcpSocket::new_v6()?;
            socket.set_only_v6(true)?;
            socket.bind("[::]:81".parse().unwrap())?;
            socket.listen(1)
        });
        let _only = only.await.unwrap()?;
        assert_eq!(kind(TcpStream::connect((v4, 81)).await), ConnectionRefused);
        Ok(())
    });
}

#[test]
fn a_bound_socket_connects_from_its_address() {
    simulate(|sim| async move {
        let listener = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        let socket = TcpSocket::new_v4()?;
        socket.bind("0.0.0.0:1234".parse().unwrap())?;
        let client = socket.connect((sim.node("server").address(), 80).into()).await?;
        assert_eq!(client.local_addr()?.port(), 1234);
        assert_eq!(listener.accept().await?.1.port(), 1234);
        assert_eq!(kind(TcpListener::bind("0.0.0.0:1234").await), AddrInUse);
        Ok(())
    });
}

#[test]
fn loopback_has_no_faults_and_takes_microseconds() {
    simulate(|sim| async move {
        sim.default_link().loss(1.0);
        let _cut = sim.isolate("harness");
        let listener = TcpListener::bind("127.0.0.1:80").await?;
        let mut client = TcpStream::connect("localhost:80").await?;
        let (mut server, _) = listener.accept().await?;
        client.write_all(b"x").await?;
        server.read_exact(&mut [0]).await?;
        assert!(sim.elapsed() < ms(1), "{:?}", sim.elapsed());
        Ok(())
    });
}

#[test]
fn several_tasks_accept() {
    simulate(|sim| async move {
        let listener = on(sim, "server", TcpListener::bind("0.0.0.0:80")).await.unwrap()?;
        let listener = std::rc::Rc::new(listener);
        let accepting: Vec<_> = (0..4)
            .map(|_| {
                let listener = listener.clone();
                on(sim, "server", async move { listener.accept().await.map(drop) })
            })
            .collect();
        for _ in 0..4 {
            TcpStream::connect("server:80").await?;
        }
        for accepted in accepting {
            accepted.await.unwrap()?;
        }
        Ok(())
    });
}
