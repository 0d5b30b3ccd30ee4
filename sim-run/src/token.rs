//! Replay tokens: a run as one line of text, small enough to be pasted.
//!
//! A token holds what a run is a function of besides its test: the seed of its application randomness, the schedule
//! and the decisions that are not boring; and what is known of it, its test and its signature. The text is
//! `sim1:` and base64url of bincode with a checksum, so that a line that was cut off is told from one that is old.

use std::collections::BTreeMap;
use std::fmt;
use std::path::Path;
use std::str::FromStr;
use std::sync::Arc;

use base64::Engine;
use base64::prelude::BASE64_URL_SAFE_NO_PAD;
use serde::{Deserialize, Serialize};
use sim_core::decision::Name;
use sim_core::{Schedule, Source, codec, hash};

/// What every token of this form begins with.
const PREFIX: &str = "sim1:";
/// Bytes of the checksum.
const CHECK: usize = 4;

/// A run of a test as data: `SIM_REPLAY` and files of regressions hold it as text.
///
/// ```
/// use sim_run::Token;
///
/// let broken = "sim1:abc".parse::<Token>().unwrap_err();
/// assert!(broken.to_string().contains("copy the whole line"));
/// ```
#[derive(Clone, PartialEq, Eq, Debug, Serialize, Deserialize)]
pub struct Token {
    /// The test, by the name that the harness knows it by; of a program, its name.
    pub test: String,
    /// The signature of the failure that the run ends with.
    pub signature: String,
    /// What application randomness is drawn from.
    pub seed: u64,
    /// The order of ready tasks, never [`Schedule::Portfolio`].
    pub schedule: Schedule,
    /// The decisions that are not boring.
    pub deviations: BTreeMap<Name, u64>,
}

/// What a token is in bytes. Names are as good as random, so that they are shortest as they are.
#[derive(Serialize, Deserialize)]
struct Bytes {
    test: String,
    signature: String,
    seed: u64,
    schedule: Schedule,
    deviations: Vec<([u8; 8], u64)>,
}

impl Token {
    /// Where the run's decisions come from.
    pub fn source(&self) -> Source {
        Source::Explicit { seed: self.seed, deviations: Arc::new(self.deviations.clone()) }
    }

    /// Reads what `SIM_REPLAY` says: a token, or `@` and the path of a file whose first word is one.
    pub(crate) fn read(text: &str) -> Result<Token, InvalidToken> {
        let Some(path) = text.strip_prefix('@') else { return text.parse() };
        let file = std::fs::read_to_string(Path::new(path))
            .map_err(|error| InvalidToken(format!("the file {path:?} cannot be read: {error}")))?;
        let first = file.split_whitespace().find(|word| word.starts_with("sim"));
        first
            .unwrap_or_default()
            .parse()
            .map_err(|InvalidToken(why)| InvalidToken(format!("in the file {path:?}: {why}")))
    }
}

impl fmt::Display for Token {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let bytes = Bytes {
            test: self.test.clone(),
            signature: self.signature.clone(),
            seed: self.seed,
            schedule: self.schedule,
            deviations: self.deviations.iter().map(|(name, value)| (name.to_le_bytes(), *value)).collect(),
        };
        let mut bytes = codec::encode(&bytes).map_err(|_| fmt::Error)?;
        let check = check(&bytes);
        bytes.extend(check);
        write!(f, "{PREFIX}{}", BASE64_URL_SAFE_NO_PAD.encode(bytes))
    }
}

fn check(bytes: &[u8]) -> [u8; CHECK] {
    let sum = bytes.iter().fold(bytes.len() as u64, |sum, byte| hash::h(sum, u64::from(*byte)));
    (sum as u32).to_le_bytes()
}

impl FromStr for Token {
    type Err = InvalidToken;

