//! `trace.perfetto.json`: the run for ui.perfetto.dev, in the Trace Event Format: a process for each node, slices for
//! operations, faults and the lives of processes, flow arrows for packets that arrive. Times there are µs, of virtual time.

use std::collections::BTreeMap;

use serde_json::{Value, json};

use super::trace::{Fate, Trace, What};

/// Threads of a node, by what is drawn on them.
const LIFE: u32 = 1;
const NETWORK: u32 = 2;
const OPERATIONS: u32 = 3;
const FAULTS: u32 = 4;

/// The trace in that form.
pub(super) fn file(trace: &Trace) -> String {
    let pids: BTreeMap<&str, usize> =
        trace.head.nodes.iter().enumerate().map(|(place, node)| (&**node, place + 1)).collect();
    let mut events: Vec<Value> = Vec::new();
    for (node, pid) in &pids {
        events.push(json!({ "ph": "M", "name": "process_name", "pid": pid, "args": { "name": node } }));
        events.push(
            json!({ "ph": "M", "name": "process_sort_index", "pid": pid, "args": { "sort_index": pid } }),
        );
        for (tid, name) in
            [(LIFE, "process"), (NETWORK, "network"), (OPERATIONS, "operations"), (FAULTS, "faults")]
        {
            events.push(
                json!({ "ph": "M", "name": "thread_name", "pid": pid, "tid": tid, "args": { "name": name } }),
            );
        }
    }
    let end = trace.head.end;
    let slice = |pid: usize, tid: u32, name: &str, at: u64, until: u64| json!({ "ph": "X", "pid": pid, "tid": tid, "name": name, "ts": micros(at), "dur": micros(until.max(at) - at) });
    let instant = |pid: usize, name: &str, at: u64| json!({ "ph": "i", "s": "p", "pid": pid, "tid": LIFE, "name": name, "ts": micros(at) });
    let mut born: BTreeMap<(usize, u32), u64> = BTreeMap::new();
    for line in &trace.lines {
        let pid = line.node.as_deref().and_then(|node| pids.get(node)).copied().unwrap_or(1);
        let at = line.at;
        match &line.what {
            What::ProcessStart { process } => _ = born.insert((pid, *process), at),
            What::ProcessEnd { process, .. } => {
                let since = born.remove(&(pid, *process)).unwrap_or(0);
                events.push(slice(pid, LIFE, &format!("process {process}"), since, at));
            }
            What::Packet { id, to, bytes, fate, arrives, .. } => {
                let name = format!("{bytes} bytes to {to}");
                match (fate, arrives, pids.get(&**to)) {
                    (Fate::Arrives, Some(arrives), Some(there)) if *arrives <= end => {
                        events.push(slice(pid, NETWORK, &name, at, at));
                        let from = format!("{bytes} bytes from {}", line.node.as_deref().unwrap_or_default());
                        events.push(slice(*there, NETWORK, &from, *arrives, *arrives));
                        let flow = |ph: &str, pid: usize, at: u64| {
                            json!({ "ph": ph, "bp": "e", "id": id, "cat": "packet", "name": "packet", "pid": pid,
                                    "tid": NETWORK, "ts": micros(at) })
                        };
                        events.extend([flow("s", pid, at), flow("f", *there, *arrives)]);
                    }
                    (Fate::Lost, ..) => events.push(slice(pid, NETWORK, &format!("{name}, lost"), at, at)),
                    (Fate::Held, ..) => events.push(slice(pid, NETWORK, &format!("{name}, held"), at, at)),
                    _ => events.push(slice(pid, NETWORK, &name, at, at)),
                }
            }
            What::Fault { family, target, nodes, end: ends, vetoed: None, .. } => {
                let on = nodes.iter().filter_map(|node| pids.get(&**node)).copied();
                let on: Vec<usize> = if nodes.is_empty() { vec![1] } else { on.collect() };
                let name = format!("{family} of {target}");
                events.extend(on.into_iter().map(|pid| slice(pid, FAULTS, &name, at, ends.unwrap_or(end))));
            }
            What::Op { client, index, words, end: ends, .. } => {
                let name = format!("operation {index} of {client} {}", words.join(" "));
                events.push(slice(pid, OPERATIONS, name.trim_end(), at, ends.unwrap_or(end)));
            }
            What::Log { level, text, .. } => events.push(instant(pid, &format!("{level} {text}"), at)),
            What::Event { name, text } => events.push(instant(pid, &format!("{name} {text}"), at)),
            What::Failure { signature, message, .. } => {
                events.push(instant(pid, &format!("{signature}: {message}"), at));
            }
            What::Fault { .. } | What::FaultEnd { .. } | What::OpEnd { .. } | What::Claim { .. } => {}
        }
    }
    for ((pid, process), since) in born {
        events.push(slice(pid, LIFE, &format!("process {process}"), since, end));
    }
    json!({ "displayTimeUnit": "ns", "traceEvents": events }).to_string()
}

fn micros(ns: u64) -> f64 {
    ns as f64 / 1000.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::trace::{Head, How, Line};

    #[test]
    fn packets_are_flows_and_lives_are_slices() {
        let line = |at, node: &str, what| Line { at, node: Some(node.to_owned()), cause: None, what };
        let packet = |id, fate, arrives| What::Packet {
            id,
            to: "b".to_owned(),
            bytes: 9,
            ack: false,
            fate,
            arrives,
            damaged: false,
            copy: None,
        };
        let trace = Trace {
            head: Head {
                run: "original".to_owned(),
                test: "t".to_owned(),
                seed: 1,
                token: None,
                replay: None,
                nodes: ["harness", "a", "b"].map(str::to_owned).to_vec(),
                end: 9_000,
                hash: String::new(),
            },
            lines: vec![
                line(0, "a", What::ProcessStart { process: 0 }),
                line(0, "b", What::ProcessStart { process: 0 }),
                line(1_500, "a", packet(7, Fate::Arrives, Some(2_500))),
                line(1_500, "a", packet(8, Fate::Lost, None)),
                line(4_000, "b", What::ProcessEnd { process: 0, how: How::Kill }),
            ],
        };
        let file: Value = serde_json::from_str(&file(&trace)).unwrap();
        let events = file["traceEvents"].as_array().unwrap();
        let of = |ph: &str| -> Vec<&Value> { events.iter().filter(|event| event["ph"] == ph).collect() };
        let (start, finish) = (of("s"), of("f"));
        assert_eq!((start.len(), finish.len()), (1, 1), "what is lost arrives nowhere");
        assert_eq!((&start[0]["pid"], &start[0]["ts"]), (&json!(2), &json!(1.5)));
        assert_eq!((&finish[0]["pid"], &finish[0]["ts"]), (&json!(3), &json!(2.5)));
        let lives: Vec<_> = of("X")
            .into_iter()
            .filter(|event| event["tid"] == LIFE)
            .map(|life| (&life["pid"], &life["dur"]))
            .collect();
        assert_eq!(lives, [(&json!(3), &json!(4.0)), (&json!(2), &json!(9.0))]);
    }
}
