//! Makes a FUSE mount whose root is one regular file, and makes sure that it goes again.
//!
//! The life of a node: the directory is locked ([`lock`]), what is in the way is judged
//! ([`occupant`]), a process that outlives us is started ([`watcher`]), an inode to mount over is
//! made ([`placeholder`]), and the mount is attached, by ourselves ([`direct`]) or with the help of
//! a setuid program ([`fusermount`]). All of it is undone by [`site::Site::sweep`], whoever does it.
//! The handshake and the requests are the business of the caller.

mod direct;
mod fusermount;
mod lock;
mod mountinfo;
mod occupant;
mod placeholder;
mod site;
#[cfg(test)]
mod testing;
#[cfg(test)]
mod tests;
mod title;
mod watcher;

use std::ffi::CString;
use std::os::fd::OwnedFd;
use std::path::{Path, PathBuf};
use std::time::Duration;

use nix::errno::Errno as Raw;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use self::direct::Prepared;
use self::fusermount::Fusermount;
use self::lock::DirLock;
use self::placeholder::Kind;
use self::site::{Found, Made, MountId, Site};
use self::watcher::Watcher;
use crate::backend::parent::{self, Parent};
use crate::{Errno, Error, ErrorKind, Result};

pub(crate) use self::occupant::is_dead_mount;

const DEVICE: &str = "/dev/fuse";
const FDS: &str = "/proc/self/fd";
const LOCK_PATIENCE: Duration = Duration::from_secs(5);

/// What to mount, and where.
#[derive(Clone, Debug)]
pub(crate) struct MountOptions<'a> {
    /// The node. Absolute.
    pub(crate) path: &'a Path,
    /// The permissions of the node, as in `st_mode`. `fusermount3` ignores them: until the server
    /// has told the attributes, nobody may then open the node.
    pub(crate) mode: u32,
    /// The most that one read request may ask for, in bytes.
    pub(crate) max_read: u32,
    /// Whether missing directories are made (0755), and removed with the node.
    pub(crate) create_parents: bool,
}

/// A node that is there. Dropped, it is removed; if this process is killed, it is removed as well.
pub(crate) struct NodeMount {
    path: PathBuf,
    site: Site,
    made: Option<Made>,
    watcher: Option<Watcher>,
    shared: bool,
    /// Who made it: a forked child that drops its copy must not take the node away.
    process: u32,
}

/// The way in which the mount will be made.
enum Route {
    Direct(OwnedFd, Prepared),
    /// `fusermount3` does it.
    Helped,
}

impl NodeMount {
    /// Makes the node appear, and returns the connection to the kernel together with the guard.
    ///
    /// The server must answer the handshake next: until then whoever opens the node waits.
    ///
    /// # Errors
    /// What is in the way, which right or which part of the system is missing. Nothing that was
    /// there before is touched, except what a dead driver left.
    pub(crate) fn create(options: &MountOptions<'_>) -> Result<(OwnedFd, Self)> {
        let (parent, name) = parent::split(options.path)?;
        let (route, fusermount) = choose_route(options)?;
        // Without it, nothing could be detached in the end.
        nix::sys::stat::stat(FDS).map_err(|errno| {
            Error::system(ErrorKind::Backend, errno, "use")
                .on(FDS)
                .hint("mount /proc")
        })?;
        let (mut node, lock) = Self::reserve(options, &parent, name, fusermount.as_ref())?;
        let device = match node.build(route, fusermount.as_ref(), options) {
            Ok(device) => device,
            Err(error) => {
                // The lock is still ours, so what is there now is ours too.
                node.clean_up(&lock);
                return Err(error);
            }
        };
        drop(lock);
        Ok((device, node))
    }

    /// Where the node is.
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    /// Whether users other than the driver's can use the node.
    pub(crate) fn shared(&self) -> bool {
        self.shared
    }

    /// Takes the node away, with all that was made for it, and ends the watcher. Clients that have
    /// the node open keep it open. Does nothing the second time.
    ///
    /// # Errors
    /// If something is left. The watcher has then been told to try again.
    pub(crate) fn detach(&mut self) -> Result<()> {
        let Some(watcher) = self.watcher.take() else {
            return Ok(());
        };
        if self.process != std::process::id() {
            return Ok(());
        }
        let swept = self
            .site
            .lock(LOCK_PATIENCE)
            .and_then(|_lock| self.site.sweep(self.made.as_ref(), false));
        let Err(errno) = swept else {
            watcher.dismiss();
            return Ok(());
        };
        if watcher.delegate().is_ok() {
            return Ok(());
        }
        Err(Error::system(ErrorKind::Runtime, errno, "remove the node")
            .on(&self.path)
            .hint(format!(
                "remove it with `fusermount3 -uz {}`",
                self.path.display()
            )))
    }

    /// Locks the directory, makes room, and starts the watcher.
    fn reserve(
        options: &MountOptions<'_>,
        parent_path: &Path,
        name: CString,
        fusermount: Option<&Fusermount>,
    ) -> Result<(Self, DirLock)> {
        let path = options.path;
        loop {
            let parent = Parent::open(path, parent_path, options.create_parents)?;
            let made_parents = parent.made.clone();
            let undo = |error| {
                parent::remove(&made_parents);
                error
            };
            let lock = DirLock::acquire(&parent.dir, LOCK_PATIENCE)
                .map_err(|errno| undo(lock_failed(errno, path, parent_path)))?;
            if !parent.is_current(parent_path) {
                // A driver that ended has just removed it.
                continue;
            }
            let unmounter = fusermount.map(|fusermount| fusermount.unmounter(path));
            let site = Site::new(parent.dir, name, unmounter, parent.made);
            occupant::make_room(&site, path).map_err(undo)?;
            let watcher = Watcher::start(&site, path).map_err(|errno| {
                undo(Error::system(ErrorKind::Runtime, errno, "start a process to watch").on(path))
            })?;
            let node = Self {
                path: path.to_owned(),
                site,
                made: None,
                watcher: Some(watcher),
                shared: true,
                process: std::process::id(),
            };
            return Ok((node, lock));
        }
    }

