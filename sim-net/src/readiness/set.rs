//! Sets of sockets, as epoll(7) has them: a list of what may be ready, looked at when somebody asks.

use super::state::{Interest, Ready};
use super::{Source, Waiters};
use crate::errno;
use crate::handle::{Handle, Side, Wait};
use crate::network::{Net, Outbox, op};
use sim_core::NodeId;
use sim_core::hash::Map;
use sim_core::kernel::Kernel;
use sim_core::slab::{Key, Slab};
use std::collections::{BTreeMap, VecDeque};
use std::io;
use std::task::{Poll, Waker};

/// When a set tells of a source that is ready.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Mode {
    /// At each wait while it is ready.
    Level,
    /// Once for each change (EPOLLET): read and write until they would block.
    Edge,
    /// Once, until it is modified (EPOLLONESHOT).
    Oneshot,
}

/// What a wait tells of one source.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Event {
    /// What the source was registered with.
    pub token: u64,
    /// What it is ready for.
    pub ready: Ready,
}

/// What can be put into a [`ReadinessSet`].
pub trait Watch {
    /// The socket behind it.
    fn source(&self) -> Source;
}

/// A set of sockets, of which one waits for whichever is ready: epoll(7) as an object.
///
/// ```
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// use sim_net::TcpListener;
/// use sim_net::readiness::{Interest, Mode, ReadinessSet};
///
/// let listener = TcpListener::bind("0.0.0.0:80").await?;
/// let set = ReadinessSet::new()?;
/// set.register(&listener, 1, Interest::READABLE, Mode::Level)?;
/// let client = sim.node("client").spawn(sim_net::TcpStream::connect("harness:80"));
/// let mut events = Vec::new();
/// set.wait(&mut events, 16).await?;
/// assert_eq!(events[0].token, 1);
/// let _connection = listener.accept().await?;
/// # drop(client);
/// # std::io::Result::Ok(())
/// # }).result.unwrap().unwrap();
/// ```
#[derive(Debug)]
pub struct ReadinessSet(Handle);

impl ReadinessSet {
    /// epoll_create(2).
    ///
    /// # Errors
    /// In the destructors of a dead process.
    #[track_caller]
    pub fn new() -> io::Result<Self> {
        op(|net, k| {
            let node = Net::actor(k)?;
            net.may_open(k, node)?;
            Ok(ReadinessSet(Handle::new(k, net.sets.create(node))))
        })
    }

    /// Adds a source: EPOLL_CTL_ADD. What is ready already is told by the next wait.
    ///
    /// # Errors
    /// `EEXIST` when it is in the set, `EBADF` when it or the set is gone.
    #[track_caller]
    pub fn register(
        &self,
        source: &impl Watch,
        token: u64,
        interest: Interest,
        mode: Mode,
    ) -> io::Result<()> {
        let source = source.source();
        self.0.op(|net, k, set| net.register(k, set, source, Entry::new(token, interest, mode)))
    }

    /// Changes what is wanted of a source, and arms it again: EPOLL_CTL_MOD.
    ///
    /// # Errors
    /// `ENOENT` when it is not in the set.
    #[track_caller]
    pub fn modify(&self, source: &impl Watch, token: u64, interest: Interest, mode: Mode) -> io::Result<()> {
        let source = source.source();
        self.0.op(|net, k, set| net.modify(k, set, source, Entry::new(token, interest, mode)))
    }

    /// Takes a source out: EPOLL_CTL_DEL. A socket that is closed leaves by itself.
    ///
    /// # Errors
    /// `ENOENT` when it is not in the set.
    #[track_caller]
    pub fn deregister(&self, source: &impl Watch) -> io::Result<()> {
        let source = source.source();
        self.0.op(|net, _, set| net.deregister(set, source))
    }

    /// Waits until a source is ready, and puts at most `most` events into `events`, which it empties first.
    ///
    /// # Errors
    /// `EBADF` when the process that made the set is dead, `EINVAL` for a `most` of 0.
    pub async fn wait(&self, events: &mut Vec<Event>, most: usize) -> io::Result<usize> {
        Wait::<Waiting, _>::new(&self.0, move |net: &mut Net, k: &mut Kernel, set| {
            net.collect(k, set, events, most)
        })
        .await
    }

    /// The same without waiting: how many events there are now.
    ///
    /// # Errors
    /// As [`ReadinessSet::wait`].
    #[track_caller]
    pub fn poll_now(&self, events: &mut Vec<Event>, most: usize) -> io::Result<usize> {
        match self.0.op(|net, k, set| net.collect(k, set, events, most)) {
            Poll::Ready(n) => n,
            Poll::Pending => Ok(0),
        }
    }
}

