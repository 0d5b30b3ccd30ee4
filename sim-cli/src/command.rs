//! What each command does.

use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use crate::exit::{Exit, Trouble};
use crate::lines::{Doctor, Line, Orders};
use crate::report;
use crate::request::{Merge, Purpose, Replay, Sweep, Tests};
use crate::shard::{self, Shard};
use crate::sheet::{self, Sheet};
use crate::sweep;
use crate::workspace::{Test, Workspace};

pub(crate) fn list(tests: &Tests) -> Result<Exit, Trouble> {
    let found = find(&Workspace::find(&tests.build)?, tests)?;
    for test in &found {
        let record = &test.record;
        if tests.json {
            let line = serde_json::json!({
                "package": test.package,
                "target": test.target,
                "test": record.name,
                "file": record.file,
                "line": record.line,
                "seeds": record.seeds,
                "ignored": record.ignored,
                "should_panic": record.should_panic,
            });
            println!("{line}");
        } else {
            let seeds = if record.seeds.is_empty() { "default" } else { &record.seeds };
            let left_out = test.left_out().map(|why| format!(" ({why})")).unwrap_or_default();
            println!("{}  {}:{}  seeds: {seeds}{left_out}", test.id(), record.file, record.line);
        }
    }
    Ok(Exit::Clean)
}

pub(crate) fn sweep(sweep: &Sweep) -> Result<Exit, Trouble> {
    // Before the build, which may take long.
    let shard = match sweep.shard {
        Some(shard) => shard,
        None => shard::of_environment(|name| env::var(name).ok())?,
    };
    let workspace = Workspace::find(&sweep.tests.build)?;
    let mut tests = find(&workspace, &sweep.tests)?;
    tests.retain(|test| match test.left_out() {
        None => true,
        Some(why) => {
            eprintln!("cargo sim: {} is left out: {why}", test.id());
            false
        }
    });
    if tests.is_empty() {
        return Err(nothing("every simulation test is left out"));
    }
    let (sheet, spent) = sweep::sweep(&workspace, &tests, &sweep.options, shard)?;
    let directory = report_dir(sweep.report_dir.as_deref(), || Ok(workspace.target_directory.join("sim")))?;
    show(&sheet, sweep.tests.json);
    let total = sheet.total();
    let (elapsed, cpu) = (spent.elapsed.as_secs_f64().max(1e-3), spent.cpu.as_secs_f64().max(1e-3));
    eprintln!(
        "cargo sim: {:.1} s, {:.0} seeds/s, {:.0} s of virtual time a CPU second",
        spent.elapsed.as_secs_f64(),
        total.runs as f64 / elapsed,
        total.simulated_ns as f64 / 1e9 / cpu
    );
    if shard == Shard::WHOLE {
        report::write_all(&sheet, &directory)?;
        eprintln!("cargo sim: reports are in {}", directory.display());
        return Ok(sheet.verdict());
    }
    let path = directory.join(shard.file_name());
    report::write(&path, &sheet.write())?;
    eprintln!("cargo sim: shard {shard} is in {}", path.display());
    // What failed is for the merge to say: an engine would do the shard again.
    Ok(match sheet.tests.values().all(|tested| tested.summary.end.is_some()) {
        true => Exit::Clean,
        false => Exit::Incomplete,
    })
}

pub(crate) fn replay(replay: &Replay) -> Result<Exit, Trouble> {
    let Told { run, test } = told(&replay.run)?;
    let mut tests = replay.tests.clone();
    tests.filter.0.extend(test.clone());
    let mut tests = find(&Workspace::find(&tests.build)?, &tests)?;
    if let Some(name) = test {
        tests.retain(|test| test.record.name == name);
    }
    let [test] = &tests[..] else {
        let names: Vec<_> = tests.iter().map(Test::id).collect();
        let command = replay.purpose.word();
        return Err(Trouble::usage(format!(
            "{command} needs one test: say with --test which of\n  {}",
            names.join("\n  ")
        )));
    };
    let saved = run.starts_with('@') || run.starts_with("sim");
    if saved && replay.purpose == Purpose::Shrink {
        return Err(Trouble::usage("shrink takes a seed: a token is of a run that is shrunk already"));
    }
    let mut command = test.command();
    command.env(if saved { "SIM_REPLAY" } else { "SIM_SEED" }, &run);
    let cannot = |error| Trouble::internal(format!("the test cannot be started: {error}"));
    match replay.purpose {
        Purpose::Replay => {}
        Purpose::Report if env::var_os("SIM_TRACE").is_none() => _ = command.env("SIM_TRACE", "all"),
        Purpose::Report => {}
        Purpose::Shrink => {
            command.env_remove("SIM_SHRINK").env("SIM_TRACE", "none").stderr(Stdio::piped());
            let output = command.stdout(Stdio::piped()).output().map_err(cannot)?;
            if output.status.success() {
                eprintln!("cargo sim: the seed does not fail");
                return Ok(Exit::Clean);
            }
            let text = String::from_utf8_lossy(&[output.stdout, output.stderr].concat()).into_owned();
            return match token(&text) {
                Some(token) => {
                    println!("{token}");
                    Ok(Exit::FailingSeeds)
                }
                None => {
                    Err(Trouble { exit: Exit::FailingSeeds, message: format!("it was not shrunk:\n{text}") })
                }
            };
        }
    }
    let status = command.status().map_err(cannot)?;
    Ok(if status.success() { Exit::Clean } else { Exit::FailingSeeds })
}

