//! One run, by hand.

use std::panic::Location;
use std::time::Duration;

use serde::Serialize;
use serde::de::DeserializeOwned;
use sim_core::{Log, Outcome, Schedule, Sim};

use crate::Isolate;
use crate::isolate::{self, Assignment, LONG, Limits, Place, Plan, Twice, Work};
use crate::run::{Shape, Wire, check_surroundings, decode, encode, site};
use crate::settings::Settings;

/// Prepares one run.
///
/// The run happens in a process of its own unless [`isolate`](Builder::isolate) says otherwise. That process starts
/// this program again, with the same arguments, up to this point: what the program does before must be harmless to
/// do twice, and its standard input is empty there. What the run prints is printed when it has ended.
///
/// ```
/// use sim_run::Builder;
/// use std::time::Duration;
///
/// let outcome = Builder::new().seed(7).run(|_sim| async {
///     sim_core::time::sleep(Duration::from_secs(3600)).await;
///     "an hour later".to_owned()
/// });
/// assert_eq!(outcome.result.unwrap(), "an hour later");
/// assert_eq!(outcome.now, Duration::from_secs(3600));
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "nothing runs before `run`"]
pub struct Builder {
    seed: u64,
    shape: Shape,
    isolate: Isolate,
    limits: Limits,
    log: bool,
}

impl Builder {
    /// A run of seed 0 with the defaults of each method.
    pub fn new() -> Builder {
        Builder::default()
    }

    /// The seed that decides everything; default 0. `SIM_SEED` overrides it, and `SIM_REPLAY` with a saved run.
    pub fn seed(mut self, seed: u64) -> Builder {
        self.seed = seed;
        self
    }

    /// How the next task is chosen; default [`Schedule::Portfolio`]. `SIM_SCHEDULE` overrides it.
    pub fn schedule(mut self, schedule: Schedule) -> Builder {
        self.shape.schedule = schedule;
        self
    }

    /// Virtual time after which the run fails; default [`Config::TIME_LIMIT`](sim_core::Config::TIME_LIMIT).
    pub fn time_limit(mut self, limit: Duration) -> Builder {
        self.shape.time_limit = limit;
        self
    }

    /// Where the run happens; default [`Isolate::Process`]. `SIM_FORK=0` runs it in this process.
    pub fn isolate(mut self, isolate: Isolate) -> Builder {
        self.isolate = isolate;
        self
    }

    /// Whether [`Outcome::log`] is kept; default no. A process that comes by this run on its way to a later one
    /// finds it empty.
    pub fn record(mut self, record: bool) -> Builder {
        self.shape.record = record;
        self
    }

    /// Whether what the run says through `tracing` is printed, from level INFO on; default no. `SIM_LOG` turns it on
    /// and chooses what is printed.
    pub fn log(mut self, log: bool) -> Builder {
        self.log = log;
        self
    }

    /// Address space that the run may use beyond what its process starts with, in bytes; default 2 GiB, `None`
    /// for no limit. No effect on threads.
    pub fn memory_limit(mut self, bytes: impl Into<Option<u64>>) -> Builder {
        self.limits.memory = bytes.into();
        self
    }

    /// CPU time that the run may use; default 60 s. No effect on threads.
    pub fn cpu_limit(mut self, time: Duration) -> Builder {
        self.limits.cpu = time;
        self
    }

    /// Real time for which the run may stand still without using the CPU; default 30 s. No effect on threads.
    pub fn blocked_limit(mut self, time: Duration) -> Builder {
        self.limits.blocked = time;
        self
    }

    /// Runs `body` and gives what it returned, or what broke. Where it runs in a process of its own, the value
    /// comes back through serde.
    ///
    /// # Panics
    /// Inside of a simulation; when an environment variable has a value that cannot be used; when no process can be
    /// started.
    #[track_caller]
    pub fn run<T, F, Fut>(self, body: F) -> Outcome<T>
    where
        T: Serialize + DeserializeOwned + 'static,
        F: Fn(Sim) -> Fut + Sync,
        Fut: Future<Output = T> + 'static,
    {
        let here = Location::caller();
        self.conduct(here, |shape, assignment| shape.run(assignment, &body, Ok, &site(here)))
    }

    /// As [`run`](Builder::run); an error that the body returns is the failure of the run.
    ///
    /// # Panics
    /// As [`run`](Builder::run).
    #[track_caller]
    pub fn try_run<T, E, F, Fut>(self, body: F) -> Outcome<T>
    where
        T: Serialize + DeserializeOwned + 'static,
        E: std::fmt::Display + 'static,
        F: Fn(Sim) -> Fut + Sync,
        Fut: Future<Output = Result<T, E>> + 'static,
    {
        let here = Location::caller();
        self.conduct(here, |shape, assignment| {
            shape.run(assignment, &body, |result| result.map_err(|error| format!("{error:#}")), &site(here))
        })
    }

    #[track_caller]
    fn conduct<T>(
        mut self,
        here: &Location<'_>,
        run: impl Fn(&Shape, &Assignment<'_>) -> Vec<u8> + Sync,
    ) -> Outcome<T>
    where
        T: Serialize + DeserializeOwned,
    {
        check_surroundings("Builder::run");
        let settings = Settings::of_environment();
        self.shape.schedule = settings.schedule.unwrap_or(self.shape.schedule);
        let place = Place::visit(None, here);
        self.shape.saved = settings.replay_of(&place.subject());
        let work: &Work<'_> = &|assignment| run(&self.shape, assignment);
        if let Some(past) = isolate::enter(&place, &self.limits, work) {
            return decode::<Wire<T>>(&past).into_outcome();
        }
        let plan = Plan {
            place: &place,
            seeds: settings.one_seed(self.seed),
            jobs: 1,
            isolate: self.isolate.here(),
            limits: self.limits.clone(),
            twice: Twice::Never,
            log: self.log || settings.log.is_some(),
            keep_output: LONG,
            here: settings.no_fork,
        };
        let mut last = None;
        let done = isolate::execute(&plan, work, |done| {
            print!("{}", done.output);
            last = Some(Wire::of(done.end));
            std::ops::ControlFlow::Continue(())
        });
        if let Err(trouble) = done {
            panic!("the run could not be done: {}", trouble.0);
        }
        let mut wire: Wire<T> = last.expect("one seed was asked for");
        // A log can be larger than everything else, and each later worker is sent what is remembered.
        let log = wire.log.take();
        wire.log = log.as_ref().map(|_| Log::default());
        place.remember(encode(&wire));
        wire.log = log;
        wire.into_outcome()
    }
}
