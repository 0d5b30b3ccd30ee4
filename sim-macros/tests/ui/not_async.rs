use sim_macros::sim_test;

struct Sim;

#[sim_test]
fn waits_for_something(sim: Sim) {
    std::future::ready(sim).await;
}

fn main() {}
