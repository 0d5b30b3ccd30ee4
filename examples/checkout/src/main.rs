//! `cargo run --release -p checkout -- --help`

use std::process::ExitCode;

fn main() -> ExitCode {
    checkout::cli::main(std::env::args_os())
}