/// The token in the report of a failing test.
fn token(text: &str) -> Option<&str> {
    let line = text.lines().find_map(|line| line.trim().strip_prefix("shrunk: SIM_REPLAY="))?;
    line.split_whitespace().next()
}

/// A run to repeat, and its test where that is known.
#[derive(Debug, PartialEq, Eq)]
struct Told {
    run: String,
    test: Option<String>,
}

/// What an argument says of a run: itself, or what the head of the trace in that file does.
fn told(argument: &str) -> Result<Told, Trouble> {
    if !argument.ends_with(".jsonl") || argument.starts_with('@') {
        return Ok(Told { run: argument.to_owned(), test: None });
    }
    let of_file = |error: String| Trouble::usage(format!("{argument} is no trace of a run: {error}"));
    let text = fs::read_to_string(argument).map_err(|error| of_file(error.to_string()))?;
    let head: serde_json::Value = serde_json::from_str(text.lines().next().unwrap_or_default())
        .map_err(|error| of_file(error.to_string()))?;
    if head["schema"] != "sim.trace" || head["run"] == "passing" {
        return Err(of_file("its first line says so of no run that fails".to_owned()));
    }
    let seed = head["seed"].as_u64().map(|seed| seed.to_string());
    let run = head["token"].as_str().map(str::to_owned).or(seed);
    let run = run.ok_or_else(|| of_file("it has neither a token nor a seed".to_owned()))?;
    // The harness knows it without its crate.
    let test = head["test"].as_str().and_then(|name| name.split_once("::")).map(|(_, name)| name.to_owned());
    Ok(Told { run, test })
}

pub(crate) fn prune(tests: &Tests) -> Result<Exit, Trouble> {
    let found = find(&Workspace::find(&tests.build)?, tests)?;
    let (mut kept, mut taken_out, mut silent) = (0, 0, Vec::new());
    for test in found.iter().filter(|test| test.left_out().is_none()) {
        let mut said = false;
        let orders = Orders { prune: true, ..Orders::default() };
        let end = sweep::follow(test.command(), &orders, |line| {
            let Line::Pruned(pruned) = line else { return };
            said = true;
            kept += pruned.kept;
            taken_out += pruned.taken_out.len();
            for why in pruned.taken_out {
                println!("{}: {why}", test.id());
            }
        })?;
        if !said {
            silent.push(format!("{}: {end}", test.id()));
        }
    }
    println!("{taken_out} saved runs are taken out, {kept} are kept");
    if silent.is_empty() {
        return Ok(Exit::Clean);
    }
    Err(Trouble {
        exit: Exit::Incomplete,
        message: format!(
            "these tests do not say what became of their saved runs:\n  {}",
            silent.join("\n  ")
        ),
    })
}

pub(crate) fn merge(merge: &Merge) -> Result<Exit, Trouble> {
    let unreadable = |path: &Path, error: String| Trouble {
        exit: Exit::Incomplete,
        message: format!("{} is no report of a shard: {error}", path.display()),
    };
    let mut sheets = Vec::new();
    for path in reports(&merge.paths)? {
        let text = fs::read_to_string(&path).map_err(|error| unreadable(&path, error.to_string()))?;
        sheets.push(Sheet::read(&text).map_err(|error| unreadable(&path, error))?);
    }
    let sheet = sheet::merge(sheets).map_err(|problems| Trouble {
        exit: Exit::Incomplete,
        message: format!("these are no whole sweep:\n  {}", problems.join("\n  ")),
    })?;
    let directory = report_dir(merge.report_dir.as_deref(), || {
        let first = &merge.paths[0];
        let beside = if first.is_dir() { first.as_path() } else { first.parent().unwrap_or(Path::new("")) };
        Ok(beside.to_owned())
    })?;
    report::write_all(&sheet, &directory)?;
    show(&sheet, merge.json);
    Ok(sheet.verdict())
}

