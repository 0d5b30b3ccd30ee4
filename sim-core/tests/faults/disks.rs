//! The families of disks: each changes what programs see, which the fault log knows; without it nothing changes. No plan
//! exceeds the tolerance, and the log accounts for every byte that came back wrong.

use super::{ms, secs};
use proptest::prelude::*;
use sim_core::fault::{Fate, Fault, Swarm, Tolerance};
use sim_core::fs::{self, CrashModel, DiskExt, File, OpenOptions};
use sim_core::time::{Duration, Instant, sleep, timeout};
use sim_core::{Config, ExitPolicy, Node, Outcome, Sim, run};
use std::cell::RefCell;
use std::collections::{BTreeMap, BTreeSet};
use std::io;
use std::rc::Rc;

/// What a program sees of its disk.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Errors by their numbers.
    errors: BTreeMap<(&'static str, i32), u32>,
    /// Syncs that took much longer than the device needs, and syncs that took longer than anybody waits.
    slow: u32,
    hung: u32,
    /// Reads that took the device's time.
    cold: u32,
    /// When and on which node bytes were read that were never the last to be written there.
    wrong: Vec<(Duration, Node)>,
}

impl Seen {
    fn error(&mut self, call: &'static str, error: &io::Error) {
        *self.errors.entry((call, error.raw_os_error().unwrap_or(-1))).or_default() += 1;
    }

    fn errors_of(&self, call: &'static str, number: i32) -> u32 {
        self.errors.get(&(call, number)).copied().unwrap_or(0)
    }
}

const PAGE: usize = 4096;
const PAGES: u64 = 16;

/// A program that writes pages of one file in turn, each full of one byte, syncs, and reads all of them back.
async fn store(sim: Sim, seen: Rc<RefCell<Seen>>) -> io::Result<()> {
    let file = OpenOptions::new().read(true).write(true).create(true).truncate(true).open("/pages").await?;
    // What each page was written with last; unknown where a call said that it failed.
    let mut known = [Some(0u8); PAGES as usize];
    file.write_all_at(&[0; PAGE * PAGES as usize], 0).await?;
    file.sync_all().await?;
    for turn in 1u64.. {
        let (page, byte) = (turn % PAGES, (turn % 251) as u8);
        match file.write_all_at(&[byte; PAGE], page * PAGE as u64).await {
            Ok(()) => known[page as usize] = Some(byte),
            Err(error) => {
                seen.borrow_mut().error("write", &error);
                known[page as usize] = None;
            }
        }
        if let Err(error) = fs::write(format!("/{}", turn % 3), b"small").await {
            seen.borrow_mut().error("create", &error);
        }
        let before = Instant::now();
        match timeout(ms(90), file.sync_data()).await {
            Ok(Ok(())) => seen.borrow_mut().slow += u32::from(before.elapsed() > ms(1)),
            Ok(Err(error)) => {
                seen.borrow_mut().error("sync", &error);
                // Everything that was not synced before may be gone from the disk; so little is written that this is
                // the page.
                known[page as usize] = None;
            }
            Err(_) => seen.borrow_mut().hung += 1,
        }
        for page in 0..PAGES {
            let (at, before) = (sim.elapsed(), Instant::now());
            let mut content = [0; PAGE];
            match timeout(ms(90), file.read_exact_at(&mut content, page * PAGE as u64)).await {
                Ok(Ok(())) => {
                    let mut seen = seen.borrow_mut();
                    seen.cold += u32::from(before.elapsed() > Duration::from_micros(40));
                    let is_wrong = |byte: u8| content.iter().any(|&read| read != byte);
                    if known[page as usize].is_some_and(is_wrong) {
                        seen.wrong.push((at, sim.here()));
                    }
                }
                Ok(Err(error)) => seen.borrow_mut().error("read", &error),
                Err(_) => seen.borrow_mut().hung += 1,
            }
        }
        sleep(ms(50)).await;
    }
    Ok(())
}

fn chaos(
    config: Config,
    names: &'static [&'static str],
    swarm: impl Fn() -> Swarm + 'static,
) -> Outcome<Seen> {
    run(config, move |sim| async move {
        let seen = Rc::new(RefCell::new(Seen::default()));
        for name in names {
            let seen = seen.clone();
            let node = sim.node(name).run(move || store(sim, seen.clone()));
            node.disk().speed(fs::Speed::default().with_jitter(Duration::ZERO));
        }
        sim.nemesis(swarm().during(secs(1)..secs(20)));
        sleep(secs(20)).await;
        sim.heal().await;
        // A healthy disk holds what was written, once it was all written again.
        sleep(secs(1)).await;
        let (before, healed) = (seen.borrow().wrong.len(), sim.elapsed());
        sleep(secs(2)).await;
        assert!(sim.faults().iter().all(|fault| fault.end.is_some()));
        let seen = seen.take();
        assert_eq!(seen.wrong.len(), before, "what was wrong at {healed:?} is not any more");
        seen
    })
}

