//! Directories of the host, on their way to a simulated disk and back. This is the driver's access to real files, and no
//! program's: what runs on nodes has none.

use super::kernel::view::{Entry, Snapshot};
use std::fs;
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;

/// What is in a directory of the host, as if it were at `to`.
pub(super) fn collect(dir: &Path, to: &Path) -> io::Result<Snapshot> {
    let mut snapshot = Snapshot::default();
    let mut left = vec![(dir.to_path_buf(), Path::new("/").join(to))];
    while let Some((dir, at)) = left.pop() {
        if at != Path::new("/") {
            let mode = fs::metadata(&dir)?.permissions().mode() & 0o7777;
            snapshot.insert(&at, Entry::Dir { mode });
        }
        for entry in fs::read_dir(&dir)? {
            let entry = entry?;
            let (path, at) = (entry.path(), at.join(entry.file_name()));
            let kind = entry.file_type()?;
            if kind.is_dir() {
                left.push((path, at));
            } else if kind.is_symlink() {
                snapshot.insert(at, Entry::Symlink(fs::read_link(path)?));
            } else {
                let mode = entry.metadata()?.permissions().mode() & 0o7777;
                snapshot.insert(at, Entry::File { content: fs::read(path)?, mode });
            }
        }
    }
    Ok(snapshot)
}

/// Writes what a snapshot has below `from` into a directory of the host.
pub(super) fn spread(snapshot: &Snapshot, from: &Path, dir: &Path) -> io::Result<()> {
    fs::create_dir_all(dir)?;
    // Directories come before what is in them: paths are in order.
    for (path, entry) in snapshot.iter() {
        let Ok(rest) = path.strip_prefix(from) else { continue };
        if rest.as_os_str().is_empty() {
            continue;
        }
        let target = dir.join(rest);
        match entry {
            Entry::Dir { .. } => fs::create_dir_all(&target)?,
            Entry::Symlink(to) => std::os::unix::fs::symlink(to, &target)?,
            Entry::File { content, mode } => {
                fs::write(&target, content)?;
                fs::set_permissions(&target, fs::Permissions::from_mode(*mode))?;
            }
        }
    }
    Ok(())
}
