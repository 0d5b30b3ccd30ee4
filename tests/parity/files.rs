//! Bodies about files: results, and the numbers of errors.

#![allow(
    clippy::suspicious_open_options,
    clippy::nonsensical_open_options,
    reason = "what makes no sense must fail on both sides"
)]

#[allow(unused_imports, reason = "one side has them as methods of traits")]
use super::*;
use std::io::{self, ErrorKind, Result, SeekFrom};
use std::os::unix::fs::PermissionsExt as _;
use std::path::PathBuf;

/// The system's number of an error.
fn code<T>(result: Result<T>) -> i32 {
    let error = result.err().expect("this fails");
    error.raw_os_error().unwrap_or_else(|| panic!("{error} has a number"))
}

fn kind<T>(result: Result<T>) -> ErrorKind {
    result.err().expect("this fails").kind()
}

async fn names(dir: impl AsRef<std::path::Path>) -> Result<Vec<String>> {
    let mut entries = fs::read_dir(dir).await?;
    let mut names = Vec::new();
    while let Some(entry) = entries.next_entry().await? {
        assert_eq!(entry.path().file_name(), Some(&*entry.file_name()));
        names.push(entry.file_name().into_string().unwrap());
    }
    names.sort();
    Ok(names)
}

async fn start() -> (Folder, impl Fn(&str) -> PathBuf) {
    let folder = folder();
    let base = folder.path("");
    fs::create_dir_all(&base).await.unwrap();
    (folder, move |name: &str| base.join(name))
}

pub async fn write_and_read() -> Result<()> {
    let (_folder, at) = start().await;
    fs::write(at("a"), b"hello").await?;
    assert_eq!(fs::read(at("a")).await?, b"hello");
    assert_eq!(fs::read_to_string(at("a")).await?, "hello");
    fs::write(at("a"), b"hi").await?;
    assert_eq!(fs::read(at("a")).await?, b"hi", "cut before it is written");
    fs::write(at("b"), [0xff, 0xfe]).await?;
    assert_eq!(kind(fs::read_to_string(at("b")).await), ErrorKind::InvalidData);
    let large: Vec<u8> = (0..300_000u32).map(|i| (i % 251) as u8).collect();
    fs::write(at("large"), &large).await?;
    assert_eq!(fs::read(at("large")).await?, large);
    Ok(())
}

pub async fn positions() -> Result<()> {
    let (_folder, at) = start().await;
    let mut file = OpenOptions::new().read(true).write(true).create(true).open(at("a")).await?;
    file.write_all(b"0123456789").await?;
    file.flush().await?;
    assert_eq!(file.stream_position().await?, 10);
    assert_eq!(file.seek(SeekFrom::Start(3)).await?, 3);
    let mut three = [0; 3];
    file.read_exact(&mut three).await?;
    assert_eq!(&three, b"345");
    assert_eq!(file.seek(SeekFrom::Current(-1)).await?, 5);
    assert_eq!(file.seek(SeekFrom::End(-2)).await?, 8);
    let mut rest = Vec::new();
    assert_eq!(file.read_to_end(&mut rest).await?, 2);
    assert_eq!(file.read(&mut three).await?, 0);
    assert_eq!(kind(file.seek(SeekFrom::Current(-100)).await), ErrorKind::InvalidInput);
    file.rewind().await?;
    assert_eq!(file.stream_position().await?, 0);
    assert_eq!(kind(file.read_exact(&mut [0; 11]).await), ErrorKind::UnexpectedEof);
    // Beyond the end is a hole.
    file.seek(SeekFrom::Start(9000)).await?;
    file.write_all(b"x").await?;
    file.flush().await?;
    let content = fs::read(at("a")).await?;
    assert_eq!(content.len(), 9001);
    assert!(content[10..9000].iter().all(|&byte| byte == 0));
    Ok(())
}

