//! `cargo run --release -p raft -- --help`

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main::<raft::cli::Raft>(std::env::args_os())
}
