//! Random sequences of operations with crashes, for each crash model against a reference that knows only what may survive.
//!
//! The reference keeps every state that a name and a file had since they were last made durable, in the plainest way. It
//! shares no code with the file system.

use super::file::SECTOR;
use super::inode::Ino;
use super::{At, CrashModel, Durability, Volume};
use crate::hash::h;
use proptest::prelude::*;
use std::collections::{BTreeMap, BTreeSet};

/// Sequences for each of the four models: 100,000 together in a release build, which a debug build cuts short.
const SEQUENCES: u32 = if cfg!(debug_assertions) { 500 } else { 25_000 };

/// A name: which of two directories, which of three names in it.
type Slot = (u8, u8);

#[derive(Clone, Debug)]
enum Op {
    Create(Slot),
    /// Bytes at an offset, of sectors and parts of them.
    Write(Slot, u16, u16),
    /// Bytes at the end, within a page.
    Append(Slot, u16),
    Truncate(Slot, u16),
    SyncFile(Slot),
    SyncData(Slot),
    SyncDir(u8),
    Rename(Slot, Slot),
    Unlink(Slot),
    Link(Slot, Slot),
    Wait(u64),
    Crash(u64),
}

fn slot() -> impl Strategy<Value = Slot> {
    (0..2u8, 0..3u8)
}

fn op() -> impl Strategy<Value = Op> {
    prop_oneof![
        3 => slot().prop_map(Op::Create),
        4 => (slot(), 0..9000u16, 1..3000u16).prop_map(|(s, at, n)| Op::Write(s, at, n)),
        4 => (slot(), 1..3000u16).prop_map(|(s, n)| Op::Append(s, n)),
        2 => (slot(), 0..9000u16).prop_map(|(s, n)| Op::Truncate(s, n)),
        2 => slot().prop_map(Op::SyncFile),
        1 => slot().prop_map(Op::SyncData),
        2 => (0..2u8).prop_map(Op::SyncDir),
        4 => (slot(), slot()).prop_map(|(a, b)| Op::Rename(a, b)),
        1 => slot().prop_map(Op::Unlink),
        1 => (slot(), slot()).prop_map(|(a, b)| Op::Link(a, b)),
        1 => (1..40_000_000_000u64).prop_map(Op::Wait),
        2 => any::<u64>().prop_map(Op::Crash),
    ]
}

fn path((dir, name): Slot) -> Vec<u8> {
    let name = [b'a' + name];
    if dir == 0 { [b"/", &name[..]].concat() } else { [b"/d/", &name[..]].concat() }
}

fn slots() -> impl Iterator<Item = Slot> {
    (0..2).flat_map(|dir| (0..3).map(move |name| (dir, name)))
}

/// Everything that programs see: which file each name means, and what it holds.
type State = (BTreeMap<Slot, Ino>, BTreeMap<Ino, Vec<u8>>);

fn state(volume: &Volume) -> State {
    let names: BTreeMap<Slot, Ino> =
        slots().filter_map(|s| Some((s, volume.lookup(&path(s), false).ok()?))).collect();
    let content = |&ino: &Ino| (ino, volume.inode(ino).file().expect("only files have such names").live());
    let files = names.values().map(content).collect();
    (names, files)
}

/// What may survive.
struct Reference {
    model: CrashModel,
    /// What each name meant since its directory was synced, the first as it is on the disk for certain.
    names: BTreeMap<Slot, Vec<Option<Ino>>>,
    /// What each file held since it was synced, the first as it is on the disk for certain.
    files: BTreeMap<Ino, Vec<Vec<u8>>>,
    /// Files whose name is on the disk for certain, and that no operation since was to take away.
    kept: BTreeSet<Ino>,
    /// Files that had two names.
    linked: BTreeSet<Ino>,
    /// A rename went from one directory to the other: a sync of one may commit what is in both.
    crossed: bool,
    /// For the journal: each state since the last commit, with the files and directories that the step to it changed.
    history: Vec<(State, BTreeSet<Ino>, BTreeSet<u8>)>,
    /// A write over old data, which has no place in the journal.
    overwritten: bool,
}

impl Reference {
    fn new(model: CrashModel, volume: &Volume) -> Self {
        let now = state(volume);
        let names = slots().map(|s| (s, vec![now.0.get(&s).copied()])).collect();
        let files = now.1.iter().map(|(&ino, content)| (ino, vec![content.clone()])).collect();
        let kept = now.0.values().copied().collect();
        // After a crash the names of a file are on the disk, however many there are.
        let mut count: BTreeMap<Ino, u32> = BTreeMap::new();
        now.0.values().for_each(|&ino| *count.entry(ino).or_default() += 1);
        let linked = count.into_iter().filter(|&(_, n)| n > 1).map(|(ino, _)| ino).collect();
        let history = vec![(now, BTreeSet::new(), BTreeSet::new())];
        Reference { model, names, files, kept, linked, crossed: false, history, overwritten: false }
    }

