//! redb on the simulated disk: its storage backend, on the form of `sim::fs` that does not wait.

use redb::{Database, DatabaseError, StorageBackend, StorageError};
use sim::fs::blocking::{File, rename};
use std::io::{self, ErrorKind};
use std::path::Path;

/// Opens the database in a file, which is made if it is not there.
///
/// redb does not open what a crash has left of a database that it was making. So it makes it under another name, and the
/// file gets its name when there is a database in it.
///
/// # Errors
/// What redb says, and the disk.
pub fn open(path: &str) -> Result<Database, DatabaseError> {
    let options = File::options().read(true).write(true).clone();
    match options.open_blocking(path) {
        Ok(file) => {
            rewrite(&file).map_err(StorageError::from)?;
            sync_dir_of(path).map_err(StorageError::from)?;
            database(file)
        }
        Err(error) if error.kind() == ErrorKind::NotFound => {
            let unfinished = format!("{path}.new");
            let file = options.clone().create(true).truncate(true).open_blocking(&unfinished);
            let database = database(file.map_err(StorageError::from)?)?;
            rename(&unfinished, path).map_err(StorageError::from)?;
            sync_dir_of(path).map_err(StorageError::from)?;
            Ok(database)
        }
        Err(error) => Err(StorageError::from(error).into()),
    }
}

fn database(file: File) -> Result<Database, DatabaseError> {
    redb::Builder::new().set_cache_size(CACHE).create_with_backend(OnDisk(file))
}

fn sync_dir_of(path: &str) -> io::Result<()> {
    File::open(Path::new(path).parent().unwrap_or(Path::new("/")))?.sync_all()
}

/// How much redb keeps in memory, bytes.
const CACHE: usize = 1 << 22;

/// The file of a database.
#[derive(Debug)]
struct OnDisk(File);

/// Writes anew what can be read. If a sync has failed in an earlier process, some of it is in memory only, and neither redb nor
/// the kernel would write it again (fsync(2)).
fn rewrite(file: &File) -> io::Result<()> {
    let length = file.metadata()?.len();
    if length == 0 {
        return Ok(());
    }
    let mut page = [0; 4096];
    for offset in (0..length).step_by(page.len()) {
        let read = file.read_at(&mut page, offset)?;
        // What was never written reads as zeros, from nowhere.
        if page[..read].iter().any(|byte| *byte != 0) {
            file.write_all_at(&page[..read], offset)?;
        }
    }
    file.sync_all()
}

impl StorageBackend for OnDisk {
    fn len(&self) -> io::Result<u64> {
        Ok(self.0.metadata()?.len())
    }

    fn read(&self, offset: u64, out: &mut [u8]) -> io::Result<()> {
        self.0.read_exact_at(out, offset)
    }

    fn set_len(&self, len: u64) -> io::Result<()> {
        self.0.set_len(len)
    }

    fn sync_data(&self) -> io::Result<()> {
        self.0.sync_data()
    }

    fn write(&self, offset: u64, data: &[u8]) -> io::Result<()> {
        self.0.write_all_at(data, offset)
    }
}
