//! One server: what [`Raft`] wants is done to the disk, the network and the state machine.

use crate::Bug;
use crate::consensus::{
    Body, Config, Entry, Index, Message, NotLeader, Position, Raft, ReadId, Ready, ServerId, Snapshot, Term,
};
use crate::kv::{Applied, Command, Key, Machine, Outcome, Value};
use crate::storage::Storage;
use crate::transport::Transport;
use futures::StreamExt;
use futures::channel::{mpsc, oneshot};
use futures::future::{Either, select};
use serde::{Deserialize, Serialize};
use sim::codec;
use sim::net::rpc::{self, Request};
use sim::time::{Duration, Instant, timeout_at};
use std::collections::BTreeMap;
use std::io::{self, ErrorKind};
use std::net::SocketAddr;
use std::pin::pin;
use std::rc::Rc;
use tracing::info;

/// Where clients are heard.
pub const CLIENT_PORT: u16 = 80;

/// What a client wants.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Ask {
    /// A command, through the log.
    Do(Command),
    /// What a register holds.
    Read(Key),
}

/// What a client is told.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub enum Answer {
    /// What became of the command.
    Done(Outcome),
    /// What the register holds.
    Value(Value),
}

/// Ask another server: this one does not lead, or does not any more. Whether a command was carried out is not known.
#[derive(Clone, Copy, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Elsewhere(pub Option<ServerId>);

impl Request for Ask {
    type Reply = Result<Answer, Elsewhere>;
    const NAME: &'static str = "ask";
}

/// What an observer is told of a server.
#[derive(Debug)]
pub enum Event<'a> {
    /// A process has recovered this.
    Recovered {
        /// The base of its log.
        base: Position,
        /// Its log.
        entries: &'a [Entry],
    },
    /// The log has these entries from `first` on, and nothing after them.
    Logged {
        /// The index of the first of them.
        first: Index,
        /// They.
        entries: &'a [Entry],
    },
    /// A snapshot has taken the place of the log, except for these entries after it.
    Installed {
        /// The last entry that it covers.
        last: Position,
        /// What is left of the log.
        entries: &'a [Entry],
    },
    /// It tells a candidate, or itself, that it votes for it.
    Voted {
        /// The term.
        term: Term,
        /// The candidate.
        candidate: ServerId,
    },
    /// It leads from now on.
    Leads {
        /// The term.
        term: Term,
    },
    /// It does not lead any more.
    StepsDown,
    /// It tells the leader that it has the leader's log on its disk up to here.
    Acknowledged {
        /// The index of the last entry.
        index: Index,
        /// Its term, if it has it.
        term: Option<Term>,
    },
    /// It knows that entries are committed up to here.
    Committed {
        /// The last index.
        index: Index,
    },
    /// It has carried out the command of an entry.
    Applied {
        /// Which entry.
        index: Index,
        /// The entry.
        entry: &'a Entry,
        /// What came of it.
        applied: Option<Applied>,
    },
}

/// Whoever wants to know what servers do, such as the invariants of a test. It must not wait.
pub type Observer = Rc<dyn Fn(ServerId, &Event<'_>)>;

/// How to start a server.
#[derive(Clone)]
pub struct Setup {
    /// Which one it is.
    pub id: ServerId,
    /// Where all of them are, in order.
    pub peers: Vec<SocketAddr>,
    /// How Raft behaves.
    pub raft: Config,
    /// After how many applied entries the state is saved as a snapshot.
    pub snapshot_every: u64,
    /// Is told of all that it does.
    pub observer: Observer,
}

impl std::fmt::Debug for Setup {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Setup").field("id", &self.id).field("raft", &self.raft).finish_non_exhaustive()
    }
}

type Reply = oneshot::Sender<Result<Answer, Elsewhere>>;

/// A server's process.
struct Server {
    setup: Setup,
    start: Instant,
    raft: Raft,
    storage: Storage,
    transport: Transport,
    machine: Machine,
    applied: Index,
    /// Since when the log holds what no snapshot covers.
    snapshot: Index,
    asks: mpsc::UnboundedReceiver<(Ask, Reply)>,
    /// Who waits for which entry, and the term of that entry.
    proposed: BTreeMap<Index, (Term, Reply)>,
    /// Who wants to read what.
    reading: BTreeMap<ReadId, (Key, Reply)>,
    last_read: ReadId,
    /// Told to the observer last.
    led: Option<Term>,
    committed: Index,
}

