//! The cluster: which nodes there are, and the course of a run.

use crate::Bug;
use crate::chase::LeaderChase;
use crate::client::{Client, server_name};
use crate::consensus::{Config, ServerId};
use crate::history::History;
use crate::invariants::{self, Watch};
use crate::kv::{Key, Value, Write};
use crate::server::{Observer, Setup, serve};
use serde::{Deserialize, Serialize};
use sim::fs::{DiskExt, Speed};
use sim::net::NetExt;
use sim::time::{Duration, timeout};
use sim::workload::Ops;
use sim::{ExitPolicy, JoinSet, Node, Sim, Swarm, Tolerance, rand};
use std::net::SocketAddr;
use std::ops::{AddAssign, Range};
use std::rc::Rc;

/// How a run is to be.
pub type Options = command::Options<Bug>;

/// What a run came to.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Summary {
    /// Elections that were won.
    pub elections: u64,
    /// Entries that were committed.
    pub committed: u64,
    /// Operations of clients that were answered.
    pub answered: u64,
    /// Faults that were injected.
    pub faults: u64,
}

impl AddAssign for Summary {
    fn add_assign(&mut self, other: Summary) {
        self.elections += other.elections;
        self.committed += other.committed;
        self.answered += other.answered;
        self.faults += other.faults;
    }
}

const fn ms(n: u64) -> Duration {
    Duration::from_millis(n)
}

/// When faults happen and clients are at work.
pub const CHAOS: Duration = Duration::from_secs(30);
/// How often a fault may begin.
const SLOT: Duration = ms(750);
/// The families of faults that this cluster does not stand: a server without its disk is another server, and who the
/// servers are is fixed.
pub const NOT_STOOD: [&str; 1] = ["wipe"];
/// How long packets take when nothing is wrong.
const LATENCY: Range<Duration> = ms(1)..ms(8);
/// How many clients there are, how much each has to do and how often, and between how many registers it chooses.
const CLIENTS: u64 = 4;
const OPERATIONS: u64 = 20;
const EVERY: Duration = ms(1_500);
const KEYS: usize = 3;
/// After how long a supervisor starts a server again whose disk has failed.
const RESTART: Duration = ms(300);

/// What differs from run to run besides the faults.
#[derive(Clone, Debug)]
pub struct Knobs {
    /// How Raft behaves.
    pub raft: Config,
    /// After how many applied entries the state is saved as a snapshot.
    pub snapshot_every: u64,
    /// How fast the disks are.
    pub disks: Speed,
}

fn one_of<T: Copy>(choices: &[T]) -> T {
    choices[rand::range(0..choices.len() as u64) as usize]
}

impl Knobs {
    /// Draws them.
    ///
    /// Timeouts of seconds, as between continents, let a candidate's term outlive the restart of a voter. Where servers
    /// lose their patience nearly together, votes are split. Small batches and long delays leave leaders with entries
    /// that nobody else has.
    pub fn drawn(bug: Option<Bug>) -> Knobs {
        let election = ms(one_of(&[500, 2_000, 4_000]));
        let raft = Config {
            servers: one_of(&[3, 5]),
            election: election..election + one_of(&[ms(100), election / 2, election]),
            pre_vote: rand::chance(3, 4),
            heartbeat: election / one_of(&[4, 6]),
            batch_delay: one_of(&[Duration::ZERO, ms(10), election / 8, election / 4]),
            batch: one_of(&[1, 1, 4, 16]),
            chunk: one_of(&[64, 256, 1_024]),
            bug,
        };
        Knobs {
            raft,
            snapshot_every: one_of(&[5, 20, 60]),
            disks: one_of(&[Speed::default(), Speed::NETWORK_VOLUME, Speed::HARD_DISK]),
        }
    }

    /// How long elections may take when nothing is wrong: votes are split several times in a row.
    fn patience(&self) -> Duration {
        ms(5_000) + self.raft.election.end * 60
    }
}

/// A cluster and its clients.
#[derive(Debug)]
pub struct Cluster {
    sim: Sim,
    knobs: Knobs,
    servers: Vec<Node>,
    watch: Watch,
    history: History,
}

