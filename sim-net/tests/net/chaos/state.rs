//! What there is at a moment of a sequence, and what a step does to it.

use super::programs::{doomed, program};
use super::step::Step;
use super::{NAMES, NODES};
use crate::{ms, secs};
use sim_core::Sim;
use sim_core::time::{sleep, timeout};
use sim_net::readiness::{Mode, ReadinessSet};
use sim_net::{
    Bandwidth, Clog, DnsFault, Interest, Latency, Link, NetExt, Partition, TcpListener, TcpSocket, TcpStream,
    UdpSocket, UnixDatagram, UnixListener, UnixSocket, UnixStream, lookup_host, unix,
};
use std::net::{Ipv4Addr, Ipv6Addr};

#[derive(Default)]
pub struct State {
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
    pub async fn apply(&mut self, sim: Sim, step: Step) {
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
            Join(u, how) => {
                if let Some(u) = pick(&mut self.udp, u) {
                    let (v4, any) = (Ipv4Addr::new(239, 1, 1, how as u8 % 2), Ipv4Addr::UNSPECIFIED);
                    let _ = match how {
                        0..3 => u.join_multicast_v4(v4, any),
                        3 | 4 => u.leave_multicast_v4(v4, any),
                        5 => u.join_multicast_v6(&Ipv6Addr::new(0xff02, 0, 0, 0, 0, 0, 0, 1), 0),
                        6 => u.set_broadcast(true),
                        _ => u.set_dont_fragment(true),
                    };
                }
            }
            Cast(u, to, size) => {
                let to = ["255.255.255.255:81", "239.1.1.1:80", "[ff02::1]:81"][to];
                if let Some(u) = pick(&mut self.udp, u) {
                    let _ = u.send_to(&vec![0; size], to).await;
                }
            }
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
            Shape(n, how) => match how {
                0 => drop(sim.node(NODES[n]).spawn(sim.swizzle_clog(NODES, ms(1)..ms(500)))),
                1 => self.barriers.push(Err(sim.clog_node(NODES[n]))),
                2 => self.barriers.push(Ok(sim.halves(NODES))),
                3 => self.barriers.push(Ok(sim.bridge(NODES[(n + 1) % 3], NODES[n], NODES[(n + 2) % 3]))),
                _ => {
                    sim.zone("here", NODES[n]);
                    sim.zone("there", NODES[(n + 1) % 3]);
                    sim.latency_matrix(["here", "there"], &[[ms(1), ms(40)], [ms(50), ms(2)]]);
                }
            },
            Heal => drop(sim.heal()),
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
