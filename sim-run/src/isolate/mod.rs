//! Where runs happen: each in a process of its own, or each on a thread of its own.
//!
//! A run is *clean process → fixed warm-up → run on a fresh thread*. The [`supervisor`] starts [`worker`]s, which are
//! this same program brought to the same sweep ([`place`], [`enlist`]); a worker warms up once and forks a child for
//! each seed. [`execute`] hands the ends of all runs to the sweep in the order of its seeds, whichever came first.
//! Nothing here knows what a run is: work is a function from a seed to bytes.
//!
//! `unsafe` is in [`sys`] and [`beacon`], and where a worker is started, adopts its socket and forks.

#[cfg(unix)]
pub(crate) mod beacon;
mod death;
#[cfg(unix)]
mod enlist;
mod fresh;
mod laboratory;
mod place;
#[cfg(unix)]
mod protocol;
mod queue;
#[cfg(unix)]
mod supervisor;
#[cfg(unix)]
mod sys;
mod threads;
#[cfg(unix)]
mod worker;

use std::collections::BTreeMap;
use std::ops::ControlFlow;
use std::sync::mpsc;
use std::thread;
use std::time::Duration;

pub(crate) use death::Death;
pub(crate) use laboratory::{Laboratory, experiment};
pub(crate) use place::Place;
pub(crate) use queue::Twice;

use crate::{Isolate, Seeds};
use queue::{Queue, Task};

/// What a run does: from its assignment to its encoded outcome.
pub(crate) type Work<'a> = dyn Fn(&Assignment<'_>) -> Vec<u8> + Sync + 'a;

/// One run to do, as the process or thread knows that does it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Assignment<'a> {
    pub(crate) seed: u64,
    /// Whether it logs.
    pub(crate) log: bool,
    /// What else it is told: nothing in a sweep.
    pub(crate) orders: &'a [u8],
}

/// What the process of a run may use.
#[derive(Clone, Debug)]
pub(crate) struct Limits {
    /// Bytes of address space beyond the worker's.
    pub(crate) memory: Option<u64>,
    pub(crate) cpu: Duration,
    /// Real time that a run may stand still.
    pub(crate) blocked: Duration,
}

impl Default for Limits {
    fn default() -> Limits {
        Limits { memory: Some(2 << 30), cpu: Duration::from_secs(60), blocked: Duration::from_secs(30) }
    }
}

/// How a run ended.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum End {
    /// With its encoded outcome.
    Finished(Vec<u8>),
    /// Without.
    Died(Death),
}

/// All that a sweep learns of one seed.
#[derive(Debug)]
pub(crate) struct Done {
    pub(crate) seed: u64,
    pub(crate) end: End,
    /// What the run's process printed; empty for threads.
    pub(crate) output: String,
    /// The end of the second run, of seeds that are run twice.
    pub(crate) repeat: Option<End>,
}

/// Why a sweep could not be done: no failure of a run.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Trouble(pub(crate) String);

#[derive(Debug)]
enum Message {
    Done { task: Task, end: End, output: String },
    Trouble(Trouble),
}

/// What [`execute`] does.
#[derive(Clone, Debug)]
pub(crate) struct Plan<'a> {
    pub(crate) place: &'a Place,
    pub(crate) seeds: Seeds,
    /// Upper limit.
    pub(crate) jobs: usize,
    pub(crate) isolate: Isolate,
    pub(crate) limits: Limits,
    pub(crate) twice: Twice,
    /// Whether runs log.
    pub(crate) log: bool,
    /// Bytes of output to keep of a run: so many of its beginning, twice as many of its end.
    pub(crate) keep_output: usize,
    /// Run in this process, one seed: for debuggers.
    pub(crate) here: bool,
}

/// Cause of the death of a run whose worker died under it, for reasons that need not be the run's.
pub(crate) const LOST_WORKER: &str = "worker";
/// Output of a run that a sweep keeps, in bytes.
pub(crate) const SHORT: usize = 16 << 10;
/// Output of a run that is run for its output, in bytes.
pub(crate) const LONG: usize = 32 << 20;

/// What a process does first at a sweep: a worker that was started for it serves it, and never returns; a worker of a
/// later sweep gets the report that its supervisor had of this one.
pub(crate) fn enter(place: &Place, limits: &Limits, work: &Work<'_>) -> Option<Vec<u8>> {
    #[cfg(unix)]
    match enlist::role(place) {
        enlist::Role::Supervisor => None,
        enlist::Role::Worker(service) => service.serve(limits, work),
        enlist::Role::Past(report) => Some(report),
    }
    #[cfg(not(unix))]
    {
        let _ = (place, limits, work);
        None
    }
}

