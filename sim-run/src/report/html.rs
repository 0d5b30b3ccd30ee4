//! `report.html`: one page that draws the run, with its style, its script and its data in it. It asks no network for anything.
//!
//! All that comes from a run is data: JSON in an element of its own, which the script shows as text. So no name or message can
//! become a part of the page.

use serde::Serialize;

use super::Case;
use super::trace::{Head, Line, Trace};
use crate::Likelihood;

const PAGE: &str = include_str!("page/report.html");
const STYLE: &str = include_str!("page/report.css");
const SCRIPT: &str = include_str!("page/report.js");

/// Lines of a run that a page holds, the last ones: a browser draws them in a second or two.
const LINES: usize = 10_000;
/// Lines of the run that passes: what lies about the first difference is shown.
const LINES_OF_PASSING: usize = 4_000;

#[derive(Serialize)]
struct Data<'a> {
    seed: u64,
    /// What is left, in words; of a shrunk run.
    size: Option<String>,
    /// What each line for a shell shows again, and that line.
    replays: Vec<(&'static str, &'a str)>,
    story: &'a [String],
    likelihood: Option<&'a Likelihood>,
    trace: Told<'a>,
    passing: Option<Passing<'a>>,
}

#[derive(Serialize)]
struct Passing<'a> {
    without: &'a str,
    trace: Told<'a>,
}

#[derive(Serialize)]
struct Told<'a> {
    head: &'a Head,
    lines: &'a [Line],
}

/// The page about a failure; the first trace is the one to show.
pub(super) fn page(case: &Case<'_>, traces: &[(&str, Trace)]) -> Option<String> {
    let of = |run: &str| traces.iter().map(|(_, trace)| trace).find(|trace| trace.head.run == run);
    let (_, shown) = traces.first().filter(|(_, trace)| trace.head.run != "passing")?;
    let original = (case.replay)(None);
    let replays = match &shown.head.replay {
        Some(shrunk) if shown.head.run == "shrunk" => vec![("this run", &**shrunk), ("the seed", &*original)],
        _ => vec![("this run", &*original)],
    };
    let passing = of("passing").zip(case.evidence.passing.as_ref());
    let data = Data {
        seed: case.seed,
        size: case.shrunk.map(|shrunk| shrunk.size.to_string()),
        replays,
        story: case.shrunk.map_or(&[], |shrunk| &shrunk.story),
        likelihood: case.shrunk.and_then(|shrunk| shrunk.likelihood.as_ref()),
        trace: Told { head: &shown.head, lines: last(&shown.lines, LINES) },
        // Where the two part can be told only if both are there from the beginning.
        passing: passing.filter(|_| shown.lines.len() <= LINES).map(|(trace, (_, without))| Passing {
            without,
            trace: Told { head: &trace.head, lines: &trace.lines[..trace.lines.len().min(LINES_OF_PASSING)] },
        }),
    };
    let data = serde_json::to_string(&data).ok()?;
    let parts = [
        ("TITLE", text(case.test)),
        ("STYLE", STYLE.to_owned()),
        ("DATA", inert(&data)),
        ("SCRIPT", SCRIPT.to_owned()),
    ];
    Some(fill(PAGE, &parts))
}

fn last(lines: &[Line], most: usize) -> &[Line] {
    &lines[lines.len().saturating_sub(most)..]
}

/// The page with its parts in their places. What a part holds is not looked at again.
fn fill(page: &str, parts: &[(&str, String)]) -> String {
    let mut filled =
        String::with_capacity(page.len() + parts.iter().map(|(_, part)| part.len()).sum::<usize>());
    let mut pieces = page.split("{{");
    filled.extend(pieces.next());
    for piece in pieces {
        let (name, rest) = piece.split_once("}}").unwrap_or((piece, ""));
        filled.extend(parts.iter().find(|(part, _)| *part == name).map(|(_, content)| &**content));
        filled.push_str(rest);
    }
    filled
}

