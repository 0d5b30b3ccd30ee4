//! What goes wrong: a plan of faults that the seed draws, each with its instant, its length and its target.
//!
//! Time is divided into slots, each with at most one fault, and drawn when the run comes to it. All faults but
//! partitions are short and come early in their slot, so that the shop has got over one before the next comes;
//! partitions may last across several slots.

use crate::draw::Root;
use crate::gateway::Mood;
use crate::shop::{LATENCY, Shop};
use command::Faults;
use serde::{Deserialize, Serialize};
use sim::net::NetExt;
use sim::time::Duration;
use sim::{Kind, Sim, rand};
use std::cell::RefCell;
use std::fmt;
use std::rc::Rc;
use tracing::info;

/// A family of faults.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug, Serialize, Deserialize)]
pub enum Family {
    /// Two services cannot reach each other, or one of them cannot reach the other.
    Partition,
    /// All links lose packets.
    Loss,
    /// A link takes much longer than usual.
    Latency,
    /// A process is killed, and started again after a while.
    Kill,
    /// A process is killed, and started again at once.
    Restart,
    /// A machine takes its time for everything.
    SlowCpu,
    /// The bank's gateway is slow, or its answers are lost.
    Gateway,
}

impl Family {
    /// All of them.
    pub const ALL: [Family; 7] = [
        Family::Partition,
        Family::Loss,
        Family::Latency,
        Family::Kill,
        Family::Restart,
        Family::SlowCpu,
        Family::Gateway,
    ];

    /// Its name on the command line.
    pub fn name(self) -> &'static str {
        match self {
            Family::Partition => "partition",
            Family::Loss => "loss",
            Family::Latency => "latency",
            Family::Kill => "kill",
            Family::Restart => "restart",
            Family::SlowCpu => "slow-cpu",
            Family::Gateway => "gateway",
        }
    }
}

impl fmt::Display for Family {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// The families that this run may meet: none in one seed of five, otherwise about half of those that are on. So runs
/// differ from each other, instead of all being equally noisy.
fn swarm(faults: &Faults) -> Vec<Family> {
    let half: u64 = rand::range(0..1 << Family::ALL.len());
    if rand::chance(1, 5) {
        return Vec::new();
    }
    let chosen = |family: &Family| half >> (*family as u8) & 1 == 1 && faults.has(family.name());
    Family::ALL.into_iter().filter(chosen).collect()
}

/// How often faults of each family were injected, in the order of [`Family::ALL`].
pub type Fired = [u64; Family::ALL.len()];

/// How many faults a run has at most, and how far they are apart.
const SLOTS: u64 = 4;
const SLOT: Duration = Duration::from_secs(4);

/// When all faults are over.
pub const HEALED: Duration = Duration::from_secs(SLOTS * SLOT.as_secs() + 1);

/// When in its slot a fault begins, at the latest.
const BEGINS: Duration = Duration::from_millis(800);
/// How long faults last. What is shorter than the least would not be noticed; what is longer than the most would be
/// taken for an outage by timeouts and breakers, which only partitions may cause.
const SHORT: (Duration, Duration) = (Duration::from_millis(100), Duration::from_millis(500));
const LONG: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(6));

/// The particulars of a fault, by number.
mod part {
    pub const AT: u64 = 1;
    pub const LENGTH: u64 = 2;
    pub const TARGET: u64 = 3;
    pub const AMOUNT: u64 = 4;
    pub const MANNER: u64 = 5;
}

/// Lets the faults of this run happen to the shop; gives where they are counted.
pub fn unleash(sim: Sim, shop: &Rc<Shop>, faults: &Faults) -> Rc<RefCell<Fired>> {
    let fired = Rc::new(RefCell::new(Fired::default()));
    let swarm = Rc::new(swarm(faults));
    for slot in 0..SLOTS {
        let (shop, fired, swarm) = (shop.clone(), fired.clone(), swarm.clone());
        sim.harness().spawn(async move {
            let start = SLOT * slot as u32;
            sim.phase(&format!("fault {slot} is drawn"), start).await;
            let Some(fault) = Fault::draw(slot, &swarm) else { return };
            sim.phase(&format!("fault {slot} begins"), start + fault.at).await;
            let end = (start + fault.at + fault.length).min(HEALED);
            fired.borrow_mut()[fault.family as usize] += 1;
            let heal = fault.inject(sim, &shop);
            sim.phase(&format!("fault {slot} ends"), end).await;
            info!("the {} is over", fault.family);
            heal();
        });
    }
    fired
}

