//! The simulation tests of a program, found in its file: `#[sim_test]` leaves a record of each as text.
//!
//! The program is not run for it, so that programs of another machine can be listed, too.

use std::fs;
use std::io;
use std::path::Path;

/// What a record begins with: its kind and the version of its form.
const START: &[u8] = b"\x1esim_test 1\x1f";
const FIELD: char = '\x1f';
const END: u8 = b'\x1e';
/// No record is longer, in bytes: a path and two names.
const LONGEST: usize = 16 << 10;

/// One `#[sim_test]`.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Record {
    /// The name that the harness knows it by, without the crate's.
    pub(crate) name: String,
    /// As the compiler was given it: below the root of the workspace.
    pub(crate) file: String,
    pub(crate) line: u32,
    /// What the attribute says: a count, a range, nothing.
    pub(crate) seeds: String,
    /// Whether `cargo test` leaves it out.
    pub(crate) ignored: bool,
    /// Whether it is there to fail.
    pub(crate) should_panic: bool,
}

/// The records in a program, by name.
///
/// # Errors
/// When the file cannot be read.
pub(crate) fn of_program(path: &Path) -> io::Result<Vec<Record>> {
    Ok(find(&fs::read(path)?))
}

fn find(program: &[u8]) -> Vec<Record> {
    let mut records = Vec::new();
    let mut rest = program;
    while let Some(at) = rest.iter().position(|byte| *byte == START[0]) {
        rest = &rest[at..];
        match rest.strip_prefix(START) {
            None => rest = &rest[1..],
            Some(fields) => {
                let end = fields.iter().take(LONGEST).position(|byte| *byte == END);
                records.extend(end.and_then(|end| parse(&fields[..end])));
                rest = fields;
            }
        }
    }
    records.sort();
    // The compiler may put a constant into several parts of a program.
    records.dedup();
    records
}

fn parse(fields: &[u8]) -> Option<Record> {
    let mut fields = std::str::from_utf8(fields).ok()?.split(FIELD);
    let (module, function) = (fields.next()?, fields.next()?);
    let name = match module.split_once("::") {
        Some((_crate, module)) => format!("{module}::{function}"),
        None => function.to_owned(),
    };
    let (file, line, seeds, flags) = (fields.next()?, fields.next()?, fields.next()?, fields.next()?);
    let record = Record {
        name,
        file: file.to_owned(),
        line: line.parse().ok()?,
        seeds: seeds.to_owned(),
        ignored: flags.contains('i'),
        should_panic: flags.contains('p'),
    };
    fields.next().is_none().then_some(record)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn record(fields: &[&str]) -> Vec<u8> {
        [START, fields.join("\x1f").as_bytes(), &[END]].concat()
    }

    #[test]
    fn records_are_found_between_other_bytes_and_once() {
        let one = record(&["shop::orders", "lost", "shop/src/orders.rs", "7", "0..50", "p"]);
        let other = record(&["shop", "kept", "tests/shop.rs", "3", "", ""]);
        let program = [b"\x7fELF\x1e", &one[..], b"\xff\x1esim", &other, &one].concat();
        let found = find(&program);
        assert_eq!(found.len(), 2, "{found:?}");
        assert_eq!((found[0].name.as_str(), found[0].line, found[0].seeds.as_str()), ("kept", 3, ""));
        assert_eq!((found[0].should_panic, found[1].should_panic, found[1].ignored), (false, true, false));
        assert_eq!((found[1].name.as_str(), found[1].file.as_str()), ("orders::lost", "shop/src/orders.rs"));
    }

    #[test]
    fn what_only_begins_like_a_record_is_none() {
        let whole = record(&["shop", "kept", "tests/shop.rs", "3", "", ""]);
        for broken in [
            START.to_vec(),
            whole[..whole.len() - 1].to_vec(),
            record(&["shop", "kept", "tests/shop.rs", "three", "", ""]),
            record(&["shop", "kept", "tests/shop.rs", "3"]),
            record(&["shop", "kept", "tests/shop.rs", "3", "", "", "more"]),
            [START, b"\xff\xff", &[END]].concat(),
        ] {
            assert_eq!(find(&broken), [], "{broken:?}");
            // And hides no other that follows.
            assert_eq!(find(&[&broken[..], &whole].concat()).len(), 1, "{broken:?}");
        }
    }
}
