//! The fault log, the families of processes, CPUs and clocks, the nemesis and what it may do.

use super::{ms, secs};
use proptest::prelude::*;
use sim_core::fault::{
    self, Experiment, Family, Fate, Fault, Injection, Slot, Step, Swarm, Tolerance, Window,
};
use sim_core::time::{Duration, Instant, sleep, wall};
use sim_core::{Config, ExitPolicy, Kind, Node, Outcome, Sim, Source, run};
use std::cell::RefCell;
use std::collections::BTreeMap;
use std::ops::RangeInclusive;
use std::rc::Rc;
use std::sync::Arc;

/// What a program sees of time and of its own end: that is where the families of this crate show.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Seen {
    /// Starts, and polls that came later than they should.
    starts: u32,
    late: u32,
    /// Readings of the wall clock that do not fit to the monotonic one, or to the world's.
    wrong_wall: u32,
    /// Sleeps that took another time than they should.
    wrong_sleep: u32,
}

fn watch(sim: Sim, node: Node, seen: Rc<RefCell<Seen>>) {
    let epoch = Duration::from_nanos(sim_core::EPOCH);
    node.run(move || {
        let seen = seen.clone();
        async move {
            seen.borrow_mut().starts += 1;
            for _ in 0..4 {
                // Several tasks, so that one waits for the core while another has it.
                let seen = seen.clone();
                sim_core::spawn(async move {
                    loop {
                        let (before, local) = (sim.elapsed(), Instant::now());
                        sleep(ms(10)).await;
                        let (took, felt) = (sim.elapsed() - before, local.elapsed());
                        let mut seen = seen.borrow_mut();
                        seen.late += u32::from(took > ms(10) && felt == took);
                        seen.wrong_sleep += u32::from(took != felt);
                        let shown = wall().duration_since(std::time::UNIX_EPOCH).unwrap();
                        seen.wrong_wall += u32::from(shown != epoch + sim.elapsed());
                    }
                });
            }
            sleep(secs(100_000)).await;
        }
    });
}

fn chaos(config: Config, swarm: impl Fn() -> Swarm + 'static) -> Outcome<Seen> {
    run(config, |sim| async move {
        let seen = Rc::new(RefCell::new(Seen::default()));
        watch(sim, sim.node("a"), seen.clone());
        sim.nemesis(swarm().during(secs(1)..secs(20)));
        sleep(secs(20)).await;
        sim.heal().await;
        seen.take()
    })
}

/// Runs with one family at full strength, and without it.
fn with_and_without(family: &'static str) -> (Seen, Vec<Fault>, Seen) {
    let tolerance = || Tolerance::new().wiped(1);
    let swarm = move || Swarm::default().at_full_strength().only([family]).tolerate(tolerance());
    let with = chaos(Config::seed(5), swarm);
    let without = chaos(Config::seed(5), move || swarm().without([family]));
    assert!(without.faults.is_empty(), "{family} is off: {:?}", without.faults);
    assert!(with.faults.iter().all(|f| f.family == family && f.slot.is_some()));
    (with.result.unwrap(), with.faults, without.result.unwrap())
}

#[track_caller]
fn shows(family: &'static str, how: impl Fn(&Seen) -> u32) {
    let (with, faults, without) = with_and_without(family);
    assert_eq!(without, Seen { starts: 1, ..Seen::default() }, "without {family}");
    assert!(how(&with) > how(&without), "{family} shows: {with:?}");
    assert!(faults.iter().any(|fault| fault.happened() && fault.effects > 0), "{family}: {faults:?}");
    assert!(faults.iter().all(|fault| fault.end.is_some()), "all have ended: {faults:?}");
}

