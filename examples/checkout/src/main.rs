//! `cargo run --release -p checkout -- --help`

use std::process::ExitCode;

fn main() -> ExitCode {
    command::main::<checkout::cli::Checkout>(std::env::args_os())
}
