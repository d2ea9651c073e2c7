//! A pseudo-terminal instead of a device: for programs that need what a device of a user's cannot be,
//! a controlling terminal or one with other line disciplines, and for machines without kfusd and CUSE.
//!
//! The kernel's own line discipline serves the clients, and this is one client of the state, whose
//! discipline then does nothing. The path is a symbolic link.

use std::fs::{self, File};
use std::io::{self, ErrorKind as IoErrorKind, Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::fs::{PermissionsExt, chown, symlink};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use fusd::{Errno, Error, ErrorKind};
use fusd_tool::{OwnNode, ToolError};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::fs::{Mode, OFlags, inotify, open};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};

use crate::hub::{Bell, Hub};
use crate::state::{self, Reading, Timing, Writing};
use crate::sys;
use crate::termios::Settings;
use crate::watcher::{Made, Watcher};

/// The number that the state knows all clients by. The library counts from 0.
const CLIENT: u64 = u64::MAX;

/// How often the settings are looked at while somebody has the terminal open: nothing tells of them.
const LOOK: u16 = 20;

/// Bytes that are copied at once.
const COPIED: usize = 4096;

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
    watcher: Option<Watcher>,
    ends: Arc<AtomicBool>,
    bell: Arc<Bell>,
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
        let bell = Arc::new(Bell::new().map_err(failed("make a descriptor"))?);
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
        hub.ring_at_changes(Arc::clone(&bell));
        let ends = Arc::new(AtomicBool::new(false));
        // From the beginning: what comes is kept for whoever has opened the terminal, however late
        // this is told, and dropped where nobody has.
        let all = state::Access {
            reads: true,
            writes: true,
            trusted: true,
        };
        hub.change(|state, _| state.attend(CLIENT, all));
        let mut bridge = Bridge {
            hub: hub.clone(),
            master: master.into(),
            watches,
            bell: Arc::clone(&bell),
            ends: Arc::clone(&ends),
            settings: None,
            is_open: false,
            hung_up: false,
            input: Vec::new(),
        };
        let thread = thread::Builder::new()
            .name("pty".into())
            .spawn(move || bridge.run())
            .map_err(failed("start a thread"))?;
        Ok(Self {
            path: path.to_owned(),
            watcher: Some(watcher),
            ends,
            bell,
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
        self.bell.ring();
        if let Some(Err(_)) = self.thread.take().map(JoinHandle::join) {
            tracing::error!("the pseudo-terminal's thread has panicked");
        }
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

/// Makes the link, in place of one whose terminal is gone: if that has this one's name, it is gone as
/// well, for this one is new.
fn place(path: &Path, terminal: &Path) -> Result<Made, ToolError> {
    let stale = fs::read_link(path).is_ok_and(|target| {
        target.starts_with("/dev/pts") && (target == terminal || !target.exists())
    });
    let result = if stale {
        tracing::info!("{} leads to a terminal that is gone", path.display());
        let mut draft = path.as_os_str().to_owned();
        draft.push(format!(".{}", std::process::id()));
        symlink(terminal, &draft).and_then(|()| {
            fs::rename(&draft, path).inspect_err(|_| {
                let _gone = fs::remove_file(&draft);
            })
        })
    } else {
        symlink(terminal, path)
    };
    result.map_err(|error| {
        let kind = match error.kind() {
            IoErrorKind::PermissionDenied => ErrorKind::Permission,
            _ => ErrorKind::Node,
        };
        let hint = match error.kind() {
            IoErrorKind::AlreadyExists => "choose another path, or remove what is there",
            IoErrorKind::NotFound => "make the directory, or choose another path",
            _ => "choose another path",
        };
        Error::system(kind, error, "create the node")
            .on(path)
            .hint(hint)
    })?;
    Ok(Made::Link(path.to_owned(), terminal.to_owned()))
}

/// The thread between the terminal and the state.
struct Bridge {
    hub: Hub,
    master: File,
    watches: OwnedFd,
    bell: Arc<Bell>,
    ends: Arc<AtomicBool>,
    /// What the port was set to last, from here.
    settings: Option<Settings>,
    is_open: bool,
    /// Nobody has it open any more, and what was written before is not taken yet.
    hung_up: bool,
    /// From the port, on the way to the terminal.
    input: Vec<u8>,
}

impl Bridge {
    fn run(&mut self) {
        while !self.ends.load(Ordering::Acquire) {
            if let Err(error) = self.turn() {
                tracing::error!(%error, "the pseudo-terminal fails");
                return;
            }
        }
        self.close();
    }

    /// Waits for something, and does what has become possible.
    fn turn(&mut self) -> io::Result<()> {
        let room = self.is_open && self.room() > 0;
        let mut events = PollFlags::empty();
        events.set(PollFlags::POLLIN, room);
        events.set(PollFlags::POLLOUT, !self.input.is_empty());
        let asked = self.is_open && (room || !self.hung_up);
        let [found, changed, opened] = self.wait(events, asked)?;
        if changed.contains(PollFlags::POLLIN) {
            self.bell.quiet();
        }
        let opened = opened.contains(PollFlags::POLLIN);
        if opened {
            let mut events = [0; 1024];
            // Only that something has happened is of interest.
            while rustix::io::read(&self.watches, &mut events).is_ok_and(|count| count > 0) {}
        }
        if opened || !self.is_open || found.contains(PollFlags::POLLHUP) {
            self.note_open()?;
        }
        if !self.is_open {
            let there = self.hub.queue().look(|state| state.readable(CLIENT));
            if there > 0 {
                self.hub.change(|state, _| state.flush_input(CLIENT));
            }
            return Ok(());
        }
        let writes = found.contains(PollFlags::POLLIN);
        let idle = found.is_empty() && changed.is_empty();
        // Before what is written after the change of them.
        if writes || opened || idle {
            self.follow_settings()?;
        }
        if writes {
            self.take_output()?;
        }
        self.give_input()
    }

    /// Waits for something: at the terminal if that is `asked`, of the state, or that somebody opens or
    /// closes the terminal.
    fn wait(&self, events: PollFlags, asked: bool) -> io::Result<[PollFlags; 3]> {
        let mut ready = [
            PollFd::new(self.master.as_fd(), events),
            PollFd::new(self.bell.descriptor(), PollFlags::POLLIN),
            PollFd::new(self.watches.as_fd(), PollFlags::POLLIN),
        ];
        // While nobody has it open it says so without end: then, only the others count, unless
        // something is left to be taken.
        let (these, limit) = match asked {
            true => (&mut ready[..], PollTimeout::from(LOOK)),
            false => (&mut ready[1..], PollTimeout::NONE),
        };
        match poll(these, limit) {
            Err(nix::errno::Errno::EINTR) => return Ok([PollFlags::empty(); 3]),
            result => result?,
        };
        let found = |ready: &PollFd<'_>| ready.revents().unwrap_or(PollFlags::empty());
        Ok([found(&ready[0]), found(&ready[1]), found(&ready[2])])
    }

    /// Notes whether anybody has the terminal open.
    fn note_open(&mut self) -> io::Result<()> {
        let mut ready = [PollFd::new(self.master.as_fd(), PollFlags::POLLIN)];
        poll(&mut ready, PollTimeout::ZERO)?;
        let found = ready[0].revents().unwrap_or(PollFlags::empty());
        let is_open = !found.contains(PollFlags::POLLHUP);
        // What was written before the close is sent all the same.
        let wanted = is_open || found.contains(PollFlags::POLLIN);
        self.hung_up = wanted && !is_open;
        match (self.is_open, wanted) {
            (false, true) => self.open(),
            (true, false) => self.close(),
            _ => {}
        }
        if self.hung_up {
            self.follow_settings()?;
            self.take_output()?;
        }
        Ok(())
    }

    fn open(&mut self) {
        self.hub.change(|state, _| state.take_line());
        self.is_open = true;
    }

    fn close(&mut self) {
        if self.is_open {
            self.hub.change(|state, _| state.leave_line());
        }
        self.is_open = false;
        self.input.clear();
    }

    /// Sets the port as the terminal is set; lines and characters are the kernel's business.
    fn follow_settings(&mut self) -> io::Result<()> {
        let now = sys::settings(&self.master)?;
        if self.settings == Some(now) {
            return Ok(());
        }
        self.settings = Some(now);
        let mut port = now.for_port();
        port.input &= libc::INPCK;
        let result = self.hub.change(|state, _| state.set(CLIENT, port));
        if let Err(error) = result {
            tracing::warn!(%error, "the port does not take the settings");
        }
        Ok(())
    }

    /// Bytes that the state takes.
    fn room(&self) -> usize {
        let writing = self.hub.queue().look(|state| state.writing(CLIENT, COPIED));
        match writing {
            Writing::Take(count) => count,
            Writing::Wait => 0,
            // What cannot be written is dropped, as a line without anybody does.
            Writing::Fail(_) => COPIED,
        }
    }

    /// From the terminal to the port.
    fn take_output(&mut self) -> io::Result<()> {
        let mut buffer = [0; COPIED];
        let room = self.room();
        let count = match self.master.read(&mut buffer[..room]) {
            Ok(count) => count,
            // EIO: nobody has it open any more.
            Err(error) if error.kind() == IoErrorKind::WouldBlock => return Ok(()),
            Err(error) if Errno::from(&error) == Errno::EIO => return Ok(()),
            Err(error) => return Err(error),
        };
        self.hub.change(|state, _| {
            if let Writing::Take(taken) = state.writing(CLIENT, count) {
                state.write(CLIENT, &buffer[..taken], false);
            }
        });
        Ok(())
    }

    /// From the port to the terminal.
    fn give_input(&mut self) -> io::Result<()> {
        loop {
            // A look is no change, of which this thread would be told in turn.
            let there = self.hub.queue().look(|state| state.readable(CLIENT));
            if self.input.is_empty() && there > 0 {
                self.input = self.hub.change(|state, now| {
                    let mut timing = Timing::default();
                    match state.reading(CLIENT, COPIED, false, &mut timing, now) {
                        Reading::Bytes(piece) => {
                            let bytes = state.parts(CLIENT, piece).concat();
                            state.consume(CLIENT, piece);
                            bytes
                        }
                        _ => Vec::new(),
                    }
                });
            }
            if self.input.is_empty() {
                return Ok(());
            }
            match self.master.write(&self.input) {
                Ok(count) => drop(self.input.drain(..count)),
                Err(error) if error.kind() == IoErrorKind::WouldBlock => return Ok(()),
                Err(error) if Errno::from(&error) == Errno::EIO => return Ok(()),
                Err(error) => return Err(error),
            }
        }
    }
}

/// What a pseudo-terminal lacks, for a warning.
pub(crate) const LACKS: &str = "a pseudo-terminal has no modem lines, no breaks, no exact tcdrain(3), and \
    its clients share one input; for those take the module kfusd, or CUSE, and a node below /dev";

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_link_is_taken_over_from_a_terminal_that_is_gone() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("port");
        let own = nix::pty::openpty(None, None).unwrap();
        let own = nix::unistd::ttyname(&own.slave).map(|name| (own, name));
        let (_own, terminal) = own.unwrap();
        // No number is that high (/proc/sys/kernel/pty/max).
        for left in ["/dev/pts/2000000000".as_ref(), terminal.as_path()] {
            symlink(left, &path).unwrap();
            let made = place(&path, &terminal).unwrap();
            assert_eq!(fs::read_link(&path).unwrap(), terminal);
            assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
            made.remove().unwrap();
        }
        let other = nix::pty::openpty(None, None).unwrap();
        let live = nix::unistd::ttyname(&other.slave).unwrap();
        symlink(&live, &path).unwrap();
        assert!(place(&path, &terminal).is_err(), "it leads somewhere");
        assert_eq!(fs::read_link(&path).unwrap(), live);
    }
}
