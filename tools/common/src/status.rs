//! Standard error, whose last line, on a terminal, may show how far the tool is.
//!
//! All that a tool says goes through here, so that the line tears no message: a message takes the
//! line's place, in one write, and the line comes back below it when it is shown next.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::os::fd::AsFd;
use std::sync::{Mutex, PoisonError, TryLockError};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use rustix::termios::tcgetwinsize;

use crate::{is_in_foreground, screen};

/// Takes the line away: to its first column, and erase to its end (ECMA-48, CR and EL).
const CLEAR: &[u8] = b"\r\x1b[K";

/// Columns of a terminal that does not tell how many it has.
const COLUMNS: u16 = 80;

/// Whether the line is there. Guards what is written to standard error as well.
static SHOWN: Mutex<bool> = Mutex::new(false);

/// Whether standard error is a terminal that can show a line and take it away.
pub(crate) fn can_show() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Writes lines to standard error, past all that is shown there; while a [screen](crate::Screen) has the
/// terminal, later. Where nobody reads them any more, nothing fails.
pub fn say(lines: impl AsRef<[u8]>) {
    let lines = lines.as_ref();
    if !screen::keep(lines) {
        let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        write(*shown, lines);
        *shown = false;
    }
}

/// Writes what `kept` gives, before all that is said once that has been called.
pub(crate) fn say_first(kept: impl FnOnce() -> Vec<u8>) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let lines = kept();
    if !lines.is_empty() {
        write(*shown, &lines);
        *shown = false;
    }
}

/// Shows the line, or what it is now, as much of it as the terminal is wide. `text` is plain ASCII.
/// While the tool is a background job, the terminal is others': nothing is shown.
pub(crate) fn show(text: &str) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *shown = is_in_foreground(io::stderr());
    if *shown {
        // In the last column, some terminals begin a new line, others wait for one more letter.
        let room = usize::from(columns()).saturating_sub(1).max(1);
        write(true, text.get(..room).unwrap_or(text).as_bytes());
    }
}

/// Leaves the line as it is, if it is there, and goes to the next. Does not wait for a terminal that
/// takes nothing.
pub(crate) fn leave() {
    leave_and_say(&[]);
}

/// The process ends at once: the terminal is left as it was, and what was kept for later is said now.
pub(crate) fn leave_at_exit() {
    leave_and_say(&screen::leave());
}

fn leave_and_say(lines: &[u8]) {
    let mut shown = match SHOWN.try_lock() {
        Ok(shown) => shown,
        Err(TryLockError::Poisoned(error)) => error.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    let end: &[u8] = if std::mem::take(&mut *shown) {
        b"\n"
    } else {
        b""
    };
    if !(end.is_empty() && lines.is_empty()) && is_writable() {
        write(false, &[end, lines].concat());
    }
}

/// Whether standard error takes something now.
fn is_writable() -> bool {
    let stderr = io::stderr();
    let mut fds = [PollFd::new(stderr.as_fd(), PollFlags::POLLOUT)];
    poll(&mut fds, PollTimeout::ZERO).is_ok() && fds[0].any() == Some(true)
}

/// One write, so that lines of several processes do not mix.
fn write(clear: bool, bytes: &[u8]) {
    let clear = if clear { CLEAR } else { b"" };
    drop(io::stderr().write_all(&[clear, bytes].concat()));
}

fn columns() -> u16 {
    match tcgetwinsize(io::stderr()) {
        Ok(size) if size.ws_col > 0 => size.ws_col,
        _ => COLUMNS,
    }
}