pub async fn lengths() -> Result<()> {
    let (_folder, at) = start().await;
    let mut file = File::create(at("a")).await?;
    file.write_all(&[7; 5000]).await?;
    file.flush().await?;
    file.set_len(4100).await?;
    assert_eq!(file.metadata().await?.len(), 4100);
    file.set_len(10_000).await?;
    let content = fs::read(at("a")).await?;
    assert!(content[..4100].iter().all(|&byte| byte == 7));
    assert!(content[4100..].iter().all(|&byte| byte == 0) && content.len() == 10_000);
    file.set_len(0).await?;
    file.set_len(10).await?;
    assert_eq!(fs::read(at("a")).await?, [0; 10]);
    // The position stays where it was: beyond the end.
    file.write_all(b"z").await?;
    file.flush().await?;
    assert_eq!(fs::metadata(at("a")).await?.len(), 5001);
    assert_eq!(kind(File::open(at("a")).await?.set_len(1).await), ErrorKind::InvalidInput);
    Ok(())
}

pub async fn append() -> Result<()> {
    let (_folder, at) = start().await;
    let mut one = OpenOptions::new().append(true).create(true).open(at("a")).await?;
    let mut two = OpenOptions::new().append(true).read(true).open(at("a")).await?;
    one.write_all(b"one").await?;
    one.flush().await?;
    two.write_all(b"two").await?;
    two.flush().await?;
    one.seek(SeekFrom::Start(0)).await?;
    one.write_all(b"!").await?;
    one.flush().await?;
    assert_eq!(fs::read(at("a")).await?, b"onetwo!");
    two.seek(SeekFrom::Start(3)).await?;
    let mut rest = String::new();
    two.read_to_string(&mut rest).await?;
    assert_eq!(rest, "two!");
    Ok(())
}

pub async fn open_options() -> Result<()> {
    let (_folder, at) = start().await;
    assert_eq!(code(File::open(at("none")).await), libc::ENOENT);
    File::create_new(at("a")).await?.write_all(b"abc").await?;
    settle().await;
    assert_eq!(code(File::create_new(at("a")).await), libc::EEXIST);
    assert_eq!(code(OpenOptions::new().write(true).create_new(true).open(at("a")).await), libc::EEXIST);
    assert_eq!(kind(OpenOptions::new().open(at("a")).await), ErrorKind::InvalidInput);
    assert_eq!(
        kind(OpenOptions::new().read(true).truncate(true).open(at("a")).await),
        ErrorKind::InvalidInput
    );
    assert_eq!(kind(OpenOptions::new().read(true).create(true).open(at("b")).await), ErrorKind::InvalidInput);
    assert_eq!(
        kind(OpenOptions::new().append(true).truncate(true).open(at("a")).await),
        ErrorKind::InvalidInput
    );
    let mut reader = File::open(at("a")).await?;
    let written = match reader.write_all(b"x").await {
        Ok(()) => reader.flush().await,
        failed => failed,
    };
    assert_eq!(code(written), libc::EBADF);
    let mut writer = OpenOptions::new().write(true).open(at("a")).await?;
    assert_eq!(code(writer.read(&mut [0; 4]).await), libc::EBADF);
    writer.write_all(b"X").await?;
    writer.flush().await?;
    assert_eq!(fs::read(at("a")).await?, b"Xbc", "not cut without being told to");
    Ok(())
}

pub async fn names_that_are_wrong() -> Result<()> {
    let (_folder, at) = start().await;
    let long = "n".repeat(256);
    assert_eq!(code(File::create(at(&long)).await), libc::ENAMETOOLONG);
    File::create(at(&"n".repeat(255))).await?;
    assert_eq!(code(fs::metadata(at(&"d/".repeat(2048))).await), libc::ENAMETOOLONG);
    assert_eq!(kind(fs::metadata(at("nul\0")).await), ErrorKind::InvalidInput);
    assert_eq!(code(fs::metadata("").await), libc::ENOENT);
    fs::write(at("file"), "").await?;
    assert_eq!(code(fs::metadata(at("file/below")).await), libc::ENOTDIR);
    assert_eq!(code(fs::metadata(at("file/")).await), libc::ENOTDIR);
    assert_eq!(code(fs::write(at("new/"), "").await), libc::EISDIR);
    assert_eq!(code(fs::write(at("none/new"), "").await), libc::ENOENT);
    assert_eq!(code(fs::remove_file(at("file/")).await), libc::ENOTDIR);
    assert!(fs::metadata(at("./../././")).await?.is_dir());
    Ok(())
}

