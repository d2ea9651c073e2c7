//! The program as a shell's job: that it is stopped, and goes on.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};

use nix::errno::Errno;
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::{getpgrp, getpid};

/// Leaves to a [`Job`] the signals that it is for, on this thread and those that it starts. A thread
/// that does not block SIGCONT takes it from all others. SIGTTOU is nobody's: whoever gives the terminal
/// back must not be stopped by that, should the terminal be another job's by then.
///
/// # Errors
/// None that the system has for this.
pub(crate) fn prepare() -> io::Result<()> {
    let mut set = told();
    set.add(Signal::SIGTTOU);
    Ok(set.thread_block()?)
}

fn told() -> SigSet {
    SigSet::from_iter([Signal::SIGCONT, Signal::SIGTSTP])
}

/// What tells that the program has been stopped and goes on, or is to stop.
pub(crate) struct Job(SignalFd);

/// What has happened to it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Told {
    /// It goes on: what the terminal was set to may be different now.
    pub(super) goes_on: bool,
    /// It is to stop, as somebody else wants it.
    pub(super) stops: bool,
}

impl Job {
    /// # Errors
    /// There is no descriptor to be had.
    pub(crate) fn new() -> io::Result<Self> {
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&told(), flags)?))
    }

    /// Can be read when there is something to ask for.
    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }

    /// What has happened since the last time this was asked.
    pub(super) fn ask(&self) -> Told {
        let mut told = Told::default();
        while let Ok(Some(info)) = self.0.read_signal() {
            match info.ssi_signo as i32 {
                libc::SIGTSTP => told.stops = true,
                _ => told.goes_on = true,
            }
        }
        told
    }

    /// Stops the whole job, as the terminal would; returns when it goes on.
    ///
    /// # Errors
    /// It cannot be.
    pub(super) fn stop_all(&self) -> Result<(), Errno> {
        killpg(getpgrp(), Signal::SIGTSTP)?;
        Self::obey()
    }

    /// Stops this process; returns when it goes on.
    ///
    /// # Errors
    /// It cannot be.
    pub(super) fn stop(&self) -> Result<(), Errno> {
        kill(getpid(), Signal::SIGTSTP)?;
        Self::obey()
    }

    /// Has SIGTSTP, which is there already, do what it does by itself: stop the process, or, in a
    /// session without job control, nothing.
    fn obey() -> Result<(), Errno> {
        let set = SigSet::from(Signal::SIGTSTP);
        set.thread_unblock()?;
        set.thread_block()
    }
}
