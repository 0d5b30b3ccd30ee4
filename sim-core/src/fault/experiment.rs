//! An experiment, as a chaos engineer writes it down: what is believed, how it is put to the test, and which steps held.
//!
//! The form is that of the *Principles of Chaos Engineering* (principlesofchaos.org): a steady state, a hypothesis that it
//! goes on, a method that disturbs it, a verification, and a rollback that always runs.

use std::fmt;
use std::future::Future;
use std::pin::Pin;

type Checked = Result<(), String>;
type Action<'a> = Box<dyn FnOnce() -> Pin<Box<dyn Future<Output = Checked> + 'a>> + 'a>;

/// A step of an experiment.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Debug)]
pub enum Step {
    /// The system is as it should be before anything is done to it.
    SteadyState,
    /// The injections.
    Method,
    /// Whether the hypothesis held.
    Verification,
    /// What was done is taken back.
    Rollback,
}

impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Step::SteadyState => "steady state",
            Step::Method => "method",
            Step::Verification => "verification",
            Step::Rollback => "rollback",
        })
    }
}

/// Faults by hand with a purpose.
///
/// ```
/// # use sim_core::fault::Experiment;
/// # use sim_core::time::{Duration, sleep};
/// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
/// let node = sim.node("worker").run(|| async { sleep(Duration::from_secs(3600)).await });
/// sleep(Duration::from_millis(1)).await;
/// let report = Experiment::new("a killed worker comes back")
///     .hypothesis("whoever restarts it needs no help from its peers")
///     .steady_state(async || if node.is_running() { Ok(()) } else { Err("it does not run") })
///     .method(async || {
///         node.kill();
///         sleep(Duration::from_secs(1)).await;
///         node.start();
///         sleep(Duration::from_secs(1)).await;
///         Ok::<(), String>(())
///     })
///     .verification(async || if node.is_running() { Ok(()) } else { Err("it is still dead") })
///     .rollback(async || Ok::<(), String>(node.start()))
///     .run()
///     .await;
/// assert!(report.held(), "{report}");
/// # }).result.unwrap();
/// ```
#[must_use = "nothing is done before `run`"]
pub struct Experiment<'a> {
    name: String,
    hypothesis: String,
    steps: Vec<(Step, Action<'a>)>,
}

impl fmt::Debug for Experiment<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Experiment").field("name", &self.name).finish_non_exhaustive()
    }
}

impl<'a> Experiment<'a> {
    /// An experiment without steps.
    pub fn new(name: impl Into<String>) -> Self {
        Experiment { name: name.into(), hypothesis: String::new(), steps: Vec::new() }
    }

    /// What is believed, in a sentence.
    pub fn hypothesis(self, hypothesis: impl Into<String>) -> Self {
        Experiment { hypothesis: hypothesis.into(), ..self }
    }

    fn step<E: fmt::Display>(mut self, step: Step, action: impl AsyncFnOnce() -> Result<(), E> + 'a) -> Self {
        let action: Action<'a> =
            Box::new(move || Box::pin(async move { action().await.map_err(|error| error.to_string()) }));
        self.steps.push((step, action));
        self
    }

    /// Checks that the system is as it should be. If it is not, only the rollback follows.
    pub fn steady_state<E: fmt::Display>(self, check: impl AsyncFnOnce() -> Result<(), E> + 'a) -> Self {
        self.step(Step::SteadyState, check)
    }

    /// Does something to the system.
    pub fn method<E: fmt::Display>(self, inject: impl AsyncFnOnce() -> Result<(), E> + 'a) -> Self {
        self.step(Step::Method, inject)
    }

    /// Checks the hypothesis.
    pub fn verification<E: fmt::Display>(self, check: impl AsyncFnOnce() -> Result<(), E> + 'a) -> Self {
        self.step(Step::Verification, check)
    }

    /// Takes back what was done, whatever became of the steps before.
    pub fn rollback<E: fmt::Display>(self, undo: impl AsyncFnOnce() -> Result<(), E> + 'a) -> Self {
        self.step(Step::Rollback, undo)
    }

    /// Does the steps: steady states, methods, verifications, rollbacks, each kind in the order given. After one that
    /// fails only rollbacks follow.
    pub async fn run(mut self) -> ExperimentReport {
        let mut steps = Vec::new();
        self.steps.sort_by_key(|(step, _)| *step);
        let mut failed = false;
        for (step, action) in self.steps {
            let result = match failed && step != Step::Rollback {
                true => None,
                false => Some(action().await),
            };
            failed |= matches!(result, Some(Err(_)));
            steps.push((step, result));
        }
        ExperimentReport { name: self.name, hypothesis: self.hypothesis, steps }
    }
}

/// Which steps of an experiment held.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct ExperimentReport {
    /// The experiment.
    pub name: String,
    /// What was believed.
    pub hypothesis: String,
    /// Each step with what became of it; `None` for one that was left out because another had failed.
    pub steps: Vec<(Step, Option<Result<(), String>>)>,
}

impl ExperimentReport {
    /// Whether all steps held.
    pub fn held(&self) -> bool {
        self.steps.iter().all(|(_, result)| matches!(result, Some(Ok(()))))
    }

    /// The report as a result, for the `?` of a test.
    ///
    /// # Errors
    /// When a step did not hold: the whole report.
    pub fn verdict(self) -> Result<(), ExperimentReport> {
        if self.held() { Ok(()) } else { Err(self) }
    }
}

impl fmt::Display for ExperimentReport {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "experiment {:?}: {}", self.name, if self.held() { "held" } else { "did not hold" })?;
        if !self.hypothesis.is_empty() {
            writeln!(f, "  hypothesis: {}", self.hypothesis)?;
        }
        for (step, result) in &self.steps {
            match result {
                Some(Ok(())) => writeln!(f, "  {step}: held")?,
                Some(Err(error)) => writeln!(f, "  {step}: {error}")?,
                None => writeln!(f, "  {step}: left out")?,
            }
        }
        Ok(())
    }
}

impl std::error::Error for ExperimentReport {}
