//! A fault of this cluster's own: whoever leads is cut off, and when another leads, that one.
//!
//! Leaders that are cut off as soon as they lead leave entries of different terms in their logs that nobody else has, which is
//! what the hard cases of Raft are about (paper, figure 8).

use crate::invariants::Watch;
use sim::decision::{Name, part};
use sim::fault::{self, End, Family, Injection, Slot, Takes};
use sim::net::{NetExt, Partition};
use sim::time::Duration;
use sim::{Node, Sim};
use std::cell::RefCell;
use std::ops::RangeInclusive;
use std::rc::Rc;

/// The name of the family.
pub const LEADER_CHASE: &str = "leader-chase";

/// How often it looks who leads: more often than a leader sends what it has gathered.
const LOOK: Duration = Duration::from_millis(40);
const LONGEST: Duration = Duration::from_secs(10);

/// Cuts off who leads, according to whoever watches the servers.
#[derive(Clone, Debug)]
pub struct LeaderChase {
    /// The servers, by number.
    pub servers: Vec<Node>,
    /// Who knows which of them leads.
    pub watch: Watch,
}

/// Who is cut off, until the chase is over.
#[derive(Debug, Default)]
struct Chase {
    over: bool,
    caught: Option<(Node, Partition)>,
}

impl Family for LeaderChase {
    fn name(&self) -> &'static str {
        LEADER_CHASE
    }

    fn weight(&self) -> u32 {
        20
    }

    fn lasts(&self) -> RangeInclusive<Duration> {
        Duration::from_secs(2)..=LONGEST
    }

    fn plan(&self, _: &Slot<'_>) -> Option<Injection> {
        let (servers, watch) = (self.servers.clone(), self.watch.clone());
        let first = servers[usize::from(watch.leader()?)];
        let begin = move |name: Name| -> End {
            let chase = Rc::new(RefCell::new(Chase::default()));
            for i in 0..LONGEST.as_millis() / LOOK.as_millis() {
                let (chase, servers, watch) = (chase.clone(), servers.clone(), watch.clone());
                let look = part(part(name, fault::part::STEP), i as u64);
                fault::then(look, LOOK * i as u32, move || {
                    let leader = watch.leader().map(|leader| servers[usize::from(leader)]);
                    let held = chase.borrow().caught.as_ref().map(|(node, _)| *node);
                    if chase.borrow().over || leader.is_none() || leader == held {
                        return;
                    }
                    let caught = leader.map(|node| (node, Sim::current().isolate(&node.name())));
                    // Dropped when nothing is borrowed: that wakes tasks.
                    let released = std::mem::replace(&mut chase.borrow_mut().caught, caught);
                    drop(released);
                });
            }
            Box::new(move || {
                let released =
                    std::mem::replace(&mut *chase.borrow_mut(), Chase { over: true, caught: None });
                drop(released);
            })
        };
        Some(Injection {
            target: "whoever leads".to_string(),
            nodes: self.servers.iter().map(|node| node.id()).collect(),
            parameters: Vec::new(),
            // Who leads next is not known yet, so that only the first is counted. With other faults on top, more servers than
            // are tolerated may be out of reach while the chase lasts: Raft has to be safe then, and need not go on.
            takes: Takes { down: vec![first.id()], ..Takes::default() },
            begin: Box::new(begin),
        })
    }
}