pub async fn directories() -> Result<()> {
    let (_folder, at) = start().await;
    fs::create_dir(at("d")).await?;
    assert_eq!(code(fs::create_dir(at("d")).await), libc::EEXIST);
    assert_eq!(code(fs::create_dir(at("d/")).await), libc::EEXIST);
    assert_eq!(code(fs::create_dir(at(".")).await), libc::EEXIST);
    assert_eq!(code(fs::create_dir(at("a/b/c")).await), libc::ENOENT);
    fs::create_dir_all(at("a/b/c")).await?;
    fs::create_dir_all(at("a/b/c")).await?;
    fs::create_dir(at("slash/")).await?;
    fs::write(at("a/file"), "x").await?;
    assert_eq!(code(fs::create_dir_all(at("a/file")).await), libc::EEXIST);
    assert_eq!(code(fs::create_dir_all(at("a/file/b")).await), libc::ENOTDIR);
    assert_eq!(names(at("a")).await?, ["b", "file"]);
    assert_eq!(names(at("")).await?, ["a", "d", "slash"]);
    assert_eq!(code(fs::remove_dir(at("a")).await), libc::ENOTEMPTY);
    assert_eq!(code(fs::remove_dir(at("a/file")).await), libc::ENOTDIR);
    assert_eq!(code(fs::remove_dir(at("none")).await), libc::ENOENT);
    assert_eq!(code(fs::remove_dir(at("d/.")).await), libc::EINVAL);
    assert_eq!(code(fs::remove_dir(at("d/..")).await), libc::ENOTEMPTY);
    assert_eq!(code(fs::remove_file(at("d")).await), libc::EISDIR);
    assert_eq!(code(names(at("a/file")).await), libc::ENOTDIR);
    fs::remove_dir(at("d")).await?;
    fs::remove_dir_all(at("a")).await?;
    assert!(!fs::try_exists(at("a")).await?);
    assert_eq!(code(fs::remove_dir_all(at("a")).await), libc::ENOENT);
    assert_eq!(code(fs::write(at("slash"), "x").await), libc::EISDIR);
    let mut dir = File::open(at("slash")).await?;
    assert_eq!(code(dir.read(&mut [0; 8]).await), libc::EISDIR);
    dir.sync_all().await?;
    Ok(())
}

pub async fn rename() -> Result<()> {
    let (_folder, at) = start().await;
    fs::write(at("a"), "a").await?;
    fs::write(at("b"), "b").await?;
    fs::rename(at("a"), at("b")).await?;
    assert_eq!(names(at("")).await?, ["b"]);
    assert_eq!(fs::read(at("b")).await?, b"a");
    assert_eq!(code(fs::rename(at("none"), at("b")).await), libc::ENOENT);
    fs::rename(at("b"), at("b")).await?;
    fs::create_dir_all(at("d/in")).await?;
    fs::create_dir(at("empty")).await?;
    assert_eq!(code(fs::rename(at("b"), at("d")).await), libc::EISDIR);
    assert_eq!(code(fs::rename(at("d"), at("b")).await), libc::ENOTDIR);
    assert_eq!(code(fs::rename(at("empty"), at("d")).await), libc::ENOTEMPTY);
    assert_eq!(code(fs::rename(at("d"), at("d/in/d")).await), libc::EINVAL);
    assert_eq!(code(fs::rename(at("d/in"), at("d")).await), libc::ENOTEMPTY);
    assert_eq!(code(fs::rename(at("b"), at("new/")).await), libc::ENOTDIR);
    assert_eq!(code(fs::rename(at("b"), at("none/b")).await), libc::ENOENT);
    assert_eq!(code(fs::rename(at("d/."), at("e")).await), libc::EBUSY);
    fs::rename(at("d"), at("empty")).await?;
    assert_eq!(names(at("empty")).await?, ["in"]);
    fs::rename(at("empty/in"), at("out/")).await?;
    assert_eq!(names(at("")).await?, ["b", "empty", "out"]);
    // An open file goes with its name.
    let mut open = File::open(at("b")).await?;
    fs::rename(at("b"), at("out/c")).await?;
    let mut content = String::new();
    open.read_to_string(&mut content).await?;
    assert_eq!(content, "a");
    Ok(())
}

