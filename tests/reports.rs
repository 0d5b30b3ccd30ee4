//! The files about a failure: that they are written, say what happened, and are the same each time.
//!
//! The subject is an ignored test, which other tests start again to read what it leaves.

use sim::prelude::*;
use sim::trace::{Fate, How, Trace, What};
use sim::{Builder, Isolate};
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

const SIGNATURE: &str = "invariant-a-question-has-one-answer";

/// A client asks, over a link that loses packets, and asks again where it waits too long. The server counts: what is asked
/// twice gets two answers.
async fn questions(sim: Sim) {
    sim.default_link().latency(Duration::from_millis(1)..Duration::from_millis(9)).loss(0.02);
    sim.nemesis(Swarm::default().only(["kill"]).during(Duration::ZERO..Duration::from_secs(9)));
    let (world, seen) = (sim, std::rc::Rc::new(std::cell::RefCell::new(Vec::new())));
    sim.node("server").run(move || {
        let (world, seen) = (world, seen.clone());
        async move {
            let socket = UdpSocket::bind("0.0.0.0:7").await?;
            let mut buffer = [0; 8];
            loop {
                let (_, from) = socket.recv_from(&mut buffer).await?;
                tracing::info!(question = buffer[0], "asked");
                if seen.borrow().contains(&buffer[0]) {
                    world.violated("a question has one answer", format!("question {}", buffer[0]));
                }
                seen.borrow_mut().push(buffer[0]);
                socket.send_to(&buffer[..1], from).await?;
            }
            #[allow(unreachable_code)]
            std::io::Result::Ok(())
        }
    });
    let mut ops = sim.node("client").ops(20).steady().starting_at(Duration::from_secs(1));
    let client = sim.node("client").spawn(async move {
        let socket = UdpSocket::bind("0.0.0.0:9").await.unwrap();
        while let Some(op) = ops.next().await {
            let question = op.index() as u8;
            for _ in 0..5 {
                socket.send_to(&[question], "server:7").await.unwrap();
                let mut answer = [0; 1];
                let waiting = socket.recv_from(&mut answer);
                if sim::time::timeout(Duration::from_millis(100), waiting).await.is_ok_and(|got| got.is_ok())
                {
                    op.succeeded();
                    break;
                }
            }
        }
    });
    client.await.unwrap();
}

#[sim_test(seeds = 50)]
#[ignore = "a subject"]
async fn subject(sim: Sim) {
    questions(sim).await;
}

/// Ten thousand packets, and a failure.
#[sim_test(seeds = 1)]
#[ignore = "a subject"]
async fn busy(sim: Sim) {
    sim.default_link().loss(0.01);
    let names = ["a", "b", "c", "d", "e"];
    let chatter = names.map(|name| {
        sim.node(name).spawn(async move {
            let socket = UdpSocket::bind("0.0.0.0:7").await.unwrap();
            for turn in 0..2_000 {
                let to = names[(turn + name.len() * usize::from(name.as_bytes()[0])) % names.len()];
                socket.send_to(&[7; 100], (to, 7)).await.unwrap();
                sim::time::sleep(Duration::from_millis(3)).await;
            }
        })
    });
    for node in chatter {
        node.await.unwrap();
    }
    panic!("</script><b>it is over</b>");
}

/// Starts the subject with its files below a folder of that name; gives what it printed.
fn start(name: &str, variables: &[(&str, &str)]) -> (PathBuf, String) {
    let (root, text) = start_test("subject", name, variables);
    (root.join("reports-subject").join(SIGNATURE), text)
}

fn start_test(test: &str, name: &str, variables: &[(&str, &str)]) -> (PathBuf, String) {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("reports").join(name);
    let _ = fs::remove_dir_all(&root);
    let mut command = Command::new(std::env::current_exe().unwrap());
    command.args([test, "--exact", "--nocapture", "--ignored"]).env_remove("RUST_BACKTRACE");
    command.env("SIM_REGRESSIONS", "off").env("SIM_REPORT_DIR", &root).env_remove("SIM_TRACE");
    let output = command.envs(variables.iter().copied()).output().unwrap();
    assert!(!output.status.success());
    (root, String::from_utf8([output.stdout, output.stderr].concat()).unwrap())
}

