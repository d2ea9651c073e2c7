//! A pseudo-terminal instead of a device: for programs that need what a device of a user's cannot be,
//! a controlling terminal or one with other line disciplines, and for machines without kfusd and CUSE.
//!
//! The kernel's own line discipline serves the clients, and this is one client of the state, whose
//! discipline then does nothing. The path is a symbolic link.

mod bridge;
mod gate;
mod place;

pub(crate) use place::vacant;

use std::fs;
use std::io;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use fusd::{Error, ErrorKind};
use fusd_tool::{OwnNode, ToolError};
use rustix::fs::{Mode, OFlags, inotify, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::hub::Hub;
use crate::state;
use crate::sys;
use crate::watcher::Watcher;
use bridge::Bridge;
use gate::Gate;
use place::place;

/// The number that the state knows all clients by. The library counts from 0.
const CLIENT: u64 = u64::MAX;

/// Who may use it.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Access {
    pub(crate) mode: Option<u32>,
    pub(crate) owner: Option<u32>,
    pub(crate) group: Option<u32>,
}

/// The node, and the thread behind it.
pub(crate) struct Pty {
    path: PathBuf,
    terminal: PathBuf,
    watcher: Option<Watcher>,
    ends: Arc<AtomicBool>,
    hub: Hub,
    gate: Arc<Gate>,
    thread: Option<JoinHandle<()>>,
    /// Another one, which goes with it.
    beside: Option<Box<Pty>>,
}

impl Pty {
    /// Has `other` go with it.
    pub(crate) fn beside(mut self, other: Option<Self>) -> Self {
        self.beside = other.map(Box::new);
        self
    }

    /// Where the link leads.
    pub(crate) fn terminal(&self) -> &Path {
        &self.terminal
    }

    /// Makes a pseudo-terminal for `hub`, with a link to it at `path`.
    ///
    /// # Errors
    /// There is something at the path, or the terminal cannot be had.
    pub(crate) fn new(path: &Path, hub: &Hub, access: Access) -> Result<Self, ToolError> {
        let failed = |action: &'static str| {
            move |error: io::Error| Error::system(ErrorKind::Runtime, error, action)
        };
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let master =
            openpt(flags).map_err(|errno| failed("make a pseudo-terminal")(errno.into()))?;
        let prepared = prepare(&master, access).map_err(failed("prepare a pseudo-terminal"))?;
        rustix::io::ioctl_fionbio(&master, true)
            .map_err(|errno| failed("prepare a pseudo-terminal")(errno.into()))?;
        let watches = inotify::init(inotify::CreateFlags::CLOEXEC | inotify::CreateFlags::NONBLOCK)
            .and_then(|watches| {
                let events = inotify::WatchFlags::OPEN | inotify::WatchFlags::CLOSE;
                inotify::add_watch(&watches, &prepared, events)?;
                Ok(watches)
            })
            .map_err(|errno| failed("watch a pseudo-terminal")(errno.into()))?;
        // What nobody has opened yet does not say that nobody has it open.
        // It must not become this program's own: then Ctrl-C from the line would end it.
        let flags = OFlags::RDONLY | OFlags::NOCTTY | OFlags::CLOEXEC;
        drop(
            open(&prepared, flags, Mode::empty())
                .map_err(|errno| failed("open a pseudo-terminal")(errno.into()))?,
        );
        let settings = hub.change(|state, _| state.bypass());
        sys::set_settings(&master, &settings.encoded())
            .map_err(|errno| failed("set a pseudo-terminal")(errno.into()))?;
        let made = place(path, &prepared)?;
        let watcher = match Watcher::start(made.clone()) {
            Ok(watcher) => watcher,
            Err(errno) => {
                let _gone = made.remove();
                return Err(failed("start a process")(errno.into()).into());
            }
        };
        let gate = Gate::new(master.into()).map_err(failed("make a descriptor"))?;
        let gate = Arc::new(gate);
        let ends = Arc::new(AtomicBool::new(false));
        // From the beginning: what comes is kept for whoever has opened the terminal, however late
        // this is told, and dropped where nobody has.
        let all = state::Access {
            reads: true,
            writes: true,
            trusted: true,
            process: 0,
        };
        hub.change(|state, _| state.attend(CLIENT, all));
        hub.look_on(Some(Arc::clone(&gate) as _));
        let (shared, end) = (Arc::clone(&gate), Arc::clone(&ends));
        let mut bridge = Bridge::new(hub.clone(), shared, watches, end);
        let thread = thread::Builder::new()
            .name("pty".into())
            .spawn(move || bridge.run())
            .map_err(failed("start a thread"))?;
        Ok(Self {
            path: path.to_owned(),
            terminal: prepared,
            watcher: Some(watcher),
            ends,
            hub: hub.clone(),
            gate,
            thread: Some(thread),
            beside: None,
        })
    }
}

impl OwnNode for Pty {
    fn path(&self) -> &Path {
        &self.path
    }

    fn kind(&self) -> &str {
        "pty"
    }

    fn remove(self: Box<Self>) -> Result<(), ToolError> {
        drop(self);
        Ok(())
    }
}

impl Drop for Pty {
    fn drop(&mut self) {
        drop(self.beside.take());
        drop(self.watcher.take());
        self.ends.store(true, Ordering::Release);
        self.gate.bell().ring();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the pseudo-terminal's thread has panicked");
        }
        // The terminal goes with the last who has it: then its clients learn of the end.
        self.hub.look_on(None);
    }
}

/// Gives the terminal its owner and mode; its name.
fn prepare(master: &OwnedFd, access: Access) -> io::Result<PathBuf> {
    grantpt(master)?;
    unlockpt(master)?;
    let name = ptsname(master, Vec::new())?;
    let path = PathBuf::from(name.to_string_lossy().into_owned());
    if access.owner.is_some() || access.group.is_some() {
        chown(&path, access.owner, access.group)?;
    }
    if let Some(mode) = access.mode {
        fs::set_permissions(&path, fs::Permissions::from_mode(mode))?;
    }
    Ok(path)
}

/// What a pseudo-terminal lacks, for a warning.
pub(crate) const LACKS: &str = "a pseudo-terminal has no modem lines, no breaks, no exact tcdrain(3), and \
    its clients share one input; for those take the module kfusd, or CUSE, and a node below /dev";
