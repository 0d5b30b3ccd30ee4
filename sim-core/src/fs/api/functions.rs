//! The functions of tokio's `fs`.

use super::file::File;
use super::metadata::Metadata;
use crate::fs::call::call;
use crate::fs::errno;
use crate::fs::kernel::device::Work;
use crate::fs::kernel::inode::Body;
use crate::fs::kernel::{At, Volume};
use std::ffi::OsStr;
use std::fs::Permissions;
use std::io;
use std::os::unix::ffi::OsStrExt;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

pub(super) fn bytes(path: &(impl AsRef<Path> + ?Sized)) -> &[u8] {
    path.as_ref().as_os_str().as_bytes()
}

/// An operation on names that needs no device.
pub(super) async fn on_volume<R>(f: impl FnOnce(&mut Volume, At) -> io::Result<R>) -> io::Result<R> {
    call(|fs, k| {
        let (volume, at, _) = fs.here(k)?;
        Ok((f(volume, at)?, Work::Call(0)))
    })
    .await
}

/// The whole content of a file.
///
/// # Errors
/// Those of open(2) and read(2).
pub async fn read(path: impl AsRef<Path>) -> io::Result<Vec<u8>> {
    let mut content = Vec::new();
    File::open(path).await?.read_to_end(&mut content).await?;
    Ok(content)
}

/// The whole content of a file as text.
///
/// # Errors
/// Those of open(2) and read(2), and `InvalidData` when it is not UTF-8.
pub async fn read_to_string(path: impl AsRef<Path>) -> io::Result<String> {
    let mut content = String::new();
    File::open(path).await?.read_to_string(&mut content).await?;
    Ok(content)
}

/// Makes a file, or cuts it to nothing, and writes its content. It is not durable before it is synced.
///
/// # Errors
/// Those of open(2) and write(2).
pub async fn write(path: impl AsRef<Path>, contents: impl AsRef<[u8]>) -> io::Result<()> {
    File::create(path).await?.write_all(contents.as_ref()).await
}

/// Copies a file with its mode bits; gives its length.
///
/// # Errors
/// Those of open(2), read(2) and write(2); `InvalidInput` when `from` is no regular file.
pub async fn copy(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<u64> {
    let mut source = File::open(from).await?;
    let metadata = source.metadata().await?;
    if !metadata.is_file() {
        return Err(io::Error::new(
            io::ErrorKind::InvalidInput,
            "the source path is neither a regular file nor a symlink to a regular file",
        ));
    }
    let mut target = File::create(to).await?;
    let mut piece = vec![0; 64 << 10];
    let mut copied = 0;
    loop {
        let n = source.read(&mut piece).await?;
        if n == 0 {
            target.set_permissions(metadata.permissions()).await?;
            return Ok(copied);
        }
        target.write_all(&piece[..n]).await?;
        copied += n as u64;
    }
}

/// rename(2): atomic, and over what is there.
///
/// # Errors
/// Those of the man page.
pub async fn rename(from: impl AsRef<Path>, to: impl AsRef<Path>) -> io::Result<()> {
    call(|fs, k| Ok((fs.rename(k, bytes(&from), bytes(&to))?, Work::Call(0)))).await
}

/// unlink(2): the name goes; the file goes with its last name and its last open handle.
///
/// # Errors
/// Those of the man page.
pub async fn remove_file(path: impl AsRef<Path>) -> io::Result<()> {
    on_volume(|volume, at| volume.unlink(at, bytes(&path))).await
}

/// rmdir(2)
///
/// # Errors
/// Those of the man page.
pub async fn remove_dir(path: impl AsRef<Path>) -> io::Result<()> {
    on_volume(|volume, at| volume.remove_dir(at, bytes(&path))).await
}

/// Removes a directory with all that is in it, one after the other. A symbolic link is removed itself.
///
/// # Errors
/// Those of unlink(2) and rmdir(2); a part may be gone then.
pub async fn remove_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    let path = path.as_ref();
    let metadata = symlink_metadata(path).await?;
    if metadata.is_symlink() {
        return remove_file(path).await;
    }
    if !metadata.is_dir() {
        return Err(errno::not_directory());
    }
    let mut left = vec![(path.to_path_buf(), false)];
    while let Some((dir, emptied)) = left.pop() {
        if emptied {
            remove_dir(&dir).await?;
            continue;
        }
        left.push((dir.clone(), true));
        let mut entries = super::read_dir(&dir).await?;
        while let Some(entry) = entries.next_entry().await? {
            if entry.file_type().await?.is_dir() {
                left.push((entry.path(), false));
            } else {
                remove_file(entry.path()).await?;
            }
        }
    }
    Ok(())
}

/// mkdir(2)
///
/// # Errors
/// Those of the man page.
pub async fn create_dir(path: impl AsRef<Path>) -> io::Result<()> {
    super::DirBuilder::new().create(path).await
}

/// Makes a directory, and those that lead to it; one that is there is no error.
///
/// # Errors
/// Those of mkdir(2).
pub async fn create_dir_all(path: impl AsRef<Path>) -> io::Result<()> {
    super::DirBuilder::new().recursive(true).create(path).await
}

/// stat(2)
///
/// # Errors
/// Those of the man page.
pub async fn metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    on_volume(|volume, _| Ok(Metadata::of(volume, volume.lookup(bytes(&path), true)?))).await
}

/// lstat(2): of a symbolic link itself.
///
/// # Errors
/// Those of the man page.
pub async fn symlink_metadata(path: impl AsRef<Path>) -> io::Result<Metadata> {
    on_volume(|volume, _| Ok(Metadata::of(volume, volume.lookup(bytes(&path), false)?))).await
}

/// link(2): another name for a file.
///
/// # Errors
/// Those of the man page.
pub async fn hard_link(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    on_volume(|volume, at| volume.link(at, bytes(&original), bytes(&link))).await
}

/// symlink(2)
///
/// # Errors
/// Those of the man page.
pub async fn symlink(original: impl AsRef<Path>, link: impl AsRef<Path>) -> io::Result<()> {
    on_volume(|volume, at| volume.symlink(at, bytes(&original), bytes(&link)).map(drop)).await
}

/// readlink(2)
///
/// # Errors
/// Those of the man page.
pub async fn read_link(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    on_volume(|volume, _| {
        let ino = volume.lookup(bytes(&path), false)?;
        match &volume.inode(ino).body {
            Body::Symlink(target) => Ok(OsStr::from_bytes(target).into()),
            _ => Err(errno::invalid()),
        }
    })
    .await
}

/// The absolute path without `.`, `..` and symbolic links.
///
/// # Errors
/// Those of realpath(3).
pub async fn canonicalize(path: impl AsRef<Path>) -> io::Result<PathBuf> {
    on_volume(|volume, _| {
        let spot = volume.walk(bytes(&path), true)?;
        Ok(OsStr::from_bytes(&volume.place_of(&spot)?).into())
    })
    .await
}

/// Whether something is there; symbolic links are followed.
///
/// # Errors
/// Those of stat(2), but for what says that nothing is there.
pub async fn try_exists(path: impl AsRef<Path>) -> io::Result<bool> {
    match metadata(path).await {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(error),
    }
}

/// Sets the mode bits (chmod(2)). They are kept and shown, and do not keep the program, which is root, from anything.
///
/// # Errors
/// Those of the man page.
pub async fn set_permissions(path: impl AsRef<Path>, permissions: Permissions) -> io::Result<()> {
    on_volume(|volume, at| {
        let ino = volume.lookup(bytes(&path), true)?;
        volume.set_mode(at, ino, permissions.mode());
        Ok(())
    })
    .await
}