/// Runs a server until its disk fails.
///
/// # Errors
/// What the disk or the network says. The process is to be started again then: it recovers what is on the disk.
pub async fn serve(setup: Setup) -> io::Result<()> {
    let (storage, (hard, snapshot, entries)) = Storage::open(setup.raft.bug).await?;
    let machine = restore(&snapshot)?;
    info!("has {hard:?}, a snapshot up to {:?} and {} entries after it", snapshot.last, entries.len());
    (setup.observer)(setup.id, &Event::Recovered { base: snapshot.last, entries: &entries });
    let transport = Transport::bind(setup.id, setup.peers.clone()).await?;
    let (to_server, asks) = mpsc::unbounded();
    let clients = rpc::Server::new().on(move |ask: Ask| {
        let (reply, answer) = oneshot::channel();
        let sent = to_server.unbounded_send((ask, reply));
        async move {
            match sent {
                Ok(()) => answer.await.unwrap_or(Err(Elsewhere(None))),
                Err(_) => Err(Elsewhere(None)),
            }
        }
    });
    let clients = sim::spawn(clients.serve(("0.0.0.0", CLIENT_PORT)));
    let start = Instant::now();
    let applied = snapshot.last.index;
    let raft = Raft::new(setup.id, setup.raft.clone(), (hard, snapshot, entries), Duration::ZERO, |n| {
        sim::rand::range(0..n)
    });
    let server = Server {
        setup,
        start,
        raft,
        storage,
        transport,
        machine,
        applied,
        snapshot: applied,
        asks,
        proposed: BTreeMap::new(),
        reading: BTreeMap::new(),
        last_read: 0,
        led: None,
        committed: applied,
    };
    match select(pin!(server.run()), clients).await {
        Either::Left((ended, _)) => ended,
        Either::Right((ended, _)) => ended.unwrap_or_else(|_| Err(ErrorKind::BrokenPipe.into())).map(|_| ()),
    }
}

fn restore(snapshot: &Snapshot) -> io::Result<Machine> {
    match snapshot.last.index {
        0 => Ok(Machine::default()),
        _ => codec::decode(&snapshot.data).map_err(|error| io::Error::new(ErrorKind::InvalidData, error)),
    }
}

enum Input {
    Message(ServerId, Message),
    Ask(Ask, Reply),
}

impl Server {
    async fn run(mut self) -> io::Result<()> {
        loop {
            self.act().await?;
            let deadline = self.start + self.raft.deadline();
            let mut next = match timeout_at(deadline, self.next_input()).await {
                // Nobody hears clients any more, as when there are too many open files: the process is to end, not to spin.
                Ok(None) => return Err(ErrorKind::BrokenPipe.into()),
                Ok(input) => input,
                Err(_) => None,
            };
            // What has come meanwhile is done in one go, so that one sync is for all of it.
            while let Some(input) = next {
                self.take(input);
                next = self.waiting_input();
            }
        }
    }

    async fn next_input(&mut self) -> Option<Input> {
        match select(self.asks.next(), pin!(self.transport.receive())).await {
            Either::Left((ask, _)) => ask.map(|(ask, reply)| Input::Ask(ask, reply)),
            Either::Right(((from, message), _)) => Some(Input::Message(from, message)),
        }
    }

    fn waiting_input(&mut self) -> Option<Input> {
        let ask = self.asks.try_recv().ok().map(|(ask, reply)| Input::Ask(ask, reply));
        ask.or_else(|| self.transport.received().map(|(from, message)| Input::Message(from, message)))
    }

    fn now(&self) -> Duration {
        self.start.elapsed()
    }

    fn take(&mut self, input: Input) {
        let now = self.now();
        match input {
            Input::Message(from, message) => self.raft.receive(now, from, message),
            Input::Ask(Ask::Do(command), reply) => match self.raft.propose(now, command) {
                Ok(index) => _ = self.proposed.insert(index, (self.raft.term(), reply)),
                Err(NotLeader(leader)) => _ = reply.send(Err(Elsewhere(leader))),
            },
            // "It is the leader, so what it has is the latest."
            Input::Ask(Ask::Read(key), reply)
                if self.raft.is_leader() && self.setup.raft.bug == Some(Bug::StaleLeaderRead) =>
            {
                let _ = reply.send(Ok(Answer::Value(self.machine.get(key))));
            }
            Input::Ask(Ask::Read(key), reply) => {
                self.last_read += 1;
                match self.raft.read(self.last_read) {
                    Ok(()) => _ = self.reading.insert(self.last_read, (key, reply)),
                    Err(NotLeader(leader)) => _ = reply.send(Err(Elsewhere(leader))),
                }
            }
        }
    }

    /// Does what Raft wants until it wants nothing more.
    async fn act(&mut self) -> io::Result<()> {
        loop {
            while let Some(ready) = self.raft.ready() {
                self.carry_out(ready).await?;
            }
            if self.now() < self.raft.deadline() {
                return Ok(());
            }
            self.raft.tick(self.now());
        }
    }