pub async fn hard_links() -> Result<()> {
    let (_folder, at) = start().await;
    fs::write(at("a"), "one").await?;
    fs::hard_link(at("a"), at("b")).await?;
    assert_eq!(code(fs::hard_link(at("a"), at("b")).await), libc::EEXIST);
    assert_eq!(code(fs::hard_link(at("none"), at("c")).await), libc::ENOENT);
    assert_eq!(code(fs::hard_link(at(""), at("c")).await), libc::EPERM);
    fs::write(at("b"), "two").await?;
    assert_eq!(fs::read(at("a")).await?, b"two");
    // Renaming a name over another of the same file does nothing.
    fs::rename(at("a"), at("b")).await?;
    assert_eq!(names(at("")).await?, ["a", "b"]);
    fs::remove_file(at("a")).await?;
    assert_eq!(fs::read(at("b")).await?, b"two");
    assert_eq!(code(fs::remove_file(at("a")).await), libc::ENOENT);
    Ok(())
}

pub async fn unlinked_files_live_on() -> Result<()> {
    let (_folder, at) = start().await;
    let mut file = OpenOptions::new().read(true).write(true).create(true).open(at("a")).await?;
    file.write_all(b"still here").await?;
    file.flush().await?;
    fs::remove_file(at("a")).await?;
    fs::write(at("a"), "another").await?;
    file.rewind().await?;
    let mut content = String::new();
    file.read_to_string(&mut content).await?;
    assert_eq!(content, "still here");
    file.sync_all().await?;
    drop(file);
    assert_eq!(fs::read(at("a")).await?, b"another");
    Ok(())
}

pub async fn symbolic_links() -> Result<()> {
    let (_folder, at) = start().await;
    fs::create_dir(at("d")).await?;
    fs::write(at("d/file"), "x").await?;
    fs::symlink("d/file", at("relative")).await?;
    fs::symlink(at("d"), at("absolute")).await?;
    fs::symlink("loop", at("loop")).await?;
    fs::symlink("made", at("dangling")).await?;
    assert_eq!(code(fs::symlink("x", at("loop")).await), libc::EEXIST);
    assert_eq!(fs::read(at("relative")).await?, b"x");
    assert_eq!(fs::read(at("absolute/file")).await?, b"x");
    assert_eq!(fs::read(at("absolute/../relative")).await?, b"x");
    assert_eq!(fs::read_link(at("relative")).await?, PathBuf::from("d/file"));
    assert_eq!(code(fs::read_link(at("d")).await), libc::EINVAL);
    assert_eq!(code(fs::read(at("loop")).await), libc::ELOOP);
    assert_eq!(code(fs::read(at("dangling")).await), libc::ENOENT);
    assert!(!fs::try_exists(at("dangling")).await?);
    assert_eq!(code(File::create_new(at("dangling")).await), libc::EEXIST);
    fs::write(at("dangling"), "through").await?;
    assert_eq!(fs::read(at("made")).await?, b"through");
    assert!(fs::symlink_metadata(at("relative")).await?.is_symlink());
    assert!(fs::metadata(at("relative")).await?.is_file());
    assert_eq!(fs::symlink_metadata(at("relative")).await?.len(), 6);
    assert_eq!(fs::canonicalize(at("absolute/./file")).await?, fs::canonicalize(at("d/file")).await?);
    assert_eq!(fs::canonicalize(at("relative")).await?, fs::canonicalize(at("")).await?.join("d/file"));
    assert_eq!(code(fs::canonicalize(at("none")).await), libc::ENOENT);
    assert_eq!(code(fs::remove_dir(at("absolute")).await), libc::ENOTDIR);
    fs::remove_dir_all(at("absolute")).await?;
    assert_eq!(names(at("d")).await?, ["file"], "the link went, and not what it leads to");
    fs::remove_file(at("relative")).await?;
    assert!(fs::try_exists(at("d/file")).await?);
    for i in 0..41 {
        fs::symlink(if i == 0 { "d".into() } else { format!("l{}", i - 1) }, at(&format!("l{i}"))).await?;
    }
    assert!(fs::metadata(at("l39")).await?.is_dir(), "forty links are followed");
    assert_eq!(code(fs::metadata(at("l40")).await), libc::ELOOP);
    Ok(())
}

