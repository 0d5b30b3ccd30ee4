//! Bodies about open files: options in all combinations, positional I/O, locks, tokio's traits.

#![allow(
    clippy::suspicious_open_options,
    clippy::nonsensical_open_options,
    reason = "what makes no sense must fail on both sides"
)]

#[allow(unused_imports, reason = "one side has them as methods of traits")]
use super::*;
use std::future::poll_fn;
use std::io::{ErrorKind, Result, SeekFrom};
use std::path::{Path, PathBuf};
use std::pin::pin;
use std::task::Poll;

async fn start() -> (Folder, impl Fn(&str) -> PathBuf) {
    let folder = folder();
    let base = folder.path("");
    fs::create_dir_all(&base).await.unwrap();
    (folder, move |name: &str| base.join(name))
}

#[derive(Clone, Copy, Debug)]
struct Options {
    read: bool,
    write: bool,
    append: bool,
    truncate: bool,
    create: bool,
    create_new: bool,
}

impl Options {
    fn all() -> impl Iterator<Item = Options> {
        (0..64u32).map(|bits| {
            let on = |bit: u32| bits >> bit & 1 == 1;
            Options {
                read: on(0),
                write: on(1),
                append: on(2),
                truncate: on(3),
                create: on(4),
                create_new: on(5),
            }
        })
    }

    async fn open(self, path: &Path) -> Result<File> {
        OpenOptions::new()
            .read(self.read)
            .write(self.write)
            .append(self.append)
            .truncate(self.truncate)
            .create(self.create)
            .create_new(self.create_new)
            .open(path)
            .await
    }

    fn writes(self) -> bool {
        self.write || self.append
    }

    /// What `std::fs::OpenOptions` refuses without asking the system.
    fn is_refused(self) -> bool {
        let makes = self.truncate || self.create || self.create_new;
        let cuts_what_it_appends_to = self.append && self.truncate && !self.create_new;
        !(self.read || self.writes()) || !self.writes() && makes || cuts_what_it_appends_to
    }

    /// open(2), of what is there.
    fn expected(self, there: There) -> std::result::Result<u64, i32> {
        match there {
            There::File | There::Directory | There::Dangling if self.create_new => Err(libc::EEXIST),
            There::File => Ok(if self.truncate { 0 } else { 3 }),
            There::Directory if self.writes() => Err(libc::EISDIR),
            There::Directory => Ok(0),
            There::Nothing | There::Dangling if self.create || self.create_new => Ok(0),
            There::Nothing | There::Dangling => Err(libc::ENOENT),
        }
    }
}

#[derive(Clone, Copy, PartialEq, Debug)]
enum There {
    Nothing,
    File,
    Directory,
    Dangling,
}

pub async fn options_in_all_combinations() -> Result<()> {
    let (_folder, at) = start().await;
    let path = at("there");
    for options in Options::all() {
        for there in [There::Nothing, There::File, There::Directory, There::Dangling] {
            match there {
                There::Nothing => {}
                There::File => fs::write(&path, "abc").await?,
                There::Directory => fs::create_dir(&path).await?,
                There::Dangling => fs::symlink("target", &path).await?,
            }
            let opened = options.open(&path).await;
            if options.is_refused() {
                assert_eq!(opened.unwrap_err().kind(), ErrorKind::InvalidInput, "{options:?}, {there:?}");
            } else {
                let found = match &opened {
                    Ok(file) if there == There::Directory => {
                        assert!(file.metadata().await?.is_dir());
                        Ok(0)
                    }
                    Ok(file) => Ok(file.metadata().await?.len()),
                    Err(error) => Err(error.raw_os_error().unwrap()),
                };
                assert_eq!(found, options.expected(there), "{options:?}, {there:?}");
                let made = fs::try_exists(at("target")).await?;
                assert_eq!(made, there == There::Dangling && found.is_ok(), "{options:?}, {there:?}");
            }
            let _ = fs::remove_file(at("target")).await;
            match there {
                There::Directory => fs::remove_dir(&path).await?,
                There::Nothing => drop(fs::remove_file(&path).await),
                There::File | There::Dangling => fs::remove_file(&path).await?,
            }
        }
    }
    Ok(())
}

pub async fn positional() -> Result<()> {
    let (_folder, at) = start().await;
    let mut file = OpenOptions::new().read(true).write(true).create(true).open(at("a")).await?;
    file.write_all(b"0123").await?;
    file.flush().await?;
    assert_eq!(write_at(&file, b"x", 6000).await?, 1);
    assert_eq!(file.stream_position().await?, 4, "it is nobody's position");
    assert_eq!(file.metadata().await?.len(), 6001);
    let mut piece = [9; 4];
    assert_eq!(read_at(&file, &mut piece, 2).await?, 4);
    assert_eq!(&piece, b"23\0\0", "what was never written is zeros");
    assert_eq!(read_at(&file, &mut piece, 5999).await?, 2);
    assert_eq!(&piece[..2], b"\0x");
    assert_eq!(read_at(&file, &mut piece, 6001).await?, 0);
    assert_eq!(read_at(&file, &mut piece, 1 << 40).await?, 0);
    assert_eq!(read_at(&file, &mut [], 0).await?, 0);
    let error = |result: Result<usize>| result.unwrap_err().raw_os_error();
    assert_eq!(error(write_at(&File::open(at("a")).await?, b"y", 0).await), Some(libc::EBADF));
    let writer = OpenOptions::new().write(true).open(at("a")).await?;
    assert_eq!(error(read_at(&writer, &mut piece, 0).await), Some(libc::EBADF));
    assert_eq!(error(read_at(&File::open(at("")).await?, &mut piece, 0).await), Some(libc::EISDIR));
    // pwrite(2), BUGS
    let appends = OpenOptions::new().append(true).open(at("a")).await?;
    write_at(&appends, b"end", 0).await?;
    let content = fs::read(at("a")).await?;
    assert_eq!((&content[..4], &content[6000..]), (&b"0123"[..], &b"xend"[..]));
    Ok(())
}