    /// An operation has been done on these files and directories.
    fn step(&mut self, volume: &Volume, inos: BTreeSet<Ino>, dirs: BTreeSet<u8>) {
        let now = state(volume);
        for (slot, history) in &mut self.names {
            let meaning = now.0.get(slot).copied();
            if history.last() != Some(&meaning) {
                history.push(meaning);
            }
        }
        for (ino, content) in &now.1 {
            let history = self.files.entry(*ino).or_insert_with(|| vec![Vec::new()]);
            if history.last() != Some(content) {
                history.push(content.clone());
            }
        }
        self.kept.retain(|ino| now.1.contains_key(ino));
        self.history.push((now, inos, dirs));
    }

    fn synced_file(&mut self, ino: Ino) {
        match self.model {
            CrashModel::Lying => {}
            CrashModel::Ordered => self.committed(|step| step.1.contains(&ino)),
            _ => {
                let history = self.files.get_mut(&ino).expect("it is known since it was made");
                history.drain(..history.len() - 1);
            }
        }
    }

    fn synced_dir(&mut self, dir: u8) {
        match self.model {
            CrashModel::Lying => {}
            CrashModel::Ordered => self.committed(|step| step.2.contains(&dir)),
            _ => {
                for (_, history) in self.names.iter_mut().filter(|(slot, _)| slot.0 == dir) {
                    history.drain(..history.len() - 1);
                    self.kept.extend(history[0]);
                }
            }
        }
    }

    /// The journal is on the disk up to the last step that `concerns`.
    fn committed(&mut self, concerns: impl Fn(&(State, BTreeSet<Ino>, BTreeSet<u8>)) -> bool) {
        if let Some(last) = self.history.iter().rposition(concerns) {
            self.history.drain(..last);
        }
    }

    /// Whether a disk may hold this.
    fn allows(&self, found: &State) -> Result<(), String> {
        if self.model == CrashModel::Ordered {
            return self.allows_by_journal(found);
        }
        for slot in slots() {
            let (history, meaning) = (&self.names[&slot], found.0.get(&slot).copied());
            if !history.contains(&meaning) {
                return Err(format!("{slot:?} means {meaning:?}, and since the sync it meant {history:?}"));
            }
            if self.model == CrashModel::Strict && !self.crossed && history[0] != meaning {
                return Err(format!("{slot:?} means {meaning:?}, and synced was {:?}", history[0]));
            }
        }
        for ino in &self.kept {
            let names = found.0.values().filter(|found| *found == ino).count();
            if names == 0 || (names > 1 && !self.linked.contains(ino)) {
                return Err(format!("file {ino} was kept, and has {names} names"));
            }
        }
        for (ino, content) in &found.1 {
            let history = &self.files[ino];
            if self.model == CrashModel::Strict && *content != history[0] {
                return Err(format!("file {ino} is not as it was synced"));
            }
            possible(content, history).map_err(|e| format!("file {ino}: {e}"))?;
        }
        Ok(())
    }

    fn allows_by_journal(&self, found: &State) -> Result<(), String> {
        let is = |step: &State| {
            if step.0 != found.0 {
                return false;
            }
            if !self.overwritten {
                return step.1 == found.1;
            }
            // What was written over old data may be any that was there, but lengths are in the journal.
            step.1.iter().all(|(ino, content)| {
                content.len() == found.1[ino].len() && possible(&found.1[ino], &self.files[ino]).is_ok()
            })
        };
        match self.history.iter().any(|(step, ..)| is(step)) {
            true => Ok(()),
            false => Err(format!("{:?} is no state since the last commit", found.0)),
        }
    }
}

/// Whether a content can be pieced together: a length that the file had, and each sector as it was at some moment.
fn possible(content: &[u8], history: &[Vec<u8>]) -> Result<(), String> {
    if !history.iter().any(|state| state.len() == content.len()) {
        let lengths: Vec<usize> = history.iter().map(Vec::len).collect();
        return Err(format!("it is {} bytes long, and since the sync it was {lengths:?}", content.len()));
    }
    for (i, sector) in content.chunks(SECTOR).enumerate() {
        let range = i * SECTOR..i * SECTOR + sector.len();
        let was = |state: &Vec<u8>| {
            let known = state.get(range.start..range.end.min(state.len())).unwrap_or(&[]);
            sector.starts_with(known) && sector[known.len()..].iter().all(|&byte| byte == 0)
        };
        if !history.iter().any(was) {
            return Err(format!("sector {i} was never like that"));
        }
    }
    Ok(())
}

