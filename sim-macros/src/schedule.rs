//! The names of schedules, as `sim_core::Schedule` reads them.

/// Whether there is such a schedule.
///
/// # Errors
/// Which there are.
pub(crate) fn check(text: &str) -> Result<(), String> {
    let known = match text {
        "portfolio" | "fifo" | "random" | "pos" | "pct" => true,
        _ => text
            .strip_prefix("pct(")
            .and_then(|rest| rest.strip_suffix(')')?.split_once(','))
            .is_some_and(|(depth, length)| positive::<u32>(depth) && positive::<u64>(length)),
    };
    match known {
        true => Ok(()),
        false => Err(format!(
            "unknown schedule `{text}`: allowed are \"portfolio\", \"fifo\", \"random\", \"pos\", \"pct\" and \
             \"pct(DEPTH,LENGTH)\", both at least 1"
        )),
    }
}

fn positive<T: std::str::FromStr + PartialEq + From<u8>>(text: &str) -> bool {
    text.trim().parse::<T>().is_ok_and(|number| number != T::from(0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn schedules_are_known_by_name() {
        for known in ["portfolio", "fifo", "random", "pos", "pct", "pct(3,4096)", "pct( 1 , 1 )"] {
            assert_eq!(check(known), Ok(()), "{known}");
        }
        for unknown in ["", "fair", "pct()", "pct(0,1)", "pct(1,0)", "pct(1)", "FIFO"] {
            assert!(check(unknown).unwrap_err().contains("\"fifo\""), "{unknown}");
        }
    }
}