pub async fn locks() -> Result<()> {
    let (_folder, at) = start().await;
    fs::write(at("a"), "").await?;
    let (one, two) = (File::open(at("a")).await?, File::open(at("a")).await?);
    assert!(try_lock(&one, true).await?);
    assert!(!try_lock(&two, true).await? && !try_lock(&two, false).await?);
    let clone = one.try_clone().await?;
    assert!(try_lock(&clone, true).await?, "clones are one holder");
    assert!(try_lock(&one, false).await?, "an exclusive lock becomes a shared one");
    assert!(try_lock(&two, false).await?);
    assert!(!try_lock(&one, true).await?, "somebody else has a shared one");
    unlock(&two).await?;
    assert!(try_lock(&one, true).await?);
    drop(one);
    assert!(!try_lock(&two, false).await?, "its clone holds it");
    drop(clone);
    settle().await;
    assert!(try_lock(&two, true).await?, "closed is unlocked");
    unlock(&two).await?;
    unlock(&two).await?;
    fs::remove_file(at("a")).await?;
    fs::write(at("a"), "").await?;
    assert!(try_lock(&two, true).await?);
    assert!(try_lock(&File::open(at("a")).await?, true).await?, "another file of the same name");
    Ok(())
}

pub async fn traits_of_tokio() -> Result<()> {
    use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncSeekExt, AsyncWriteExt, BufReader, BufWriter};
    let (_folder, at) = start().await;
    let large: Vec<u8> = (0..200_000u32).map(|i| (i % 251) as u8).collect();
    fs::write(at("from"), &large).await?;
    let (mut from, mut to) = (File::open(at("from")).await?, File::create(at("to")).await?);
    assert_eq!(tokio::io::copy(&mut from, &mut to).await?, 200_000);
    AsyncWriteExt::shutdown(&mut to).await?;
    assert_eq!(fs::read(at("to")).await?, large);
    let mut lines = BufWriter::new(File::create(at("lines")).await?);
    for i in 0..1000 {
        lines.write_all(format!("line {i}\n").as_bytes()).await?;
    }
    lines.flush().await?;
    let mut reader = BufReader::new(File::open(at("lines")).await?).lines();
    let mut count = 0;
    while let Some(line) = reader.next_line().await? {
        assert_eq!(line, format!("line {count}"));
        count += 1;
    }
    assert_eq!(count, 1000);
    assert_eq!(AsyncSeekExt::seek(&mut from, SeekFrom::End(-4)).await?, 199_996);
    let mut three = Vec::new();
    AsyncReadExt::take(&mut from, 3).read_to_end(&mut three).await?;
    assert_eq!(three, large[199_996..199_999]);
    assert_eq!(AsyncSeekExt::stream_position(&mut from).await?, 199_999);
    let before = AsyncSeekExt::seek(&mut from, SeekFrom::Current(-200_000)).await;
    assert_eq!(before.unwrap_err().kind(), ErrorKind::InvalidInput);
    assert_eq!(AsyncSeekExt::seek(&mut from, SeekFrom::Start(1)).await?, 1);
    let (mut read, _write) = tokio::io::split(from);
    assert_eq!(read.read_u8().await?, 1);
    let mut reads = File::open(at("to")).await?;
    let written = match AsyncWriteExt::write_all(&mut reads, b"x").await {
        Ok(()) => AsyncWriteExt::flush(&mut reads).await,
        failed => failed,
    };
    assert_eq!(written.unwrap_err().raw_os_error(), Some(libc::EBADF));
    Ok(())
}

pub async fn who_stops_waiting_has_read_nothing() -> Result<()> {
    use tokio::io::AsyncReadExt as Traits;
    let (_folder, at) = start().await;
    fs::write(at("a"), "abcdefgh").await?;
    for round in 0..3 {
        let mut file = File::open(at("a")).await?;
        let mut piece = [0; 3];
        let read = {
            let mut inherent = pin!(file.read(&mut piece));
            poll_fn(|cx| Poll::Ready(inherent.as_mut().poll(cx))).await
        };
        let mut seen = if let Poll::Ready(n) = read { n? } else { 0 };
        if round > 0 {
            let mut by_trait = pin!(Traits::read(&mut file, &mut piece));
            let read = poll_fn(|cx| Poll::Ready(by_trait.as_mut().poll(cx))).await;
            seen += if let Poll::Ready(n) = read { n? } else { 0 };
        }
        if round > 1 {
            assert_eq!(file.stream_position().await?, seen as u64);
        }
        let mut rest = String::new();
        file.read_to_string(&mut rest).await?;
        assert_eq!(rest, "abcdefgh"[seen..], "round {round}");
    }
    Ok(())
}
