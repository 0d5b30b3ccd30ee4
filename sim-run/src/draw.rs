//! Arguments of tests and of operations, drawn from proptest's strategies.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, Reason, RngAlgorithm, TestRng, TestRunner};
use sim_core::decision::{Kind, below};
use sim_core::{Op, hash};

/// The value of the parameter at `position` in the run of `seed`.
///
/// Each parameter draws from a generator of its own, so that changing one strategy leaves the others' values.
///
/// # Panics
/// When the strategy rejects whatever it draws.
pub fn draw<S: Strategy>(seed: u64, position: u64, parameter: &str, strategy: S) -> S::Value {
    match tree(hash::h(hash::h(seed, 0xd4a3), position), &strategy) {
        Ok(tree) => tree.current(),
        Err(reason) => panic!("the strategy of the parameter `{parameter}` gave no value: {reason}"),
    }
}

/// Draws arguments of operations from proptest's strategies.
pub trait OpExt {
    /// Draws an argument from a strategy; the boring value is the simplest one that the strategy makes of it.
    ///
    /// The decision is the seed of the value and, in its lower 16 bits, how often that was made simpler: drawn ones are as
    /// the strategy gives them.
    ///
    /// ```
    /// use proptest::collection::vec;
    /// use sim_run::OpExt;
    ///
    /// # sim_core::run(sim_core::Config::seed(1), |sim| async move {
    /// # let mut ops = sim.node("client").ops(3);
    /// while let Some(op) = ops.next().await {
    ///     let cart = op.draw(vec((0..10u32, 1..=3u32), 1..5));
    /// #   assert!((1..5).contains(&cart.len()));
    /// }
    /// # }).result.unwrap();
    /// ```
    ///
    /// # Panics
    /// When the strategy rejects whatever it draws; outside of the simulation that gave the operation.
    #[track_caller]
    fn draw<S: Strategy>(&self, strategy: S) -> S::Value;
}

/// How many bits of a decision say how often the value was made simpler.
const SIMPLER: u32 = 16;

impl OpExt for Op {
    #[track_caller]
    fn draw<S: Strategy>(&self, strategy: S) -> S::Value {
        let decided = self.argument(Kind::Strategy, |draw| below(draw, 1 << 48) << SIMPLER);
        let steps = if decided == 0 { u64::MAX } else { decided & ((1 << SIMPLER) - 1) };
        let mut tree = match tree(decided >> SIMPLER, &strategy) {
            Ok(tree) => tree,
            Err(reason) => panic!("the strategy of an argument of {self:?} gave no value: {reason}"),
        };
        // Bounded, because a strategy may never tire of it.
        for _ in 0..steps.min(1 << SIMPLER) {
            if !tree.simplify() {
                break;
            }
        }
        let value = tree.current();
        self.say(|| format!("{value:?}"));
        value
    }
}

/// What a strategy draws under a name.
fn tree<S: Strategy>(name: u64, strategy: &S) -> Result<S::Tree, Reason> {
    let mut key = [0; 32];
    for (part, word) in key.chunks_exact_mut(8).zip(0..) {
        part.copy_from_slice(&hash::h(name, word).to_le_bytes());
    }
    // Spelt out, because proptest's defaults can be changed by the environment.
    let config = Config {
        failure_persistence: None,
        max_local_rejects: 65_536,
        max_global_rejects: 1_024,
        max_flat_map_regens: 1_000_000,
        rng_algorithm: RngAlgorithm::ChaCha,
        max_default_size_range: 100,
        ..Config::default()
    };
    strategy.new_tree(&mut TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &key)))
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::collection::vec;
    use proptest::prelude::any;

    #[test]
    fn values_follow_from_seed_and_position() {
        let values = |seed, position| draw(seed, position, "x", vec(any::<u64>(), 4));
        assert_eq!(values(7, 0), values(7, 0));
        assert_ne!(values(7, 0), values(7, 1));
        assert_ne!(values(7, 0), values(8, 0));
    }

    #[test]
    fn values_of_a_seed_are_pinned() {
        // A saved seed means these values; a change of proptest or of the key must show here.
        assert_eq!(draw(1, 0, "x", vec(0..100u32, 5)), [61, 53, 70, 61, 83]);
    }

    /// What an operation draws where its first argument is decided so.
    fn argument<S: Strategy + Clone + 'static>(decided: u64, strategy: S) -> S::Value {
        use sim_core::decision::{part, root};
        use sim_core::workload::part::ARGUMENT;
        let name = root(Kind::Op, hash::text("client"), 0);
        let deviations = [(name, 1), (part(name, ARGUMENT), decided)].into_iter().collect();
        let source = sim_core::Source::Explicit { seed: 1, deviations: std::sync::Arc::new(deviations) };
        let outcome = sim_core::run(sim_core::Config::seed(1).source(source), |sim| async move {
            sim.node("client").ops(1).next().await.unwrap().draw(strategy)
        });
        outcome.result.unwrap()
    }

    #[test]
    fn a_decision_is_the_seed_of_an_argument_and_how_simple_it_is() {
        let strategy = || vec(10..1000u32, 3..8);
        let drawn = argument(7 << SIMPLER, strategy());
        assert_eq!(drawn, argument(7 << SIMPLER, strategy()));
        assert_ne!(drawn, argument(8 << SIMPLER, strategy()));
        let simpler: Vec<_> = (1..40).map(|steps| argument(7 << SIMPLER | steps, strategy())).collect();
        assert!(simpler.iter().all(|value| value.len() <= drawn.len() && (3..8).contains(&value.len())));
        assert_eq!(simpler.last().unwrap(), &[10, 10, 10]);
        assert_eq!(argument(0, strategy()), [10, 10, 10], "the boring argument is the simplest");
    }

    #[test]
    #[should_panic(expected = "strategy of an argument of Op(0 of client) gave no value")]
    fn an_argument_without_values_says_whose_it_is() {
        let never = (0..10u8).prop_filter("never", |_| false);
        let outcome = sim_core::run(sim_core::Config::seed(1), |sim| async move {
            sim.node("client").ops(1).steady().next().await.unwrap().draw(never)
        });
        panic!("{}", outcome.result.unwrap_err().message);
    }

    #[test]
    #[should_panic(expected = "strategy of the parameter `even`")]
    fn a_strategy_without_values_says_whose_it_is() {
        draw(1, 0, "even", (0..10u8).prop_filter("never", |_| false));
    }
}
