//! The thread that draws, and obeys keys: as long as the program is the terminal's foreground job.

use std::io;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{SigSet, Signal, killpg};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getpgrp;

use super::pulse::Pulse;
use super::screen::{self, Screen};
use crate::hub::Bell;

/// Between two looks, in milliseconds: ten a second can be read, and cost next to nothing.
const PAUSE: u16 = 100;

/// How long a job may take to stop, in milliseconds: after that, it does not.
const STOPS: u16 = 2000;

/// What tells that the program has been stopped and goes on.
pub(crate) struct Job(SignalFd);

impl Job {
    /// Leaves SIGCONT to this, on this thread and those that it starts. A stopped process goes on all
    /// the same.
    pub(super) fn new() -> io::Result<Self> {
        let mut set = SigSet::empty();
        set.add(Signal::SIGCONT);
        set.thread_block()?;
        let flags = SfdFlags::SFD_CLOEXEC | SfdFlags::SFD_NONBLOCK;
        Ok(Self(SignalFd::with_flags(&set, flags)?))
    }

    /// Whether it has been stopped since the last time this was asked.
    fn went_on(&self) -> bool {
        let mut went_on = false;
        while let Ok(Some(_)) = self.0.read_signal() {
            went_on = true;
        }
        went_on
    }

    /// Stops the whole job, as the terminal would; returns when it goes on.
    fn stop(&self) {
        self.went_on();
        if killpg(getpgrp(), Signal::SIGTSTP).is_err() {
            return;
        }
        // Another thread may take the signal a little later. In a session without job control, nobody
        // does.
        let mut ready = [PollFd::new(self.0.as_fd(), PollFlags::POLLIN)];
        let _stays = poll(&mut ready, PollTimeout::from(STOPS));
        self.went_on();
    }
}

/// What is to be done next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Go,
    /// The person has had enough.
    End,
}

/// Draws until `stop` is rung. Where the terminal is gone before, the program is to end.
pub(super) fn run(mut pulse: Pulse, stop: &Bell, job: &Job) {
    let mut screen = Screen::default();
    loop {
        let next = turn(&mut pulse, &mut screen, stop, job);
        match next {
            Ok(Some(Next::Go)) => {}
            Ok(None) => return,
            Ok(Some(Next::End)) => {
                screen::leave();
                return fusd_tool::stop();
            }
            Err(error) => {
                screen::leave();
                tracing::debug!(%error, "the terminal is gone");
                return fusd_tool::stop();
            }
        }
    }
}

/// `None`: it is to end.
fn turn(
    pulse: &mut Pulse,
    screen: &mut Screen,
    stop: &Bell,
    job: &Job,
) -> io::Result<Option<Next>> {
    let mine = screen::is_in_foreground();
    if mine && (job.went_on() || !Screen::is_taken()) {
        screen.take()?;
    }
    if mine {
        let size = screen::size();
        let Some(rows) = pulse.rows(size) else {
            return Ok(None);
        };
        screen.draw(rows, size.1)?;
    }
    let stdin = io::stdin();
    let mut ready = [
        PollFd::new(stop.descriptor(), PollFlags::POLLIN),
        PollFd::new(job.0.as_fd(), PollFlags::POLLIN),
        PollFd::new(stdin.as_fd(), PollFlags::POLLIN),
    ];
    // A job in the background that reads is stopped.
    let watched = if mine {
        &mut ready[..]
    } else {
        &mut ready[..2]
    };
    match poll(watched, PollTimeout::from(PAUSE)) {
        Err(nix::errno::Errno::EINTR) => return Ok(Some(Next::Go)),
        result => result?,
    };
    if ready[0].any().unwrap_or(false) {
        return Ok(None);
    }
    if !mine || !ready[2].any().unwrap_or(false) {
        return Ok(Some(Next::Go));
    }
    let mut keys = [0; 64];
    let count = match rustix::io::read(&stdin, &mut keys) {
        Ok(0) => return Err(io::ErrorKind::UnexpectedEof.into()),
        Ok(count) => count,
        Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => 0,
        Err(error) => return Err(error.into()),
    };
    Ok(Some(obey(&keys[..count], pulse, job)))
}

fn obey(keys: &[u8], pulse: &mut Pulse, job: &Job) -> Next {
    for key in keys {
        match key {
            b'q' | b'Q' | 3 => return Next::End,
            0x1a => {
                screen::leave();
                job.stop();
            }
            b'h' => pulse.toggle_hex(),
            b'p' => pulse.toggle_pause(),
            b'c' => pulse.clear(),
            // Another key's sequence, which comes at once.
            0x1b => return Next::Go,
            _ => {}
        }
    }
    Next::Go
}
