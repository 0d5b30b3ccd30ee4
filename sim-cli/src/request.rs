//! What was asked for.

use std::ffi::OsString;

use lexopt::prelude::*;

use crate::exit::Trouble;
use crate::workspace::{Build, Test};

const HELP: &str = "\
Lists and sweeps the simulation tests of a workspace.

usage: cargo sim COMMAND [options]

commands:
  list              the tests that #[sim_test] makes, with file, line and seeds

options of all commands:
  --test FILTER     of the tests only those whose name has this in it; may be given several times
  -p, --package P; --workspace; --release; --profile P; -F, --features F; --all-features; --no-default-features;
  --manifest-path P; --target-dir P; --offline; --locked; --frozen
                    as for cargo test
  --json            lines of JSON
  -h, --help; --version

exit code: 0 clean, 2 usage, 4 nothing to run, 70 internal, 101 the build failed
";

/// What is to be done.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Command {
    Help(&'static str),
    Version,
    List(List),
}

/// `cargo sim list`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct List {
    pub(crate) build: Build,
    pub(crate) filter: Filter,
    pub(crate) json: bool,
}

/// Which tests: those whose name has one of the texts in it; without any, all.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Filter(pub(crate) Vec<String>);

impl Filter {
    pub(crate) fn admits(&self, test: &Test) -> bool {
        self.0.is_empty() || self.0.iter().any(|text| test.id().contains(text.as_str()))
    }

    /// What to say when it leaves nothing.
    pub(crate) fn nothing(&self) -> String {
        match self.0.is_empty() {
            true => "there are no simulation tests here: #[sim_test] makes them".to_owned(),
            false => format!(
                "no simulation test has {:?} in its name; cargo sim list shows all",
                self.0.join(" or ")
            ),
        }
    }
}

pub(crate) fn parse(arguments: impl IntoIterator<Item = OsString>) -> Result<Command, Trouble> {
    let mut arguments: Vec<OsString> = arguments.into_iter().collect();
    // Cargo calls `cargo-sim sim …`.
    if arguments.first().is_some_and(|first| first == "sim") {
        arguments.remove(0);
    }
    let mut parser = lexopt::Parser::from_args(arguments);
    let name = match parser.next()? {
        None => return Err(Trouble::usage("a command is missing; see cargo sim --help")),
        Some(Long("help") | Short('h')) => return Ok(Command::Help(HELP)),
        Some(Long("version")) => return Ok(Command::Version),
        Some(Value(name)) => name.string()?,
        Some(other) => return Err(other.unexpected().into()),
    };
    match name.as_str() {
        "help" => Ok(Command::Help(HELP)),
        "list" => list(parser),
        other => Err(Trouble::usage(format!("there is no command {other:?}; allowed are list, help"))),
    }
}

fn list(mut parser: lexopt::Parser) -> Result<Command, Trouble> {
    let mut list = List::default();
    while let Some(argument) = parser.next()? {
        match argument {
            Long("test") => list.filter.0.push(parser.value()?.string()?),
            Long("json") => list.json = true,
            Long("help") | Short('h') => return Ok(Command::Help(HELP)),
            other => {
                let other = option_of_cargo(&other).ok_or_else(|| other.unexpected())?;
                other.add(&mut parser, &mut list.build)?;
            }
        }
    }
    Ok(Command::List(list))
}

/// An option that goes to cargo as it is.
struct OptionOfCargo {
    name: &'static str,
    value: bool,
    general: bool,
}

fn option_of_cargo(argument: &lexopt::Arg<'_>) -> Option<OptionOfCargo> {
    let (name, value, general) = match argument {
        Short('p') | Long("package") => ("--package", true, false),
        Long("workspace") => ("--workspace", false, false),
        Short('r') | Long("release") => ("--release", false, false),
        Long("profile") => ("--profile", true, false),
        Short('F') | Long("features") => ("--features", true, false),
        Long("all-features") => ("--all-features", false, false),
        Long("no-default-features") => ("--no-default-features", false, false),
        Long("target-dir") => ("--target-dir", true, false),
        Long("manifest-path") => ("--manifest-path", true, true),
        Long("offline") => ("--offline", false, true),
        Long("locked") => ("--locked", false, true),
        Long("frozen") => ("--frozen", false, true),
        _ => return None,
    };
    Some(OptionOfCargo { name, value, general })
}

impl OptionOfCargo {
    fn add(self, parser: &mut lexopt::Parser, build: &mut Build) -> Result<(), lexopt::Error> {
        let options = if self.general { &mut build.general } else { &mut build.options };
        options.push(self.name.into());
        if self.value {
            options.push(parser.value()?);
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(line: &str) -> Result<Command, Trouble> {
        parse(line.split_whitespace().map(OsString::from))
    }

    #[test]
    fn cargo_may_say_its_name_for_the_command() {
        assert_eq!(read("sim list"), read("list"));
        assert_eq!(read("list"), Ok(Command::List(List::default())));
    }

    #[test]
    fn options_of_cargo_are_handed_on() {
        let Ok(Command::List(list)) =
            read("list -p shop --release --manifest-path=a/Cargo.toml --test x --json")
        else {
            panic!("not understood")
        };
        assert_eq!(list.build.options, ["--package", "shop", "--release"]);
        assert_eq!(list.build.general, ["--manifest-path", "a/Cargo.toml"]);
        assert_eq!(list.filter, Filter(vec!["x".to_owned()]));
        assert!(list.json);
    }

    #[test]
    fn what_there_is_not_is_refused_by_name() {
        for (line, named) in [
            ("", "missing"),
            ("lost", "\"lost\""),
            ("list --seed", "--seed"),
            ("list --test", "--test"),
            ("list more", "more"),
        ] {
            let trouble = read(line).unwrap_err();
            assert_eq!(trouble.exit, crate::exit::Exit::Usage);
            assert!(trouble.message.contains(named), "{line}: {}", trouble.message);
        }
    }
}