fn corrupt(nodes: usize) -> Tolerance {
    Tolerance::new().corrupt(nodes)
}

#[track_caller]
fn shows(family: &'static str, how: impl Fn(&Seen) -> u32) -> Seen {
    let swarm = move || Swarm::default().at_full_strength().only([family]).tolerate(corrupt(1));
    let with = chaos(Config::seed(5), &["a"], swarm);
    let without = chaos(Config::seed(5), &["a"], move || swarm().without([family]));
    assert!(without.faults.is_empty(), "{family} is off: {:?}", without.faults);
    let faults = with.faults;
    assert!(faults.iter().all(|f| f.family == family && f.slot.is_some()), "{faults:#?}");
    assert!(faults.iter().any(|fault| fault.happened() && fault.effects > 0), "{family}: {faults:#?}");
    let (with, without) = (with.result.unwrap(), without.result.unwrap());
    assert_eq!(without, Seen::default(), "without {family}");
    assert!(how(&with) > 0, "{family} shows: {with:?}");
    with
}

/// A family, and how much of it is seen.
pub type Shown = (&'static str, fn(&Seen) -> u32);

/// How the families of disks show.
pub const SHOWN: &[Shown] = &[
    ("disk-full", |seen| seen.errors_of("create", libc::ENOSPC)),
    ("disk-slow", |seen| seen.slow),
    ("disk-hang", |seen| seen.hung),
    ("read-error", |seen| seen.errors_of("read", libc::EIO)),
    ("write-error", |seen| seen.errors_of("write", libc::EIO)),
    ("fsync-error", |seen| seen.errors_of("sync", libc::EIO)),
    ("bad-sector", |seen| seen.errors_of("read", libc::EIO)),
    ("bit-rot", |seen| seen.wrong.len() as u32),
    ("lost-write", |seen| seen.wrong.len() as u32),
    ("misdirected-write", |seen| seen.wrong.len() as u32),
    ("stale-read", |seen| seen.wrong.len() as u32),
    ("page-cache", |seen| seen.cold),
];

#[test]
fn each_family_shows_and_off_it_does_not() {
    for &(family, how) in SHOWN {
        let seen = shows(family, how);
        match family {
            "disk-full" => assert_eq!(seen.errors.len(), 1, "what is there can be written over: {seen:?}"),
            "page-cache" => assert_eq!(Seen { cold: 0, ..seen }, Seen::default(), "nothing else differs"),
            family if SILENT.contains(&family) && family != "bad-sector" => {
                assert!(seen.errors.is_empty(), "{family} is silent: {seen:?}");
            }
            _ => {}
        }
    }
}

/// The families that lose data without a word, or for good.
const SILENT: [&str; 5] = ["bit-rot", "bad-sector", "lost-write", "misdirected-write", "stale-read"];

const NODES: [&str; 4] = ["a", "b", "c", "d"];

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(8) })]
    #[test]
    fn a_plan_damages_no_more_nodes_than_the_tolerance_and_the_log_accounts_for_every_wrong_byte(
        seed: u64,
        most in 0usize..4,
    ) {
        let swarm = move || {
            let tolerance = corrupt(most).down(1);
            Swarm::default().at_full_strength().slots_of(ms(400)).only(SILENT).tolerate(tolerance)
        };
        let outcome = chaos(Config::seed(seed), &NODES, swarm);
        let faults = outcome.faults;
        let damaged: BTreeSet<_> = faults.iter().filter(|f| f.happened()).flat_map(|f| &f.nodes).collect();
        prop_assert!(damaged.len() <= most, "{} nodes are damaged: {faults:#?}", damaged.len());
        prop_assert!(most == 3 || faults.iter().any(|fault| match &fault.fate {
            Fate::Vetoed(why) => *why == format!("{} nodes would be corrupt, the tolerance is {most}", most + 1),
            _ => false,
        }), "what was forbidden is in the log: {faults:#?}");
        for (at, node) in outcome.result.unwrap().wrong {
            let accounts = |f: &&Fault| f.effects > 0 && f.nodes == [node.id()] && f.is_on(at);
            prop_assert!(faults.iter().any(|f| accounts(&f)), "{node:?} at {at:?}: {faults:#?}");
        }
    }
}

#[test]
fn what_stops_a_program_counts_as_down() {
    let swarm = || {
        let families = ["disk-full", "disk-hang", "read-error", "write-error", "fsync-error"];
        Swarm::default()
            .at_full_strength()
            .slots_of(ms(300))
            .only(families)
            .tolerate(Tolerance::new().down(1))
    };
    let faults = chaos(Config::seed(3), &NODES, swarm).faults;
    let happened: Vec<&Fault> = faults.iter().filter(|f| f.happened()).collect();
    for fault in &happened {
        let others = happened.iter().filter(|other| other.nodes != fault.nodes && other.is_on(fault.start));
        assert_eq!(others.count(), 0, "{faults:#?}");
    }
    assert!(happened.len() > 3);
    let vetoed =
        faults.iter().filter(|f| matches!(&f.fate, Fate::Vetoed(why) if why.contains("would be down")));
    assert!(vetoed.count() > 3, "{faults:#?}");
}

