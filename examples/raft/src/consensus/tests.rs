//! Clusters of pure servers: a small network without loss but where a test says so, and disks that are always in time.

use super::*;
use crate::kv::Write;
use std::collections::VecDeque;

const ELECTION: Range<Duration> = Duration::from_millis(100)..Duration::from_millis(200);
const HEARTBEAT: Duration = Duration::from_millis(20);

fn config(servers: u8) -> Config {
    Config {
        servers,
        election: ELECTION,
        pre_vote: true,
        heartbeat: HEARTBEAT,
        batch_delay: Duration::ZERO,
        batch: 8,
        chunk: 4,
        bug: None,
    }
}

fn command(value: u64) -> Command {
    Command::Write { session: 1, number: value, write: Write::Put { key: 0, value } }
}

struct Server {
    raft: Raft,
    disk: (HardState, Snapshot, Vec<Entry>),
    applied: Vec<Option<Command>>,
    reads: Vec<ReadId>,
}

/// Delivers everything at once, in order.
struct Cluster {
    config: Config,
    now: Duration,
    servers: Vec<Server>,
    wires: VecDeque<(ServerId, ServerId, Message)>,
    /// Whom nobody hears, and who hears nobody.
    cut: BTreeSet<ServerId>,
}

impl Cluster {
    fn new(config: Config) -> Self {
        let servers =
            (0..config.servers).map(|id| Self::boot(id, &config, Duration::ZERO, Default::default()));
        let servers = servers.collect();
        Cluster { config, now: Duration::ZERO, servers, wires: VecDeque::new(), cut: BTreeSet::new() }
    }

    fn boot(id: ServerId, config: &Config, now: Duration, disk: (HardState, Snapshot, Vec<Entry>)) -> Server {
        // Server 0 is the first to lose its patience.
        let random = move |n: u64| (u64::from(id) * 20_000_000).min(n - 1);
        let raft = Raft::new(id, config.clone(), disk.clone(), now, random);
        let covered = disk.1.last.index as usize;
        Server { raft, disk, applied: vec![None; covered], reads: Vec::new() }
    }

    /// Another process with what is on the disk.
    fn restart(&mut self, id: ServerId) {
        let disk = self.servers[id as usize].disk.clone();
        self.servers[id as usize] = Self::boot(id, &self.config, self.now, disk);
    }

    fn settle(&mut self) {
        loop {
            for id in 0..self.servers.len() {
                let server = &mut self.servers[id];
                server.raft.tick(self.now);
                while let Some(ready) = server.raft.ready() {
                    if let Some(hard) = ready.hard_state {
                        server.disk.0 = hard;
                    }
                    if let Some(snapshot) = ready.install {
                        server.applied.resize(snapshot.last.index as usize, None);
                        server.disk.1 = snapshot;
                        server.disk.2.clear();
                    }
                    if let Some((first, entries)) = ready.append {
                        server.disk.2.truncate((first - server.disk.1.last.index - 1) as usize);
                        server.disk.2.extend(entries);
                    }
                    server.raft.persisted();
                    let from = id as ServerId;
                    self.wires.extend(ready.messages.into_iter().map(|(to, message)| (from, to, message)));
                    if let Some((first, entries)) = ready.committed {
                        assert_eq!(first as usize, server.applied.len() + 1, "nothing is left out");
                        server.applied.extend(entries.into_iter().map(|entry| entry.command));
                    }
                    server.reads.extend(ready.reads);
                }
            }
            let Some((from, to, message)) = self.wires.pop_front() else { return };
            if !self.cut.contains(&from) && !self.cut.contains(&to) {
                self.servers[to as usize].raft.receive(self.now, from, message);
            }
        }
    }

    fn pass(&mut self, time: Duration) {
        let end = self.now + time;
        while self.now < end {
            self.now += Duration::from_millis(5);
            self.settle();
        }
    }

    fn raft(&mut self, id: ServerId) -> &mut Raft {
        &mut self.servers[id as usize].raft
    }

    fn leader(&self) -> Option<ServerId> {
        let leads = |id: &ServerId| !self.cut.contains(id) && self.servers[*id as usize].raft.is_leader();
        (0..self.servers.len() as ServerId).find(leads)
    }

    /// A cluster in which server 0 leads.
    fn led(config: Config) -> Self {
        let mut cluster = Cluster::new(config);
        cluster.pass(ELECTION.end);
        assert_eq!(cluster.leader(), Some(0));
        cluster
    }

    fn propose(&mut self, id: ServerId, value: u64) -> Result<Index, NotLeader> {
        let now = self.now;
        self.raft(id).propose(now, command(value))
    }

    fn compact(&mut self, id: ServerId) {
        let server = &mut self.servers[id as usize];
        let index = server.raft.commit();
        server.raft.compact(index, vec![7; 10].into());
        server.disk.1 = server.raft.snapshot.clone();
        server.disk.2 = server.raft.log().from(0, usize::MAX).to_vec();
    }

    fn log_of(&self, id: ServerId) -> Vec<Term> {
        let log = self.servers[id as usize].raft.log();
        (1..=log.last_index()).map(|index| log.term(index).unwrap_or(0)).collect()
    }
}

