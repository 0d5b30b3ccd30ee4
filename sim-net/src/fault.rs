//! The families of faults that the network offers to the nemesis.
//!
//! Their ranges at full intensity; at a lower one the amount is at most that share of the range. Links to the harness are
//! never touched.
//!
//! | family | lasts | amount | source |
//! | --- | --- | --- | --- |
//! | `partition` | 200 ms – 15 s | two halves, one way, one node, a ring of majorities, a bridge | Jepsen's grudges; Bailis and Kingsbury, *The Network is Reliable* (2014): most are of seconds to minutes, often one-way |
//! | `latency` | 200 ms – 10 s | 20 ms – 1 s | Jepsen's `slow` is 50 ms; queues of a full router (bufferbloat) reach a second |
//! | `loss` | 200 ms – 10 s | 1 – 60 % | Jepsen's `flaky` drops 20 %; above that TCP hardly moves |
//! | `duplication` | 500 ms – 10 s | 1 – 25 % | rerouting, and switches that flood; far above what is seen, to be seen at all |
//! | `reordering` | 500 ms – 10 s | 5 – 50 %, by 1 – 50 ms | Paxson, *End-to-End Internet Packet Dynamics* (1997): up to 36 % of connections |
//! | `corruption` | 500 ms – 10 s | 0.1 – 10 % | Stone and Partridge, *When the CRC and TCP Checksum Disagree* (2000): 1 of 1,100 to 32,000 packets |
//! | `clog` | 200 ms – 10 s | | FoundationDB's clogging: 30 s at most, mostly under 1 s |
//! | `swizzle-clog` | 1 – 15 s | 50 – 500 ms from node to node | FoundationDB's swizzle |
//! | `reset` | at once | every connection of two nodes | a firewall that forgets its table, a proxy that restarts |
//! | `dns` | 500 ms – 20 s | slow by 50 ms – 5 s; fails, is silent, misses, is stale | resolv.conf(5) waits 5 s twice; records live for a minute or more |

use crate::link::{Clog, Disturbance, NetExt, Parameters, Partition, Side, What, told};
use crate::network::op;
use sim_core::fault::{End, Family, Injection, Parameter, Particulars, Slot, Takes, Value, part, then};
use sim_core::{Name, Node, NodeId, Sim, decision};
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::time::Duration;

/// What the network offers.
pub(crate) const FAMILIES: &[&dyn Family] =
    &[&Partitions, &LATENCY, &LOSS, &DUPLICATION, &REORDERING, &CORRUPTION, &Clogs, &Swizzle, &Reset, &Names];

/// The names of the families of faults that the network has.
pub fn families() -> Vec<&'static str> {
    FAMILIES.iter().map(|family| family.name()).collect()
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

fn ids(nodes: &[Node]) -> Vec<NodeId> {
    let mut ids: Vec<_> = nodes.iter().map(|node| node.id()).collect();
    ids.sort_unstable();
    ids
}

fn these(nodes: &[Node]) -> Side {
    Side::These(ids(nodes))
}

fn others(nodes: &[Node], but: &[Node]) -> Vec<Node> {
    nodes.iter().copied().filter(|node| !but.contains(node)).collect()
}

/// A fault of what lies between sides.
fn between(
    sides: Vec<(Side, Side)>,
    takes: Takes,
    begin: impl FnOnce(Vec<(Side, Side)>, Name) -> End + 'static,
) -> Injection {
    let Particulars { target, nodes, parameters } = op(|_, k| told(k, &sides));
    Injection { target, nodes, parameters, takes, begin: Box::new(move |name| begin(sides, name)) }
}

struct Partitions;

impl Partitions {
    fn apart(shape: &'static str, left: &[Node], right: &[Node], one_way: bool) -> Option<Injection> {
        if left.is_empty() || right.is_empty() {
            return None;
        }
        let takes = Takes { apart: vec![(ids(left), ids(right))], ..Takes::default() };
        let injection = between(vec![(these(left), these(right))], takes, move |sides, _| {
            let cut = Partition::begin(sides, shape);
            let cut = if one_way { cut.one_way() } else { cut };
            Box::new(move || drop(cut))
        });
        Some(injection.with(Parameter::word("shape", shape)))
    }

    fn isolate(slot: &Slot<'_>) -> Option<Injection> {
        let one = slot.service().or_else(|| slot.node_of(slot.nodes()))?;
        Self::apart("isolate", &[one], &others(slot.nodes(), &[one]), false)
    }
}

