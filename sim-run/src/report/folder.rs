//! Where the files of a failure are: a folder for each test, and in it one for each signature.

use std::fs;
use std::io;
use std::path::{Path, PathBuf};

use sim_core::hash;

/// Bytes of a folder's name at most: paths have bounds, and signatures have none.
const LONGEST: usize = 100;

/// `sim` in the directory in which cargo has built this program, `target/sim` elsewhere.
pub(super) fn default_root() -> PathBuf {
    let program = std::env::current_exe().unwrap_or_default();
    // Cargo marks its directory, wherever that is.
    let target = program.ancestors().find(|directory| directory.join("CACHEDIR.TAG").is_file());
    target.unwrap_or(Path::new("target")).join("sim")
}

/// A test or signature as the name of a folder on any system. Where something had to be left out, a hash keeps names
/// apart.
pub(super) fn name(of: &str) -> String {
    let mut name = String::new();
    for piece in of.split(|c: char| !(c.is_ascii_alphanumeric() || c == '.' || c == '_')) {
        if !(piece.is_empty() || name.is_empty()) {
            name.push('-');
        }
        name.push_str(piece);
    }
    // What begins with a dot is hidden, and what begins with a dash is taken for an option.
    let name = name.trim_start_matches(['.', '-']);
    match name.len() {
        0 => format!("{:08x}", hash::text(of) as u32),
        1..=LONGEST => name.to_owned(),
        _ => format!("{}-{:08x}", &name[..LONGEST], hash::text(of) as u32),
    }
}

/// Makes the folder, without the files of these names that an earlier run has left in it.
pub(super) fn make_clean(folder: &Path, names: &[&str]) -> io::Result<()> {
    fs::create_dir_all(folder).map_err(|error| at(folder, error))?;
    for name in names {
        let path = folder.join(name);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(at(&path, error)),
            _ => {}
        }
    }
    Ok(())
}

/// The error with the path that it is about.
pub(super) fn at(path: &Path, error: io::Error) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_folders_on_any_system() {
        for (of, folder) in [
            ("shop::money_is_conserved", "shop-money_is_conserved"),
            ("panic src/order.rs:10:5", "panic-src-order.rs-10-5"),
            ("invariant no order is charged twice", "invariant-no-order-is-charged-twice"),
            ("../../etc/passwd", "etc-passwd"),
        ] {
            assert_eq!(name(of), folder);
        }
        let [long, other] = ["a", "b"].map(|end| name(&("x".repeat(300) + end)));
        assert!(long.len() < 120 && long != other, "{long}");
        assert_ne!(name("…"), name("—"));
    }
}