#[test]
fn one_leader_is_elected_and_what_it_takes_is_applied_everywhere() {
    let mut cluster = Cluster::led(config(3));
    assert_eq!(cluster.propose(1, 5), Err(NotLeader(Some(0))));
    assert_eq!(cluster.propose(0, 5), Ok(2));
    cluster.pass(HEARTBEAT * 2);
    for server in &cluster.servers {
        assert_eq!(server.applied, [None, Some(command(5))]);
        assert_eq!(server.raft.term(), 1);
    }
}

#[test]
fn who_is_cut_off_does_not_begin_terms_and_does_not_disturb_when_it_is_back() {
    let mut cluster = Cluster::led(config(3));
    cluster.cut.insert(2);
    cluster.pass(ELECTION.end * 5);
    assert_eq!(cluster.raft(2).term(), 1, "nobody grants it a pre-vote");
    cluster.cut.clear();
    cluster.pass(ELECTION.end * 2);
    assert_eq!((cluster.leader(), cluster.raft(0).term()), (Some(0), 1));
}

#[test]
fn without_pre_votes_it_does() {
    let mut cluster = Cluster::led(Config { pre_vote: false, ..config(3) });
    cluster.cut.insert(2);
    cluster.pass(ELECTION.end * 5);
    assert!(cluster.raft(2).term() > 3);
    cluster.cut.clear();
    cluster.pass(ELECTION.end * 3);
    assert!(cluster.raft(0).term() > 3, "the others follow into its term");
    assert!(cluster.leader().is_some());
}

#[test]
fn a_leader_that_nobody_answers_steps_down_and_another_takes_over() {
    let mut cluster = Cluster::led(config(5));
    cluster.cut.insert(0);
    cluster.propose(0, 1).unwrap();
    cluster.pass(ELECTION.end * 2);
    assert!(!cluster.raft(0).is_leader());
    assert_eq!(cluster.leader(), Some(1));
    cluster.propose(1, 2).unwrap();
    cluster.settle();
    cluster.cut.clear();
    cluster.pass(ELECTION.end * 2);
    assert_eq!(cluster.log_of(0), [1, 2, 2], "what only it had is replaced");
    assert_eq!(cluster.servers[0].applied, [None, None, Some(command(2))]);
}

#[test]
fn a_vote_is_given_once_a_term_also_after_a_restart() {
    let mut cluster = Cluster::new(config(3));
    let ask = |cluster: &mut Cluster, from| {
        let message = Message { term: 1, body: Body::Vote { last: Position::default() } };
        let now = cluster.now;
        cluster.raft(2).receive(now, from, message);
        let ready = cluster.raft(2).ready().unwrap();
        if let Some(hard) = ready.hard_state {
            cluster.servers[2].disk.0 = hard;
        }
        matches!(ready.messages[0].1.body, Body::VoteReply { granted: true })
    };
    assert!(ask(&mut cluster, 0));
    assert!(!ask(&mut cluster, 1));
    cluster.restart(2);
    assert!(!ask(&mut cluster, 1));
    assert!(ask(&mut cluster, 0), "whoever has the vote is told so again");
}

#[test]
fn nobody_votes_for_a_shorter_log() {
    let mut cluster = Cluster::led(config(3));
    cluster.cut.insert(2);
    cluster.propose(0, 1).unwrap();
    cluster.pass(HEARTBEAT);
    cluster.cut = BTreeSet::from([0]);
    cluster.restart(1);
    cluster.pass(ELECTION.end * 3);
    assert_eq!(cluster.leader(), Some(1), "server 2 lacks an entry that may be committed");
}

#[test]
fn an_old_append_takes_nothing_away() {
    for (bug, rest) in [(None, 3), (Some(Bug::LogTruncate), 2)] {
        let mut follower =
            Raft::new(1, Config { bug, ..config(3) }, Default::default(), Duration::ZERO, |_| 0);
        let entry = |value| Entry { term: 1, command: Some(command(value)) };
        let append = |entries: &[Entry]| {
            let body =
                Body::Append { prev: Position::default(), entries: entries.to_vec(), commit: 0, round: 1 };
            Message { term: 1, body }
        };
        let entries = [entry(1), entry(2), entry(3)];
        follower.receive(Duration::ZERO, 0, append(&entries));
        follower.receive(Duration::ZERO, 0, append(&entries[..2]));
        assert_eq!(follower.log().last_index(), rest, "{bug:?}");
    }
}

/// The leader of a term has its entries taken, and before that is told the leader of the next one takes them away.
#[test]
fn what_a_term_that_is_over_was_to_be_told_is_not_told() {
    let mut follower = Raft::new(1, config(3), Default::default(), Duration::ZERO, |_| 0);
    let append = |term| {
        let entries = vec![Entry { term, command: Some(command(term)) }];
        Message { term, body: Body::Append { prev: Position::default(), entries, commit: 0, round: 1 } }
    };
    follower.receive(Duration::ZERO, 0, append(1));
    follower.receive(Duration::ZERO, 2, append(2));
    let acknowledged: Vec<_> = follower.ready().unwrap().messages.into_iter().map(|(to, _)| to).collect();
    assert_eq!(acknowledged, [2]);
}