fn run(model: CrashModel, ops: &[Op], lossy: &mut u64) -> Result<(), TestCaseError> {
    let mut at = At { now: 0, wall: 1 };
    let mut volume = Volume::new(at);
    volume.model = CrashModel::Strict;
    let dir = volume.make_dir(at, b"/d", 0o755).unwrap();
    let dirs = [super::inode::ROOT, dir];
    volume.sync(at, dirs[0], u64::MAX, Durability::Everything).unwrap();
    volume.model = model;
    let mut reference = Reference::new(model, &volume);
    let mut tag = 0u8;
    for op in ops {
        at.now += 1_000_000;
        at.wall = at.now;
        let known = |slot: &Slot| volume.lookup(&path(*slot), false).ok();
        match op {
            Op::Create(slot) => {
                let spot = volume.walk(&path(*slot), false).unwrap();
                if let Ok(ino) = volume.create(at, &spot, 0o644) {
                    reference.step(&volume, [ino].into(), [slot.0].into());
                }
            }
            Op::Write(slot, ..) | Op::Append(slot, _) | Op::Truncate(slot, _) => {
                let Some(ino) = known(slot) else { continue };
                let size = volume.inode(ino).size();
                tag = tag.wrapping_add(1).max(1);
                match *op {
                    Op::Write(_, offset, n) => {
                        volume.write(at, ino, offset.into(), &vec![tag; n.into()]).unwrap();
                        reference.overwritten = true;
                    }
                    Op::Append(_, n) => {
                        // Two pages are two steps of the journal.
                        let room = (super::PAGE - size % super::PAGE) as u16;
                        volume.write(at, ino, size, &vec![tag; n.min(room).into()]).unwrap();
                    }
                    Op::Truncate(_, n) => volume.truncate(at, ino, n.into()).unwrap(),
                    _ => unreachable!(),
                }
                // Bytes over others have no place in the journal: a sync need not commit what came before them.
                let journaled = !matches!(op, Op::Write(..)) || volume.inode(ino).size() > size;
                reference.step(&volume, journaled.then_some(ino).into_iter().collect(), BTreeSet::new());
                if let Op::Write(_, offset, n) = *op {
                    // The lengths between, page by page.
                    let after = reference.files[&ino].last().unwrap().clone();
                    let end = u64::from(offset) + u64::from(n);
                    let between = (1..4).map(|page| page * super::PAGE).filter(|&b| b > size && b < end);
                    let mut steps = reference.history.pop().unwrap();
                    for bound in between {
                        let partial = after[..bound as usize].to_vec();
                        let history = reference.files.get_mut(&ino).unwrap();
                        history.insert(history.len() - 1, partial.clone());
                        steps.0.1.insert(ino, partial);
                        reference.history.push(steps.clone());
                    }
                    steps.0.1.insert(ino, after);
                    reference.history.push(steps);
                }
            }
            Op::SyncFile(slot) | Op::SyncData(slot) => {
                let Some(ino) = known(slot) else { continue };
                let how =
                    if matches!(op, Op::SyncFile(_)) { Durability::Everything } else { Durability::Data };
                volume.sync(at, ino, volume.watermark(), how).unwrap();
                reference.synced_file(ino);
            }
            Op::SyncDir(dir) => {
                volume.sync(at, dirs[usize::from(*dir)], volume.watermark(), Durability::Everything).unwrap();
                reference.synced_dir(*dir);
            }
            Op::Rename(from, to) => {
                let inos: BTreeSet<Ino> = [known(from), known(to)].into_iter().flatten().collect();
                // Of two names of one file the system moves none.
                let moves = known(from) != known(to);
                let replaced = known(to);
                if volume.rename(at, &path(*from), &path(*to)).is_ok() && moves {
                    reference.kept.retain(|&ino| Some(ino) != replaced);
                    reference.crossed |= from.0 != to.0;
                    reference.step(&volume, inos, [from.0, to.0].into());
                }
            }
            Op::Unlink(slot) => {
                let ino = known(slot);
                if volume.unlink(at, &path(*slot)).is_ok() {
                    // It may have other names, but nobody need have synced those.
                    reference.kept.retain(|&kept| Some(kept) != ino);
                    reference.step(&volume, ino.into_iter().collect(), [slot.0].into());
                }
            }
            Op::Link(from, to) => {
                if volume.link(at, &path(*from), &path(*to)).is_ok() {
                    let ino = volume.lookup(&path(*to), false).unwrap();
                    reference.linked.insert(ino);
                    reference.step(&volume, [ino].into(), [to.0].into());
                }
            }
            Op::Wait(ns) => at.now += ns,
            Op::Crash(seed) => {
                let before = state(&volume);
                crash(&mut volume, at, *seed);
                let after = state(&volume);
                *lossy += u64::from(before != after);
                if let Err(why) = reference.allows(&after) {
                    return Err(TestCaseError::fail(why));
                }
                consistent(&mut volume)?;
                reference = Reference::new(model, &volume);
            }
        }
    }
    Ok(())
}

