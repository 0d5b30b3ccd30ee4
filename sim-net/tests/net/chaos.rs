//! Nothing that programs or operators do can panic the simulator or leave something behind: random sequences of calls
//! on sockets and of the lives of nodes.

use crate::{ms, secs};
use futures::FutureExt;
use proptest::prelude::*;
use sim_core::time::{sleep, timeout};
use sim_core::{Config, Sim, run};
use sim_net::readiness::{Mode, ReadinessSet};
use sim_net::{
    Bandwidth, Clog, DnsFault, Interest, Latency, Link, NetExt, Partition, TcpListener, TcpSocket, TcpStream,
    UdpSocket, UnixDatagram, UnixListener, UnixSocket, UnixStream, lookup_host, unix,
};
use std::cell::Cell;

const NODES: [&str; 3] = ["a", "b", "c"];
/// Where Unix sockets are bound.
const NAMES: [&str; 3] = ["/run/a", "/run/./b", "\0abstract"];

#[derive(Clone, Debug)]
enum Step {
    Bind(usize, u16),
    Connect(usize, usize, u16),
    Accept(usize),
    Write(usize, usize),
    Read(usize, usize),
    Peek(usize),
    Shut(usize),
    Split(usize),
    Close(usize),
    CloseListener(usize),
    Linger(usize),
    Keepalive(usize),
    Socket(usize, bool, u32),
    Udp(usize, u16),
    Send(usize, usize, u16, usize),
    Receive(usize),
    CloseUdp(usize),
    UnixBind(usize, usize, u32),
    UnixConnect(usize, usize),
    UnixAccept(usize),
    UnixPair(usize),
    UnixWrite(usize, usize),
    UnixRead(usize, usize),
    UnixShut(usize),
    UnixSplit(usize),
    CloseUnix(usize),
    CloseUnixListener(usize),
    Unlink(usize, usize),
    UnixDatagrams(usize, usize),
    UnixDatagramConnect(usize, usize),
    UnixSend(usize, usize, usize),
    UnixReceive(usize),
    CloseUnixDatagrams(usize),
    LookUp(usize, usize),
    Dns(usize, usize, u8),
    Set(usize, usize, u8),
    Wait(usize),
    Kill(usize),
    PowerCut(usize),
    Freeze(usize),
    Pause(usize),
    Resume(usize),
    Start(usize),
    Stop(usize),
    Restart(usize),
    Run(usize),
    Doom(usize),
    Partition(usize, usize, bool),
    Clog(usize, usize),
    Heal,
    Unblock(usize),
    Loss(usize, usize, u32),
    Change(usize, usize, u8, u32),
    Sleep(u64),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let (n, i) = (0..NODES.len(), 0..8usize);
    let port = || prop_oneof![Just(0u16), Just(80), Just(81)];
    let size = || prop_oneof![Just(0usize), Just(1), 2..5_000usize, Just(250_000)];
    prop_oneof![
        4 => (n.clone(), port()).prop_map(|(n, p)| Bind(n, p)),
        6 => (n.clone(), n.clone(), port()).prop_map(|(a, b, p)| Connect(a, b, p)),
        6 => i.clone().prop_map(Accept),
        8 => (i.clone(), size()).prop_map(|(i, s)| Write(i, s)),
        8 => (i.clone(), size()).prop_map(|(i, s)| Read(i, s)),
        1 => i.clone().prop_map(Peek),
        2 => i.clone().prop_map(Shut),
        2 => i.clone().prop_map(Split),
        3 => i.clone().prop_map(Close),
        1 => i.clone().prop_map(CloseListener),
        1 => i.clone().prop_map(Linger),
        1 => i.clone().prop_map(Keepalive),
        1 => (n.clone(), any::<bool>(), 0..3u32).prop_map(|(n, v6, b)| Socket(n, v6, b)),
        2 => (n.clone(), port()).prop_map(|(n, p)| Udp(n, p)),
        2 => (i.clone(), n.clone(), port(), size()).prop_map(|(i, n, p, s)| Send(i, n, p, s)),
        2 => i.clone().prop_map(Receive),
        1 => i.clone().prop_map(CloseUdp),
        3 => (n.clone(), 0..NAMES.len(), 0..3u32).prop_map(|(n, p, b)| UnixBind(n, p, b)),
        4 => (n.clone(), 0..NAMES.len()).prop_map(|(n, p)| UnixConnect(n, p)),
        3 => i.clone().prop_map(UnixAccept),
        2 => n.clone().prop_map(UnixPair),
        4 => (i.clone(), size()).prop_map(|(i, s)| UnixWrite(i, s)),
        4 => (i.clone(), size()).prop_map(|(i, s)| UnixRead(i, s)),
        1 => i.clone().prop_map(UnixShut),
        1 => i.clone().prop_map(UnixSplit),
        2 => i.clone().prop_map(CloseUnix),
        1 => i.clone().prop_map(CloseUnixListener),
        1 => (n.clone(), 0..NAMES.len()).prop_map(|(n, p)| Unlink(n, p)),
        3 => (n.clone(), 0..=NAMES.len()).prop_map(|(n, p)| UnixDatagrams(n, p)),
        2 => (i.clone(), 0..NAMES.len()).prop_map(|(i, p)| UnixDatagramConnect(i, p)),
        4 => (i.clone(), 0..=NAMES.len(), size()).prop_map(|(i, p, s)| UnixSend(i, p, s)),
        3 => i.clone().prop_map(UnixReceive),
        1 => i.clone().prop_map(CloseUnixDatagrams),
        2 => (n.clone(), i.clone()).prop_map(|(n, i)| LookUp(n, i)),
        2 => (n.clone(), n.clone(), 0..9u8).prop_map(|(a, b, how)| Dns(a, b, how)),
        4 => (i.clone(), i.clone(), 0..9u8).prop_map(|(s, i, how)| Set(s, i, how)),
        2 => i.clone().prop_map(Wait),
        1 => n.clone().prop_map(Kill),
        1 => n.clone().prop_map(PowerCut),
        1 => n.clone().prop_map(Freeze),
        1 => n.clone().prop_map(Pause),
        2 => n.clone().prop_map(Resume),
        1 => n.clone().prop_map(Start),
        1 => n.clone().prop_map(Stop),
        1 => n.clone().prop_map(Restart),
        2 => n.clone().prop_map(Run),
        2 => n.clone().prop_map(Doom),
        2 => (n.clone(), n.clone(), any::<bool>()).prop_map(|(a, b, one)| Partition(a, b, one)),
        2 => (n.clone(), n.clone()).prop_map(|(a, b)| Clog(a, b)),
        1 => Just(Heal),
        2 => i.clone().prop_map(Unblock),
        1 => (n.clone(), n.clone(), 0..=1_000_000u32).prop_map(|(a, b, l)| Loss(a, b, l)),
        4 => (n.clone(), n, 0..9u8, 0..=1_000_000u32).prop_map(|(a, b, how, x)| Change(a, b, how, x)),
        5 => prop_oneof![0..20u64, 100..5_000u64, Just(1_000_000)].prop_map(Sleep),
    ]
}

