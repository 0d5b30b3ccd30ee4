//! `cargo sim`: lists and sweeps the simulation tests of a workspace.
//!
//! It builds the workspace's test programs as `cargo test` does and runs them as processes. Of the world inside of a
//! test it knows nothing: what a test says, it says in lines of JSON.
//!
//! | module | subject |
//! | --- | --- |
//! | `request`, `command` | the command line, and what each command does |
//! | `workspace`, `listing` | test programs, and the tests in them |
//! | `sweep`, `lines`, `shard` | running tests over seeds; what they say; which part of the seeds |
//! | `sheet`, `report`, `screen` | findings as data, as files and text; progress |
//! | `exit` | exit codes |

mod command;
mod exit;
mod lines;
mod listing;
mod report;
mod request;
mod screen;
mod shard;
mod sheet;
mod sweep;
mod workspace;

use std::env;
use std::process::ExitCode;

use exit::{Exit, Trouble};
use request::Command;

fn main() -> ExitCode {
    let exit = request::parse(env::args_os().skip(1)).and_then(|command| match command {
        Command::Help(text) => {
            print!("{text}");
            Ok(Exit::Clean)
        }
        Command::Version => {
            println!("cargo-sim {}", env!("CARGO_PKG_VERSION"));
            Ok(Exit::Clean)
        }
        Command::List(tests) => command::list(&tests),
        Command::Sweep(sweep) => command::sweep(&sweep),
        Command::Replay(replay) => command::replay(&replay),
        Command::Prune(tests) => command::prune(&tests),
        Command::Merge(merge) => command::merge(&merge),
        Command::Doctor(tests) => command::doctor(&tests),
    });
    exit.unwrap_or_else(|Trouble { exit, message }| {
        eprintln!("cargo sim: {message}");
        exit
    })
    .into()
}
