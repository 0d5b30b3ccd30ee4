//! The simulated file system: every node has a disk of its own, which survives a `kill` in full and a `power_cut` in part.
//!
//! The names and signatures are those of tokio's `fs`; [`blocking`] has those of `std::fs`, for libraries that do their I/O
//! inside of a task. [`DiskExt::disk`] is the disk from outside: settings, faults, what is durable.
//!
//! ```
//! use sim_core::fs::{self, CrashModel, DiskExt, File};
//! use sim_core::{Config, run};
//!
//! let outcome = run(Config::seed(7), |sim| async move {
//!     let node = sim.node("store");
//!     node.disk().crash_model(CrashModel::Strict);
//!     node.spawn(async {
//!         fs::write("/synced", "kept").await?;
//!         File::open("/synced").await?.sync_all().await?;
//!         File::open("/").await?.sync_all().await?;
//!         fs::write("/hasty", "lost").await
//!     })
//!     .await
//!     .unwrap()
//!     .unwrap();
//!     node.power_cut();
//!     assert_eq!(node.disk().read("/synced").unwrap(), b"kept");
//!     assert!(node.disk().read("/hasty").is_err());
//! });
//! outcome.result.unwrap();
//! ```
//!
//! # How it is built
//!
//! `kernel` is a file system as plain data (a `Volume`), without a clock or an executor:
//!
//! - An *inode* is a file, a directory or a symbolic link. It lives as long as something refers to it: a name that programs
//!   see, a name on the disk, an open description, a change that is not on the disk yet.
//! - A *file* has pages as programs see them (the page cache) and an image of what is on the disk. Between them lie its
//!   pending *changes*: bytes of a page, zeros by a truncation, a length, a mode. Image and changes give every state that
//!   the disk may have seen.
//! - A *directory* has entries as programs see them and an image. Between them lies the volume's list of pending changes of
//!   names: add, remove, move. They depend on each other (`names`): a rename is never half.
//! - All changes of a volume are numbered. `sync` puts those of an inode on the disk, by the rules of the crash model;
//!   `crash` decides which of the others are there too, and starts over from the image.
//! - A silent corruption is an *overlay* between image and cache: the image stays true.
//! - The *device* says how long something takes; it has one queue.
//!
//! `system` holds the volumes of a world, open file descriptions, and syncs under way. `call` is the future that an operation
//! is: it takes effect at its first poll and ends when the device is done. `api` has the types that programs use. `control` and
//! `faults` are the disk from outside, and `families` are the faults that the nemesis may plan.

mod api;
mod call;
mod control;
mod errno;
mod families;
mod faults;
mod host;
mod kernel;
mod lock;
mod open;
mod system;

pub use api::blocking;
pub use api::{
    DirBuilder, DirEntry, File, FileType, Metadata, OpenOptions, Permissions, ReadDir, canonicalize, copy,
    create_dir, create_dir_all, hard_link, metadata, read, read_dir, read_link, read_to_string, remove_dir,
    remove_dir_all, remove_file, rename, set_permissions, symlink, symlink_metadata, try_exists, write,
};
pub use control::{Disk, DiskExt, Sync};
pub(crate) use families::family_names;
pub use faults::FaultGuard;
pub use kernel::CrashModel;
pub use kernel::device::Speed;
pub use kernel::fault::FaultKind;
pub use kernel::view::{Difference, Entry, Snapshot};
