use sim_macros::sim_test;

struct Sim;

#[sim_test]
#[test]
async fn a_test_already(sim: Sim) {}

#[sim_test]
struct NoFunction;

fn main() {}