    fn from_str(text: &str) -> Result<Token, InvalidToken> {
        let invalid = |why: &str| InvalidToken(why.to_owned());
        let text = text.trim();
        let Some(body) = text.strip_prefix(PREFIX) else {
            return Err(match text.strip_prefix("sim").and_then(|rest| rest.split_once(':')) {
                Some((form, _)) if form.bytes().all(|byte| byte.is_ascii_digit()) => InvalidToken(format!(
                    "a token of the form sim{form} needs another version of sim; this one reads {PREFIX}…"
                )),
                _ => invalid(
                    "expected a token, sim1:… as a failure prints it, or @ and the path of a file that holds one",
                ),
            });
        };
        let whole = BASE64_URL_SAFE_NO_PAD
            .decode(body)
            .map_err(|error| InvalidToken(format!("it is damaged: copy the whole line ({error})")))?;
        let (bytes, sum) = whole
            .len()
            .checked_sub(CHECK)
            .and_then(|length| whole.split_at_checked(length))
            .filter(|(bytes, sum)| check(bytes) == *sum)
            .ok_or_else(|| invalid("it is damaged or cut off: copy the whole line"))?;
        let _ = sum;
        let Bytes { test, signature, seed, schedule, deviations } =
            codec::decode(bytes).map_err(|error| {
                InvalidToken(format!("it was made by another version of sim, and cannot be read: {error}"))
            })?;
        let deviations =
            deviations.into_iter().map(|(name, value)| (u64::from_le_bytes(name), value)).collect();
        Ok(Token { test, signature, seed, schedule, deviations })
    }
}

/// A text that holds no token; says why, and what is allowed.
#[derive(Clone, PartialEq, Eq, Debug)]
pub struct InvalidToken(String);

impl fmt::Display for InvalidToken {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for InvalidToken {}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn schedules() -> impl Strategy<Value = Schedule> {
        prop_oneof![
            Just(Schedule::Fifo),
            Just(Schedule::Random),
            Just(Schedule::Pos),
            (1..9u32, 1..u64::MAX).prop_map(|(depth, length)| Schedule::Pct { depth, length }),
        ]
    }

    fn tokens() -> impl Strategy<Value = Token> {
        let deviations = proptest::collection::btree_map(any::<u64>(), any::<u64>(), 0..40);
        (".{0,40}", ".{0,40}", any::<u64>(), schedules(), deviations).prop_map(
            |(test, signature, seed, schedule, deviations)| Token {
                test,
                signature,
                seed,
                schedule,
                deviations,
            },
        )
    }

    proptest! {
        #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

        #[test]
        fn a_token_reads_as_it_is_written(token in tokens()) {
            let text = token.to_string();
            prop_assert!(text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"-_:".contains(&byte)));
            prop_assert_eq!(text.parse(), Ok(token));
        }

        #[test]
        fn a_damaged_token_is_refused(token in tokens(), place: prop::sample::Index, other in "[A-Za-z0-9_-]") {
            let text = token.to_string();
            let place = PREFIX.len() + place.index(text.len() - PREFIX.len());
            prop_assert!(text[..place].parse::<Token>().is_err(), "cut off");
            if !text[place..].starts_with(&other) {
                let changed = format!("{}{other}{}", &text[..place], &text[place + 1..]);
                prop_assert!(changed.parse::<Token>().is_err(), "changed");
            }
        }
    }

    #[test]
    fn what_a_token_means_is_pinned() {
        let token = Token {
            test: "shop::money".to_owned(),
            signature: "invariant money is conserved".to_owned(),
            seed: 412,
            schedule: Schedule::Pct { depth: 3, length: 4096 },
            deviations: [(1, 2), (u64::MAX, 1 << 40)].into(),
        };
        assert_eq!(token.to_string(), PINNED);
    }
    const PINNED: &str = "sim1:C3Nob3A6Om1vbmV5HGludmFyaWFudCBtb25leSBpcyBjb25zZXJ2ZWT7nAEEA_sAEAIBAAAAAAAAAAL___________0AAAAAAAEAAK6zZP8";

    #[test]
    fn sixteen_decisions_are_a_line() {
        let token = Token {
            test: "shop::money_is_conserved".to_owned(),
            signature: "invariant money is conserved".to_owned(),
            seed: 1_234_567_890,
            schedule: Schedule::Fifo,
            deviations: (0..16).map(|i| (hash::mix(i), i)).collect(),
        };
        assert!(token.to_string().len() < 300, "{token}");
    }

    #[test]
    fn what_is_no_token_is_refused_with_what_is_allowed() {
        for (text, named) in [
            ("", "as a failure prints it"),
            ("7", "as a failure prints it"),
            ("sim9:abcd", "another version of sim"),
            ("sim1:", "copy the whole line"),
            ("sim1:%%", "copy the whole line"),
            ("@/no/such/file", "/no/such/file"),
        ] {
            let error = Token::read(text).unwrap_err().to_string();
            assert!(error.contains(named), "{text}: {error}");
        }
    }
}