/// A program: it answers on ports 80 and 81, and calls the next node once. Half of them clean up when they are asked to
/// stop.
async fn program(n: usize) {
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
    static BEYOND: Cell<bool> = const { Cell::new(false) };
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
async fn doomed(sim: Sim, node: usize) {
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

#[derive(Default)]
struct State {
    streams: Vec<TcpStream>,
    listeners: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
    unix_streams: Vec<UnixStream>,
    unix_listeners: Vec<UnixListener>,
    unix_datagrams: Vec<UnixDatagram>,
    dns: Vec<DnsFault>,
    sets: Vec<ReadinessSet>,
    barriers: Vec<Result<Partition, Clog>>,
}

fn pick<T>(all: &mut [T], i: usize) -> Option<&mut T> {
    let n = all.len();
    if n == 0 { None } else { all.get_mut(i % n) }
}

fn take<T>(all: &mut Vec<T>, i: usize) -> Option<T> {
    if all.is_empty() { None } else { Some(all.swap_remove(i % all.len())) }
}

/// Whatever a call says is fine, if it says something or can be given up.
async fn brief<F: Future>(future: F) -> Option<F::Output> {
    timeout(ms(30), future).await.ok()
}

/// The same on a node, whose death gives it up.
async fn on<F: Future<Output: 'static> + 'static>(sim: Sim, node: usize, future: F) -> Option<F::Output> {
    let task = sim.node(NODES[node]).spawn(future);
    let abort = task.abort_handle();
    let result = brief(task).await;
    abort.abort();
    result?.ok()
}

impl State {
    async fn apply(&mut self, sim: Sim, step: Step) {
        use Step::*;
        match step {
            Bind(n, port) => {
                let bound = on(sim, n, TcpListener::bind(("0.0.0.0", port))).await;
                self.listeners.extend(bound.and_then(Result::ok));
            }
            Connect(a, b, port) => {
                let known = self.listeners.first().and_then(|l| l.local_addr().ok()).map(|l| l.port());
                let port = if port == 0 { known.unwrap_or(0) } else { port };
                let connected = on(sim, a, TcpStream::connect((NODES[b], port))).await;
                self.streams.extend(connected.and_then(Result::ok));
            }
            Accept(i) => {
                if let Some(l) = pick(&mut self.listeners, i) {
                    self.streams.extend(brief(l.accept()).await.and_then(Result::ok).map(|a| a.0));
                }
            }
            Write(i, n) => {
                if let Some(s) = pick(&mut self.streams, i) {
                    let _ = brief(s.write_all(&vec![7; n])).await;
                }
            }
            Read(i, n) => {
                if let Some(s) = pick(&mut self.streams, i) {
                    let _ = brief(s.read(&mut vec![0; n])).await;
                }
            }
            Peek(i) => {
                if let Some(s) = pick(&mut self.streams, i) {
                    let _ = brief(s.peek(&mut [0; 10])).await;
                    let _ = (
                        s.peer_addr(),
                        s.local_addr(),
                        s.take_error(),
                        s.try_read(&mut [0; 4]),
                        s.try_write(b"y"),
                    );
                }
            }
            Shut(i) => {
                if let Some(s) = pick(&mut self.streams, i) {
                    let _ = s.shutdown().await;
                }
            }
            Split(i) => {
                if let Some(s) = take(&mut self.streams, i) {
                    let (mut read, mut write) = s.into_split();
                    let _ = brief(write.write(b"x")).await;
                    let _ = brief(read.read(&mut [0; 4])).await;
                    if i % 2 == 0 {
                        self.streams.push(read.reunite(write).unwrap());
                    }
                }
            }
            Close(i) => drop(take(&mut self.streams, i)),
            CloseListener(i) => drop(take(&mut self.listeners, i)),
            Linger(i) => drop(pick(&mut self.streams, i).map(|s| s.set_zero_linger())),
            Keepalive(i) => {
                if let Some(s) = pick(&mut self.streams, i) {
                    let _ = s.set_keepalive((i % 3 > 0).then_some((secs(5), secs(1), 2)));
                }
            }
            Socket(n, v6, backlog) => {
                let made = on(sim, n, async move {
                    let socket = if v6 { TcpSocket::new_v6()? } else { TcpSocket::new_v4()? };
                    socket.set_reuseaddr(backlog > 0)?;
                    socket.set_recv_buffer_size(backlog * 1000)?;
                    let any = if v6 { "[::]:80" } else { "0.0.0.0:80" };
                    socket.bind(any.parse().unwrap())?;
                    socket.listen(backlog)
                });
                self.listeners.extend(made.await.and_then(Result::ok));
            }
            Udp(n, port) => {
                let bound = on(sim, n, UdpSocket::bind(("0.0.0.0", port))).await;
                self.udp.extend(bound.and_then(Result::ok));
            }
            Send(i, n, port, size) => {
                let target = (sim.node(NODES[n]).address(), port);
                if let Some(u) = pick(&mut self.udp, i) {
                    if size == 0 {
                        let _ = u.connect(target).await;
                    }
                    let _ = u.send_to(&vec![0; size], target).await;
                }
            }
            Receive(i) => {
                if let Some(u) = pick(&mut self.udp, i) {
                    let _ = brief(u.recv_from(&mut [0; 64])).await;
                }
            }
            CloseUdp(i) => drop(take(&mut self.udp, i)),
            UnixBind(n, name, backlog) => {
                let made = on(sim, n, async move {
                    if backlog > 1 {
                        return UnixListener::bind(NAMES[name]);
                    }
                    let socket = UnixSocket::new_stream()?;
                    socket.bind(NAMES[name])?;
                    socket.listen(backlog)
                });
                self.unix_listeners.extend(made.await.and_then(Result::ok));
            }
            UnixConnect(n, name) => {
                let connected = on(sim, n, UnixStream::connect(NAMES[name])).await;
                self.unix_streams.extend(connected.and_then(Result::ok));
            }
            UnixAccept(i) => {
                if let Some(l) = pick(&mut self.unix_listeners, i) {
                    self.unix_streams.extend(brief(l.accept()).await.and_then(Result::ok).map(|a| a.0));
                }
            }
            UnixPair(n) => {
                let pairs = on(sim, n, async { (UnixStream::pair(), UnixDatagram::pair()) }).await;
                if let Some((Ok(streams), Ok(datagrams))) = pairs {
                    self.unix_streams.extend([streams.0, streams.1]);
                    self.unix_datagrams.extend([datagrams.0, datagrams.1]);
                }
            }
            UnixWrite(i, n) => {
                if let Some(s) = pick(&mut self.unix_streams, i) {
                    let _ = brief(s.write_all(&vec![7; n])).await;
                }
            }
            UnixRead(i, n) => {
                if let Some(s) = pick(&mut self.unix_streams, i) {
                    let _ = brief(s.read(&mut vec![0; n])).await;
                    let _ = (s.peer_addr(), s.local_addr(), s.take_error(), s.peer_cred());
                }
            }
            UnixShut(i) => {
                if let Some(s) = pick(&mut self.unix_streams, i) {
                    let _ = s.shutdown().await;
                }
                if let Some(d) = pick(&mut self.unix_datagrams, i) {
                    let how = [std::net::Shutdown::Read, std::net::Shutdown::Write][i % 2];
                    let _ = d.shutdown(how);
                }
            }
            UnixSplit(i) => {
                if let Some(s) = take(&mut self.unix_streams, i) {
                    let (mut read, mut write) = s.into_split();
                    let _ = brief(write.write(b"x")).await;
                    let _ = brief(read.read(&mut [0; 4])).await;
                    if i % 2 == 0 {
                        self.unix_streams.push(read.reunite(write).unwrap());
                    }
                }
            }
            CloseUnix(i) => drop(take(&mut self.unix_streams, i)),
            CloseUnixListener(i) => drop(take(&mut self.unix_listeners, i)),
            Unlink(n, name) => drop(on(sim, n, async move { unix::unlink(NAMES[name]) }).await),
            UnixDatagrams(n, name) => {
                let made = on(sim, n, async move {
                    match NAMES.get(name) {
                        Some(name) => UnixDatagram::bind(name),
                        None => UnixDatagram::unbound(),
                    }
                });
                self.unix_datagrams.extend(made.await.and_then(Result::ok));
            }
            UnixDatagramConnect(i, name) => {
                drop(pick(&mut self.unix_datagrams, i).map(|d| d.connect(NAMES[name])));
            }
            UnixSend(i, name, size) => {
                if let Some(d) = pick(&mut self.unix_datagrams, i) {
                    let data = vec![0; size];
                    for _ in 0..=2 * i {
                        let _ = match NAMES.get(name) {
                            Some(name) => brief(d.send_to(&data, name)).await,
                            None => brief(d.send(&data)).await,
                        };
                    }
                }
            }
            UnixReceive(i) => {
                if let Some(d) = pick(&mut self.unix_datagrams, i) {
                    let _ = brief(d.recv_from(&mut [0; 64])).await;
                    let _ = (d.peer_addr(), d.local_addr(), d.take_error());
                }
            }
            CloseUnixDatagrams(i) => drop(take(&mut self.unix_datagrams, i)),
            LookUp(n, i) => {
                let name = ["a", "b", "c", "record", "localhost", "nobody", "", "10.0.0.1"][i % 8];
                let _ = on(sim, n, async move { lookup_host((name, 80)).await.map(Iterator::count) }).await;
            }
            Dns(a, b, how) => {
                let dns = sim.dns().asked_by(NODES[a]);
                let dns = if a == b { dns } else { dns.about(NODES[b]) };
                let fault = match how {
                    0 => Some(dns.slow(ms(1)..secs(20))),
                    1 => Some(dns.missing()),
                    2 => Some(dns.stale()),
                    3 => Some(dns.failing()),
                    4 => Some(dns.silent()),
                    5 => Some(dns.shuffled()),
                    6 => {
                        dns.set("record", [sim.node(NODES[a]).address(), sim.node(NODES[b]).address()]);
                        None
                    }
                    7 => {
                        dns.set(NODES[a], [sim.node(NODES[b]).address()]);
                        None
                    }
                    _ => {
                        dns.unset(NODES[a]);
                        drop(take(&mut self.dns, b));
                        None
                    }
                };
                self.dns.extend(fault);
            }
            Set(set, i, how) => {
                if self.sets.len() < 3 {
                    self.sets.extend(ReadinessSet::new());
                }
                let (streams, listeners, udp) = (&mut self.streams, &mut self.listeners, &mut self.udp);
                let (unix, datagrams) = (&mut self.unix_streams, &mut self.unix_datagrams);
                let Some(set) = pick(&mut self.sets, set) else { return };
                let mode = [Mode::Level, Mode::Edge, Mode::Oneshot][i % 3];
                let interest = Interest::READABLE | Interest::WRITABLE;
                match how {
                    0 => drop(pick(streams, i).map(|s| set.register(s, 1, interest, mode))),
                    1 => drop(pick(streams, i).map(|s| set.modify(s, 2, Interest::READABLE, mode))),
                    2 => drop(pick(streams, i).map(|s| set.deregister(s))),
                    3 => drop(pick(listeners, i).map(|l| set.register(l, 3, interest, mode))),
                    4 => drop(pick(udp, i).map(|u| set.register(u, 4, interest, mode))),
                    5 => drop(pick(unix, i).map(|s| set.register(s, 5, interest, mode))),
                    6 => drop(pick(datagrams, i).map(|d| set.register(d, 6, interest, mode))),
                    7 => {
                        let listener = pick(&mut self.unix_listeners, i);
                        drop(listener.map(|l| set.register(l, 7, interest, mode)));
                    }
                    _ => drop(take(&mut self.sets, i)),
                }
            }
            Wait(i) => {
                if let Some(set) = pick(&mut self.sets, i) {
                    let _ = brief(set.wait(&mut Vec::new(), 1 + i)).await;
                }
            }
            Kill(n) => sim.node(NODES[n]).kill(),
            PowerCut(n) => sim.node(NODES[n]).power_cut(),
            Freeze(n) => sim.node(NODES[n]).freeze(),
            Pause(n) => sim.node(NODES[n]).pause(),
            Resume(n) => sim.node(NODES[n]).resume(),
            Start(n) => sim.node(NODES[n]).start(),
            Stop(n) => sim.node(NODES[n]).stop_within(ms(50)).await,
            Restart(n) => sim.node(NODES[n]).restart(),
            Run(n) => drop(sim.node(NODES[n]).run(move || program(n))),
            Doom(n) => drop(sim.node(NODES[n]).spawn(doomed(sim, n))),
            Partition(a, b, one_way) => {
                let cut = if a == b { sim.isolate(NODES[a]) } else { sim.partition(NODES[a], NODES[b]) };
                self.barriers.push(Ok(if one_way { cut.one_way() } else { cut }));
            }
            Clog(a, b) if a != b => {
                let clog = sim.clog(NODES[a], NODES[b]);
                self.barriers.push(Err(if a < b { clog.both() } else { clog }));
            }
            Heal => sim.heal(),
            Unblock(i) => drop(take(&mut self.barriers, i)),
            Loss(a, b, ppm) if a != b => {
                sim.link(NODES[a], NODES[b]).loss(f64::from(ppm) / 1e6);
            }
            Change(a, b, how, x) => {
                let link = if a == b { sim.default_link() } else { sim.link(NODES[a], NODES[b]) };
                change(link, how, x);
            }
            Sleep(millis) => sleep(ms(millis)).await,
            Clog(..) | Loss(..) => {}
        }
    }
}

/// Sets one parameter of a link.
fn change(link: Link, how: u8, x: u32) {
    let share = f64::from(x) / 1e6;
    let link = match how {
        0 => link.latency(ms(0)),
        1 => link.latency(ms(1)..ms(200)),
        2 => link.latency(Latency::bimodal(ms(1)..ms(2), ms(50)..ms(500), share)),
        3 => link.bandwidth(Bandwidth::mbit(1)).queue(3_000),
        4 => link.unlimited(),
        5 => link.duplication(share),
        6 => link.reordering(share, ms(100)),
        7 => link.corruption(share).undetected(share),
        _ => link.mtu(576 + x % 9_000),
    };
    if x.is_multiple_of(2) {
        link.both();
    }
}

/// Runs the steps, lets go of everything, heals, and looks at what is left.
fn check(seed: u64, steps: Vec<Step>) {
    let outcome = run(Config::seed(seed), move |sim| async move {
        for node in NODES {
            sim.node(node);
        }
        let mut state = State::default();
        for step in steps {
            state.apply(sim, step).await;
        }
        drop(state);
        sim.heal();
        for node in NODES {
            sim.node(node).resume();
            sim.node(node).start();
        }
        sleep(secs(60)).await;
        for node in NODES {
            sim.node(node).kill();
        }
        // Orphans may still drain, handshakes be retried; both end on their own.
        sleep(secs(3600)).await;
        sim.network_census()
    });
    let census = outcome.result.unwrap_or_else(|f| panic!("{f:?}"));
    assert!(!BEYOND.take(), "a dead process made a socket");
    let left = (census.streams, census.listeners, census.sockets, census.udp, census.datagrams);
    assert_eq!((left, census.unix, census.sets, census.held), ((0, 0, 0, 0, 0), 0, 0, 0));
}

/// 20,000 sequences, shared out among tests that run at the same time.
macro_rules! no_sequence_of_calls_panics_or_leaks {
    ($($part:ident)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $part(seed in any::<u64>(), steps in proptest::collection::vec(step(), 1..24)) {
                    check(seed, steps);
                }
            )*
        }
    };
}

no_sequence_of_calls_panics_or_leaks! {
    no_sequence_of_calls_panics_or_leaks_1
    no_sequence_of_calls_panics_or_leaks_2
    no_sequence_of_calls_panics_or_leaks_3
    no_sequence_of_calls_panics_or_leaks_4
}
