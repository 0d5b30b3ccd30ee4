//! How long packets take. A distribution maps 64 random bits to the *extra* time over the least latency, so that 0
//! (the boring answer) is the fastest packet. All arithmetic is on integers: `ln` and `exp` of the platform differ
//! in the last bit between builds and machines, and a seed must mean the same everywhere.

use sim_core::hash::{below, h, mix};
use std::ops::{Range, RangeInclusive};
use std::time::Duration;

/// The distribution of a link's one-way latency, in whole nanoseconds.
///
/// A `Duration` is a constant, a range of them is uniform. The tails of the unbounded distributions end at about
/// 30 times the mean (exponential) and at six standard deviations (log-normal).
///
/// ```
/// use sim_net::Latency;
/// use std::time::Duration;
///
/// let ms = Duration::from_millis;
/// let _lan = Latency::from(ms(1)..ms(3));
/// let _wan = Latency::log_normal(ms(20), ms(15), 0.6);
/// let _slow_disk_behind_it = Latency::bimodal(ms(1)..ms(2), ms(200)..ms(900), 0.02);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Latency {
    least: u64,
    shape: Shape,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Shape {
    /// `width` is the number of values, most - least + 1.
    Uniform {
        width: u64,
    },
    Exponential {
        mean: u64,
    },
    /// The median of the extra, and sigma in 2^-16.
    LogNormal {
        median: u64,
        sigma: u32,
    },
    /// The slow mode, relative to `least`, taken by `share` of 2^32.
    Bimodal {
        width: u64,
        slow: u64,
        slow_width: u64,
        share: u32,
    },
}

/// Longer latencies are a mistake (a number in the wrong unit): a quarter of a year.
pub(super) const LONGEST: Duration = Duration::from_secs(90 * 24 * 3600);

#[track_caller]
fn nanos(what: &str, value: Duration) -> u64 {
    assert!(value <= LONGEST, "{what} of {value:?}: a latency is at most {LONGEST:?}");
    value.as_nanos() as u64
}

#[track_caller]
fn width(range: &Range<Duration>) -> u64 {
    let (least, most) = (nanos("a least latency", range.start), nanos("a most latency", range.end));
    assert!(least < most, "the latency range {range:?} is empty: it needs start < end");
    most - least
}

impl Latency {
    /// Always `value`.
    ///
    /// # Panics
    /// When it is over 90 days.
    #[track_caller]
    pub fn constant(value: Duration) -> Self {
        Latency { least: nanos("a latency", value), shape: Shape::Uniform { width: 1 } }
    }

    /// Each value of `range` (its end excluded) equally often.
    ///
    /// # Panics
    /// When it is empty, or a value is over 90 days.
    #[track_caller]
    pub fn uniform(range: Range<Duration>) -> Self {
        let width = width(&range);
        Latency { least: range.start.as_nanos() as u64, shape: Shape::Uniform { width } }
    }

    /// `least` and an exponentially distributed extra with this mean: a queue in front of a steady line.
    ///
    /// # Panics
    /// When a value is over 90 days.
    #[track_caller]
    pub fn exponential(least: Duration, mean_extra: Duration) -> Self {
        let shape = Shape::Exponential { mean: nanos("a mean extra latency", mean_extra) };
        Latency { least: nanos("a least latency", least), shape }
    }

    /// `least` and a log-normal extra with this median: what long-distance links look like. `sigma` is the standard
    /// deviation of the logarithm, 0 to 4.
    ///
    /// # Panics
    /// For another `sigma`, and when a value is over 90 days.
    #[track_caller]
    pub fn log_normal(least: Duration, median_extra: Duration, sigma: f64) -> Self {
        assert!((0.0..=4.0).contains(&sigma), "a sigma of {sigma}: allowed is 0.0 to 4.0");
        let median = nanos("a median extra latency", median_extra);
        let shape = Shape::LogNormal { median, sigma: (sigma * 65536.0) as u32 };
        Latency { least: nanos("a least latency", least), shape }
    }

    /// Mostly uniform in `usual`; a `slow_share` (0 to 1) of the packets is uniform in `slow`, which begins no sooner.
    ///
    /// # Panics
    /// For another share, when `slow` begins sooner, when a range is empty, or a value is over 90 days.
    #[track_caller]
    pub fn bimodal(usual: Range<Duration>, slow: Range<Duration>, slow_share: f64) -> Self {
        assert!((0.0..=1.0).contains(&slow_share), "a slow share of {slow_share}: allowed is 0.0 to 1.0");
        assert!(slow.start >= usual.start, "the slow range {slow:?} begins before the usual one {usual:?}");
        let shape = Shape::Bimodal {
            width: width(&usual),
            slow: (slow.start - usual.start).as_nanos() as u64,
            slow_width: width(&slow),
            share: (slow_share * f64::from(u32::MAX)) as u32,
        };
        Latency { least: usual.start.as_nanos() as u64, shape }
    }

