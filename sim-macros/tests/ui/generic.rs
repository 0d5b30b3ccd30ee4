use sim_macros::sim_test;

struct Sim;

#[sim_test]
async fn of_any_type<T>(sim: Sim) {}

#[sim_test]
async fn with_a_clause(sim: Sim)
where
    Sim: Sized,
{
}

#[sim_test]
async unsafe fn dangerous() {}

fn main() {}