/// JSON that means the same and holds nothing that HTML could take for its own.
fn inert(json: &str) -> String {
    let mut inert = String::with_capacity(json.len());
    for c in json.chars() {
        match c {
            '<' => inert.push_str("\\u003c"),
            '>' => inert.push_str("\\u003e"),
            '&' => inert.push_str("\\u0026"),
            // Ends of lines to old readers of scripts.
            '\u{2028}' => inert.push_str("\\u2028"),
            '\u{2029}' => inert.push_str("\\u2029"),
            c => inert.push(c),
        }
    }
    inert
}

/// Text as HTML.
fn text(of: &str) -> String {
    of.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::Evidence;
    use crate::report::trace::What;

    const EVIL: &str = "</script><script>alert(1)</script>{{SCRIPT}}<!--";

    fn trace(lines: usize) -> Trace {
        let nodes = ["harness", "order", "payment", EVIL].map(str::to_owned).to_vec();
        let head = Head {
            run: "original".to_owned(),
            test: EVIL.to_owned(),
            seed: 7,
            token: None,
            replay: None,
            nodes,
            end: lines as u64 * 1000,
            hash: "0".repeat(16),
        };
        let packet = |i: u64| Line {
            at: 1_000_000_000 + i * 100_000,
            node: Some(["order", "payment"][i as usize % 2].to_owned()),
            cause: Some(i),
            what: What::Packet {
                id: i + 1,
                to: ["payment", "order"][i as usize % 2].to_owned(),
                bytes: 1448,
                ack: false,
                fate: super::super::trace::Fate::Arrives,
                arrives: Some(1_000_000_000 + i * 100_000 + 99_999),
                damaged: false,
                copy: None,
            },
        };
        let failure = What::Failure {
            signature: "panic src/order.rs:1:1".to_owned(),
            message: EVIL.to_owned(),
            site: String::new(),
            task: None,
            details: Vec::new(),
        };
        let mut all: Vec<Line> = (0..lines as u64).map(packet).collect();
        all.push(Line { at: 2_000_000_000, node: Some("order".to_owned()), cause: None, what: failure });
        Trace { head, lines: all }
    }

    fn page_of(lines: usize) -> String {
        let case = Case {
            test: EVIL,
            seed: 7,
            signature: "panic src/order.rs:1:1",
            shrunk: None,
            replay: &|_| format!("SIM_SEED=7 cargo test '{EVIL}'"),
            evidence: &Evidence::default(),
        };
        page(&case, &[("trace.jsonl", trace(lines))]).unwrap()
    }

    #[test]
    fn nothing_of_a_run_becomes_a_part_of_the_page() {
        let page = page_of(3);
        assert_eq!(page.matches("<script").count(), 2, "the data and the script");
        assert_eq!(page.matches("</script>").count(), 2);
        assert!(!page.contains("alert(1)</") && !page.contains("<!--"));
        let (_, data) = page.split_once("id=\"data\">").unwrap();
        let (data, _) = data.split_once("</script>").unwrap();
        let data: serde_json::Value = serde_json::from_str(data).unwrap();
        assert_eq!(data["trace"]["head"]["test"], EVIL);
        assert_eq!(data["trace"]["lines"][3]["message"], EVIL);
    }

    #[test]
    fn a_page_is_small_and_asks_nobody() {
        assert!(SCRIPT.len() < 60_000, "{} bytes of script", SCRIPT.len());
        let page = page_of(10_000);
        assert!(page.len() < 2_000_000, "{} bytes", page.len());
        for asks in ["http:", "https:", "src=", "href=", "fetch(", "XMLHttpRequest", "@import", "url("] {
            let own = [PAGE, STYLE, &SCRIPT.replace("http://www.w3.org/2000/svg", "")];
            assert!(own.iter().all(|part| !part.contains(asks)), "{asks}");
        }
    }
}
