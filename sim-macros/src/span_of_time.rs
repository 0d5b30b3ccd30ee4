//! Spans of time as people write them: `10m`, `1h30m`, `250ms`.

use std::time::Duration;

/// Reads a span of time.
///
/// # Errors
/// What is wrong and what is allowed.
pub(crate) fn parse(text: &str) -> Result<Duration, String> {
    let wrong = || {
        format!(
            "`{text}` is no span of time: write numbers with the units h, m, s, ms, us or ns, such as \"1h30m\""
        )
    };
    let mut rest = text.trim();
    let mut total = 0u64;
    while !rest.is_empty() {
        let digits = rest.find(|c: char| !c.is_ascii_digit()).ok_or_else(wrong)?;
        let (number, unit) = rest.split_at(digits);
        let letters = unit.find(|c: char| !c.is_ascii_alphabetic()).unwrap_or(unit.len());
        let (unit, after) = unit.split_at(letters);
        let nanos: u64 = match unit {
            "h" => 3_600_000_000_000,
            "m" => 60_000_000_000,
            "s" => 1_000_000_000,
            "ms" => 1_000_000,
            "us" => 1_000,
            "ns" => 1,
            _ => return Err(wrong()),
        };
        let number: u64 = number.parse().map_err(|_| wrong())?;
        let too_long = || format!("`{text}` is longer than 584 years, which virtual time cannot count");
        let part = number.checked_mul(nanos).ok_or_else(too_long)?;
        total = total.checked_add(part).ok_or_else(too_long)?;
        rest = after.trim_start();
    }
    match total {
        0 if text.trim().is_empty() => Err(wrong()),
        0 => Err("a run needs more virtual time than none".to_owned()),
        nanos => Ok(Duration::from_nanos(nanos)),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn units_add_up() {
        assert_eq!(parse("10m"), Ok(Duration::from_secs(600)));
        assert_eq!(parse("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(parse("1s250ms3us7ns"), Ok(Duration::from_nanos(1_250_003_007)));
    }

    #[test]
    fn what_is_no_span_is_refused() {
        for text in ["", "10", "m", "ten minutes", "1.5s", "-1s", "5 d", "1s2"] {
            assert!(parse(text).unwrap_err().contains("1h30m"), "{text}");
        }
        assert!(parse("0s").unwrap_err().contains("none"));
        assert!(parse("9000000h").unwrap_err().contains("584 years"));
    }
}