pub async fn metadata() -> Result<()> {
    let (_folder, at) = start().await;
    fs::write(at("a"), "12345").await?;
    let metadata = fs::metadata(at("a")).await?;
    assert!(metadata.is_file() && !metadata.is_dir() && !metadata.is_symlink());
    assert_eq!((metadata.len(), metadata.permissions().mode() & 0o7777), (5, 0o644));
    assert!(metadata.modified()? >= metadata.created()?);
    fs::set_permissions(at("a"), std::fs::Permissions::from_mode(0o600)).await?;
    assert_eq!(fs::metadata(at("a")).await?.permissions().mode() & 0o7777, 0o600);
    assert!(!fs::metadata(at("a")).await?.permissions().readonly());
    fs::create_dir(at("d")).await?;
    let dir = fs::metadata(at("d")).await?;
    assert!(dir.is_dir() && dir.file_type().is_dir());
    assert_eq!(dir.permissions().mode(), 0o40755);
    let script = OpenOptions::new().write(true).create(true).mode(0o777).open(at("run")).await?;
    assert_eq!(script.metadata().await?.permissions().mode() & 0o7777, 0o755);
    assert_eq!(fs::copy(at("a"), at("copy")).await?, 5);
    assert_eq!(fs::metadata(at("copy")).await?.permissions().mode() & 0o7777, 0o600);
    assert_eq!(fs::read(at("copy")).await?, b"12345");
    assert_eq!(kind(fs::copy(at("d"), at("e")).await), ErrorKind::InvalidInput);
    assert_eq!(code(fs::copy(at("none"), at("e")).await), libc::ENOENT);
    Ok(())
}

pub async fn clones_share_their_position() -> Result<()> {
    let (_folder, at) = start().await;
    fs::write(at("a"), "abcdef").await?;
    let mut one = File::open(at("a")).await?;
    let mut two = one.try_clone().await?;
    one.seek(SeekFrom::Start(2)).await?;
    let mut byte = [0];
    two.read_exact(&mut byte).await?;
    assert_eq!(&byte, b"c");
    drop(one);
    assert_eq!(two.stream_position().await?, 3);
    assert_eq!(File::open(at("a")).await?.stream_position().await?, 0);
    Ok(())
}

pub async fn syncs() -> Result<()> {
    let (_folder, at) = start().await;
    let mut file = File::create(at("a")).await?;
    file.write_all(b"x").await?;
    file.sync_all().await?;
    file.sync_data().await?;
    File::open(at("a")).await?.sync_all().await?;
    File::open(at("")).await?.sync_data().await?;
    let mut durable = OpenOptions::new().write(true).custom_flags(libc::O_SYNC).open(at("a")).await?;
    durable.write_all(b"y").await?;
    durable.flush().await?;
    assert_eq!(fs::read(at("a")).await?, b"y");
    Ok(())
}

pub async fn concurrent_tasks() -> Result<()> {
    let (_folder, at) = start().await;
    fs::write(at("log"), "").await?;
    let tasks: Vec<_> = (0..8u8)
        .map(|i| {
            let path = at("log");
            super::spawn(async move {
                let mut file = OpenOptions::new().append(true).open(path).await?;
                for _ in 0..10 {
                    file.write_all(&[i; 16]).await?;
                    file.flush().await?;
                }
                io::Result::Ok(())
            })
        })
        .collect();
    for task in tasks {
        task.await.unwrap()?;
    }
    let log = fs::read(at("log")).await?;
    assert_eq!(log.len(), 8 * 10 * 16);
    assert!(log.chunks(16).all(|record| record.iter().all(|&byte| byte == record[0])), "appends are whole");
    Ok(())
}