impl Drop for ReadinessSet {
    fn drop(&mut self) {
        self.0.on_drop(|net, _, set| net.close_set(set));
    }
}

#[derive(Clone, Copy)]
struct Entry {
    token: u64,
    interest: Interest,
    mode: Mode,
    /// A one-shot entry that has told is not.
    armed: bool,
    /// It is in the list of what may be ready.
    queued: bool,
}

impl Entry {
    fn new(token: u64, interest: Interest, mode: Mode) -> Self {
        Entry { token, interest, mode, armed: true, queued: false }
    }
}

struct Set {
    node: NodeId,
    entries: BTreeMap<Source, Entry>,
    maybe_ready: VecDeque<Source>,
    waiters: Waiters,
}

impl Set {
    fn queue(&mut self, k: &mut Kernel, source: Source, out: &mut Outbox) {
        if let Some(entry) = self.entries.get_mut(&source)
            && entry.armed
            && !std::mem::replace(&mut entry.queued, true)
        {
            self.maybe_ready.push_back(source);
            self.waiters.wake(k, &mut out.wake);
        }
    }
}

/// Those who wait for a source of a set.
#[derive(Debug)]
enum Waiting {}

impl Side for Waiting {
    fn waiters(net: &mut Net, key: Key) -> Option<&mut Waiters> {
        net.sets.sets.get_mut(key).map(|set| &mut set.waiters)
    }
}

/// All sets of a world.
#[derive(Default)]
pub(crate) struct Sets {
    sets: Slab<Set>,
    watchers: Map<Source, Vec<Key>>,
}

impl Sets {
    fn create(&mut self, node: NodeId) -> Key {
        let waiters = Waiters::default();
        self.sets.insert(Set { node, entries: BTreeMap::new(), maybe_ready: VecDeque::new(), waiters })
    }

    /// A source may have become ready for more.
    pub fn changed(&mut self, k: &mut Kernel, source: Source, out: &mut Outbox) {
        for key in self.watchers.get(&source).into_iter().flatten() {
            if let Some(set) = self.sets.get_mut(*key) {
                set.queue(k, source, out);
            }
        }
    }

    /// A source was closed.
    pub fn source_gone(&mut self, source: Source) {
        for key in self.watchers.remove(&source).into_iter().flatten() {
            if let Some(set) = self.sets.get_mut(key) {
                set.entries.remove(&source);
                set.maybe_ready.retain(|s| *s != source);
            }
        }
    }

    pub fn of_node(&self, node: NodeId) -> Vec<Key> {
        self.sets.iter().filter(|(_, set)| set.node == node).map(|(key, _)| key).collect()
    }

    /// Forgets everything; the wakers are for the caller to drop.
    pub fn forget(&mut self, dropped: &mut Vec<Waker>) {
        for key in self.sets.keys() {
            if let Some(set) = self.sets.get_mut(key) {
                set.waiters.take(dropped);
            }
        }
        self.sets.clear();
        self.watchers.clear();
    }

    pub fn len(&self) -> usize {
        self.sets.len()
    }

    /// How many a node has.
    pub fn held(&self, node: NodeId) -> u64 {
        self.sets.iter().filter(|(_, set)| set.node == node).count() as u64
    }
}

impl Net {
    fn register(&mut self, k: &mut Kernel, set: Key, source: Source, entry: Entry) -> io::Result<()> {
        let entries = &mut self.sets.sets.get_mut(set).ok_or_else(errno::bad_descriptor)?.entries;
        if entries.contains_key(&source) {
            return Err(errno::already_registered());
        }
        let ready = self.watch(k, source, entry.interest)?;
        let Some(place) = self.sets.sets.get_mut(set) else { return Err(errno::bad_descriptor()) };
        place.entries.insert(source, entry);
        self.sets.watchers.entry(source).or_default().push(set);
        if !entry.interest.mask(ready).is_empty() {
            self.queue_in(k, set, source);
        }
        Ok(())
    }

    fn modify(&mut self, k: &mut Kernel, set: Key, source: Source, entry: Entry) -> io::Result<()> {
        let entries = &mut self.sets.sets.get_mut(set).ok_or_else(errno::bad_descriptor)?.entries;
        let old = entries.get_mut(&source).ok_or_else(errno::not_registered)?;
        *old = Entry { queued: old.queued, ..entry };
        let ready = self.watch(k, source, entry.interest)?;
        if !entry.interest.mask(ready).is_empty() {
            self.queue_in(k, set, source);
        }
        Ok(())
    }

