//! Nothing that programs or operators do can panic the simulator or leave something behind: random sequences of calls
//! on sockets and of the lives of nodes.

mod programs;
mod state;
mod step;

use crate::secs;
use programs::BEYOND;
use proptest::prelude::*;
use sim_core::time::sleep;
use sim_core::{Config, run};
use sim_net::NetExt;
use state::State;
use step::{Step, step};

const NODES: [&str; 3] = ["a", "b", "c"];
/// Where Unix sockets are bound.
const NAMES: [&str; 3] = ["/run/a", "/run/./b", "\0abstract"];

/// Runs the steps, lets go of everything, heals, and looks at what is left.
fn check(seed: u64, steps: Vec<Step>) {
    let outcome = run(Config::seed(seed), move |sim| async move {
        for node in NODES {
            sim.node(node);
        }
        let mut state = State::default();
        for step in steps {
            state.apply(sim, step).await;
        }
        drop(state);
        sim.heal();
        for node in NODES {
            sim.node(node).resume();
            sim.node(node).start();
        }
        sleep(secs(60)).await;
        for node in NODES {
            sim.node(node).kill();
        }
        // Orphans may still drain, handshakes be retried; both end on their own.
        sleep(secs(3600)).await;
        // So does TIME_WAIT, after a minute. The body itself is the task that is left.
        (sim.network_census(), sim.census())
    });
    let (census, tasks_and_events) = outcome.result.unwrap_or_else(|f| panic!("{f:?}"));
    assert!(!BEYOND.take(), "a dead process made a socket");
    let left = (census.streams, census.listeners, census.sockets, census.udp, census.datagrams);
    assert_eq!((left, census.unix, census.sets, census.held), ((0, 0, 0, 0, 0), 0, 0, 0));
    assert_eq!((census.ports, tasks_and_events), (0, (1, 0)));
}

/// 20,000 sequences, shared out among tests that run at the same time.
macro_rules! no_sequence_of_calls_panics_or_leaks {
    ($($part:ident)*) => {
        proptest! {
            #![proptest_config(ProptestConfig { cases: 5_000, failure_persistence: None, ..ProptestConfig::default() })]
            $(
                #[test]
                fn $part(seed in any::<u64>(), steps in proptest::collection::vec(step(), 1..24)) {
                    check(seed, steps);
                }
            )*
        }
    };
}

no_sequence_of_calls_panics_or_leaks! {
    no_sequence_of_calls_panics_or_leaks_1
    no_sequence_of_calls_panics_or_leaks_2
    no_sequence_of_calls_panics_or_leaks_3
    no_sequence_of_calls_panics_or_leaks_4
}