    /// The shortest time that a packet takes.
    pub fn least(&self) -> Duration {
        Duration::from_nanos(self.least)
    }

    #[inline]
    pub(crate) fn least_nanos(&self) -> u64 {
        self.least
    }

    /// Whether every packet takes the same time, so that there is nothing to decide.
    #[inline]
    pub(crate) fn is_constant(&self) -> bool {
        matches!(self.shape, Shape::Uniform { width: 1 })
    }

    /// The time over the least latency, ns, that 64 random bits stand for.
    #[inline]
    pub(crate) fn extra(&self, draw: u64) -> u64 {
        match self.shape {
            Shape::Uniform { width } => below(draw, width),
            shape => shape.extra(draw),
        }
    }
}

impl Shape {
    fn extra(self, draw: u64) -> u64 {
        match self {
            Shape::Uniform { width } => below(draw, width),
            Shape::Exponential { mean } => scale(mean, negative_ln(!draw)),
            Shape::LogNormal { median, sigma } => {
                // ln(2^64)-wide exponents never occur: sigma is at most 4 and the deviate at most 6.
                let power = (i64::from(sigma) * normal(draw)) >> 16;
                scale(median, exp(power))
            }
            // The top half chooses the mode, so that low draws stay in the usual one.
            Shape::Bimodal { width, slow, slow_width, share } => {
                let value = mix(draw);
                if ((!draw >> 32) as u32) < share {
                    slow + below(value, slow_width)
                } else {
                    below(value, width)
                }
            }
        }
    }
}

/// `value * factor`, the factor in 2^-32, saturating far above any latency.
fn scale(value: u64, factor: u64) -> u64 {
    let product = (u128::from(value) * u128::from(factor)) >> 32;
    product.min(LONGEST.as_nanos()) as u64
}

/// ln 2 in 2^-32.
const LN_2: u64 = 0xb172_17f7;

/// `-ln(x / 2^64)` in 2^-32, for the fraction that the bits `x` stand for; 0 counts as the smallest one.
fn negative_ln(x: u64) -> u64 {
    let x = x.max(1);
    let zeros = u64::from(x.leading_zeros());
    // The mantissa in [1, 2) with 63 bits behind the point; its log2 comes bit by bit from squaring it.
    let mut mantissa = x << zeros;
    let mut log2 = 0u64;
    for _ in 0..32 {
        let square = u128::from(mantissa) * u128::from(mantissa);
        log2 <<= 1;
        if square >> 127 != 0 {
            log2 |= 1;
            mantissa = (square >> 64) as u64;
        } else {
            mantissa = (square >> 63) as u64;
        }
    }
    // x / 2^64 = 2^-(zeros + 1) * mantissa.
    let exponent = ((zeros + 1) << 32) - log2;
    ((u128::from(exponent) * u128::from(LN_2)) >> 32) as u64
}

/// `e^x` in 2^-32 for an `x` in 2^-16 between about -22 and 22; below that 0, above it saturated.
fn exp(x: i64) -> u64 {
    // e^x = 2^(x / ln 2) = 2^whole * 2^fraction.
    let log2 = ((i128::from(x) << 48) / i128::from(LN_2)) as i64; // in 2^-32
    let whole = log2 >> 32;
    let fraction = log2 & 0xffff_ffff;
    let mut power = 1u64 << 32; // in 2^-32, below 2
    for (bit, &root) in ROOTS.iter().enumerate() {
        if fraction >> (31 - bit) & 1 == 1 {
            power = ((u128::from(power) * u128::from(root)) >> 32) as u64;
        }
    }
    match whole {
        0..=30 => power << whole,
        31.. => u64::MAX,
        -33..0 => power >> -whole,
        _ => 0,
    }
}

/// 2^(2^-k) for k = 1.., in 2^-32.
const ROOTS: [u64; 16] = [
    0x1_6a09_e667,
    0x1_306f_e0a3,
    0x1_172b_83c7,
    0x1_0b55_86cf,
    0x1_059b_0d31,
    0x1_02c9_a3e7,
    0x1_0163_daa0,
    0x1_00b1_afa6,
    0x1_0058_c86e,
    0x1_002c_605e,
    0x1_0016_2f39,
    0x1_000b_175f,
    0x1_0005_8ba0,
    0x1_0002_c5cc,
    0x1_0001_62e5,
    0x1_0000_b172,
];

