//! The test programs of a workspace, built as `cargo test` builds them.

use std::env;
use std::ffi::OsString;
use std::io::{BufRead, BufReader};
use std::path::{Path, PathBuf};
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
    /// What cargo calls the kind of target: `lib`, `bin`, `test`, …
    kind: String,
    pub(crate) record: Record,
    pub(crate) program: PathBuf,
    /// Where `cargo test` runs it.
    directory: PathBuf,
}

impl Test {
    /// A name that no other test of the workspace has.
    pub(crate) fn id(&self) -> String {
        format!("{} {}", self.of(), self.record.name)
    }

    /// The program that it is in, by the name that cargo-nextest has for it.
    pub(crate) fn of(&self) -> String {
        match self.kind.as_str() {
            "test" => format!("{}::{}", self.package, self.target),
            kind @ ("bin" | "example" | "bench") => format!("{}::{kind}/{}", self.package, self.target),
            _ => self.package.clone(),
        }
    }

    /// Why a sweep leaves it out, if it does.
    pub(crate) fn left_out(&self) -> Option<&'static str> {
        match (self.record.ignored, self.record.should_panic) {
            (true, _) => Some("it is #[ignore]d"),
            (false, true) => Some("it is there to fail, #[should_panic]"),
            (false, false) => None,
        }
    }

    /// What runs it alone, for people.
    pub(crate) fn alone(&self) -> String {
        let target = match self.kind.as_str() {
            "bin" | "test" | "example" | "bench" => format!("--{} {}", self.kind, self.target),
            _ => "--lib".to_owned(),
        };
        format!("cargo test -p {} {target} {} -- --exact", self.package, self.record.name)
    }

    /// The program, set up as `cargo test` does it, to run this test alone.
    pub(crate) fn command(&self) -> Command {
        let mut command = Command::new(&self.program);
        command
            .args([&self.record.name, "--exact", "--include-ignored", "--nocapture", "--test-threads=1"])
            .current_dir(&self.directory)
            .env("CARGO_MANIFEST_DIR", &self.directory)
            .env("CARGO_PKG_NAME", &self.package)
            .stdin(Stdio::null());
        for variable in OVERRIDES {
            command.env_remove(variable);
        }
        command
    }
}

/// What the command line says, and the environment of a test would override.
const OVERRIDES: [&str; 9] = [
    "SIM_SEED",
    "SIM_SEEDS",
    "SIM_BUDGET",
    "SIM_JOBS",
    "SIM_REPLAY",
    "SIM_FORK",
    "SIM_WORKER",
    "SIM_ORDERS",
    "NEXTEST_STRESS_CURRENT",
];

/// What cargo says of a workspace.
#[derive(Clone, Debug, Deserialize)]
pub(crate) struct Workspace {
    packages: Vec<Package>,
    pub(crate) workspace_root: PathBuf,
    pub(crate) target_directory: PathBuf,
}

#[derive(Clone, Debug, Deserialize)]
struct Package {
    id: String,
    name: String,
    manifest_path: PathBuf,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "reason", rename_all = "kebab-case")]
enum Message {
    CompilerArtifact {
        package_id: String,
        target: Target,
        executable: Option<PathBuf>,
        profile: Profile,
    },
    #[serde(other)]
    Other,
}

#[derive(Debug, Deserialize)]
struct Target {
    name: String,
    kind: Vec<String>,
}

#[derive(Debug, Deserialize)]
struct Profile {
    test: bool,
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
        let mut workspace: Workspace = serde_json::from_slice(&output.stdout).map_err(|error| {
            Trouble::internal(format!("cargo metadata says what cannot be read: {error}"))
        })?;
        // An option of the build, of which `cargo metadata` does not know.
        let mut options = build.options.iter().skip_while(|option| *option != "--target-dir").skip(1);
        if let Some(directory) = options.next() {
            workspace.target_directory = directory.into();
        }
        Ok(workspace)
    }

    /// Builds the test programs and lists their simulation tests, by package, target and name.
    pub(crate) fn tests(&self, build: &Build) -> Result<Vec<Test>, Trouble> {
        let mut tests = Vec::new();
        for (package, target, program) in self.build(build)? {
            let records = listing::of_program(&program).map_err(|error| {
                Trouble::internal(format!("{} cannot be read: {error}", program.display()))
            })?;
            let directory = package.manifest_path.parent().unwrap_or(Path::new(".")).to_owned();
            tests.extend(records.into_iter().map(|record| Test {
                package: package.name.clone(),
                target: target.name.clone(),
                kind: target.kind.first().cloned().unwrap_or_default(),
                record,
                program: program.clone(),
                directory: directory.clone(),
            }));
        }
        tests.sort_by_key(Test::id);
        Ok(tests)
    }

    fn build(&self, build: &Build) -> Result<Vec<(&Package, Target, PathBuf)>, Trouble> {
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
            let Ok(Message::CompilerArtifact { package_id, target, executable: Some(program), profile }) =
                serde_json::from_str(&line)
            else {
                continue;
            };
            if !profile.test {
                continue;
            }
            if let Some(package) = self.packages.iter().find(|package| package.id == package_id) {
                programs.push((package, target, program));
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