#[test]
fn faults_wait_for_syncs_and_renames() {
    let at_work = |family: &'static str, seed| {
        let outcome = run(Config::seed(seed), move |sim| async move {
            let dangers = Rc::new(RefCell::new(BTreeSet::new()));
            let told = dangers.clone();
            sim.node("a").on_exit(ExitPolicy::Restart(ms(1))).run(move || {
                let told = told.clone();
                async move {
                    loop {
                        sleep(ms(77)).await;
                        let mut file = File::create("/new").await?;
                        file.write_all(b"x").await?;
                        told.borrow_mut().insert(sim.elapsed());
                        file.sync_all().await?;
                        told.borrow_mut().insert(sim.elapsed());
                        fs::rename("/new", "/old").await?;
                        told.borrow_mut().insert(sim.elapsed());
                    }
                    #[allow(unreachable_code)]
                    io::Result::Ok(())
                }
            });
            sim.nemesis(Swarm::default().at_full_strength().only([family]).during(secs(1)..secs(60)));
            sleep(secs(60)).await;
            dangers.take()
        });
        let faults = outcome.faults;
        let dangers = outcome.result.unwrap();
        let near = |fault: &&Fault| {
            let around = fault.start.saturating_sub(ms(1))..fault.start + ms(1);
            dangers.range(around).next().is_some()
        };
        let happened: Vec<&Fault> = faults.iter().filter(|fault| fault.happened()).collect();
        (happened.iter().filter(|fault| near(fault)).count(), happened.len())
    };
    for family in ["power-cut", "fsync-error", "disk-hang"] {
        let runs = (0..6).map(|seed| at_work(family, seed));
        let (near, all) = runs.fold((0, 0), |sum, run| (sum.0 + run.0, sum.1 + run.1));
        // By chance it would be one in 25.
        assert!(near * 6 > all && near < all, "{family}: {near} of {all}");
    }
}

#[test]
fn the_seed_chooses_among_the_crash_models_that_are_asked_for() {
    /// What a power cut leaves of a file that was synced and of one that was not.
    fn left(seed: u64, swarm: Swarm) -> (bool, bool) {
        let outcome = run(Config::seed(seed), move |sim| async move {
            let node = sim.node("a");
            sim.nemesis(swarm.only(["kill"]).during(secs(1)..secs(2)));
            let written = node.spawn(async {
                for name in ["/synced", "/hasty"] {
                    fs::write(name, b"x").await?;
                }
                File::open("/synced").await?.sync_all().await?;
                File::open("/").await?.sync_all().await
            });
            written.await.unwrap().unwrap();
            node.power_cut();
            let has = |name| node.disk().read(name).is_ok_and(|content| content == b"x");
            (has("/synced"), has("/hasty"))
        });
        outcome.result.unwrap()
    }
    let all = |swarm: fn() -> Swarm| (0..60).map(|seed| left(seed, swarm())).collect::<Vec<_>>();
    let usual = all(Swarm::default);
    assert!(usual.iter().all(|(synced, _)| *synced), "no drive lies unless that is asked for");
    assert!(usual.iter().any(|(_, hasty)| *hasty) && usual.iter().any(|(_, hasty)| !hasty));
    let strict = all(|| Swarm::default().crash_models([CrashModel::Strict]));
    assert!(strict.iter().all(|left| *left == (true, false)));
    let two = all(|| Swarm::default().crash_models([CrashModel::Strict, CrashModel::Lying]));
    assert!(two.iter().any(|(synced, _)| !synced), "some seeds have a drive that lies");
    assert!(two.iter().filter(|(synced, _)| *synced).count() > 20, "and some do not");
}

#[test]
fn a_disk_of_a_node_that_is_to_stay_broken_is_not_mended() {
    let outcome = run(Config::seed(1), |sim| async move {
        for name in ["a", "b", "c"] {
            let node = sim.node(name).run(|| async { sleep(secs(1000)).await });
            node.disk().hang().forget();
        }
        sim.tolerate(Tolerance::new().down(1));
        sleep(secs(1)).await;
        let core = sim.heal_core().await;
        (core, sim.faults())
    });
    let (core, faults) = outcome.result.unwrap();
    let hung = |fault: &&Fault| fault.family == "disk-hang" && fault.end.is_none();
    let hung: Vec<String> = faults.iter().filter(hung).map(|fault| fault.target.clone()).collect();
    assert_eq!(hung, core.broken);
}
