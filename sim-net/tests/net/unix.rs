//! Unix sockets: what the parity tests cannot see, such as the life of nodes.

use crate::{kind, ms, on, simulate};
use sim_core::time::{sleep, timeout};
use sim_net::readiness::{Mode, ReadinessSet};
use sim_net::{Interest, NetExt, UnixDatagram, UnixListener, UnixSocket, UnixStream, unix};
use std::io::ErrorKind::*;

#[test]
fn each_node_has_its_own_names() {
    simulate(|sim| async move {
        let server = on(sim, "a", async { UnixListener::bind("/run/s").and(UnixListener::bind("\0s")) });
        let _server = server.await.unwrap()?;
        let other = on(sim, "b", async { UnixStream::connect("/run/s").await });
        assert_eq!(kind(other.await.unwrap()), NotFound);
        let other = on(sim, "b", async { UnixStream::connect("\0s").await });
        assert_eq!(kind(other.await.unwrap()), ConnectionRefused);
        on(sim, "a", async { UnixStream::connect("\0s").await }).await.unwrap()?;
        Ok(())
    });
}

#[test]
fn a_socket_file_outlives_kill_and_power_cut() {
    simulate(|sim| async move {
        let node = sim.node("app");
        for power_cut in [false, true] {
            let file = if power_cut { "/run/cut" } else { "/run/killed" };
            let bind = async move {
                let held = UnixListener::bind(file).and(UnixListener::bind("\0name")).unwrap();
                std::future::pending::<()>().await;
                drop(held);
            };
            node.spawn(bind);
            sleep(ms(1)).await;
            if power_cut {
                node.power_cut()
            } else {
                node.kill()
            }
            node.start();
            let after = on(sim, "app", async move {
                assert_eq!(kind(UnixListener::bind(file)), AddrInUse);
                assert_eq!(kind(UnixStream::connect(file).await), ConnectionRefused);
                unix::unlink(file)?;
                UnixListener::bind(file)?;
                // An abstract name goes with its socket.
                UnixListener::bind("\0name").map(drop)
            });
            after.await.unwrap()?;
        }
        assert_eq!(sim.network_census().unix, 0);
        Ok(())
    });
}

#[test]
fn what_a_dead_task_of_another_node_held_is_closed() {
    simulate(|sim| async move {
        let (mine, theirs) = UnixStream::pair()?;
        let held = on(sim, "app", async move {
            let _theirs = theirs;
            std::future::pending::<()>().await;
        });
        sleep(ms(1)).await;
        sim.node("app").kill();
        drop(held);
        sleep(ms(1)).await;
        assert_eq!(mine.try_read(&mut [0])?, 0);
        Ok(())
    });
}

