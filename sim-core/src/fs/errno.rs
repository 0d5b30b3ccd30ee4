//! What system calls on files fail with: `io::Error`s that carry the raw code of the platform, so that both `ErrorKind`
//! and `raw_os_error` are what a program sees in production.

use std::io;

macro_rules! errors {
    ($($(#[$doc:meta])* $name:ident = $code:ident;)*) => {
        $($(#[$doc])* #[cold] pub(crate) fn $name() -> io::Error { io::Error::from_raw_os_error(libc::$code) })*
    };
}

errors! {
    /// The handle outlived its process, or was not opened for this.
    bad_descriptor = EBADF;
    /// rename(2): the root, `.` or `..`.
    busy = EBUSY;
    /// The name is there already.
    exists = EEXIST;
    /// write(2): beyond the largest file.
    too_big = EFBIG;
    /// read(2), fsync(2): the device failed.
    input_output = EIO;
    /// A value that the call does not allow.
    invalid = EINVAL;
    /// A directory, where it must not be one.
    is_directory = EISDIR;
    /// path_resolution(7): more than 40 symbolic links.
    too_many_links = ELOOP;
    /// A name of more than 255 bytes, or a path of more than 4095.
    name_too_long = ENAMETOOLONG;
    /// The machine has no power, or its process is gone.
    no_device = ENODEV;
    /// The name is not there.
    not_found = ENOENT;
    /// No space or no inode is left.
    no_space = ENOSPC;
    /// Something that is no directory, where it must be one.
    not_directory = ENOTDIR;
    /// rmdir(2), rename(2): the directory has entries.
    not_empty = ENOTEMPTY;
    /// link(2): directories have one name.
    not_permitted = EPERM;
}