/// A family, and how much of it is seen.
pub type Shown = (&'static str, fn(&Seen) -> u32);

/// How the families of processes, CPUs and clocks show.
pub const SHOWN: &[Shown] = &[
    ("kill", |seen| seen.starts),
    ("power-cut", |seen| seen.starts),
    ("wipe", |seen| seen.starts),
    ("pause", |seen| seen.late),
    ("slow-cpu", |seen| seen.late),
    ("clock-offset", |seen| seen.wrong_wall),
    ("clock-step", |seen| seen.wrong_wall),
    ("clock-strobe", |seen| seen.wrong_wall),
    ("clock-drift", |seen| seen.wrong_sleep),
];

#[test]
fn each_family_shows_and_off_it_does_not() {
    for (family, how) in SHOWN {
        shows(family, how);
    }
}

#[test]
fn healing_makes_clocks_right_again() {
    let outcome = run(Config::seed(1), |sim| async move {
        let node = sim.node("a");
        node.clock().drift_ppm(500).step(-7_000_000_000);
        sleep(secs(10)).await;
        node.pause();
        sim.heal().await;
        let epoch = Duration::from_nanos(sim_core::EPOCH);
        let shown = node.spawn(async { wall() }).await.unwrap();
        let shown = shown.duration_since(std::time::UNIX_EPOCH).unwrap();
        assert_eq!((shown, node.clock().drift(), node.is_still()), (epoch + sim.elapsed(), 0, false));
    });
    outcome.result.unwrap();
    let told: Vec<_> =
        outcome.faults.iter().map(|f| (&*f.family, f.slot, f.end.is_some(), f.effects)).collect();
    let expected = [("clock-drift", None, true, 0), ("clock-step", None, true, 0), ("pause", None, true, 0)];
    assert_eq!(told, expected, "by hand, over, and nobody saw anything of them");
}

#[test]
fn faults_by_hand_are_in_the_log() {
    let outcome = run(Config::seed(1), |sim| async move {
        let node = sim.node("a").run(|| async { sleep(secs(100)).await });
        sleep(secs(1)).await;
        node.kill();
        sleep(secs(1)).await;
        node.start();
        sleep(secs(1)).await;
        node.poll_cost(ms(1)..=ms(2));
        node.power_cut();
        assert_eq!(sim.faults().len(), 3);
    });
    outcome.result.unwrap();
    let told: Vec<String> = outcome.faults.iter().map(ToString::to_string).collect();
    assert_eq!(
        told,
        [
            "1s to 2s kill of a",
            "3s to the end slow-cpu of a: poll cost up to 2ms (nothing came of it)",
            "3s to the end power-cut of a",
        ]
    );
    assert_eq!((outcome.stats.faults, outcome.stats.vetoes), (3, 0));
}

#[test]
fn the_trace_tells_runs_with_faults_apart_and_equal_ones_not() {
    let swarm = || Swarm::default().at_full_strength();
    let (one, two) = (chaos(Config::seed(3), swarm), chaos(Config::seed(3), swarm));
    assert_eq!((one.trace, &one.faults), (two.trace, &two.faults));
    assert!(!one.faults.is_empty());
    assert_ne!(one.trace, chaos(Config::seed(3), move || swarm().without(["kill"])).trace);
}

#[test]
fn runs_differ_in_their_families() {
    let families = |seed| {
        let faults = chaos(Config::seed(seed), Swarm::default).faults;
        let mut families: Vec<_> = faults.into_iter().map(|fault| fault.family.to_string()).collect();
        families.sort();
        families.dedup();
        families
    };
    let all: Vec<_> = (0..40).map(families).collect();
    assert!(all.iter().filter(|families| families.is_empty()).count() >= 4, "some have no fault");
    let different: std::collections::BTreeSet<_> = all.iter().collect();
    assert!(different.len() > 20, "{different:?}");
}

/// A cluster under the nemesis; the most nodes that were down at once, as a watcher in the harness saw it.
fn most_down(seed: u64, nodes: u32, down: usize, without: Option<&'static str>) -> (usize, Vec<Fault>) {
    let outcome = run(Config::seed(seed), move |sim| async move {
        let all: Vec<Node> = (0..nodes)
            .map(|i| sim.node(&format!("n{i}")).run(|| async { sleep(secs(100_000)).await }))
            .collect();
        sleep(ms(1)).await;
        let swarm = Swarm::default().at_full_strength().slots_of(ms(300)).without(without);
        sim.nemesis(swarm.tolerate(Tolerance::new().down(down)).during(secs(1)..secs(20)));
        let mut most = 0;
        while sim.elapsed() < secs(21) {
            let out = all.iter().filter(|n| !n.is_up() || !n.is_running() || n.is_still()).count();
            most = most.max(out);
            sleep(ms(1)).await;
        }
        most
    });
    (outcome.result.unwrap(), outcome.faults)
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(40))]
    #[test]
    fn a_plan_never_exceeds_the_tolerance(seed: u64, nodes in 1u32..7, down in 0usize..4) {
        let (most, faults) = most_down(seed, nodes, down, None);
        prop_assert!(most <= down, "{most} of {nodes} nodes were down, {down} may be: {faults:#?}");
        prop_assert!(faults.iter().all(|fault| fault.family != "wipe" || fault.fate != Fate::Injected));
    }
}