pub(crate) fn doctor(tests: &Tests) -> Result<Exit, Trouble> {
    let found = find(&Workspace::find(&tests.build)?, tests)?;
    let mut programs: Vec<&Test> = found.iter().collect();
    programs.dedup_by(|one, other| one.program == other.program);
    let rustc = Command::new(env::var_os("RUSTC").unwrap_or_else(|| "rustc".into()))
        .arg("--version")
        .stderr(Stdio::null())
        .output();
    if let Ok(version) = rustc {
        print!("{}", String::from_utf8_lossy(&version.stdout));
    }
    println!(
        "{}-{}, {} tests in {} programs",
        env::consts::ARCH,
        env::consts::OS,
        found.len(),
        programs.len()
    );
    let mut healthy = true;
    for test in programs {
        let mut said = None;
        let end = sweep::follow(test.command(), &Orders { doctor: true, ..Orders::default() }, |line| {
            if let Line::Doctor(doctor) = line {
                said = Some(doctor);
            }
        })?;
        println!("\n{}", test.of());
        match said {
            Some(doctor) => healthy &= examine(&doctor),
            None => {
                healthy = false;
                println!("  cannot be asked: {end}");
            }
        }
    }
    println!(
        "\nWhat nothing can guard is listed in docs/guards.md of sim: addresses, ThreadId, rdtsc, files, …"
    );
    Ok(if healthy { Exit::Clean } else { Exit::Incomplete })
}

/// Prints what a program said; whether runs in it are what they should be.
fn examine(doctor: &Doctor) -> bool {
    let Doctor { guards, processes, fixed_addresses } = doctor;
    match guards {
        Ok(()) => println!("  simulated  clock, entropy, host name, processors: the guards are bound"),
        Err(why) => println!("  escapes    clock, entropy, host name, processors: {why}"),
    }
    match guards {
        Ok(()) => println!("  refused    threads, sleeps and sockets of the host"),
        Err(_) => println!("  escapes    threads, sleeps and sockets of the host"),
    }
    match processes {
        true => println!("  isolated   each run in a process of its own"),
        false => println!("  escapes    statics: runs are threads of one process here"),
    }
    match fixed_addresses {
        Some(true) => println!("  fixed      addresses of a program"),
        Some(false) => println!(
            "  escapes    addresses: the system refuses to fix them (a container's seccomp profile?)"
        ),
        None => println!("  escapes    addresses: this system cannot fix them"),
    }
    guards.is_ok() && *processes && *fixed_addresses == Some(true)
}

fn find(workspace: &Workspace, tests: &Tests) -> Result<Vec<Test>, Trouble> {
    let mut found = workspace.tests(&tests.build)?;
    found.retain(|test| tests.filter.admits(test));
    if found.is_empty() { Err(nothing(&tests.filter.nothing())) } else { Ok(found) }
}

fn nothing(why: &str) -> Trouble {
    Trouble { exit: Exit::NothingToRun, message: why.to_owned() }
}

fn show(sheet: &Sheet, json: bool) {
    print!("{}", if json { sheet.write() } else { report::text(sheet) });
}

fn report_dir(
    asked: Option<&Path>,
    default: impl FnOnce() -> Result<PathBuf, Trouble>,
) -> Result<PathBuf, Trouble> {
    let of_environment =
        || env::var_os("SIM_REPORT_DIR").filter(|value| !value.is_empty()).map(PathBuf::from);
    asked.map(Path::to_owned).or_else(of_environment).map_or_else(default, Ok)
}

/// The files that were named, and the shards in the directories that were.
fn reports(paths: &[PathBuf]) -> Result<Vec<PathBuf>, Trouble> {
    let mut all = Vec::new();
    for path in paths {
        if !path.is_dir() {
            all.push(path.clone());
            continue;
        }
        let entries = fs::read_dir(path)
            .map_err(|error| Trouble::usage(format!("{} cannot be read: {error}", path.display())))?;
        let of_shard = |path: &PathBuf| {
            let name = path.file_name().unwrap_or_default().to_string_lossy();
            name.starts_with("shard-") && name.ends_with(".jsonl")
        };
        all.extend(entries.filter_map(Result::ok).map(|entry| entry.path()).filter(of_shard));
    }
    all.sort();
    match all.is_empty() {
        true => Err(Trouble::usage("there is no shard-….jsonl in these directories")),
        false => Ok(all),
    }
}