impl Family for Partitions {
    fn name(&self) -> &'static str {
        "partition"
    }
    fn weight(&self) -> u32 {
        24
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(200)..=ms(15_000)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let nodes = slot.nodes();
        let shape = slot.pick(part::MANNER, 6);
        match shape {
            0 | 1 => {
                let (one, other) = slot.two_nodes()?;
                let shape = if shape == 0 { "link" } else { "one-way" };
                Self::apart(shape, &[one], &[other], shape == "one-way")
            }
            2 => Self::isolate(slot),
            3 => {
                let order = slot.shuffled(nodes.to_vec());
                let (left, right) = order.split_at(order.len() / 2);
                Self::apart("halves", left, right, false)
            }
            // Everybody of a ring reaches a majority, and a bridge both sides: with fewer nodes there are none.
            4 if nodes.len() >= 4 => {
                let names: Vec<String> = nodes.iter().map(|node| node.name()).collect();
                let nodes = ids(nodes);
                let injection = Injection {
                    target: names.join(", "),
                    nodes,
                    parameters: Vec::new(),
                    takes: Takes::default(),
                    begin: Box::new(move |_| {
                        let ring = Sim::current().majority_ring(names);
                        Box::new(move || drop(ring))
                    }),
                };
                Some(injection.with(Parameter::word("shape", "ring")))
            }
            5 if nodes.len() >= 3 => {
                let order = slot.shuffled(nodes.to_vec());
                let (_bridge, rest) = order.split_first()?;
                let (left, right) = rest.split_at(rest.len() / 2);
                Self::apart("bridge", left, right, false)
            }
            _ => Self::isolate(slot),
        }
    }
    fn weaker(&self, slot: &Slot<'_>) -> Option<Injection> {
        Self::isolate(slot)
    }
}

/// A parameter of links that gets worse.
struct Worse {
    name: &'static str,
    what: What,
    lasts: (u64, u64),
    weight: u32,
    amount: RangeInclusive<u64>,
    /// What an amount does to a link, and how it is told.
    change: fn(u64, &Slot<'_>) -> (Parameters, Parameter),
}

const LATENCY: Worse = Worse {
    name: "latency",
    what: What::Late,
    lasts: (200, 10_000),
    weight: 12,
    amount: 20..=1_000,
    change: |millis, _| {
        let latency = Some((ms(millis)..ms(2 * millis)).into());
        (Parameters { latency, ..Parameters::default() }, Parameter::time("at least", ms(millis)))
    },
};

const LOSS: Worse = Worse {
    name: "loss",
    what: What::Lost,
    lasts: (200, 10_000),
    weight: 12,
    amount: 10_000..=600_000,
    change: |ppm, _| (Parameters { loss_ppm: Some(ppm as u32), ..Parameters::default() }, share(ppm)),
};

const DUPLICATION: Worse = Worse {
    name: "duplication",
    what: What::Duplicated,
    lasts: (500, 10_000),
    weight: 6,
    amount: 10_000..=250_000,
    change: |ppm, _| (Parameters { duplication_ppm: Some(ppm as u32), ..Parameters::default() }, share(ppm)),
};

const REORDERING: Worse = Worse {
    name: "reordering",
    what: What::Reordered,
    lasts: (500, 10_000),
    weight: 6,
    amount: 50_000..=500_000,
    change: |ppm, slot| {
        let late = ms(1 + slot.pick(part::STEP, 50)).as_nanos() as u64;
        (Parameters { reordering: Some((ppm as u32, late)), ..Parameters::default() }, share(ppm))
    },
};

const CORRUPTION: Worse = Worse {
    name: "corruption",
    what: What::Corrupted,
    lasts: (500, 10_000),
    weight: 6,
    amount: 1_000..=100_000,
    change: |ppm, _| (Parameters { corruption_ppm: Some(ppm as u32), ..Parameters::default() }, share(ppm)),
};

fn share(ppm: u64) -> Parameter {
    Parameter::new("share", Value::Share(ppm as u32))
}

impl Family for Worse {
    fn name(&self) -> &'static str {
        self.name
    }
    fn weight(&self) -> u32 {
        self.weight
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(self.lasts.0)..=ms(self.lasts.1)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let (one, other) = slot.two_nodes()?;
        // One link, all of a node, or all there are.
        let sides = match slot.pick(part::MANNER, 3) {
            0 => (these(&[one]), these(&[other])),
            1 => (these(&[one]), these(&others(slot.nodes(), &[one]))),
            _ => (Side::AllBut(vec![NodeId::HARNESS]), Side::AllBut(vec![NodeId::HARNESS])),
        };
        let (change, parameter) = (self.change)(slot.amount(self.amount.clone()), slot);
        let what = self.what;
        let injection = between(vec![sides], Takes::default(), move |between, _| {
            // It is given back by its number, which is the fault's own.
            let fault = sim_core::fault::beginning();
            if let Some(fault) = fault {
                op(|net, _| net.topology.disturb(Disturbance { between, what, change, fault }));
            }
            Box::new(move || op(|net, _| fault.into_iter().for_each(|fault| net.topology.undisturb(fault))))
        });
        Some(injection.with(parameter))
    }
}