fn trace(folder: &Path, name: &str) -> Trace {
    let text =
        fs::read_to_string(folder.join(name)).unwrap_or_else(|error| panic!("{name} in {folder:?}: {error}"));
    Trace::read(&text).unwrap_or_else(|error| panic!("{name}: {error}"))
}

#[test]
fn a_failure_leaves_the_trace_of_the_smallest_run_and_of_the_first() {
    let (folder, text) = start("traces", &[]);
    let trace_of = |name| trace(&folder, name);
    let (shrunk, original, passing) =
        (trace_of("trace.jsonl"), trace_of("original.jsonl"), trace_of("passing.jsonl"));
    for (trace, run) in [(&shrunk, "shrunk"), (&original, "original"), (&passing, "passing")] {
        assert_eq!((&*trace.head.run, &*trace.head.test), (run, "reports::subject"));
        assert_eq!(trace.head.nodes, ["harness", "server", "client"]);
        assert!(trace.lines.is_sorted_by_key(|line| line.at), "{run}");
        assert_eq!(trace.failure().is_some(), run != "passing");
    }
    assert!(text.contains(&folder.display().to_string()), "the folder is not told in: {text}");
    let replay = shrunk.head.replay.as_deref().unwrap();
    assert!(text.contains(replay) && replay.contains("SIM_REPLAY=sim1:"), "{replay} is not in: {text}");
    assert!(shrunk.lines.len() < original.lines.len());

    let has = |f: fn(&What) -> bool| assert!(original.lines.iter().any(|line| f(&line.what)));
    has(|what| matches!(what, What::ProcessStart { process: 0 }));
    has(|what| matches!(what, What::Packet { fate: Fate::Lost, arrives: None, .. }));
    has(|what| matches!(what, What::Op { client, end: Some(_), .. } if client == "client"));
    has(|what| matches!(what, What::OpEnd { error: None, .. }));
    has(
        |what| matches!(what, What::Log { level, text, .. } if level == "INFO" && text == "asked question=0"),
    );
    has(|what| matches!(what, What::Claim { .. } | What::Failure { .. }));
}

#[test]
fn faults_and_the_deaths_that_they_bring_are_in_the_trace() {
    let outcome = |seed| start("faults", &[("SIM_SEED", &u64::to_string(&seed))]).0;
    // Some failing seed has a kill in it.
    let found = (0..20).map(outcome).filter(|folder| folder.is_dir()).any(|folder| {
        let trace = trace(&folder, "original.jsonl");
        let fault = trace
            .lines
            .iter()
            .any(|line| matches!(&line.what, What::Fault { family, .. } if family == "kill"));
        let death =
            trace.lines.iter().any(|line| matches!(line.what, What::ProcessEnd { how: How::Kill, .. }));
        fault && death
    });
    assert!(found);
}

#[test]
fn two_runs_of_a_seed_leave_equal_files() {
    let [first, second] = ["first", "second"].map(|name| start(name, &[]).0);
    for name in ["trace.jsonl", "original.jsonl", "passing.jsonl"] {
        let [first, second] = [&first, &second].map(|folder| fs::read(folder.join(name)).unwrap());
        assert!(first == second, "{name} differs");
    }
}

#[test]
fn every_line_is_json_and_reads_as_it_is_written() {
    let (folder, _) = start("lines", &[]);
    let text = fs::read_to_string(folder.join("original.jsonl")).unwrap();
    for line in text.lines() {
        let value: serde_json::Value = serde_json::from_str(line).unwrap();
        assert!(value.get("kind").is_some() != value.get("schema").is_some(), "{line}");
    }
    assert_eq!(Trace::read(&text).unwrap().to_string(), text);
}

#[test]
fn recording_does_not_change_a_run() {
    let (folder, _) = start("unchanged", &[]);
    let head = trace(&folder, "original.jsonl").head;
    let outcome = Builder::new().seed(head.seed).isolate(Isolate::Thread).run(questions);
    assert_eq!(format!("{:016x}", outcome.trace), head.hash);
}

