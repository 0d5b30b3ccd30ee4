//! Nothing that programs or operators do can panic the simulator or leave something behind: random sequences of calls
//! on sockets and of the lives of nodes.

use crate::{ms, secs};
use proptest::prelude::*;
use sim_core::time::{sleep, timeout};
use sim_core::{Config, Sim, run};
use sim_net::readiness::{Mode, ReadinessSet};
use sim_net::{Clog, Interest, NetExt, Partition, TcpListener, TcpSocket, TcpStream, UdpSocket};

const NODES: [&str; 3] = ["a", "b", "c"];

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
    Set(usize, usize, u8),
    Wait(usize),
    Kill(usize),
    PowerCut(usize),
    Freeze(usize),
    Pause(usize),
    Resume(usize),
    Partition(usize, usize, bool),
    Clog(usize, usize),
    Heal,
    Unblock(usize),
    Loss(usize, usize, u32),
    Bandwidth(usize, usize),
    Sleep(u64),
}

fn step() -> impl Strategy<Value = Step> {
    use Step::*;
    let (n, i) = (0..NODES.len(), 0..8usize);
    let port = || prop_oneof![Just(0u16), Just(80), Just(81)];
    let size = || prop_oneof![Just(0usize), Just(1), 2..5_000usize, Just(300_000)];
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
        2 => (i.clone(), i.clone(), 0..6u8).prop_map(|(s, i, how)| Set(s, i, how)),
        2 => i.clone().prop_map(Wait),
        1 => n.clone().prop_map(Kill),
        1 => n.clone().prop_map(PowerCut),
        1 => n.clone().prop_map(Freeze),
        1 => n.clone().prop_map(Pause),
        2 => n.clone().prop_map(Resume),
        2 => (n.clone(), n.clone(), any::<bool>()).prop_map(|(a, b, one)| Partition(a, b, one)),
        2 => (n.clone(), n.clone()).prop_map(|(a, b)| Clog(a, b)),
        1 => Just(Heal),
        2 => i.clone().prop_map(Unblock),
        1 => (n.clone(), n.clone(), 0..=1_000_000u32).prop_map(|(a, b, l)| Loss(a, b, l)),
        1 => (n.clone(), n).prop_map(|(a, b)| Bandwidth(a, b)),
        5 => prop_oneof![0..20u64, 100..5_000u64, Just(1_000_000)].prop_map(Sleep),
    ]
}

#[derive(Default)]
struct State {
    streams: Vec<TcpStream>,
    listeners: Vec<TcpListener>,
    udp: Vec<UdpSocket>,
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
            Set(set, i, how) => {
                if self.sets.len() < 3 {
                    self.sets.extend(ReadinessSet::new());
                }
                let (streams, listeners, udp) = (&mut self.streams, &mut self.listeners, &mut self.udp);
                let Some(set) = pick(&mut self.sets, set) else { return };
                let mode = [Mode::Level, Mode::Edge, Mode::Oneshot][i % 3];
                let interest = Interest::READABLE | Interest::WRITABLE;
                match how {
                    0 => drop(pick(streams, i).map(|s| set.register(s, 1, interest, mode))),
                    1 => drop(pick(streams, i).map(|s| set.modify(s, 2, Interest::READABLE, mode))),
                    2 => drop(pick(streams, i).map(|s| set.deregister(s))),
                    3 => drop(pick(listeners, i).map(|l| set.register(l, 3, interest, mode))),
                    4 => drop(pick(udp, i).map(|u| set.register(u, 4, interest, mode))),
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
            Resume(n) => {
                sim.node(NODES[n]).resume();
                sim.node(NODES[n]).start();
            }
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
            Bandwidth(a, b) if a != b => {
                sim.link(NODES[a], NODES[b]).bandwidth(sim_net::Bandwidth::mbit(1)).queue(3_000);
            }
            Sleep(millis) => sleep(ms(millis)).await,
            Clog(..) | Loss(..) | Bandwidth(..) => {}
        }
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
        // Orphans may still drain, handshakes be retried; both end on their own.
        sleep(secs(3600)).await;
        sim.network_census()
    });
    let census = outcome.result.unwrap_or_else(|f| panic!("{f:?}"));
    let left = (census.streams, census.listeners, census.sockets, census.udp, census.datagrams, census.sets);
    assert_eq!(left, (0, 0, 0, 0, 0, 0));
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 10_000, failure_persistence: None, ..ProptestConfig::default() })]
    #[test]
    fn no_sequence_of_calls_panics_or_leaks(seed in any::<u64>(), steps in proptest::collection::vec(step(), 1..30)) {
        check(seed, steps);
    }
}