/// A standard normal deviate in 2^-16: the sum of twelve uniform ones, less its mean; 0 is the smallest, -6.
fn normal(draw: u64) -> i64 {
    if draw == 0 {
        return -6 << 16;
    }
    let words = [h(draw, 1), h(draw, 2), h(draw, 3)];
    let sum: i64 = words.iter().flat_map(|w| (0..4).map(move |i| (w >> (16 * i) & 0xffff) as i64)).sum();
    sum - (6 << 16) + 6
}

impl From<Duration> for Latency {
    #[track_caller]
    fn from(value: Duration) -> Self {
        Latency::constant(value)
    }
}

impl From<Range<Duration>> for Latency {
    #[track_caller]
    fn from(range: Range<Duration>) -> Self {
        Latency::uniform(range)
    }
}

impl From<RangeInclusive<Duration>> for Latency {
    #[track_caller]
    fn from(range: RangeInclusive<Duration>) -> Self {
        Latency::uniform(*range.start()..*range.end() + Duration::from_nanos(1))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(n: u64) -> Duration {
        Duration::from_millis(n)
    }

    fn draws(latency: Latency) -> Vec<u64> {
        let mut all: Vec<u64> = (1..100_001).map(|i| latency.extra(mix(i))).collect();
        all.sort_unstable();
        all
    }

    fn mean(values: &[u64]) -> u64 {
        (values.iter().map(|&v| u128::from(v)).sum::<u128>() / values.len() as u128) as u64
    }

    fn near(value: u64, wanted: u64, percent: u64) {
        let off = value.abs_diff(wanted) * 100;
        assert!(off <= wanted * percent, "{value} is not within {percent} % of {wanted}");
    }

    #[test]
    fn the_boring_draw_is_the_least_latency() {
        let all = [
            Latency::from(ms(5)),
            Latency::from(ms(5)..ms(9)),
            Latency::exponential(ms(5), ms(10)),
            Latency::bimodal(ms(5)..ms(6), ms(100)..ms(200), 0.1),
        ];
        assert!(all[..3].iter().all(|l| l.extra(0) == 0));
        assert!(all.iter().all(|l| l.least() == ms(5)));
        assert!(all[3].extra(0) < 1_000_000, "the boring packet takes the usual mode");
    }

    #[test]
    fn uniform_covers_its_range_and_no_more() {
        let all = draws(Latency::from(ms(1)..ms(10)));
        assert!(all[0] < 1_000 && all[99_999] < 9_000_000 && all[99_999] > 8_999_000);
        near(mean(&all), 4_500_000, 1);
    }

    #[test]
    fn exponential_has_its_mean_and_its_median() {
        let all = draws(Latency::exponential(ms(0), ms(10)));
        near(mean(&all), 10_000_000, 2);
        near(all[50_000], 6_931_472, 2);
    }

    #[test]
    fn log_normal_has_its_median_and_its_tail() {
        let all = draws(Latency::log_normal(ms(0), ms(10), 0.5));
        near(all[50_000], 10_000_000, 2);
        // One standard deviation up is e^0.5.
        near(all[84_134], 16_487_213, 2);
        near(all[15_866], 6_065_307, 2);
    }

    #[test]
    fn bimodal_takes_the_slow_mode_as_often_as_asked() {
        let all = draws(Latency::bimodal(ms(1)..ms(2), ms(100)..ms(200), 0.1));
        let slow = all.iter().filter(|&&v| v >= 99_000_000).count() as u64;
        near(slow, 10_000, 5);
        assert_eq!(all.iter().filter(|&&v| (1_000_000..99_000_000).contains(&v)).count(), 0);
    }

    #[test]
    fn logarithm_and_exponential_agree_with_mathematics() {
        assert_eq!(negative_ln(1 << 63), LN_2);
        near(negative_ln(u64::MAX / 10), 9_889_527_670, 1);
        near(exp(1 << 16), 11_674_931_555, 1);
        near(exp(-1 << 16), 1_580_030_168, 1);
        near(exp(0), 1 << 32, 0);
    }

    #[test]
    #[should_panic(expected = "is empty")]
    fn an_empty_range_is_refused() {
        let _ = Latency::from(ms(5)..ms(5));
    }
}
