//! The pinned mixing functions. Every name and every drawn value comes from them, so a changed constant
//! changes what every saved seed means: golden tests hold them.

const K0: u64 = 0xa076_1d64_78bd_642f;
const K1: u64 = 0xe703_7ed1_a0b4_28db;

/// Folds the 128-bit product of two words (the `mum` of wyhash).
#[inline(always)]
const fn fold(a: u64, b: u64) -> u64 {
    let product = (a as u128).wrapping_mul(b as u128);
    (product as u64) ^ ((product >> 64) as u64)
}

/// Mixes one word.
#[inline(always)]
pub const fn mix(x: u64) -> u64 {
    fold(x ^ K0, x.rotate_left(32) ^ K1)
}

/// The hash of `b` under `a`: how a name is derived from its cause.
#[inline(always)]
pub const fn h(a: u64, b: u64) -> u64 {
    mix(a ^ mix(b))
}

/// Chains a word onto a running hash; cheaper than [`h`], for the trace.
#[inline(always)]
pub(crate) const fn chain(hash: u64, word: u64) -> u64 {
    fold(hash ^ K0, word ^ K1)
}

/// Maps 64 random bits onto `0..n`; 0 stays 0, and an empty range gives 0.
#[inline(always)]
pub const fn below(draw: u64, n: u64) -> u64 {
    ((draw as u128 * n as u128) >> 64) as u64
}

/// The name of a text, such as a node's name or a client's.
pub const fn text(s: &str) -> u64 {
    let bytes = s.as_bytes();
    let mut hash = mix(bytes.len() as u64);
    let mut i = 0;
    while i < bytes.len() {
        hash = chain(hash, bytes[i] as u64);
        i += 1;
    }
    hash
}

/// `Hasher` over the mixing functions, for maps that are never iterated.
#[derive(Debug, Default, Clone, Copy)]
pub struct MixHasher(u64);

impl std::hash::Hasher for MixHasher {
    fn finish(&self) -> u64 {
        self.0
    }
    fn write(&mut self, bytes: &[u8]) {
        for piece in bytes.chunks(8) {
            let mut word = [0; 8];
            word[..piece.len()].copy_from_slice(piece);
            self.write_u64(u64::from_le_bytes(word));
        }
    }
    fn write_u64(&mut self, x: u64) {
        self.0 = chain(self.0, x);
    }
    fn write_u32(&mut self, x: u32) {
        self.write_u64(x.into());
    }
    fn write_u16(&mut self, x: u16) {
        self.write_u64(x.into());
    }
    fn write_u8(&mut self, x: u8) {
        self.write_u64(x.into());
    }
    fn write_usize(&mut self, x: usize) {
        self.write_u64(x as u64);
    }
}

/// Builds [`MixHasher`]s.
pub type BuildMix = std::hash::BuildHasherDefault<MixHasher>;

/// A hash map with the same layout in every process. It must not be iterated where order could be seen: its
/// order is fixed but means nothing.
#[expect(clippy::disallowed_types, reason = "the hasher is ours")]
pub type Map<K, V> = std::collections::HashMap<K, V, BuildMix>;

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_constants_are_pinned() {
        let golden = [mix(0), mix(1), h(0, 0), h(1, 2), h(2, 1), text(""), text("payment")];
        assert_eq!(format!("{golden:016x?}"), GOLDEN);
    }
    const GOLDEN: &str = "[1ff5c2923a788d2c, bfb4e19cfa4980ee, 8051276e6cd99501, b0cefd6853837fee, 65e28f796471aa60, 1ff5c2923a788d2c, 1f7ef4b214197076]";

    #[test]
    fn every_input_bit_flips_about_half_of_the_output() {
        for bit in 0..64 {
            let flips: u32 = (0..1000u64).map(|i| (h(7, i) ^ h(7, i ^ 1 << bit)).count_ones()).sum();
            assert!((28_000..36_000).contains(&flips), "bit {bit}: {flips} of 64,000");
        }
    }

    #[test]
    fn neighbouring_seeds_and_names_draw_evenly() {
        let mut buckets = [0u32; 64];
        for seed in 0..100 {
            for name in 0..640 {
                buckets[below(h(seed, name), 64) as usize] += 1;
            }
        }
        let chi: f64 = buckets.iter().map(|&n| (f64::from(n) - 1000.0).powi(2) / 1000.0).sum();
        assert!(chi < 120.0, "chi square {chi} over 63 degrees of freedom");
    }

    #[test]
    fn below_keeps_zero_and_stays_below() {
        assert_eq!(below(0, 10), 0);
        assert_eq!(below(u64::MAX, 10), 9);
        assert_eq!(below(u64::MAX, 0), 0);
    }
}
