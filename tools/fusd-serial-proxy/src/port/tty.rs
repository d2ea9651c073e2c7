//! A terminal device of the machine: a serial port, or a pseudo-terminal.

use std::io;
use std::os::fd::{AsFd, BorrowedFd, OwnedFd};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use fusd::Errno;
use rustix::fs::{FlockOperation, Mode, OFlags, flock, open};
use rustix::termios::{Action, QueueSelector, isatty, tcdrain, tcflow, tcflush};

use super::marks::Marks;
use super::{Opened, Port, Source, Unit};
use crate::lockfile::{self, Refusal};
use crate::sys::{self, COUNTERS, RS485, SERIAL};
use crate::termios::Settings;
use crate::watcher::Watcher;

/// Bytes of one read: what the kernel keeps for a terminal.
const READ: usize = 4096;

/// Lines that a port drives: DTR, RTS, OUT1, OUT2 and the loop-back mode (`tty_tiocmset`).
const OWN_LINES: u32 = (libc::TIOCM_DTR | libc::TIOCM_RTS) as u32 | 0xe000;

struct Tty {
    file: Arc<OwnedFd>,
    lock: Lock,
    /// The settings it was found with.
    found: Settings,
    /// The lines as they were driven last: by the kernel at the open, then from here.
    lines: u32,
}

/// The lock file, where there is one. It goes with the input, as soon as the port is lost: others may
/// have a port of that name then.
type Lock = Arc<Mutex<Option<Watcher>>>;

struct Input {
    file: Arc<OwnedFd>,
    lock: Lock,
    buffer: Box<[u8; READ]>,
    marks: Marks,
}

/// Opens the terminal at `path`, for this process alone as far as others ask: by flock(2), and a lock
/// file.
///
/// # Errors
/// It cannot be opened, is no terminal (`ENOTTY`), or is locked (`EBUSY`).
pub(crate) fn open_port(path: &Path) -> io::Result<Opened> {
    // A port that is lost is looked for all the time: a lock takes more than a look.
    path.metadata()?;
    // Before the port is opened, which resets what is connected to some.
    let lock = match lockfile::lock(path) {
        Ok(watcher) => Some(watcher),
        Err(Refusal::Unused(error)) => {
            tracing::debug!(%error, "there is no UUCP lock");
            None
        }
        Err(Refusal::Held(pid)) => {
            let who = pid.map_or("a file that names no process".to_owned(), |pid| {
                format!("process {pid}")
            });
            say_once(format!("{} is locked by {who}", path.display()));
            return Err(rustix::io::Errno::BUSY.into());
        }
    };
    let lock = Arc::new(Mutex::new(lock));
    let flags = OFlags::RDWR | OFlags::NOCTTY | OFlags::NONBLOCK | OFlags::CLOEXEC;
    let file = open(path, flags, Mode::empty())?;
    if !isatty(&file) {
        return Err(rustix::io::Errno::NOTTY.into());
    }
    match flock(&file, FlockOperation::NonBlockingLockExclusive) {
        Err(rustix::io::Errno::WOULDBLOCK) => return Err(rustix::io::Errno::BUSY.into()),
        result => result?,
    }
    let found = sys::settings(&file)?;
    // Others, such as OUT2, are on for reasons of the driver's: they are lowered only for a client
    // that has raised them.
    let lines = sys::lines(&file).unwrap_or(0) & (libc::TIOCM_DTR | libc::TIOCM_RTS) as u32;
    // The last thing that can fail: from here on, whoever has the port puts it right at the end.
    sys::set_settings(&file, &found.for_port())?;
    let file = Arc::new(file);
    let mut settings = found;
    // As another proxy that was killed has left it.
    settings.input &= !libc::PARMRK;
    Ok(Opened {
        port: Box::new(Tty {
            file: Arc::clone(&file),
            lock: Arc::clone(&lock),
            found,
            lines,
        }),
        source: Box::new(Input {
            file,
            lock,
            buffer: Box::new([0; READ]),
            marks: Marks::default(),
        }),
        settings,
        early: Vec::new(),
    })
}

