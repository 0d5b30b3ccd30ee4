use sim_macros::sim_test;

struct Sim;

#[sim_test]
async fn a_second_one(sim: Sim, count: u32) {}

#[sim_test]
async fn of_another_framework(sim: Sim, #[case] count: u32) {}

#[sim_test]
async fn without_a_strategy(sim: Sim, #[strategy] count: u32) {}

#[sim_test]
async fn with_two_strategies(sim: Sim, #[strategy(0..5u8)] #[strategy(0..6u8)] count: u8) {}

fn main() {}
