//! Programs that nodes run while all of it happens, and one whose destructor does what it pleases.

use super::NODES;
use futures::FutureExt;
use sim_core::Sim;
use sim_net::readiness::{Mode, ReadinessSet};
use sim_net::{Interest, TcpListener, TcpSocket, TcpStream, UdpSocket};
use std::cell::Cell;

/// A program: it answers on ports 80 and 81, and calls the next node once. Half of them clean up when they are asked to
/// stop.
pub async fn program(n: usize) {
    sim_core::spawn(async move {
        let mut next = TcpStream::connect((NODES[(n + 1) % NODES.len()], 80)).await?;
        next.write_all(&[1; 3_000]).await?;
        next.read_to_end(&mut Vec::new()).await
    });
    let serving = async {
        let listener = TcpListener::bind(("0.0.0.0", 80)).await?;
        let datagrams = UdpSocket::bind(("0.0.0.0", 81)).await?;
        sim_core::spawn(async move {
            let mut word = [0; 64];
            while let Ok((n, from)) = datagrams.recv_from(&mut word).await {
                // Two that answer each other would never end.
                if from.port() != 81 {
                    let _ = datagrams.send_to(&word[..n], from).await;
                }
            }
        });
        loop {
            let (mut stream, _) = listener.accept().await?;
            sim_core::spawn(async move {
                let mut word = [0; 64];
                while let Ok(n @ 1..) = stream.read(&mut word).await {
                    stream.write_all(&word[..n]).await?;
                }
                std::io::Result::Ok(())
            });
        }
    };
    let serving = Box::pin(serving);
    if n.is_multiple_of(2) {
        let _: std::io::Result<()> = serving.await;
    } else {
        futures::future::select(serving, Box::pin(sim_core::signal::stopped())).await;
        if let Ok(mut stream) = TcpStream::connect((NODES[0], 80)).await {
            let _ = stream.write_all(b"stopped").await;
        }
    }
}

thread_local! {
    /// A dead process made a socket.
    pub static BEYOND: Cell<bool> = const { Cell::new(false) };
}

/// What a task holds whose destructor does what it pleases: it is still a program's code, whose process may be dead.
struct Doomed {
    sim: Sim,
    node: usize,
    stream: Option<TcpStream>,
    listener: Option<TcpListener>,
    udp: Option<UdpSocket>,
    set: Option<ReadinessSet>,
}

impl Drop for Doomed {
    fn drop(&mut self) {
        let target = (self.sim.node(NODES[self.node]).address(), 80);
        if let (Some(stream), Some(set)) = (&mut self.stream, &self.set) {
            let _ = (stream.try_write(b"x"), stream.try_read(&mut [0; 9]), stream.set_zero_linger());
            let _ = set.register(stream, 1, Interest::READABLE, Mode::Level);
            let _ = set.poll_now(&mut Vec::new(), 4);
        }
        if let Some(listener) = &self.listener {
            drop((listener.try_accept(), listener.local_addr()));
        }
        if let Some(udp) = self.udp.take() {
            let _ = udp.try_recv(&mut [0; 9]);
            sim_core::spawn(async move { udp.send_to(b"from beyond", target).await });
        }
        // Only the death of its process drops it, so nothing can be made any more.
        let made = ReadinessSet::new().is_ok()
            || TcpSocket::new_v4().is_ok()
            || matches!(UdpSocket::bind("0.0.0.0:0").now_or_never(), Some(Ok(_)))
            || matches!(TcpStream::connect(target).now_or_never(), None | Some(Ok(_)));
        BEYOND.set(BEYOND.get() || made);
        sim_core::spawn(TcpListener::bind("0.0.0.0:0"));
        self.sim.node(NODES[(self.node + 1) % NODES.len()]).spawn(TcpStream::connect(target));
        self.sim.node(NODES[self.node]).start();
    }
}

/// A task that fills a [`Doomed`] as far as it comes, and waits to be dropped.
pub async fn doomed(sim: Sim, node: usize) {
    let mut all =
        Doomed { sim, node, stream: None, listener: None, udp: None, set: ReadinessSet::new().ok() };
    all.listener = TcpListener::bind("0.0.0.0:81").await.ok();
    all.udp = UdpSocket::bind("0.0.0.0:0").await.ok();
    all.stream = TcpStream::connect((NODES[(node + 1) % NODES.len()], 80)).await.ok();
    if let Some(stream) = &mut all.stream {
        let _ = stream.write_all(&[1; 100]).await;
    }
    std::future::pending().await
}
