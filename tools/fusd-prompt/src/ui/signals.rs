//! Signals that are about the terminal: noted where they come, and handled by the thread of the
//! terminal.

use std::io::{self, Read};
use std::os::fd::{AsFd, BorrowedFd};
use std::os::unix::net::UnixStream;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread;
use std::time::Duration;

use nix::sys::signal::{Signal, kill, raise};
use nix::unistd::{Pid, getpgrp, getpid, getsid};
use signal_hook::consts::{SIGCONT, SIGTSTP, SIGWINCH};
use signal_hook::{flag, iterator, low_level};

use super::tty;
use crate::who::Stat;

/// How far up a job's processes are looked at.
const DEPTH: usize = 64;

/// How often, and how many milliseconds apart, it is looked whether another thread has noted that the
/// process goes on.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(10);

/// What has come since it was asked last.
pub(super) struct Signals {
    suspend: Arc<AtomicBool>,
    resumed: Arc<AtomicBool>,
    resized: Arc<AtomicBool>,
    wake: UnixStream,
}

/// Wakes the thread of the terminal.
#[derive(Clone)]
pub(super) struct Waker(Arc<UnixStream>);

impl Waker {
    pub(super) fn wake(&self) {
        // Where it is full, it wakes anyway.
        let _full = nix::unistd::write(&*self.0, b"w");
    }
}

impl Signals {
    /// Takes the signals from now on.
    ///
    /// # Errors
    /// They cannot be taken.
    pub(super) fn take() -> io::Result<(Self, Waker)> {
        let (wake, waker) = UnixStream::pair()?;
        wake.set_nonblocking(true)?;
        waker.set_nonblocking(true)?;
        let signals = Self {
            suspend: Arc::default(),
            resumed: Arc::default(),
            resized: Arc::default(),
            wake,
        };
        for (number, noted) in [
            (SIGTSTP, &signals.suspend),
            (SIGCONT, &signals.resumed),
            (SIGWINCH, &signals.resized),
        ] {
            // In this order: it is noted when the thread wakes.
            flag::register(number, Arc::clone(noted))?;
            low_level::pipe::register(number, waker.try_clone()?)?;
        }
        Ok((signals, Waker(Arc::new(waker))))
    }

    /// Whether Ctrl-Z was typed, or somebody else has asked for a pause.
    pub(super) fn suspend(&self) -> bool {
        self.suspend.swap(false, Ordering::SeqCst)
    }

    /// Whether the process was stopped, and goes on.
    pub(super) fn resumed(&self) -> bool {
        self.resumed.swap(false, Ordering::SeqCst)
    }

    /// Stops this process, as SIGTSTP would have; returns when it goes on. Where nobody could make it go
    /// on again, it does nothing, as the kernel itself does then (kernel/signal.c,
    /// `is_current_pgrp_orphaned`).
    pub(super) fn stop(&self) {
        if !can_stop() {
            return;
        }
        let _earlier = self.resumed();
        if raise(Signal::SIGSTOP).is_ok() {
            // Whichever thread the signal came to may note it later: by then the terminal might be taken
            // again, and what was typed would be dropped.
            for _ in 0..LOOKS {
                if self.resumed() {
                    return;
                }
                thread::sleep(PAUSE);
            }
        }
    }

    /// Whether the window has another size.
    pub(super) fn resized(&self) -> bool {
        self.resized.swap(false, Ordering::SeqCst)
    }

    /// Takes what has woken the thread.
    pub(super) fn drain(&self) {
        let mut part = [0; 64];
        while matches!((&self.wake).read(&mut part), Ok(1..)) {}
    }
}

impl AsFd for Signals {
    fn as_fd(&self) -> BorrowedFd<'_> {
        self.wake.as_fd()
    }
}

/// What others may send that ends a process, beside what is a demand to end (SIGTERM and the like, which
/// the tool takes by itself).
const DEADLY: [Signal; 10] = [
    Signal::SIGQUIT,
    Signal::SIGABRT,
    Signal::SIGALRM,
    Signal::SIGUSR2,
    Signal::SIGVTALRM,
    Signal::SIGPROF,
    Signal::SIGIO,
    Signal::SIGXCPU,
    Signal::SIGSTKFLT,
    Signal::SIGPWR,
];

/// From now on, whoever kills the process by one of these signals gets the terminal as it was. Such as
/// are ignored, as those of a script's background jobs, stay ignored.
///
/// # Errors
/// They cannot be taken, or there is no thread to be had.
pub(super) fn give_back_before_death() -> io::Result<()> {
    let deadly = DEADLY.into_iter().filter(|it| !fusd_tool::is_ignored(*it));
    let mut signals = iterator::Signals::new(deadly.map(|signal| signal as i32))?;
    thread::Builder::new()
        .name("deadly-signals".into())
        .spawn(move || {
            for signal in signals.forever() {
                tty::give_back_at_exit();
                // What it would have done.
                let _dead = low_level::emulate_default_handler(signal);
            }
        })?;
    Ok(())
}

/// Sends the whole job a signal, as the terminal does at Ctrl-C and Ctrl-Z.
pub(super) fn tell_job(signal: Signal) {
    if let Err(errno) = kill(Pid::from_raw(0), signal) {
        tracing::error!(%signal, error = %fusd::Errno::from(errno), "the job cannot be signalled");
    }
}

/// Whether somebody could make the job go on if it stopped.
pub(super) fn can_stop() -> bool {
    has_parent_in_session()
}

/// Whether a process of the same session, but another job, waits for this job: a shell.
fn has_parent_in_session() -> bool {
    let session = getsid(None).map_or(0, Pid::as_raw);
    let group = getpgrp().as_raw();
    let mut pid = getpid().as_raw().unsigned_abs();
    for _ in 0..DEPTH {
        let Some(stat) = Stat::of(pid) else {
            return false;
        };
        if stat.session != session {
            return false;
        }
        if stat.group != group {
            return true;
        }
        pid = stat.parent;
    }
    false
}
