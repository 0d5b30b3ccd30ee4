//! The command line that the example systems share: sweeps over seeds, one seed in full, planted bugs by name, families
//! of faults to leave out.
//!
//! | module | what it is |
//! | --- | --- |
//! | [`System`], [`Planted`], [`Summary`] | what an example says of itself |
//! | [`Faults`] | which families of faults a run may meet |
//! | `request` | what was asked for |
//! | `report` | what is printed |
//!
//! A system is a type that implements [`System`]; its `main` is one line:
//!
//! ```
//! use command::{Options, Planted, System};
//!
//! struct Coin;
//!
//! #[derive(Clone, Copy, PartialEq, Debug)]
//! enum Bug {
//!     Sticky,
//! }
//!
//! impl Planted for Bug {
//!     const ALL: &'static [Bug] = &[Bug::Sticky];
//!     fn name(self) -> &'static str {
//!         "sticky"
//!     }
//!     fn signature(self) -> String {
//!         "invariant the coin lands".to_string()
//!     }
//!     fn needs(self) -> Option<&'static str> {
//!         None
//!     }
//! }
//!
//! #[derive(Clone, Copy, Default, serde::Serialize, serde::Deserialize)]
//! struct Sums {
//!     heads: u64,
//! }
//!
//! impl std::ops::AddAssign for Sums {
//!     fn add_assign(&mut self, other: Sums) {
//!         self.heads += other.heads;
//!     }
//! }
//!
//! impl command::Summary for Sums {
//!     fn rows(&self) -> Vec<(&'static str, u64)> {
//!         vec![("heads", self.heads)]
//!     }
//! }
//!
//! impl System for Coin {
//!     type Bug = Bug;
//!     type Summary = Sums;
//!     const NAME: &'static str = "coin";
//!     const ABOUT: &'static str = "A coin that is tossed.";
//!     const INVARIANTS: &'static [&'static str] = &["the coin lands"];
//!     async fn run(sim: sim::Sim, options: Options<Bug>) -> Sums {
//!         if options.bug == Some(Bug::Sticky) {
//!             sim.violated("the coin lands", "it sticks to the ceiling");
//!         }
//!         Sums { heads: sim::rand::range(0..=1) }
//!     }
//! }
//!
//! let code = command::main::<Coin>(["coin".into(), "--list-bugs".into()]);
//! assert_eq!(code, std::process::ExitCode::SUCCESS);
//! ```

mod faults;
mod report;
mod request;

pub use faults::Faults;

use report::Report;
use request::{Command, Request};
use serde::Serialize;
use serde::de::DeserializeOwned;
use sim::{Files, Run, Seeds, Sim, Sweep, sweep};
use std::ffi::OsString;
use std::fmt::{Debug, Display};
use std::future::Future;
use std::ops::AddAssign;
use std::process::ExitCode;

/// An example system.
pub trait System: 'static {
    /// Its planted mistakes.
    type Bug: Planted;
    /// What a run comes to, summed over a sweep.
    type Summary: Summary;

    /// The name of its package and its program.
    const NAME: &'static str;
    /// What it is, in a sentence.
    const ABOUT: &'static str;
    /// The names of what must hold, in the order of the table. A run in which one does not fails as
    /// `invariant NAME`, or `liveness NAME`.
    const INVARIANTS: &'static [&'static str];

    /// The families of faults that its runs may meet.
    fn families() -> Vec<&'static str> {
        sim::families()
    }

    /// One run.
    fn run(sim: Sim, options: Options<Self::Bug>) -> impl Future<Output = Self::Summary> + 'static;
}

/// The mistakes that a system can be told to make, each off by default.
pub trait Planted: Copy + PartialEq + Debug + Sync + 'static {
    /// All of them, in the order of the list.
    const ALL: &'static [Self];

    /// Its name on the command line.
    fn name(self) -> &'static str;
    /// The signature of the runs that fail because of it.
    fn signature(self) -> String;
    /// The family of faults without which it never shows, if there is such; families with commas between them where it
    /// shows with either.
    fn needs(self) -> Option<&'static str>;
}

/// What a run comes to: numbers that can be summed.
pub trait Summary: Clone + Default + AddAssign + Serialize + DeserializeOwned + 'static {
    /// The rows of the table: a word or two, and a number.
    fn rows(&self) -> Vec<(&'static str, u64)>;
}

/// How a run is to be.
#[derive(Clone, PartialEq, Debug)]
pub struct Options<B> {
    /// What may go wrong.
    pub faults: Faults,
    /// A mistake to make.
    pub bug: Option<B>,
}

