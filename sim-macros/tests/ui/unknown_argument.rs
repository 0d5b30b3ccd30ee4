use sim_macros::sim_test;

struct Sim;

#[sim_test(seed = 7)]
async fn close_to_one(sim: Sim) {}

#[sim_test(colour = "red", seeds = 3)]
async fn like_none(sim: Sim) {}

fn main() {}