/// Figure 8 of the paper up to (c): server 0 of five leads again, in term 4, and a majority has its entry of term 2 but
/// not yet one of term 4.
#[test]
fn entries_of_earlier_terms_are_not_committed_by_counting() {
    for (bug, committed) in [(None, 1), (Some(Bug::CommitOldTerm), 2)] {
        let entry = |term| Entry { term, command: Some(command(term)) };
        let disk = (HardState { term: 3, voted_for: None }, Snapshot::default(), vec![entry(1), entry(2)]);
        let config = Config { bug, batch: 1, ..config(5) };
        let mut leader = Raft::new(0, config, disk, Duration::ZERO, |_| 0);
        leader.tick(ELECTION.end);
        for peer in [1, 2] {
            let body = Body::PreVoteReply { granted: true };
            leader.receive(ELECTION.end, peer, Message { term: 4, body });
        }
        for peer in [1, 2] {
            leader.receive(ELECTION.end, peer, Message { term: 4, body: Body::VoteReply { granted: true } });
        }
        assert!(leader.is_leader());
        leader.persisted();
        let ack = |index| Message { term: 4, body: Body::Appended { result: Ok(index), round: 1 } };
        leader.receive(ELECTION.end, 1, ack(1));
        leader.receive(ELECTION.end, 2, ack(1));
        leader.receive(ELECTION.end, 1, ack(2));
        leader.receive(ELECTION.end, 2, ack(2));
        assert_eq!(leader.commit(), committed * u64::from(bug.is_some()), "{bug:?}");
        leader.receive(ELECTION.end, 1, ack(3));
        leader.receive(ELECTION.end, 2, ack(3));
        assert_eq!(leader.commit(), 3);
    }
}

#[test]
fn who_lacks_what_is_compacted_gets_the_snapshot_in_chunks_and_what_follows() {
    let mut cluster = Cluster::led(config(3));
    cluster.cut.insert(2);
    (1..=5).for_each(|value| _ = cluster.propose(0, value).unwrap());
    cluster.pass(HEARTBEAT);
    cluster.compact(0);
    cluster.propose(0, 6).unwrap();
    cluster.pass(HEARTBEAT);
    cluster.cut.clear();
    cluster.pass(ELECTION.end * 2);
    assert_eq!(cluster.raft(2).log().base(), Position { term: 1, index: 6 });
    assert_eq!(*cluster.servers[2].disk.1.data, [7; 10]);
    assert_eq!(cluster.servers[2].applied.len(), 7);
    assert_eq!(cluster.servers[2].applied[6], Some(command(6)));
    cluster.restart(2);
    cluster.propose(0, 7).unwrap();
    cluster.pass(ELECTION.end);
    assert_eq!(cluster.servers[2].applied[6..], [Some(command(6)), Some(command(7))]);
}

#[test]
fn a_snapshot_keeps_what_follows_it_only_in_the_same_log() {
    let entry = |term| Entry { term, command: None };
    let install = |terms: &[Term], bug| {
        let disk =
            (HardState::default(), Snapshot::default(), terms.iter().map(|&term| entry(term)).collect());
        let mut follower = Raft::new(1, Config { bug, ..config(3) }, disk, Duration::ZERO, |_| 0);
        let last = Position { term: 2, index: 2 };
        let body = Body::Snapshot { last, offset: 0, chunk: vec![1], done: true, round: 1 };
        follower.receive(Duration::ZERO, 0, Message { term: 3, body });
        let (first, kept) = follower.ready().unwrap().append.unwrap();
        assert_eq!(first, 3);
        kept.len()
    };
    assert_eq!(install(&[1, 2, 2], None), 1);
    assert_eq!(install(&[1, 1, 1], None), 0);
    assert_eq!(install(&[1, 1, 1], Some(Bug::SnapshotGap)), 1);
}

#[test]
fn a_read_waits_for_a_majority_to_answer_after_it_came() {
    let mut cluster = Cluster::led(config(3));
    let read = |cluster: &mut Cluster, id| cluster.raft(0).read(id);
    assert_eq!(read(&mut cluster, 1), Ok(()));
    cluster.settle();
    assert_eq!(cluster.servers[0].reads, [1]);
    cluster.cut.insert(0);
    read(&mut cluster, 2).unwrap();
    cluster.settle();
    assert_eq!(cluster.servers[0].reads, [1], "somebody else may lead by now");
    cluster.pass(ELECTION.end * 2);
    assert!(read(&mut cluster, 3).is_err());
}

#[test]
fn entries_are_gathered_for_as_long_as_the_batch_delay_says() {
    let mut cluster = Cluster::led(Config { batch_delay: Duration::from_millis(15), ..config(3) });
    cluster.pass(HEARTBEAT * 2);
    cluster.propose(0, 1).unwrap();
    cluster.settle();
    assert_eq!(cluster.raft(1).log().last_index(), 1);
    cluster.pass(Duration::from_millis(20));
    assert_eq!(cluster.raft(1).log().last_index(), 2);
}