fn crash(volume: &mut Volume, at: At, seed: u64) {
    volume.crash(at, &mut |about, dist| dist(h(seed, about)));
}

/// After a restart everything that is counted is as if counted anew, and nothing is pending.
fn consistent(volume: &mut Volume) -> Result<(), TestCaseError> {
    let before = state(volume);
    let snapshots = (volume.snapshot(super::view::Side::Live), volume.snapshot(super::view::Side::Durable));
    prop_assert_eq!(&snapshots.0, &snapshots.1, "what is on the disk is what programs see");
    prop_assert_eq!(volume.census().1, 0);
    let used = (volume.used, volume.used_inodes);
    volume.restart();
    prop_assert_eq!(used, (volume.used, volume.used_inodes));
    prop_assert_eq!(before, state(volume));
    Ok(())
}

fn check(model: CrashModel) {
    let mut lossy = 0;
    let config = ProptestConfig { cases: SEQUENCES, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let cell = std::cell::Cell::new(0u64);
    let ops = prop::collection::vec(op(), 1..40);
    runner
        .run(&ops, |ops| {
            let mut ops = ops;
            ops.push(Op::Crash(ops.len() as u64));
            let mut lost = 0;
            let result = run(model, &ops, &mut lost);
            cell.set(cell.get() + lost);
            result
        })
        .unwrap_or_else(|e| panic!("{e}"));
    lossy += cell.get();
    assert!(lossy > u64::from(SEQUENCES) / 4, "only {lossy} crashes of {SEQUENCES} sequences lost something");
}

#[test]
fn strict_keeps_what_was_synced_and_nothing_else() {
    check(CrashModel::Strict);
}

#[test]
fn ordered_keeps_a_prefix_of_the_journal() {
    check(CrashModel::Ordered);
}

#[test]
fn chaos_keeps_any_subset() {
    check(CrashModel::Chaos);
}

#[test]
fn a_lying_drive_keeps_any_subset_of_everything() {
    check(CrashModel::Lying);
}

#[test]
fn the_boring_crash_loses_nothing() {
    let config = ProptestConfig { cases: SEQUENCES, failure_persistence: None, ..ProptestConfig::default() };
    let mut runner = proptest::test_runner::TestRunner::new(config);
    let ops = (prop::collection::vec(op(), 1..40), 0..3usize);
    runner
        .run(&ops, |(ops, model)| {
            let at = At { now: 0, wall: 1 };
            let mut volume = Volume::new(at);
            volume.model = [CrashModel::Ordered, CrashModel::Chaos, CrashModel::Lying][model];
            volume.make_dir(at, b"/d", 0o755).unwrap();
            for op in &ops {
                let known = |slot: &Slot| volume.lookup(&path(*slot), false).ok();
                match op {
                    Op::Create(slot) => {
                        let spot = volume.walk(&path(*slot), false).unwrap();
                        let _ = volume.create(at, &spot, 0o644);
                    }
                    Op::Write(slot, offset, n) => {
                        let Some(ino) = known(slot) else { continue };
                        volume.write(at, ino, (*offset).into(), &vec![1; (*n).into()]).unwrap();
                    }
                    Op::Truncate(slot, n) => {
                        let Some(ino) = known(slot) else { continue };
                        volume.truncate(at, ino, (*n).into()).unwrap();
                    }
                    Op::Rename(from, to) => drop(volume.rename(at, &path(*from), &path(*to))),
                    Op::Unlink(slot) => drop(volume.unlink(at, &path(*slot))),
                    _ => {}
                }
            }
            let before = state(&volume);
            volume.crash(at, &mut |_, _| 0);
            prop_assert_eq!(before, state(&volume));
            Ok(())
        })
        .unwrap_or_else(|e| panic!("{e}"));
}
