//! `cargo sim`: lists and sweeps the simulation tests of a workspace.
//!
//! It builds the workspace's test programs as `cargo test` does and runs them as processes. Of the world inside of a
//! test it knows nothing: what a test says, it says in lines of JSON.
//!
//! | module | subject |
//! | --- | --- |
//! | `request` | the command line |
//! | `workspace`, `listing` | test programs, and the tests in them |
//! | `exit` | exit codes |

mod exit;
mod listing;
mod request;
mod workspace;

use std::env;
use std::process::ExitCode;

use exit::{Exit, Trouble};
use request::{Command, List};
use workspace::Workspace;

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
        Command::List(list) => self::list(&list),
    });
    exit.unwrap_or_else(|Trouble { exit, message }| {
        eprintln!("cargo sim: {message}");
        exit
    })
    .into()
}

fn list(list: &List) -> Result<Exit, Trouble> {
    let workspace = Workspace::find(&list.build)?;
    let mut tests = workspace.tests(&list.build)?;
    tests.retain(|test| list.filter.admits(test));
    for test in &tests {
        if list.json {
            let line = serde_json::json!({
                "package": test.package,
                "target": test.target,
                "test": test.record.name,
                "file": test.record.file,
                "line": test.record.line,
                "seeds": test.record.seeds,
            });
            println!("{line}");
        } else {
            let seeds = match test.record.seeds.as_str() {
                "" => "default".to_owned(),
                seeds => seeds.to_owned(),
            };
            println!("{}  {}:{}  seeds: {seeds}", test.id(), test.record.file, test.record.line);
        }
    }
    if tests.is_empty() {
        eprintln!("cargo sim: {}", list.filter.nothing());
        return Ok(Exit::NothingToRun);
    }
    Ok(Exit::Clean)
}