impl Cluster {
    /// Starts the servers.
    pub fn start(sim: Sim, knobs: Knobs) -> Cluster {
        sim.default_link().latency(LATENCY);
        let ids: Range<ServerId> = 0..knobs.raft.servers;
        let servers: Vec<Node> = ids.clone().map(|id| sim.node(&server_name(id))).collect();
        let peers: Vec<SocketAddr> =
            servers.iter().map(|node| SocketAddr::new(node.address(), crate::transport::PORT)).collect();
        let watch = Watch::new(sim, knobs.raft.servers);
        let observing = watch.clone();
        let observer: Observer = Rc::new(move |server, event| observing.observe(server, event));
        for (id, node) in ids.zip(&servers) {
            let setup = Setup {
                id,
                peers: peers.clone(),
                raft: knobs.raft.clone(),
                snapshot_every: knobs.snapshot_every,
                observer: observer.clone(),
            };
            node.disk().speed(knobs.disks);
            node.on_exit(ExitPolicy::Restart(RESTART)).run(move || serve(setup.clone()));
        }
        Cluster { sim, knobs, servers, watch, history: History::default() }
    }

    fn client(&self) -> Client {
        Client::new(self.knobs.raft.servers, self.knobs.raft.election.start, self.history.clone())
    }

    /// What the nemesis may do: a majority stays up, and nothing is lost that was synced.
    fn swarm(&self) -> Swarm {
        let names: Vec<String> = (0..self.knobs.raft.servers).map(server_name).collect();
        let minority = (names.len() - 1) / 2;
        let servers = self.servers.clone();
        let watch = self.watch.clone();
        Swarm::default()
            .during(Duration::ZERO..CHAOS)
            .slots_of(SLOT)
            .without(NOT_STOOD)
            .with(LeaderChase { servers: servers.clone(), watch: watch.clone() })
            .tolerate_of(names, Tolerance::new().down(minority))
            .prefer(move || watch.leader().map(|leader| servers[usize::from(leader)]))
    }

    /// Whether it gets to work again: somebody leads, a write is done, and everything that was asked is answered.
    async fn comes_right(&self, mut clients: JoinSet<()>) {
        let Cluster { sim, watch, history, .. } = self;
        let patience = self.knobs.patience();
        let mut late = self.client();
        let write = sim.node("late-client").spawn({
            let sim = *sim;
            async move { late.write(sim, Write::Put { key: 0, value: Value::MAX }).await }
        });
        if timeout(patience, write).await.is_err() {
            let elected = watch.leader().is_some_and(|leader| self.servers[usize::from(leader)].is_running());
            let invariant = if elected { invariants::WRITES } else { invariants::ELECTED };
            return sim.violated(invariant, format!("not within {patience:?}"));
        }
        if timeout(patience, async { while clients.join_next().await.is_some() {} }).await.is_err() {
            let detail = format!("{} are not within {patience:?}", history.unanswered());
            return sim.violated(invariants::ANSWERED, detail);
        }
        if let Some((key, operations)) = history.not_linearizable() {
            sim.violated(invariants::LINEARIZABLE, format!("register {key}: {operations}"));
        }
    }
}

/// One run: servers and clients at work while things go wrong; then all faults end, or all but those of a minority, and
/// everything must come right.
pub async fn run(sim: Sim, options: Options) -> Summary {
    let cluster = Cluster::start(sim, Knobs::drawn(options.bug));
    let mut clients = JoinSet::new();
    for id in 0..CLIENTS {
        let node = sim.node(&format!("client-{id}"));
        let ops = node.ops(OPERATIONS).every(EVERY);
        clients.spawn_on_node(work(sim, id, ops, cluster.client()), node);
    }
    let swarm = options.faults.of(cluster.swarm());
    let calm = swarm.is_none();
    if let Some(swarm) = swarm {
        sim.nemesis(swarm);
    }
    sim.phase("the faults are over", CHAOS).await;
    if calm || rand::chance(1, 2) {
        sim.heal().await;
    } else {
        sim.heal_core().await;
    }
    cluster.comes_right(clients).await;
    let (committed, elections) = cluster.watch.counts();
    let answered = cluster.history.answered();
    let faults = sim.faults().len() as u64;
    Summary { elections, committed, answered, faults }
}

/// What a client does: it reads and writes registers, each time another value.
async fn work(sim: Sim, id: u64, mut ops: Ops, mut client: Client) {
    let mut seen = [0; KEYS];
    while let Some(op) = ops.next().await {
        let key = op.pick(0..KEYS);
        let value = id << 32 | (op.index() + 1);
        let held = &mut seen[key];
        let key = key as Key;
        match op.choose(&[(5, "read"), (3, "put"), (2, "swap")]) {
            "read" => *held = client.read(sim, key).await,
            "put" => _ = client.write(sim, Write::Put { key, value }).await,
            _ => _ = client.write(sim, Write::Swap { key, expected: *held, value }).await,
        }
        op.succeeded();
    }
}
