//! `story.md`: the failure for a pull request or an issue, with a sequence diagram where it is small enough to be read.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::time::Duration;

use super::Case;
use super::trace::{Fate, How, Trace, What};

/// Arrows and notes of a diagram that a reader takes in.
const STEPS: usize = 40;

/// The page about a failure, whose first trace is the one that is told.
pub(super) fn page(case: &Case<'_>, traces: &[(&str, Trace)]) -> Option<String> {
    let (_, trace) = traces.first().filter(|(_, trace)| trace.head.run != "passing")?;
    let failure = trace.failure()?;
    let What::Failure { message, signature, .. } = &failure.what else { return None };
    let mut page = String::new();
    // A String takes everything.
    let _ = writeln!(page, "# {}\n", line(message));
    let node = failure.node.as_ref().map(|node| format!(" on node `{node}`")).unwrap_or_default();
    let at = Duration::from_nanos(failure.at);
    let _ = writeln!(
        page,
        "`{}` fails with `{}`, at {at:?} of virtual time{node}.\n",
        case.test,
        code(signature)
    );
    if let Some(shrunk) = case.shrunk {
        let _ = writeln!(page, "Shrunk to {}:\n", shrunk.size);
        for sentence in &shrunk.story {
            let _ = writeln!(page, "- {}", line(sentence));
        }
        page.push('\n');
    }
    if let Some(replay) = &trace.head.replay {
        let _ = writeln!(page, "```sh\n{replay}\n```\n");
    }
    match steps(trace) {
        Some(steps) => page.push_str(&diagram(trace, &steps)),
        None => {
            let _ = writeln!(page, "The run has too many packets for a diagram: see `report.html`.");
        }
    }
    Some(page)
}

/// What a diagram shows, in the order of time; `None` for too much of it.
fn steps(trace: &Trace) -> Option<Vec<String>> {
    let mut names = BTreeMap::new();
    for (place, node) in trace.head.nodes.iter().enumerate() {
        names.insert(&**node, format!("n{place}"));
    }
    let name = |node: &str| names.get(node).cloned();
    let mut steps: Vec<(u64, String)> = Vec::new();
    for event in &trace.lines {
        let Some(here) = event.node.as_deref().and_then(name) else { continue };
        let at = event.at;
        let step = match &event.what {
            // What carries no data tells a reader nothing.
            What::Packet { ack: true, .. } | What::Packet { bytes: 0, fate: Fate::Arrives, .. } => continue,
            What::Packet { to, bytes, fate, .. } => {
                let Some(to) = name(to) else { continue };
                match fate {
                    Fate::Arrives => format!("{here}->>{to}: {bytes} bytes"),
                    Fate::Lost => format!("{here}--x{to}: {bytes} bytes, lost"),
                    Fate::Held => format!("{here}--x{to}: {bytes} bytes, held"),
                }
            }
            What::Fault { family, target, vetoed: None, .. } => {
                format!("Note over {here}: {} of {}", plain(family), plain(target))
            }
            What::ProcessEnd { how: How::Kill, .. } => format!("Note over {here}: killed"),
            What::ProcessEnd { how: How::PowerCut, .. } => format!("Note over {here}: loses power"),
            What::Op { index, words, .. } => {
                format!("Note over {here}: operation {index} {}", plain(&words.join(" ")))
            }
            What::Log { text, .. } => format!("Note over {here}: {}", plain(text)),
            What::Failure { message, .. } => format!("Note over {here}: {}", plain(message)),
            _ => continue,
        };
        steps.push((at, step));
    }
    (steps.len() <= STEPS).then(|| steps.into_iter().map(|(_, step)| step).collect())
}

fn diagram(trace: &Trace, steps: &[String]) -> String {
    let mut diagram = "```mermaid\nsequenceDiagram\n".to_owned();
    for (place, node) in trace.head.nodes.iter().enumerate() {
        let own = format!("n{place}");
        let is_in =
            |step: &String| step.split([' ', ':', '-', '>']).any(|word| word.trim_start_matches('x') == own);
        if steps.iter().any(is_in) {
            let _ = writeln!(diagram, "    participant {own} as {}", plain(node));
        }
    }
    for step in steps {
        let _ = writeln!(diagram, "    {step}");
    }
    diagram.push_str("```\n");
    diagram
}

/// A text in which Mermaid finds nothing of its own.
fn plain(text: &str) -> String {
    text.chars().map(|c| if c.is_control() || ";#<>{}".contains(c) { ' ' } else { c }).collect()
}

/// A text on one line, in which Markdown finds nothing of its own.
fn line(text: &str) -> String {
    let mut line = String::new();
    for c in text.chars() {
        match c {
            '\n' | '\r' => line.push(' '),
            '<' | '>' | '`' | '*' | '_' | '[' | ']' | '\\' | '#' => line.extend(['\\', c]),
            c => line.push(c),
        }
    }
    line
}

/// A text between backticks.
fn code(text: &str) -> String {
    text.replace(['`', '\n'], " ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nothing_of_a_run_is_read_as_markup() {
        assert_eq!(plain("a;b#c\n<d>"), "a b c  d ");
        assert_eq!(line("a *b*\n<c> [needed]"), "a \\*b\\* \\<c\\> \\[needed\\]");
        assert_eq!(code("`a`"), " a ");
    }
}