struct Clogs;

impl Family for Clogs {
    fn name(&self) -> &'static str {
        "clog"
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(200)..=ms(10_000)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let (one, other) = slot.two_nodes()?;
        let (to, both) = match slot.pick(part::MANNER, 3) {
            0 => (vec![other], false),
            1 => (vec![other], true),
            _ => (others(slot.nodes(), &[one]), true),
        };
        let takes = Takes { apart: vec![(vec![one.id()], ids(&to))], ..Takes::default() };
        let direction = Parameter::word("direction", if both { "both ways" } else { "one way" });
        let injection = between(vec![(these(&[one]), these(&to))], takes, move |mut sides, _| {
            let clog = sides.pop().map(|(from, to)| Clog::begin(from, to, both));
            Box::new(move || drop(clog))
        });
        Some(injection.with(direction))
    }
}

struct Swizzle;

impl Family for Swizzle {
    fn name(&self) -> &'static str {
        "swizzle-clog"
    }
    fn weight(&self) -> u32 {
        6
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(1_000)..=ms(15_000)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let all = slot.nodes().to_vec();
        if all.len() < 2 {
            return None;
        }
        let (first, last) = (slot.shuffled(all.clone()), slot.shuffled(all.clone()));
        let gap = slot.amount_of_time(ms(50)..=ms(500));
        let names = |nodes: &[Node]| nodes.iter().map(|node| node.name()).collect::<Vec<_>>().join(", ");
        let takes = Takes { down: ids(&all), ..Takes::default() };
        let parameters = vec![Parameter::time("gap", gap), Parameter::word("released", names(&last))];
        let target = names(&first);
        let begin = move |name: Name| -> End {
            // What is clogged; `None` when the fault is over.
            let clogs = Rc::new(RefCell::new(Some(Vec::<(Node, Clog)>::new())));
            let n = first.len();
            for (i, node) in first.into_iter().enumerate() {
                let (clogs, all) = (clogs.clone(), all.clone());
                step(name, i, gap, move || {
                    // Not raised while the list is borrowed: that wakes tasks.
                    if clogs.borrow().is_some() {
                        let clog = Clog::begin(these(&[node]), these(&others(&all, &[node])), true);
                        if let Some(held) = clogs.borrow_mut().as_mut() {
                            held.push((node, clog));
                        }
                    }
                });
            }
            for (i, node) in last.into_iter().enumerate() {
                let clogs = clogs.clone();
                step(name, n + i, gap, move || {
                    let released = clogs.borrow_mut().as_mut().and_then(|held| {
                        let place = held.iter().position(|(clogged, _)| *clogged == node)?;
                        Some(held.remove(place))
                    });
                    drop(released);
                });
            }
            Box::new(move || {
                let left = clogs.borrow_mut().take();
                drop(left);
            })
        };
        Some(Injection { target, nodes: ids(slot.nodes()), parameters, takes, begin: Box::new(begin) })
    }
}

/// Does something `i` gaps after the start of a fault, as an event of its own.
fn step(name: Name, i: usize, gap: Duration, action: impl FnOnce() + 'static) {
    let of_step = decision::part(decision::part(name, part::STEP), i as u64);
    then(of_step, gap * i as u32, action);
}

struct Reset;

impl Family for Reset {
    fn name(&self) -> &'static str {
        "reset"
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        Duration::ZERO..=Duration::ZERO
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let (one, other) = slot.two_nodes()?;
        let pair = (one.id(), other.id());
        let sides = vec![(these(&[one]), these(&[other]))];
        Some(between(sides, Takes::default(), move |_, _| {
            op(|net, k| {
                for _ in 0..net.reset_between(k, pair.0, pair.1) {
                    k.fault_under().into_iter().for_each(|fault| k.fault_effect(fault));
                }
            });
            Box::new(|| ())
        }))
    }
}

struct Names;

impl Family for Names {
    fn name(&self) -> &'static str {
        "dns"
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(500)..=ms(20_000)
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let node = slot.service().or_else(|| slot.node_of(slot.nodes()))?;
        let manner = slot.pick(part::MANNER, 5);
        let slow = slot.amount_of_time(ms(50)..=ms(5_000));
        let words = ["slow", "failing", "silent", "missing", "stale"];
        let begin = move |_| -> End {
            let dns = Sim::current().dns().asked_by(&node.name());
            let fault = match manner {
                0 => dns.slow(slow),
                1 => dns.failing(),
                2 => dns.silent(),
                3 => dns.missing(),
                _ => dns.stale(),
            };
            Box::new(move || drop(fault))
        };
        let injection =
            Injection::of_node(node, begin).with(Parameter::word("answers", words[manner as usize]));
        Some(if manner == 0 { injection.with(Parameter::time("after", slow)) } else { injection })
    }
}