/// CPU time of this process, and of the workers and runs that have ended; none where the system does not say.
pub(crate) fn cpu_time() -> Duration {
    #[cfg(unix)]
    return sys::cpu_time_with_children();
    #[cfg(not(unix))]
    Duration::ZERO
}

/// Whether the system fixes the addresses of a program on demand; `None` where nobody can ask.
pub(crate) fn addresses_can_be_fixed() -> Option<bool> {
    #[cfg(unix)]
    return sys::addresses_can_be_fixed();
    #[cfg(not(unix))]
    None
}

/// Does all runs of the plan and calls `each` for every seed in order, until it breaks.
///
/// # Errors
/// When workers cannot be started. Whatever a run does is no error.
pub(crate) fn execute(
    plan: &Plan<'_>,
    work: &Work<'_>,
    mut each: impl FnMut(Done) -> ControlFlow<()>,
) -> Result<(), Trouble> {
    if plan.here {
        let mut seeds = plan.seeds.iter();
        let (Some(seed), None) = (seeds.next(), seeds.next()) else {
            let message = "SIM_FORK=0 runs one seed in this process, because only the first run of a process is the \
                           run of its seed: choose it with SIM_SEED";
            return Err(Trouble(message.to_owned()));
        };
        fresh::warm_up();
        let assignment = Assignment { seed, log: plan.log, orders: &[] };
        let ran = fresh::run(plan.log, || threads::run(&assignment, work));
        let end = ran.unwrap_or_else(|panic| std::panic::resume_unwind(panic));
        let _ = each(Done { seed, end, output: String::new(), repeat: None });
        return Ok(());
    }
    let queue = Queue::new(plan.seeds.clone(), plan.twice, plan.log);
    // A worker takes longer to start than a handful of runs take.
    let runs_to_a_worker = if plan.isolate == Isolate::Process { 8 } else { 1 };
    let useful = plan.seeds.len().div_ceil(runs_to_a_worker).max(1);
    let jobs = usize::try_from(useful).map_or(plan.jobs, |useful| plan.jobs.min(useful)).max(1);
    #[cfg(unix)]
    let workers = supervisor::Workers::default();
    if plan.isolate == Isolate::Thread {
        fresh::warm_up();
    }
    let (to, from) = mpsc::channel();
    thread::scope(|scope| {
        for _ in 0..jobs {
            let (to, queue) = (to.clone(), &queue);
            #[cfg(unix)]
            let workers = &workers;
            match plan.isolate {
                #[cfg(unix)]
                Isolate::Process => drop(scope.spawn(move || supervisor::manage(queue, plan, workers, &to))),
                _ => threads::Job::new(queue, work, to).go_on(scope),
            }
        }
        drop(to);
        // Also when `each` panics: the scope waits for the jobs.
        let _stop = OnDrop(|| {
            queue.stop();
            #[cfg(unix)]
            workers.hang_up();
        });
        let mut waiting: BTreeMap<u64, Halves> = BTreeMap::new();
        let mut next = 0;
        for message in from.into_iter().flatten() {
            let (task, end, output) = match message {
                Message::Done { task, end, output } => (task, end, output),
                Message::Trouble(trouble) => return Err(trouble),
            };
            let halves = waiting.entry(task.index).or_default();
            if task.repeat {
                halves.repeat = Some(end);
            } else {
                halves.first = Some((task.seed, end, output));
            }
            while let Some(mut ready) = waiting.first_entry().filter(|entry| *entry.key() == next) {
                if plan.twice.covers(next) && ready.get().repeat.is_none() {
                    break;
                }
                let Some((seed, end, output)) = ready.get_mut().first.take() else { break };
                let repeat = ready.remove().repeat;
                next += 1;
                queue.report(next);
                if each(Done { seed, end, output, repeat }).is_break() {
                    return Ok(());
                }
            }
        }
        Ok(())
    })
}

#[derive(Default)]
struct Halves {
    first: Option<(u64, End, String)>,
    repeat: Option<End>,
}

struct OnDrop<F: FnMut()>(F);

impl<F: FnMut()> Drop for OnDrop<F> {
    fn drop(&mut self) {
        (self.0)();
    }
}