#[test]
fn what_the_tolerance_forbids_is_vetoed_or_weaker_and_the_log_says_so() {
    let (most, faults) = most_down(1, 3, 1, None);
    assert_eq!(most, 1, "what is allowed is used");
    let vetoed = faults.iter().find_map(|fault| match &fault.fate {
        Fate::Vetoed(why) if why.contains("down") => Some(why.clone()),
        _ => None,
    });
    assert_eq!(vetoed.unwrap(), "2 nodes would be down, the tolerance is 1");
    let weaker = (0..8).flat_map(|seed| most_down(seed, 3, 1, None).1);
    let weaker = weaker.into_iter().find(|fault| matches!(fault.fate, Fate::Downgraded(_))).unwrap();
    assert!(weaker.to_string().contains("would be wiped"), "{weaker}");
    assert_eq!(most_down(1, 3, 0, None).0, 0);
}

#[test]
fn nobody_is_hit_by_the_same_family_without_a_rest() {
    let (_, faults) = most_down(2, 1, 1, None);
    let kills: Vec<_> = faults.iter().filter(|fault| fault.family == "kill" && fault.happened()).collect();
    for pair in kills.windows(2) {
        assert!(pair[1].start >= pair[0].end.unwrap() + ms(200), "{pair:?}");
        assert!(pair[0].end.unwrap() - pair[0].start >= ms(100));
    }
    assert!(kills.len() > 1);
}

fn deviations(outcome: &Outcome<Seen>) -> BTreeMap<u64, u64> {
    outcome.log.as_ref().unwrap().deviations.iter().map(|d| (d.name, d.value)).collect()
}

#[test]
fn a_fault_that_is_taken_out_leaves_the_others() {
    let swarm = || Swarm::default().at_full_strength().without(["clock-drift"]);
    let explicit = |deviations| Config::seed(4).source(Source::Explicit { seed: 4, deviations });
    let whole = chaos(Config::seed(4).record(), swarm);
    let all = deviations(&whole);
    let again = chaos(explicit(Arc::new(all.clone())), swarm);
    assert_eq!((again.trace, &again.faults), (whole.trace, &whole.faults), "a run is its deviations");
    let listed = &whole.log.as_ref().unwrap().deviations;
    let slots: Vec<_> = listed.iter().filter(|d| d.kind == Kind::Fault).map(|d| d.name).collect();
    assert!(slots.len() >= 8);
    // Vetoes and rests follow from other faults, so only what happened is compared.
    let happened = |faults: &[Fault]| faults.iter().filter(|f| f.happened()).cloned().collect::<Vec<_>>();
    let (mut kept, mut others) = (0, 0);
    for (slot, name) in slots.iter().enumerate() {
        let mut without = all.clone();
        without.remove(name);
        let left = chaos(explicit(Arc::new(without)), swarm);
        let left = happened(&left.faults);
        assert!(left.iter().all(|fault| fault.slot != Some(slot as u64)));
        for fault in happened(&whole.faults).iter().filter(|fault| fault.slot != Some(slot as u64)) {
            let same = |f: &&Fault| {
                (f.slot, f.start, f.end, &f.target) == (fault.slot, fault.start, fault.end, &fault.target)
            };
            others += 1;
            kept += usize::from(left.iter().any(|f| same(&f)));
        }
    }
    assert!(kept * 100 >= others * 95, "{kept} of {others} are kept");
}

#[test]
fn a_run_that_is_seeded_anew_gets_new_faults_from_there_on() {
    let swarm = || Swarm::default().at_full_strength();
    let whole = chaos(Config::seed(6), swarm);
    let (until, mut new) = (secs(9), 0);
    for then in 7..27 {
        let source = Source::Spliced { seed: 6, until: until.as_nanos() as u64, then };
        let spliced = chaos(Config::seed(6).source(source), swarm).faults;
        let before = |faults: &[Fault]| {
            faults.iter().filter(|f| f.start < until).map(|f| (f.slot, f.start)).collect::<Vec<_>>()
        };
        assert_eq!(before(&spliced), before(&whole.faults));
        // One that waits for danger in vain begins when its slot ends, whatever the seed.
        let anew = |f: &&Fault| f.start >= until && f.start.subsec_nanos() != 0;
        assert!(spliced.iter().filter(anew).all(|f| !whole.faults.contains(f)));
        new += spliced.iter().filter(anew).count();
    }
    assert!(new > 20, "{new}");
}

