//! Standard error, whose last line, on a terminal, may show how far the tool is.
//!
//! All that a tool says goes through here, so that the line tears no message: a message takes the
//! line's place, in one write, and the line comes back below it when it is shown next.

use std::env;
use std::io::{self, IsTerminal, Write};
use std::sync::{Arc, Mutex, PoisonError, RwLock, TryLockError};

use nix::unistd::getpgrp;
use rustix::termios::{tcgetpgrp, tcgetwinsize};

/// Takes the line away: to its first column, and erase to its end (ECMA-48, CR and EL).
const CLEAR: &[u8] = b"\r\x1b[K";

/// Columns of a terminal that does not tell how many it has.
const COLUMNS: u16 = 80;

/// The most bytes that are held back; what comes after that is left out, and said to be.
const MOST_HELD: usize = 1 << 20;

/// Whether the line is there. Guards what is written to standard error as well.
static SHOWN: Mutex<bool> = Mutex::new(false);

/// What has the terminal for itself, if anything does.
static SCREEN: RwLock<Option<Arc<dyn Screen>>> = RwLock::new(None);

/// Something of a tool that has the terminal for itself, so that nothing else is to be written there.
pub trait Screen: Send + Sync {
    /// Shows whole lines that would go to standard error.
    fn say(&self, lines: &[u8]);

    /// The process ends at once: the terminal is to be as it was. It must not wait.
    fn leave(&self);
}

/// Has what the tool says go to `screen` from now on, or to standard error again.
pub fn set_screen(screen: Option<Arc<dyn Screen>>) {
    *SCREEN.write().unwrap_or_else(PoisonError::into_inner) = screen;
}

fn screen() -> Option<Arc<dyn Screen>> {
    let screen = SCREEN.read();
    screen.unwrap_or_else(PoisonError::into_inner).clone()
}

/// What is held back, while something else is on the terminal. Taken after `SHOWN`.
static HELD: Mutex<Option<Vec<u8>>> = Mutex::new(None);

/// Whether standard error is a terminal that can show a line and take it away.
pub(crate) fn can_show() -> bool {
    io::stderr().is_terminal() && env::var_os("TERM").is_none_or(|term| term != "dumb")
}

/// Writes lines to standard error, past all that is shown there. Where nobody reads them any more,
/// nothing fails.
pub fn say(lines: impl AsRef<[u8]>) {
    let lines = lines.as_ref();
    if let Some(screen) = screen() {
        return screen.say(lines);
    }
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    let mut held = HELD.lock().unwrap_or_else(PoisonError::into_inner);
    match &mut *held {
        Some(held) if held.len() < MOST_HELD => held.extend_from_slice(lines),
        Some(_) => {}
        None => {
            write(*shown, lines);
            *shown = false;
        }
    }
}

/// Holds back all that is to be written to standard error, because something else is on that terminal,
/// until the result is dropped. Only one may be there at a time.
#[must_use]
pub fn hold() -> Held {
    HELD.lock()
        .unwrap_or_else(PoisonError::into_inner)
        .get_or_insert_default();
    Held(())
}

/// Messages are held back for as long as this lives.
#[derive(Debug)]
pub struct Held(());

impl Drop for Held {
    fn drop(&mut self) {
        let _order = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
        release(&mut HELD.lock().unwrap_or_else(PoisonError::into_inner));
    }
}

fn release(held: &mut Option<Vec<u8>>) {
    let Some(lines) = held.take() else { return };
    write(false, &lines);
    if lines.len() >= MOST_HELD {
        write(false, b"... and more, which is left out\n");
    }
}

/// Shows the line, or what it is now, as much of it as the terminal is wide. `text` is plain ASCII.
/// While the tool is a background job, the terminal is others': nothing is shown.
pub(crate) fn show(text: &str) {
    let mut shown = SHOWN.lock().unwrap_or_else(PoisonError::into_inner);
    *shown = is_in_foreground();
    if *shown {
        // In the last column, some terminals begin a new line, others wait for one more letter.
        let room = usize::from(columns()).saturating_sub(1).max(1);
        write(true, text.get(..room).unwrap_or(text).as_bytes());
    }
}

/// Leaves the line as it is, if it is there, and goes to the next. Does not wait for a terminal that
/// takes nothing.
pub(crate) fn leave() {
    if let Some(screen) = screen() {
        screen.leave();
    }
    let mut shown = match SHOWN.try_lock() {
        Ok(shown) => shown,
        Err(TryLockError::Poisoned(error)) => error.into_inner(),
        Err(TryLockError::WouldBlock) => return,
    };
    if std::mem::take(&mut *shown) {
        write(false, b"\n");
    }
    if let Ok(mut held) = HELD.try_lock() {
        release(&mut held);
    }
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

/// Whether the terminal is this process group's, or that of another session, which has no jobs here.
fn is_in_foreground() -> bool {
    tcgetpgrp(io::stderr()).map_or(true, |group| {
        group.as_raw_nonzero().get() == getpgrp().as_raw()
    })
}
