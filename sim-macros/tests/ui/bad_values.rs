use sim_macros::sim_test;

#[sim_test(seeds = "many")]
async fn seeds_as_text() {}

#[sim_test(seeds = 9..3)]
async fn seeds_backwards() {}

#[sim_test(seeds = 0)]
async fn no_seeds() {}

#[sim_test(seeds = 0..=3)]
async fn seeds_with_their_end() {}

#[sim_test(time_limit = 10)]
async fn a_limit_without_unit() {}

#[sim_test(time_limit = "10 minutes")]
async fn a_limit_with_another_unit() {}

#[sim_test(schedule = "fair")]
async fn a_schedule_that_is_none() {}

#[sim_test(isolate = "container")]
async fn an_isolation_that_is_none() {}

#[sim_test(check_determinism = "yes")]
async fn a_flag_as_text() {}

#[sim_test(seeds = 1, seeds = 2)]
async fn seeds_twice() {}

#[sim_test(time_limit)]
async fn no_value() {}

fn main() {}
