//! Arguments of a test drawn from proptest's strategies, from the seed of the run.

use proptest::strategy::{Strategy, ValueTree};
use proptest::test_runner::{Config, RngAlgorithm, TestRng, TestRunner};
use sim_core::hash;

/// The value of the parameter at `position` in the run of `seed`.
///
/// Each parameter draws from a generator of its own, so that changing one strategy leaves the others' values.
///
/// # Panics
/// When the strategy rejects whatever it draws.
pub fn draw<S: Strategy>(seed: u64, position: u64, parameter: &str, strategy: S) -> S::Value {
    let name = hash::h(hash::h(seed, 0xd4a3), position);
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
    let mut runner = TestRunner::new_with_rng(config, TestRng::from_seed(RngAlgorithm::ChaCha, &key));
    match strategy.new_tree(&mut runner) {
        Ok(tree) => tree.current(),
        Err(reason) => panic!("the strategy of the parameter `{parameter}` gave no value: {reason}"),
    }
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

    #[test]
    #[should_panic(expected = "strategy of the parameter `even`")]
    fn a_strategy_without_values_says_whose_it_is() {
        draw(1, 0, "even", (0..10u8).prop_filter("never", |_| false));
    }
}
