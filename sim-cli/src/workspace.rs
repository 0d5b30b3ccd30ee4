//! The test programs of a workspace, built as `cargo test` builds them.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::PathBuf;
use std::process::{Command, Stdio};

use serde::Deserialize;

use crate::exit::{Exit, Trouble};
use crate::listing::{self, Record};

/// Which packages, and how: options that go to cargo as they are.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Build {
    /// For `cargo test --no-run`.
    pub(crate) options: Vec<OsString>,
    /// For every call of cargo: where the workspace is, whether the network may be used.
    pub(crate) general: Vec<OsString>,
}

/// A test, and the program that it is in.
#[derive(Clone, Debug)]
pub(crate) struct Test {
    pub(crate) package: String,
    /// Name of the target: the library, a program, an integration test.
    pub(crate) target: String,
    pub(crate) record: Record,
}

impl Test {
    /// A name that no other test of the workspace has.
    pub(crate) fn id(&self) -> String {
        format!("{}::{} {}", self.package, self.target, self.record.name)
    }
}

/// What cargo says of a workspace.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
}

#[derive(Clone, Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        package_id: String,
        target: Target,
        executable: Option<PathBuf>,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
}

impl Workspace {
    /// Asks cargo for the workspace of the current directory, or of `--manifest-path`.
    pub(crate) fn find(build: &Build) -> Result<Workspace, Trouble> {
        let output = cargo()
            .args(["metadata", "--format-version=1", "--no-deps"])
            .args(&build.general)
            .stderr(Stdio::inherit())
            .output()
            .map_err(|error| Trouble::internal(format!("cargo cannot be started: {error}")))?;
        if !output.status.success() {
            return Err(Trouble {
                exit: Exit::BuildFailed,
                message: "cargo finds no workspace here".to_owned(),
            });
        }
        serde_json::from_slice(&output.stdout)
            .map_err(|error| Trouble::internal(format!("cargo metadata says what cannot be read: {error}")))
    }

    /// Builds the test programs and lists their simulation tests, by package, target and name.
    pub(crate) fn tests(&self, build: &Build) -> Result<Vec<Test>, Trouble> {
        let mut tests = Vec::new();
        for (package, target, program) in self.build(build)? {
            let records = listing::of_program(&program).map_err(|error| {
                Trouble::internal(format!("{} cannot be read: {error}", program.display()))
            })?;
            tests.extend(records.into_iter().map(|record| Test {
                package: package.name.clone(),
                target: target.clone(),
                record,
            }));
        }
        tests.sort_by(|a, b| (&a.package, &a.target, &a.record).cmp(&(&b.package, &b.target, &b.record)));
        Ok(tests)
    }

    fn build(&self, build: &Build) -> Result<Vec<(&Package, String, PathBuf)>, Trouble> {
        let mut process = cargo()
            .args(["test", "--no-run", "--message-format=json-render-diagnostics"])
            .args(&build.options)
            .args(&build.general)
            .stdout(Stdio::piped())
            .spawn()
            .map_err(|error| Trouble::internal(format!("cargo cannot be started: {error}")))?;
        let mut programs = Vec::new();
        let lines = process.stdout.take().map(|stdout| BufReader::new(stdout).lines());
        for line in lines.into_iter().flatten().map_while(Result::ok) {
            // A build script may print what is no message.
            let Ok(Message::CompilerArtifact { package_id, target, executable: Some(program) }) =
                serde_json::from_str(&line)
            else {
                continue;
            };
            if let Some(package) = self.packages.iter().find(|package| package.id == package_id) {
                programs.push((package, target.name, program));
            }
        }
        let status = process
            .wait()
            .map_err(|error| Trouble::internal(format!("cargo cannot be waited for: {error}")))?;
        match status.success() {
            true => Ok(programs),
            false => Err(Trouble { exit: Exit::BuildFailed, message: "the tests do not build".to_owned() }),
        }
    }
}

/// The cargo that called this command, with the same toolchain.
fn cargo() -> Command {
    Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
}