impl<B> Default for Options<B> {
    fn default() -> Self {
        Options { faults: Faults::on(), bug: None }
    }
}

/// Exit codes besides 0.
const USAGE: u8 = 2;
const FAILED: u8 = 100;
const VACUOUS: u8 = 111;

/// Does what the arguments ask for; the first of them is the program.
///
/// Exit code 0: all seeds passed; 100: seeds have failed; 111: none has, but the sweep has tested nothing; 2: usage.
pub fn main<S: System>(arguments: impl IntoIterator<Item = OsString>) -> ExitCode {
    match request::parse::<S>(arguments) {
        Ok(Command::Help) => {
            print!("{}", request::help::<S>());
            ExitCode::SUCCESS
        }
        Ok(Command::ListBugs) => {
            print!("{}", report::list_bugs::<S::Bug>());
            ExitCode::SUCCESS
        }
        Ok(Command::Run(request)) => {
            let variable = |name: &str| std::env::var(name).ok().filter(|value| !value.is_empty());
            match fits_process(&request.seeds, variable) {
                Ok(()) => run::<S>(&request),
                Err(error) => refuse::<S>(error),
            }
        }
        Err(error) => refuse::<S>(error),
    }
}

fn refuse<S: System>(error: impl Display) -> ExitCode {
    eprintln!("{0}: {error}\n({0} --help tells what there is)", S::NAME);
    ExitCode::from(USAGE)
}

/// Refuses several seeds where `SIM_FORK=0` keeps the run in this process.
fn fits_process(seeds: &Seeds, variable: impl Fn(&str) -> Option<String>) -> Result<(), &'static str> {
    let asked = variable("SIM_SEEDS").and_then(|seeds| seeds.parse().ok());
    let one = variable("SIM_SEED").is_some() || asked.as_ref().unwrap_or(seeds).len() == 1;
    match variable("SIM_FORK").as_deref() {
        Some("0") if !one => {
            Err("SIM_FORK=0 runs one seed in this process: choose it with --seed or SIM_SEED")
        }
        _ => Ok(()),
    }
}

fn run<S: System>(request: &Request<S::Bug>) -> ExitCode {
    let mut report = Report::<S>::new(request);
    let sweep = sweep_of::<S>(request).command(report.command());
    // Files are for people.
    let sweep = if request.json { sweep } else { sweep.files(Files::default()) };
    let swept =
        sweep.on_run(|run: &Run<S::Summary>| report.add(run)).run(|sim| S::run(sim, request.options.clone()));
    print!("{}", if request.json { report::json(&swept) } else { report.table(&swept) });
    match (swept.failures.is_empty(), swept.vacuous) {
        (false, _) => ExitCode::from(FAILED),
        (true, true) => ExitCode::from(VACUOUS),
        (true, false) => ExitCode::SUCCESS,
    }
}

/// The sweep that was asked for. Where faults are on, some must be met; and where nothing is left out, so must be all that the
/// system claims to reach.
fn sweep_of<S: System>(request: &Request<S::Bug>) -> Sweep<'static, S::Summary> {
    let Options { faults, bug } = &request.options;
    let mut sweep = sweep(request.seeds.clone()).shrink(request.shrink);
    if let Some(failures) = request.stop_after {
        sweep = sweep.stop_after(failures);
    }
    if faults.are_on() {
        sweep = sweep.expects_faults();
    }
    if *faults == Faults::on() && bug.is_none() && !request.single {
        sweep = sweep.expects(S::NAME);
    }
    sweep
}

#[cfg(test)]
mod tests {
    use super::*;
    use request::tests::{Clock, Mistaken, parsed};
    use sim::Isolate;

    fn vacuous<S: System<Bug = request::tests::Bug>>(arguments: &str) -> bool {
        let request = parsed(arguments).unwrap();
        let sweep = sweep_of::<S>(&request).isolate(Isolate::Thread);
        sweep.run(|sim| S::run(sim, request.options.clone())).vacuous
    }

    #[test]
    fn a_sweep_whose_faults_were_disabled_by_mistake_is_vacuous() {
        assert!(vacuous::<Mistaken>("--seeds 100"));
        assert!(vacuous::<Mistaken>("--seeds 100 --only kill"));
        assert!(!vacuous::<Clock>("--seeds 100"));
    }

    #[test]
    fn a_sweep_without_faults_on_purpose_is_not() {
        assert!(!vacuous::<Mistaken>("--seeds 100 --faults off"));
        assert!(!vacuous::<Clock>("--seeds 100 --faults off"));
    }
}