    /// Makes the placeholder and the mount, and reports both to the watcher. Needs the lock.
    fn build(
        &mut self,
        route: Route,
        fusermount: Option<&Fusermount>,
        options: &MountOptions<'_>,
    ) -> Result<OwnedFd> {
        if let Route::Direct(device, prepared) = route {
            match self.mount(Kind::Socket, |site| direct::attach(&prepared, site)) {
                Ok(()) => return Ok(device),
                // Only mount(2) of old kernels gets as far as this without the right.
                Err(Raw::EPERM) if fusermount.is_some() => {}
                Err(errno) => return Err(self.failed(errno)),
            }
            self.site
                .sweep(None, false)
                .map_err(|errno| self.failed(errno))?;
        }
        let fusermount = fusermount.ok_or_else(|| self.failed(Raw::EPERM))?;
        self.shared = fusermount.shared;
        let mut outcome = None;
        let mounted = self.mount(Kind::File, |site| {
            let device = fusermount.mount(options);
            let done = device.is_ok();
            outcome = Some(device);
            match site.look()? {
                Found::Mount { id, .. } if done => Ok(id),
                _ => Err(Raw::ESTALE),
            }
        });
        match (outcome, mounted) {
            (Some(Err(error)), _) => Err(error),
            (Some(Ok(device)), Ok(())) => Ok(device),
            (_, mounted) => Err(self.failed(mounted.err().unwrap_or(Raw::ESTALE))),
        }
    }

    fn mount(
        &mut self,
        kind: Kind,
        attach: impl FnOnce(&Site) -> Result<MountId, Raw>,
    ) -> Result<(), Raw> {
        placeholder::create(self.site.dir(), self.site.name(), kind)?;
        let Found::Inode(placeholder) = self.site.look()? else {
            return Err(Raw::ESTALE);
        };
        let mount = attach(&self.site)?;
        let made = Made {
            mount,
            placeholder: placeholder.id(),
        };
        if let Some(watcher) = &self.watcher {
            watcher.report(&made)?;
        }
        self.made = Some(made);
        Ok(())
    }

    fn failed(&self, errno: Raw) -> Error {
        refused(errno, &self.path)
    }

    /// Undoes what [`Self::build`] could not finish, under the lock that it was begun under.
    fn clean_up(&mut self, _lock: &DirLock) {
        if self.site.sweep(self.made.as_ref(), false).is_ok()
            && let Some(watcher) = self.watcher.take()
        {
            watcher.dismiss();
        }
    }
}

impl Drop for NodeMount {
    fn drop(&mut self) {
        if let Err(error) = self.detach() {
            tracing::warn!("{error}");
        }
    }
}

/// Prepares the mount as far as it goes without touching the node's place.
fn choose_route(options: &MountOptions<'_>) -> Result<(Route, Option<Fusermount>)> {
    let fusermount = Fusermount::find();
    let device =
        open(DEVICE, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).map_err(no_device)?;
    match direct::prepare(&device, options) {
        Ok(prepared) => Ok((Route::Direct(device, prepared), fusermount)),
        Err(Raw::EPERM) if fusermount.is_some() => Ok((Route::Helped, fusermount)),
        Err(Raw::EPERM) => Err(Error::new(ErrorKind::Backend, Errno::EPERM, "mount a device at")
            .on(options.path)
            .hint("install the package fuse3, whose fusermount3 mounts for ordinary users, or run as root")),
        Err(errno) => Err(Error::system(ErrorKind::Backend, errno, "mount a device at").on(options.path)),
    }
}

fn no_device(errno: Raw) -> Error {
    let error = Error::system(ErrorKind::Backend, errno, "open").on(DEVICE);
    match errno {
        Raw::ENOENT | Raw::ENODEV | Raw::ENXIO => error.hint(
            "load the module with `modprobe fuse`; a container needs the option --device /dev/fuse",
        ),
        // fusermount3 opens it with the rights of its caller, so it would fare no better.
        Raw::EACCES | Raw::EPERM => {
            error.hint("let users read and write it (mode 0666 is usual), or run as root")
        }
        _ => error,
    }
}

/// The error for a node that cannot be made although its directory is there and may be written.
fn refused(errno: Raw, path: &Path) -> Error {
    let error = Error::system(ErrorKind::Node, errno, "create the node").on(path);
    match errno {
        // It is the file system that refuses, /proc for example.
        Raw::ENOENT | Raw::EPERM | Raw::EACCES | Raw::EOPNOTSUPP | Raw::EINVAL => error.hint(
            "choose a directory of another file system: on this one no node can be made there",
        ),
        _ => error,
    }
}

fn lock_failed(errno: Raw, path: &Path, parent: &Path) -> Error {
    if errno != Raw::EWOULDBLOCK {
        return refused(errno, path);
    }
    Error::new(ErrorKind::Node, Errno::EBUSY, "create the node")
        .on(path)
        .because(format!(
            "another program holds the lock of {}",
            parent.display()
        ))
        .hint("try again")
}