#[test]
fn a_failure_leaves_a_page_and_a_story_for_a_pull_request() {
    let (folder, text) = start("pages", &[("SIM_TRACE", "html,story")]);
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(text.contains(&folder.join("report.html").display().to_string()), "{text}");
    assert!(page.contains("\"message\":\"question ") && page.contains("a question has one answer"));
    let story = fs::read_to_string(folder.join("story.md")).unwrap();
    for part in [
        "# question ",
        "\\[needed\\]",
        "SIM_REPLAY=sim1:",
        "sequenceDiagram",
        "n1->>n2: 1 bytes",
        "participant n1 as server",
    ] {
        assert!(story.contains(part), "{part} is not in {story}");
    }
    assert!(!folder.join("trace.jsonl").exists());
}

/// Needs Chromium: `.ci/run --full`.
#[test]
#[ignore = "needs a browser"]
fn a_browser_draws_a_large_run_from_a_file_and_obeys_the_keyboard() {
    let (root, _) = start_test("busy", "busy", &[("SIM_SHRINK", "0")]);
    let folder = fs::read_dir(root.join("reports-busy")).unwrap().next().unwrap().unwrap().path();
    let page = fs::read_to_string(folder.join("report.html")).unwrap();
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    // What a reader would press, after the page's own script.
    let press = "<script>{
        const chosen = () => document.querySelector('.row.on .what').textContent;
        const said = [chosen()];
        for (const key of ['Home', '+', '+', 'ArrowRight', '0', 'End', 'ArrowUp']) {
            document.body.dispatchEvent(new KeyboardEvent('keydown', { key, bubbles: true }));
            said.push(chosen());
        }
        document.body.dataset.chosen = new Set(said).size;
        document.querySelector('input[value=all]').click();
        document.body.dataset.count = document.getElementById('count').textContent;
        document.body.dataset.bold = document.querySelectorAll('b').length;
    }</script></body>";
    let pressed = folder.join("pressed.html");
    fs::write(&pressed, page.replace("</body>", press)).unwrap();
    let browser = std::env::var("CHROMIUM").unwrap_or_else(|_| "chromium".to_owned());
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--window-size=1280,1000", "--dump-dom"])
        .arg(format!("--user-data-dir={}", root.join("profile").display()))
        .arg(format!("file://{}", pressed.display()))
        .output()
        .unwrap();
    let dom = String::from_utf8_lossy(&output.stdout);
    let value = |name: &str| {
        let (_, rest) =
            dom.split_once(&format!("{name}=\"")).unwrap_or_else(|| panic!("no {name} in the page"));
        rest.split_once('"').unwrap().0.to_owned()
    };
    assert_eq!(value("data-chosen"), "3", "the failure, the first event, and the one before the last");
    assert_eq!(value("data-bold"), "0");
    assert!(value("data-count").ends_with(" of 10000"), "{}", value("data-count"));
    let drawn: u64 = value("data-drawn").parse().unwrap();
    assert!(drawn < 2_000, "drawn in {drawn} ms");
}

#[test]
fn no_files_are_written_where_none_are_wanted() {
    let (folder, text) = start("none", &[("SIM_TRACE", "none")]);
    assert!(!folder.exists() && !text.contains("report:"), "{text}");
}

#[test]
fn a_run_that_is_not_shrunk_has_its_own_trace() {
    let (folder, _) = start("whole", &[("SIM_SHRINK", "0")]);
    assert_eq!(trace(&folder, "trace.jsonl").head.run, "original");
    assert!(!folder.join("original.jsonl").exists());
}

#[test]
fn a_trace_of_another_version_is_refused_by_name() {
    for (text, named) in [
        ("", "nothing in it"),
        ("{}", "no head"),
        (r#"{"schema":"sim.trace","version":9}"#, "version 9"),
        (r#"{"schema":"other","version":1}"#, "a other of version 1"),
    ] {
        let error = Trace::read(text).unwrap_err().to_string();
        assert!(error.starts_with("line 1 of the trace") && error.contains(named), "{error}");
    }
    let head = r#"{"schema":"sim.trace","version":1,"run":"original","test":"t","seed":1,"nodes":[],"end":0,"hash":"00"}"#;
    let error = Trace::read(&format!("{head}\n\n{{\"at\":1,\"kind\":\"rain\"}}")).unwrap_err();
    assert_eq!(error.line, 3, "{error}");
    assert!(error.to_string().contains("rain"), "{error}");
}