/// A family of a test's own, which counts.
struct Bank(Rc<RefCell<i32>>);

impl Family for Bank {
    fn name(&self) -> &'static str {
        "bank"
    }
    fn lasts(&self) -> RangeInclusive<Duration> {
        ms(10)..=ms(100)
    }
    fn windows(&self) -> &'static [Window] {
        &[Window::Boot]
    }
    fn plan(&self, slot: &Slot<'_>) -> Option<Injection> {
        let on = self.0.clone();
        let node = slot.service()?;
        Some(Injection::of_node(node, move |_| {
            *on.borrow_mut() += 1;
            fault::beginning().into_iter().for_each(fault::noticed);
            Box::new(move || *on.borrow_mut() -= 1)
        }))
    }
}

#[test]
fn a_test_has_families_of_its_own_and_faults_wait_for_danger() {
    let outcome = run(Config::seed(1), |sim| async move {
        let on = Rc::new(RefCell::new(0));
        for name in ["a", "b"] {
            sim.node(name).on_exit(ExitPolicy::Restart(ms(1))).run(|| async { sleep(ms(700)).await });
        }
        let swarm = Swarm::default().only(["bank"]).with(Bank(on.clone())).at_full_strength();
        sim.nemesis(swarm.prefer(move || Some(sim.node("b"))).during(secs(1)..secs(60)));
        sleep(secs(30)).await;
        sim.heal().await;
        assert_eq!(*on.borrow(), 0, "each that began has ended");
    });
    outcome.result.unwrap();
    let faults = outcome.faults;
    assert!(faults.len() > 10, "{faults:?}");
    assert!(faults.iter().all(|f| f.effects == u64::from(f.happened())));
    // Both programs start anew each 701 ms.
    let at_boot = faults.iter().filter(|f| f.start.as_micros() % 701_000 == 0).count();
    assert!(at_boot >= 3 && at_boot < faults.len(), "{at_boot} of {}", faults.len());
}

#[test]
fn a_misspelt_family_is_an_error() {
    let outcome = run(Config::seed(1), |sim| async move {
        sim.node("a");
        sim.nemesis(Swarm::default().without(["kil"]).during(secs(1)..secs(2)));
        sleep(secs(3)).await;
    });
    let failure = outcome.result.unwrap_err();
    assert!(failure.message.contains("\"kil\"") && failure.message.contains("kill, "), "{failure}");
}

#[test]
fn a_core_is_healed_and_the_rest_stays_broken() {
    let mut sizes = [0; 3];
    for seed in 0..40 {
        let outcome = run(Config::seed(seed), |sim| async move {
            for i in 0..5 {
                sim.node(&format!("n{i}")).run(|| async { sleep(secs(100_000)).await });
            }
            sim.nemesis(Swarm::default().tolerate(Tolerance::new().down(2)).during(secs(1)..secs(20)));
            sleep(secs(10)).await;
            let core = sim.heal_core().await;
            sleep(secs(100)).await;
            for name in &core.healthy {
                assert!(sim.node(name).is_running() && !sim.node(name).is_still());
            }
            for name in &core.broken {
                let node = sim.node(name);
                assert!(!node.is_running() || node.is_still() || node.clock().drift() != 0, "{name} is well");
            }
            core.broken.len()
        });
        sizes[outcome.result.unwrap()] += 1;
    }
    assert!(sizes.iter().all(|n| *n > 3), "{sizes:?}");
}

#[test]
fn an_experiment_says_which_step_held() {
    let outcome = run(Config::seed(1), |_| async {
        let undone = Rc::new(RefCell::new(false));
        let undo = undone.clone();
        let report = Experiment::new("x")
            .rollback(async move || {
                *undo.borrow_mut() = true;
                Ok::<(), String>(())
            })
            .steady_state(async || Ok::<(), String>(()))
            .method(async || Err("no such disk"))
            .verification(async || Ok::<(), String>(()))
            .run()
            .await;
        assert!(!report.held() && *undone.borrow());
        assert_eq!(report.steps[2], (Step::Verification, None));
        report.to_string()
    });
    let told = outcome.result.unwrap();
    assert!(told.contains("method: no such disk") && told.contains("rollback: held"), "{told}");
}
