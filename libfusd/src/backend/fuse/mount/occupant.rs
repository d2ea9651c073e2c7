//! What is in the way of a new node: refused if anybody could still want it, removed if it is what
//! a dead driver left.

use std::os::fd::{AsFd, AsRawFd, OwnedFd};
use std::path::Path;

use nix::fcntl::{OFlag, open};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::stat::Mode;
use nix::unistd::{Uid, geteuid, pipe2, read, write};

use super::mountinfo;
use super::placeholder;
use super::site::{Found, Inode, Site, is_dead};
use crate::backend::parent;
use crate::sys::process::{above_stdio, spawn_detached};
use crate::{Errno, Error, ErrorKind, Result};

const ACTION: &str = "create the node";

/// How long the process that asks has to begin, in milliseconds.
const BEGIN_MS: u16 = 10_000;
/// How long the server of a mount has then to show that it is dead, in milliseconds: the kernel
/// answers for it at once. One that says nothing is alive, if only just.
const ANSWER_MS: u16 = 1000;
/// What that process says first: neither answer.
const BEGUN: u8 = 2;
/// After so many seconds the asking process is killed, if it can be.
const PROBE_SECONDS: u32 = 2;

/// Makes sure that nothing is at `site`, which the user knows as `path`. Needs the lock.
pub(super) fn make_room(site: &Site, path: &Path) -> Result<()> {
    let system = |errno: nix::Error| Error::system(ErrorKind::Node, errno, ACTION).on(path);
    let mut took_over = false;
    // Mounts can be stacked; nobody stacks this many.
    for _ in 0..32 {
        match site.look().map_err(system)? {
            Found::Nothing => return Ok(()),
            Found::Inode(inode) if is_leftover(&inode, took_over) => {
                site.unlink().map_err(system)?;
            }
            Found::Inode(inode) => return Err(exists(path, what(&inode))),
            Found::Mount { number, .. } => {
                remove_dead(site, path, number)?;
                took_over = true;
            }
        }
    }
    Err(system(nix::Error::EBUSY))
}

/// Whether `inode` is a placeholder that nobody can be about to use: we hold the lock.
///
/// One of another user is left alone, unless it was beneath a dead mount.
fn is_leftover(inode: &Inode, took_over: bool) -> bool {
    placeholder::resembles(inode) && (took_over || Uid::from_raw(inode.uid) == geteuid())
}

/// Detaches the mount `number` if it is one of fusd and its driver is dead.
fn remove_dead(site: &Site, path: &Path, number: u64) -> Result<()> {
    let entry = mountinfo::find(number).map_err(|error| {
        Error::system(ErrorKind::Node, error, "read").on("/proc/self/mountinfo")
    })?;
    // Not in the list: it has gone since we looked, or it is hidden. The next look will tell.
    let Some(entry) = entry else { return Ok(()) };
    if !entry.is_fuse() {
        return Err(exists(path, "a mount"));
    }
    if !answers_as_dead(site) {
        let who = if entry.is_fusd() {
            "another driver"
        } else {
            "another FUSE file system"
        };
        return Err(Error::new(ErrorKind::Node, Errno::EEXIST, ACTION)
            .on(path)
            .because(format!("{who} serves it"))
            .hint("stop it first or choose another name"));
    }
    let detach_by_hand = format!("detach it with `fusermount3 -uz {}`", path.display());
    if !entry.is_fusd() {
        return Err(Error::new(ErrorKind::Node, Errno::EEXIST, ACTION)
            .on(path)
            .because(format!(
                "a dead mount of the type {} is there",
                entry.fs_type
            ))
            .hint(detach_by_hand));
    }
    match site.unmount() {
        Ok(()) | Err(nix::Error::EINVAL | nix::Error::ENOENT) => Ok(()),
        Err(errno) => Err(Error::system(ErrorKind::Node, errno, ACTION)
            .on(path)
            .because("the dead mount of another user is there")
            .hint(format!("as root, {detach_by_hand}"))),
    }
}

/// Whether there is a mount at `path`, a FUSE one, that has lost its server. One that does not answer
/// has not.
pub(crate) fn is_dead_mount(path: &Path) -> Result<bool> {
    let (directory, name) = parent::split(path)?;
    let failed = |errno: nix::Error| Error::system(ErrorKind::Node, errno, "look at").on(path);
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    let directory = open(&directory, flags, Mode::empty())
        .and_then(|directory| above_stdio(&directory))
        .map_err(failed)?;
    let site = Site::new(directory, name, None, Vec::new());
    match site.look().map_err(failed)? {
        Found::Mount { .. } => Ok(answers_as_dead(&site)),
        Found::Nothing | Found::Inode(_) => Ok(false),
    }
}

/// Whether the mount at `site` has lost its server.
///
/// A process of its own asks, because whoever asks a server that hangs can neither go on nor be
/// killed until the server does. Such a process stays as long as the server hangs.
fn answers_as_dead(site: &Site) -> bool {
    let Ok((result, sender)) = pipe2(OFlag::O_CLOEXEC) else {
        return false;
    };
    let Ok(sender) = above_stdio(&sender) else {
        return false;
    };
    let mut keep = [site.dir().as_raw_fd(), sender.as_raw_fd()];
    let asked = spawn_detached(c"fusd-probe", &mut keep, || {
        nix::unistd::alarm::set(PROBE_SECONDS);
        let _ = write(sender.as_fd(), &[BEGUN]);
        let dead = site.ask().is_err_and(is_dead);
        let _ = write(sender.as_fd(), &[u8::from(dead)]);
    });
    drop(sender);
    if asked.is_err() {
        return false;
    }
    says(&result, BEGIN_MS, BEGUN) && says(&result, ANSWER_MS, u8::from(true))
}

/// Whether the next byte comes within so many milliseconds, and is this one.
fn says(pipe: &OwnedFd, limit: u16, expected: u8) -> bool {
    let mut wanted = [PollFd::new(pipe.as_fd(), PollFlags::POLLIN)];
    let mut byte = [0];
    matches!(poll(&mut wanted, PollTimeout::from(limit)), Ok(1))
        && matches!(read(pipe.as_fd(), &mut byte), Ok(1))
        && byte == [expected]
}

fn exists(path: &Path, what: &str) -> Error {
    Error::new(ErrorKind::Node, Errno::EEXIST, ACTION)
        .on(path)
        .because(format!("{what} is there already"))
        .hint("remove it or choose another name")
}

fn what(inode: &Inode) -> &'static str {
    match inode.mode & libc::S_IFMT {
        libc::S_IFDIR => "a directory",
        libc::S_IFLNK => "a symbolic link",
        libc::S_IFCHR | libc::S_IFBLK => "a device",
        libc::S_IFSOCK => "a socket",
        libc::S_IFIFO => "a pipe",
        _ => "a file",
    }
}
