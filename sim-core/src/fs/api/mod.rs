//! What programs use: the types and functions of tokio's `fs`, and of std's in [`blocking`].

pub mod blocking;
mod dir;
mod file;
mod functions;
mod metadata;
mod options;
mod traits;

pub use dir::{DirBuilder, DirEntry, ReadDir, read_dir};
pub use file::File;
pub use functions::{
    canonicalize, copy, create_dir, create_dir_all, hard_link, metadata, read, read_link, read_to_string,
    remove_dir, remove_dir_all, remove_file, rename, set_permissions, symlink, symlink_metadata, try_exists,
    write,
};
pub use metadata::{FileType, Metadata};
pub use options::OpenOptions;
pub use std::fs::Permissions;