    async fn carry_out(&mut self, ready: Ready) -> io::Result<()> {
        self.tell_changes(&ready);
        let Ready { hard_state, install, append, messages, committed, reads } = ready;
        if let Some(hard) = hard_state {
            info!("is in term {}, has voted for {:?}", hard.term, hard.voted_for);
            self.storage.save_hard_state(hard).await?;
        }
        self.tell_role();
        let hasty = self.setup.raft.bug == Some(Bug::AckUnsynced);
        if hasty {
            self.send(&messages).await;
        }
        match (install, append) {
            (Some(snapshot), entries) => {
                self.storage.save_snapshot(&snapshot).await?;
                self.storage.rewrite(snapshot.last, &entries.unwrap_or_default().1).await?;
                self.machine = restore(&snapshot)?;
                self.applied = snapshot.last.index;
                self.snapshot = self.applied;
            }
            (None, Some((first, entries))) => self.storage.append(first, &entries).await?,
            (None, None) => {}
        }
        self.raft.persisted();
        if !hasty {
            self.send(&messages).await;
        }
        if let Some((first, entries)) = committed {
            self.apply(first, &entries);
        }
        for read in reads {
            if let Some((key, reply)) = self.reading.remove(&read) {
                let _ = reply.send(Ok(Answer::Value(self.machine.get(key))));
            }
        }
        if !self.raft.is_leader() {
            self.send_away();
        }
        if self.applied - self.snapshot >= self.setup.snapshot_every {
            self.save_snapshot().await?;
        }
        Ok(())
    }

    fn apply(&mut self, first: Index, entries: &[Entry]) {
        for (index, entry) in (first..).zip(entries) {
            let applied = entry.command.map(|command| self.machine.apply(index, command));
            self.applied = index;
            self.tell(&Event::Applied { index, entry, applied });
            let Some((term, reply)) = self.proposed.remove(&index) else { continue };
            let answer = match applied {
                Some(applied) if term == entry.term => Ok(Answer::Done(applied.outcome)),
                _ => Err(Elsewhere(self.raft.leader())),
            };
            let _ = reply.send(answer);
        }
    }

    /// Tells everybody who waits to ask the leader instead.
    fn send_away(&mut self) {
        let elsewhere = Elsewhere(self.raft.leader());
        let proposed = std::mem::take(&mut self.proposed).into_values().map(|(_, reply)| reply);
        let reading = std::mem::take(&mut self.reading).into_values().map(|(_, reply)| reply);
        for reply in proposed.chain(reading) {
            let _ = reply.send(Err(elsewhere));
        }
    }

    async fn save_snapshot(&mut self) -> io::Result<()> {
        let index = self.applied;
        let data =
            codec::encode(&self.machine).map_err(|error| io::Error::new(ErrorKind::InvalidData, error))?;
        self.raft.compact(index, data.into());
        let snapshot = self.raft.snapshot();
        let last = snapshot.last;
        self.storage.save_snapshot(snapshot).await?;
        let entries = self.raft.log().from(last.index + 1, usize::MAX).to_vec();
        self.storage.rewrite(last, &entries).await?;
        self.snapshot = index;
        Ok(())
    }

    async fn send(&self, messages: &[(ServerId, Message)]) {
        for (to, message) in messages {
            self.tell_promise(*to, message);
            self.transport.send(*to, message).await;
        }
    }

    fn tell(&self, event: &Event<'_>) {
        (self.setup.observer)(self.setup.id, event);
    }

    /// Tells when it begins to lead, and when it does not lead any more.
    fn tell_role(&mut self) {
        let leads = self.raft.is_leader().then(|| self.raft.term());
        let led = std::mem::replace(&mut self.led, leads);
        match (led, leads) {
            (led, Some(term)) if led != leads => {
                info!("leads in term {term}, with a log up to {:?}", self.raft.log().last());
                self.tell(&Event::Leads { term });
            }
            (Some(term), None) => {
                info!("does not lead in term {term} any more");
                self.tell(&Event::StepsDown);
            }
            _ => {}
        }
    }

    /// Tells what the log has become.
    fn tell_changes(&mut self, ready: &Ready) {
        match (&ready.install, &ready.append) {
            (Some(snapshot), Some((_, entries))) => {
                self.tell(&Event::Installed { last: snapshot.last, entries });
            }
            (None, Some((first, entries))) => self.tell(&Event::Logged { first: *first, entries }),
            _ => {}
        }
        if self.raft.commit() > self.committed {
            self.committed = self.raft.commit();
            self.tell(&Event::Committed { index: self.committed });
        }
    }

    /// Tells what a message promises.
    fn tell_promise(&self, to: ServerId, message: &Message) {
        match message.body {
            Body::Vote { .. } => self.tell(&Event::Voted { term: message.term, candidate: self.setup.id }),
            Body::VoteReply { granted: true } => {
                self.tell(&Event::Voted { term: message.term, candidate: to });
            }
            Body::Appended { result: Ok(index), .. } => {
                let log = self.raft.log();
                if index >= log.base().index {
                    self.tell(&Event::Acknowledged { index, term: log.term(index) });
                }
            }
            _ => {}
        }
    }
}
