//! The thread that draws, and obeys keys: as long as the program is the terminal's foreground job.

use std::io;
use std::os::fd::AsFd;

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::job::Job;
use super::pulse::Pulse;
use super::screen::{self, Screen};
use crate::hub::Bell;

/// Between two looks, in milliseconds: ten a second can be read, and cost next to nothing.
const PAUSE: u16 = 100;

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
    let told = job.ask();
    if told.stops {
        screen::leave();
        job.stop()?;
    }
    if told.goes_on || told.stops {
        screen.doubt();
    }
    let mine = fusd_tool::is_in_foreground(io::stdin());
    if mine && !screen.is_taken() {
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
        PollFd::new(job.descriptor(), PollFlags::POLLIN),
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
    obey(&keys[..count], pulse, job).map(Some)
}

fn obey(keys: &[u8], pulse: &mut Pulse, job: &Job) -> io::Result<Next> {
    for key in keys {
        match key {
            b'q' | b'Q' | 3 => return Ok(Next::End),
            0x1a => {
                screen::leave();
                job.stop_all()?;
            }
            b'h' => pulse.toggle_hex(),
            b'p' => pulse.toggle_pause(),
            b'c' => pulse.clear(),
            // Another key's sequence, which comes at once.
            0x1b => return Ok(Next::Go),
            _ => {}
        }
    }
    Ok(Next::Go)
}