#[derive(Clone, Copy, Debug)]
struct Fault {
    root: Root,
    family: Family,
    at: Duration,
    length: Duration,
}

impl Fault {
    /// The fault of a slot, unless it has none or one of a family that this run does not meet.
    fn draw(slot: u64, swarm: &[Family]) -> Option<Fault> {
        let root = Root::new(Kind::Fault, 0, slot);
        let choice = root.what(Kind::Fault, &[20, 10, 10, 12, 10, 12, 16]);
        let family = *Family::ALL.get(choice.checked_sub(1)?)?;
        if !swarm.contains(&family) {
            return None;
        }
        let (least, most) = if family == Family::Partition { LONG } else { SHORT };
        let at = root.time(part::AT, Kind::FaultAt, Duration::ZERO, BEGINS);
        let length = root.time(part::LENGTH, Kind::FaultLen, least, most);
        Some(Fault { root, family, at, length })
    }

    /// Makes it happen; gives what ends it.
    fn inject(&self, sim: Sim, shop: &Shop) -> Box<dyn FnOnce()> {
        match self.family {
            Family::Partition => {
                let (left, right) = self.link();
                let swapped = self.pick(part::MANNER, 2) == 1;
                let (from, to) = if swapped { (right, left) } else { (left, right) };
                let one_way = self.pick(part::AMOUNT, 2) == 1;
                info!(
                    "partition: nothing gets from {from} to {to}{}",
                    if one_way { "" } else { ", or back" }
                );
                let cut = sim.partition([from], [to]);
                let cut = if one_way { cut.one_way() } else { cut };
                Box::new(move || drop(cut))
            }
            Family::Loss => {
                let percent = 5 + self.pick(part::AMOUNT, 45);
                info!("loss: {percent} % of all packets");
                sim.default_link().loss(percent as f64 / 100.0);
                Box::new(move || {
                    sim.default_link().loss(0.0);
                })
            }
            Family::Latency => {
                let (left, right) = self.link();
                let least = Duration::from_millis(20 + self.pick(part::AMOUNT, 200));
                info!("latency: {left} and {right} are {least:?} and more apart");
                sim.link(left, right).both().latency(least..least * 2);
                Box::new(move || {
                    sim.link(left, right).both().latency(LATENCY);
                })
            }
            Family::Kill => {
                let node = sim.node(self.service());
                info!("kill: {}", node.name());
                node.kill();
                Box::new(move || node.start())
            }
            Family::Restart => {
                let node = sim.node(self.service());
                info!("restart: {}", node.name());
                node.restart();
                Box::new(|| ())
            }
            Family::SlowCpu => {
                let node = sim.node(self.service());
                let most = Duration::from_micros(100 + self.pick(part::AMOUNT, 900));
                info!("slow-cpu: a poll on {} takes up to {most:?}", node.name());
                node.poll_cost(most / 4..=most);
                Box::new(move || {
                    node.poll_cost(Duration::ZERO..=Duration::ZERO);
                })
            }
            Family::Gateway => {
                let gateway = shop.gateway.clone();
                let slow = Duration::from_millis(150 + self.pick(part::AMOUNT, 400));
                let mood = if self.pick(part::MANNER, 2) == 0 { Mood::Slow(slow) } else { Mood::Silent };
                info!("gateway: {mood:?}");
                gateway.set_mood(mood);
                Box::new(move || gateway.set_mood(Mood::Well))
            }
        }
    }

    fn pick(&self, part: u64, n: u64) -> u64 {
        self.root.pick(part, Kind::FaultArg, n)
    }

    fn service(&self) -> &'static str {
        let services = ["order", "catalog", "payment", "notification"];
        services[self.pick(part::TARGET, services.len() as u64) as usize]
    }

    fn link(&self) -> (&'static str, &'static str) {
        let links =
            [("order", "catalog"), ("order", "payment"), ("order", "notification"), ("order", "shopper-0")];
        links[self.pick(part::TARGET, links.len() as u64) as usize]
    }
}
