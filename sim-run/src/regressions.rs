//! Saved runs of tests, in files beside them that are committed: `sim-regressions/<module>.txt`.
//!
//! A line holds a token, and behind `#` what it is for people: test, signature, size. The runs of a test come before
//! all its seeds, until `SIM_REGRESSIONS=prune` takes out those that no longer fit.

use std::fs;
use std::io::{self, Write};
use std::path::{Path, PathBuf};

use crate::{Size, Token};

/// What to do with saved runs: `SIM_REGRESSIONS`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Regressions {
    /// They run first, and failures are added.
    #[default]
    On,
    /// They are neither read nor written.
    Off,
    /// As on, and those that no longer fit are taken out.
    Prune,
}

/// Stands at the top of a new file.
const PREFACE: &str = "\
# Runs that failed once, shrunk: each comes before all seeds of its test. Commit this file.
# A line is a token and, for people, its test, what broke and its size. SIM_REGRESSIONS=prune takes out stale lines.
";

/// The file of a module's tests.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct File {
    path: PathBuf,
}

/// A saved run, and the line that it stands in, from 1 on.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Saved {
    pub(crate) line: usize,
    pub(crate) token: Token,
}

impl File {
    /// The file beside a source file, which the compiler names from the workspace's folder and `package` is a folder in;
    /// `None` when the source is not where it was compiled.
    pub(crate) fn beside(package: &Path, source: &str, module: &str) -> Option<File> {
        let source = Path::new(source);
        let parts: Vec<_> = source.components().collect();
        let below =
            (0..parts.len()).map(|skipped| package.join(parts[skipped..].iter().collect::<PathBuf>()));
        let found = below.into_iter().find(|path| path.is_file())?;
        let name = format!("{}.txt", module.replace("::", "-"));
        Some(File { path: found.parent()?.join("sim-regressions").join(name) })
    }

    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// The saved runs of a test, and what is wrong with lines that cannot be read.
    pub(crate) fn of_test(&self, test: &str) -> (Vec<Saved>, Vec<String>) {
        let text = match fs::read_to_string(&self.path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => return (Vec::new(), Vec::new()),
            Err(error) => {
                return (Vec::new(), vec![format!("{} cannot be read: {error}", self.path.display())]);
            }
        };
        let (mut saved, mut wrong) = (Vec::new(), Vec::new());
        for (line, text) in text.lines().enumerate() {
            let Some(word) = text.split_whitespace().next().filter(|word| !word.starts_with('#')) else {
                continue;
            };
            match word.parse::<Token>() {
                Ok(token) if token.test == test => saved.push(Saved { line: line + 1, token }),
                Ok(_) => {}
                Err(error) => wrong.push(format!("{}:{}: {error}", self.path.display(), line + 1)),
            }
        }
        (saved, wrong)
    }

    /// Adds a run, unless it is there.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn add(&self, token: &Token, size: Size) -> io::Result<()> {
        let (saved, _) = self.of_test(&token.test);
        if saved.iter().any(|saved| saved.token == *token) {
            return Ok(());
        }
        if let Some(folder) = self.path.parent() {
            fs::create_dir_all(folder)?;
        }
        let mut text = String::new();
        if !self.path.exists() {
            text.push_str(PREFACE);
        }
        text.push_str(&format!("{token} # {} · {} · {size}\n", token.test, token.signature));
        // In one piece, so that tests of a module that fail at the same time do not cut each other's lines.
        fs::OpenOptions::new().create(true).append(true).open(&self.path)?.write_all(text.as_bytes())
    }

    /// Takes runs out.
    ///
    /// # Errors
    /// When the file cannot be written.
    pub(crate) fn remove(&self, gone: &[Token]) -> io::Result<()> {
        let text = fs::read_to_string(&self.path)?;
        let stays = |line: &&str| {
            let token = line.split_whitespace().next().and_then(|word| word.parse::<Token>().ok());
            !token.is_some_and(|token| gone.contains(&token))
        };
        let left: String = text.lines().filter(stays).map(|line| format!("{line}\n")).collect();
        let new = self.path.with_extension("new");
        fs::write(&new, left)?;
        fs::rename(&new, &self.path)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use sim_core::Schedule;

    fn token(test: &str, seed: u64) -> Token {
        let (test, signature) = (test.to_owned(), "invariant of it".to_owned());
        Token { test, signature, seed, schedule: Schedule::Fifo, deviations: [(seed, 1)].into() }
    }

    fn folder(name: &str) -> PathBuf {
        let folder = std::env::temp_dir().join(format!("sim-regressions-{name}-{}", std::process::id()));
        let _ = fs::remove_dir_all(&folder);
        fs::create_dir_all(folder.join("tests")).unwrap();
        fs::write(folder.join("tests/shop.rs"), "").unwrap();
        folder
    }

    #[test]
    fn runs_are_saved_once_and_read_again_by_test() {
        let folder = folder("saved");
        let file = File::beside(&folder, "examples/shop/tests/shop.rs", "shop::orders").unwrap();
        assert!(file.path().ends_with("tests/sim-regressions/shop-orders.txt"));
        assert_eq!(file.of_test("a"), (vec![], vec![]));
        let size = Size { operations: 1, faults: 2, others: 0 };
        for token in [token("a", 1), token("b", 2), token("a", 1), token("a", 3)] {
            file.add(&token, size).unwrap();
        }
        let text = fs::read_to_string(file.path()).unwrap();
        assert!(text.contains(" # a · invariant of it · 1 operation, 2 faults, 0 other\n"), "{text}");
        let (saved, wrong) = file.of_test("a");
        assert_eq!(saved.iter().map(|s| (s.line, s.token.seed)).collect::<Vec<_>>(), [(3, 1), (5, 3)]);
        assert!(wrong.is_empty());
        file.remove(&[token("a", 1)]).unwrap();
        assert_eq!(file.of_test("a").0, [Saved { line: 4, token: token("a", 3) }]);
        assert_eq!(file.of_test("b").0.len(), 1);
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_line_that_cannot_be_read_is_named() {
        let folder = folder("wrong");
        let file = File::beside(&folder, "tests/shop.rs", "shop").unwrap();
        fs::create_dir_all(file.path().parent().unwrap()).unwrap();
        fs::write(file.path(), format!("# of people\n\nsim1:abc\n{}\n", token("a", 1))).unwrap();
        let (saved, wrong) = file.of_test("a");
        assert_eq!(saved.len(), 1);
        assert!(wrong[0].contains("shop.txt:3: it is damaged"), "{wrong:?}");
        fs::remove_dir_all(&folder).unwrap();
    }

    #[test]
    fn a_source_that_is_not_there_has_no_file() {
        assert_eq!(File::beside(Path::new("/nowhere"), "tests/shop.rs", "shop"), None);
    }
}