/// Warns, unless that was the last warning: a port that is lost is looked for all the time.
fn say_once(text: String) {
    static LAST: Mutex<String> = Mutex::new(String::new());
    let mut last = LAST.lock().unwrap_or_else(PoisonError::into_inner);
    if *last != text {
        tracing::warn!("{text}");
        *last = text;
    }
}

fn errno(error: rustix::io::Errno) -> Errno {
    io::Error::from(error).into()
}

fn unlock(lock: &Lock) {
    drop(lock.lock().unwrap_or_else(PoisonError::into_inner).take());
}

impl Drop for Input {
    fn drop(&mut self) {
        unlock(&self.lock);
    }
}

impl Port for Tty {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        match rustix::io::write(&self.file, bytes) {
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => Ok(0),
            result => Ok(result?),
        }
    }

    fn apply(&mut self, settings: &mut Settings) -> Result<(), Errno> {
        sys::set_settings(&self.file, &settings.for_port()).map_err(errno)?;
        let port = sys::settings(&self.file).map_err(errno)?;
        settings.read_back(&port);
        Ok(())
    }

    fn queued(&mut self) -> usize {
        sys::queued(&self.file).unwrap_or(0)
    }

    fn drain(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        let file = Arc::clone(&self.file);
        Some(Box::new(move || {
            // It fails where the port is lost: then there is nothing to wait for.
            let _lost = tcdrain(&file);
        }))
    }

    fn drop_output(&mut self) {
        let _lost = tcflush(&self.file, QueueSelector::OFlush);
    }

    fn lines(&mut self) -> Result<u32, Errno> {
        sys::lines(&self.file).map_err(errno)
    }

    fn set_lines(&mut self, lines: u32) -> Result<(), Errno> {
        let lines = lines & OWN_LINES;
        let (raised, lowered) = (lines & !self.lines, self.lines & !lines);
        // What stays is not said again: the kernel may have lowered RTS to hold up the other side.
        sys::change_lines(&self.file, raised, lowered).map_err(errno)?;
        self.lines = lines;
        Ok(())
    }

    fn set_break(&mut self, on: bool) -> Result<(), Errno> {
        sys::set_break(&self.file, on).map_err(errno)
    }

    fn counters(&mut self) -> Result<[u8; COUNTERS], Errno> {
        sys::counters(&self.file).map_err(errno)
    }

    fn hides_changes(&self) -> bool {
        true
    }

    fn serial(&mut self) -> Result<[u8; SERIAL], Errno> {
        sys::serial(&self.file).map_err(errno)
    }

    fn rs485(&mut self) -> Result<[u8; RS485], Errno> {
        sys::rs485(&self.file).map_err(errno)
    }

    fn set_rs485(&mut self, value: [u8; RS485]) -> Result<[u8; RS485], Errno> {
        sys::set_rs485(&self.file, value).map_err(errno)?;
        self.rs485()
    }

    fn send_flow(&mut self, stop: bool) -> bool {
        // The kernel sends it before what it has queued.
        let action = if stop { Action::IOff } else { Action::IOn };
        tcflow(&self.file, action).is_ok()
    }

    fn handles_flow(&self) -> bool {
        true
    }

    fn restore(&mut self) {
        let _lost = sys::set_settings(&self.file, &self.found);
        unlock(&self.lock);
    }
}

impl Source for Input {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.file.as_fd()
    }

    fn read(&mut self, units: &mut Vec<Unit>) -> io::Result<bool> {
        match rustix::io::read(&self.file, &mut *self.buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => self.marks.take(&self.buffer[..count], units),
            Err(rustix::io::Errno::AGAIN | rustix::io::Errno::INTR) => {}
            Err(error) => return Err(error.into()),
        }
        Ok(true)
    }
}