    fn queue_in(&mut self, k: &mut Kernel, set: Key, source: Source) {
        if let Some(set) = self.sets.sets.get_mut(set) {
            set.queue(k, source, &mut self.out);
        }
    }

    fn deregister(&mut self, set: Key, source: Source) -> io::Result<()> {
        let place = self.sets.sets.get_mut(set).ok_or_else(errno::bad_descriptor)?;
        place.entries.remove(&source).ok_or_else(errno::not_registered)?;
        place.maybe_ready.retain(|s| *s != source);
        self.unwatch_by(set, source);
        Ok(())
    }

    fn unwatch_by(&mut self, set: Key, source: Source) {
        if let Some(watchers) = self.sets.watchers.get_mut(&source) {
            watchers.retain(|w| *w != set);
            if watchers.is_empty() {
                self.sets.watchers.remove(&source);
                self.set_watched(source, false);
            }
        }
    }

    /// Looks through what may be ready.
    fn collect(
        &mut self,
        k: &mut Kernel,
        set: Key,
        events: &mut Vec<Event>,
        most: usize,
    ) -> Poll<io::Result<usize>> {
        events.clear();
        if most == 0 {
            return Poll::Ready(Err(errno::invalid_argument()));
        }
        let Some(place) = self.sets.sets.get_mut(set) else {
            return Poll::Ready(Err(errno::bad_descriptor()));
        };
        // Level-triggered sources go to the end and are looked at again by the next wait only.
        for _ in 0..place.maybe_ready.len() {
            if events.len() == most {
                break;
            }
            let Some(place) = self.sets.sets.get_mut(set) else { break };
            let Some(source) = place.maybe_ready.pop_front() else { break };
            let Some(entry) = place.entries.get_mut(&source) else { continue };
            entry.queued = false;
            let (token, interest, mode) = (entry.token, entry.interest, entry.mode);
            let ready = interest.mask(self.watch(k, source, interest).unwrap_or_default());
            if ready.is_empty() {
                continue;
            }
            events.push(Event { token, ready });
            let Some(place) = self.sets.sets.get_mut(set) else { break };
            let Some(entry) = place.entries.get_mut(&source) else { continue };
            match mode {
                Mode::Level => {
                    entry.queued = true;
                    place.maybe_ready.push_back(source);
                }
                Mode::Edge => {}
                Mode::Oneshot => entry.armed = false,
            }
        }
        if events.is_empty() { Poll::Pending } else { Poll::Ready(Ok(events.len())) }
    }

    /// close(2) of a set.
    pub fn close_set(&mut self, key: Key) {
        let Some(mut set) = self.sets.sets.remove(key) else { return };
        set.waiters.take(&mut self.out.dropped);
        for source in set.entries.into_keys() {
            self.unwatch_by(key, source);
        }
    }

    fn set_watched(&mut self, source: Source, watched: bool) {
        match source {
            Source::Stream(key) => drop(self.streams.get_mut(key).map(|s| s.watched = watched)),
            Source::Listener(key) => drop(self.listeners.get_mut(key).map(|l| l.watched = watched)),
            Source::Udp(key) => drop(self.udp.get_mut(key).map(|u| u.watched = watched)),
            unix => self.unix.set_watched(unix, watched),
        }
    }

    /// What a source is ready for now. What it is not ready for, it will tell of.
    fn watch(&mut self, k: &mut Kernel, source: Source, interest: Interest) -> io::Result<Ready> {
        self.set_watched(source, true);
        self.ready(k, source, interest).ok_or_else(errno::bad_descriptor)
    }

    /// What a source is ready for; asking for room that is not there has the stream tell when there is.
    pub fn ready(&mut self, k: &mut Kernel, source: Source, interest: Interest) -> Option<Ready> {
        match source {
            Source::Stream(key) => {
                let stream = self.open_stream(key)?;
                let ready = stream.readiness(k.now());
                if interest.is_writable() && !ready.is_writable() {
                    self.ask_for_room(k, key);
                }
                Some(ready)
            }
            Source::Listener(key) => self.listeners.get(key).map(|l| l.readiness()),
            Source::Udp(key) => self.udp.get(key).map(|u| u.readiness()),
            unix => self.unix_ready(unix, interest.is_writable()),
        }
    }
}
