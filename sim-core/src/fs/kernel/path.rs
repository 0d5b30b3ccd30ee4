//! Paths, as in path_resolution(7): components, `.` and `..`, symbolic links, and the bounds on all of them.

use super::Volume;
use super::inode::{Body, Ino, Name, ROOT};
use crate::fs::errno;
use std::collections::VecDeque;
use std::io;
use std::rc::Rc;

/// The longest name, bytes.
pub(crate) const NAME_MAX: usize = 255;
/// The longest path with the zero at its end, bytes.
pub(crate) const PATH_MAX: usize = 4096;
/// How many symbolic links one resolution follows.
const LINKS_MAX: u32 = 40;

/// What the last component of a path is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Last {
    Name,
    Root,
    Dot,
    DotDot,
}

/// Where a path leads: the directory, the last component, and what is there, if something is.
#[derive(Clone, Debug)]
pub(crate) struct Spot {
    pub dir: Ino,
    pub name: Name,
    pub last: Last,
    pub ino: Option<Ino>,
    /// The path ends with a slash: it must be a directory's.
    pub slash: bool,
}

impl Spot {
    /// What is there.
    pub fn found(&self) -> io::Result<Ino> {
        self.ino.ok_or_else(errno::not_found)
    }
}

fn components(path: &[u8]) -> impl DoubleEndedIterator<Item = &[u8]> {
    path.split(|&byte| byte == b'/').filter(|part| !part.is_empty())
}

impl Volume {
    /// Follows a path from the root, which is also the working directory; the symbolic link at its end only if `follow`
    /// says so, or a slash comes after it.
    pub fn walk(&self, path: &[u8], follow: bool) -> io::Result<Spot> {
        if path.contains(&0) {
            let message = "file name contained an unexpected NUL byte";
            return Err(io::Error::new(io::ErrorKind::InvalidInput, message));
        }
        if path.is_empty() {
            return Err(errno::not_found());
        }
        if path.len() >= PATH_MAX {
            return Err(errno::name_too_long());
        }
        let mut slash = path.ends_with(b"/");
        let mut left: VecDeque<Rc<[u8]>> = components(path).map(Rc::from).collect();
        let mut spot =
            Spot { dir: ROOT, name: Rc::from(&b"/"[..]), last: Last::Root, ino: Some(ROOT), slash };
        let mut links = 0;
        while let Some(name) = left.pop_front() {
            let here = spot.ino.ok_or_else(errno::not_found)?;
            let dir = self.inode(here).dir().ok_or_else(errno::not_directory)?;
            if name.len() > NAME_MAX {
                return Err(errno::name_too_long());
            }
            spot = match &*name {
                b"." => Spot { dir: here, name, last: Last::Dot, ino: Some(here), slash },
                b".." => Spot { dir: here, name, last: Last::DotDot, ino: Some(dir.parent), slash },
                _ => Spot { dir: here, ino: dir.entries.get(&name).copied(), name, last: Last::Name, slash },
            };
            let at_end = left.is_empty();
            let Some(Body::Symlink(target)) = spot.ino.map(|ino| &self.inode(ino).body) else { continue };
            if at_end && !follow && !slash {
                break;
            }
            links += 1;
            if links > LINKS_MAX {
                return Err(errno::too_many_links());
            }
            if at_end && target.ends_with(b"/") {
                slash = true;
            }
            let (dir, absolute) = (spot.dir, target.starts_with(b"/"));
            components(target).rev().for_each(|part| left.push_front(Rc::from(part)));
            let from = if absolute { ROOT } else { dir };
            spot = Spot { dir: from, name: Rc::from(&b"/"[..]), last: Last::Root, ino: Some(from), slash };
        }
        spot.slash = slash;
        if slash && spot.ino.is_some_and(|ino| !self.inode(ino).is_dir()) {
            return Err(errno::not_directory());
        }
        Ok(spot)
    }

    /// The inode of a path.
    pub fn lookup(&self, path: &[u8], follow: bool) -> io::Result<Ino> {
        self.walk(path, follow)?.found()
    }

    /// A path of an inode: the one by the name that it got last.
    pub fn path_of(&self, ino: Ino) -> Vec<u8> {
        let mut parts: Vec<&[u8]> = Vec::new();
        let mut at = ino;
        while at != ROOT && parts.len() < PATH_MAX {
            let Some(inode) = self.try_inode(at) else { break };
            parts.push(&inode.home.1);
            at = inode.home.0;
        }
        if parts.is_empty() {
            return b"/".to_vec();
        }
        parts.iter().rev().flat_map(|part| [b"/", *part]).flatten().copied().collect()
    }
}

impl Volume {
    /// The path of what was found, through the directories in which it was found.
    pub fn place_of(&self, spot: &Spot) -> io::Result<Vec<u8>> {
        let ino = spot.found()?;
        if spot.last != Last::Name || self.inode(ino).is_dir() {
            return Ok(self.path_of(ino));
        }
        let mut path = self.path_of(spot.dir);
        if path.len() > 1 {
            path.push(b'/');
        }
        path.extend_from_slice(&spot.name);
        Ok(path)
    }
}