#[test]
fn sockets_of_a_dead_process_are_gone() {
    simulate(|sim| async move {
        let made = on(sim, "app", async {
            let listener = UnixListener::bind("/run/s")?;
            let stream = UnixStream::connect("/run/s").await?;
            let (left, _right) = UnixDatagram::pair()?;
            std::io::Result::Ok((listener, stream, left))
        });
        let (listener, mut stream, datagrams) = made.await.unwrap()?;
        sim.node("app").kill();
        assert_eq!(listener.accept().await.unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert_eq!(stream.read(&mut [0]).await.unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert_eq!(datagrams.send(b"x").await.unwrap_err().raw_os_error(), Some(libc::EBADF));
        assert_eq!(sim.network_census().unix, 0);
        Ok(())
    });
}

#[test]
fn delivery_takes_no_time_and_no_packets() {
    simulate(|sim| async move {
        let (mut left, mut right) = UnixStream::pair()?;
        let before = sim.elapsed();
        let echo = sim_core::spawn(async move {
            let mut word = [0; 4];
            while right.read_exact(&mut word).await.is_ok() {
                right.write_all(&word).await.unwrap();
            }
        });
        for _ in 0..1000 {
            left.write_all(b"ping").await?;
            left.read_exact(&mut [0; 4]).await?;
        }
        assert_eq!(sim.elapsed(), before);
        drop(left);
        echo.await.unwrap();
        assert_eq!(sim.network_census().unix, 0);
        Ok(())
    });
}

#[test]
fn a_writer_waits_until_three_quarters_are_read() {
    simulate(|_| async {
        let (mut left, mut right) = UnixStream::pair()?;
        while left.try_write(&[0; 1000]).is_ok() {}
        // 93 writes fit, as on Linux.
        right.read_exact(&mut vec![0; 69_000]).await?;
        assert!(timeout(ms(1), left.writable()).await.is_err());
        right.read_exact(&mut vec![0; 1_000]).await?;
        left.writable().await?;
        left.write_all(b"x").await
    });
}

#[test]
fn readiness_sets_watch_unix_sockets() {
    simulate(|sim| async move {
        let listener = UnixListener::bind("/run/s")?;
        let receiver = UnixDatagram::bind("/run/d")?;
        let (mut left, right) = UnixStream::pair()?;
        let set = ReadinessSet::new()?;
        set.register(&listener, 1, Interest::READABLE, Mode::Level)?;
        set.register(&right, 2, Interest::READABLE, Mode::Edge)?;
        set.register(&receiver, 3, Interest::READABLE, Mode::Oneshot)?;
        let mut events = Vec::new();
        assert_eq!(set.poll_now(&mut events, 8)?, 0);
        sim.after(ms(1), || {
            sim_core::spawn(async { UnixDatagram::unbound()?.send_to(b"x", "/run/d").await });
        });
        set.wait(&mut events, 8).await?;
        assert_eq!((events.len(), events[0].token), (1, 3));
        left.write_all(b"x").await?;
        let client = UnixStream::connect("/run/s").await?;
        set.wait(&mut events, 8).await?;
        let mut tokens: Vec<_> = events.iter().map(|e| e.token).collect();
        tokens.sort_unstable();
        assert_eq!(tokens, [1, 2]);
        drop(left);
        listener.accept().await?;
        set.wait(&mut events, 8).await?;
        assert_eq!(events[0].token, 2);
        assert!(events[0].ready.is_read_closed() && events[0].ready.is_write_closed());
        drop((client, right, receiver, listener));
        assert_eq!(set.poll_now(&mut events, 8)?, 0, "closed sockets leave by themselves");
        Ok(())
    });
}

#[test]
fn a_set_tells_a_connected_sender_of_room() {
    simulate(|_| async {
        let receiver = UnixDatagram::bind("/run/d")?;
        let (filler, sender) = (UnixDatagram::unbound()?, UnixDatagram::unbound()?);
        sender.connect("/run/d")?;
        let mut fits = 0;
        while filler.try_send_to(b"x", "/run/d").is_ok() {
            fits += 1;
        }
        assert_eq!(fits, 11, "net.unix.max_dgram_qlen, and one");
        let set = ReadinessSet::new()?;
        set.register(&sender, 1, Interest::WRITABLE, Mode::Edge)?;
        let mut events = Vec::new();
        assert_eq!(set.poll_now(&mut events, 8)?, 0);
        let waiting = sim_core::spawn(async move {
            filler.send_to(b"y", "/run/d").await?;
            std::io::Result::Ok(filler)
        });
        sleep(ms(1)).await;
        receiver.recv(&mut [0]).await?;
        assert_eq!(set.wait(&mut events, 8).await?, 1);
        waiting.await.unwrap()?;
        // A receiver that closes frees those who wait for it.
        let stuck = sim_core::spawn(async move { sender.send(b"z").await });
        sleep(ms(1)).await;
        drop(receiver);
        assert_eq!(kind(stuck.await.unwrap()), ConnectionRefused);
        Ok(())
    });
}

#[test]
fn a_receiver_that_closes_frees_all_who_wait() {
    simulate(|_| async {
        let receiver = UnixDatagram::bind("/run/d")?;
        let filler = UnixDatagram::unbound()?;
        while filler.try_send_to(b"x", "/run/d").is_ok() {}
        let waiting: Vec<_> = (0..3)
            .map(|_| sim_core::spawn(async { UnixDatagram::unbound()?.send_to(b"y", "/run/d").await }))
            .collect();
        sleep(ms(1)).await;
        assert!(waiting.iter().all(|sender| !sender.is_finished()), "the queue is full");
        drop(receiver);
        for sender in waiting {
            let sent = timeout(ms(1), sender).await.expect("it is woken");
            assert_eq!(kind(sent.unwrap()), ConnectionRefused);
        }
        // Of a pair, a sender waits for the memory that its own datagrams take in the other's queue.
        let (left, right) = UnixDatagram::pair()?;
        while left.try_send(&[0; 1000]).is_ok() {}
        let sender = sim_core::spawn(async move { left.send(&[0; 1000]).await });
        sleep(ms(1)).await;
        assert!(!sender.is_finished());
        drop(right);
        let sent = timeout(ms(1), sender).await.expect("it is woken");
        assert_eq!(kind(sent.unwrap()), ConnectionRefused);
        Ok(())
    });
}

#[test]
fn users_of_peers_are_refused_by_name() {
    simulate(|_| async {
        let (left, _right) = UnixStream::pair()?;
        let error = left.peer_cred().unwrap_err();
        assert_eq!(error.kind(), Unsupported);
        assert!(error.to_string().contains("UnixStream::peer_cred"));
        Ok(())
    });
}

#[test]
fn waits_in_vain_and_sockets_that_come_and_go_leave_nothing() {
    simulate(|sim| async move {
        let listener = UnixListener::bind("/run/s")?;
        for _ in 0..200 {
            let mut client = UnixStream::connect("/run/s").await?;
            let (mut server, _) = listener.accept().await?;
            assert!(timeout(ms(1), server.read(&mut [0])).await.is_err());
            client.write_all(b"x").await?;
            let plain = UnixSocket::new_stream()?;
            plain.bind("\0plain")?;
        }
        drop(listener);
        assert_eq!(sim.network_census().unix, 0);
        Ok(())
    });
}
