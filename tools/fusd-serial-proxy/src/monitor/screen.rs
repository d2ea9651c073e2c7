//! The terminal that the monitor has for itself: taken, drawn on, and given back on every way to the
//! end.

use std::io::{self, Write};
use std::panic;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Mutex, MutexGuard, Once, PoisonError, TryLockError};
use std::thread;
use std::time::Duration;

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{
    Clear, ClearType, EnterAlternateScreen, LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::termios::tcgetwinsize;

/// The size of a terminal that does not tell: rows and columns.
const SIZE: (usize, usize) = (24, 80);

/// Whether the terminal is taken. Locked for as long as something is written to it.
static TAKEN: Mutex<bool> = Mutex::new(false);

/// It was given back only in part, as somebody was writing to it.
static HALF_LEFT: AtomicBool = AtomicBool::new(false);

/// What is on the terminal.
#[derive(Default)]
pub(super) struct Screen {
    rows: Vec<String>,
    columns: usize,
    /// Another job may have had the terminal since it was taken.
    is_doubtful: bool,
}

fn taken() -> MutexGuard<'static, bool> {
    TAKEN.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Rows and columns.
pub(super) fn size() -> (usize, usize) {
    match tcgetwinsize(io::stdout()) {
        Ok(size) if size.ws_row > 0 && size.ws_col > 0 => (size.ws_row.into(), size.ws_col.into()),
        _ => SIZE,
    }
}

/// Gives the terminal back. Does not wait for a terminal that takes nothing: then it has its settings
/// back, and no more. One that is another job's by now is left alone.
pub(super) fn leave() {
    let mine = fusd_tool::is_in_foreground(io::stdin());
    match taken_soon() {
        Some(mut taken) => {
            let was_taken = std::mem::take(&mut *taken);
            if was_taken && mine {
                // First what never waits.
                let _gone = disable_raw_mode();
                if takes_something() {
                    let _gone = execute!(io::stdout(), Show, LeaveAlternateScreen);
                }
            }
        }
        None => {
            // Should the program go on, it is taken again.
            HALF_LEFT.store(true, Ordering::Release);
            if mine {
                let _gone = disable_raw_mode();
            }
        }
    }
}

/// [`taken`], unless somebody draws for longer than a terminal needs that takes what is drawn.
fn taken_soon() -> Option<MutexGuard<'static, bool>> {
    for _ in 0..20 {
        match TAKEN.try_lock() {
            Ok(taken) => return Some(taken),
            Err(TryLockError::Poisoned(error)) => return Some(error.into_inner()),
            Err(TryLockError::WouldBlock) => thread::sleep(Duration::from_millis(1)),
        }
    }
    None
}

/// Whether the terminal takes some bytes now.
pub(super) fn takes_something() -> bool {
    let stdout = io::stdout();
    let mut ready = [PollFd::new(&stdout, PollFlags::OUT)];
    poll(&mut ready, Some(&Timespec::default())).is_ok() && !ready[0].revents().is_empty()
}

/// From now on, a panic is said on the terminal as it was before.
fn leave_at_panic() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let before = panic::take_hook();
        panic::set_hook(Box::new(move |info| {
            leave();
            before(info);
        }));
    });
}

impl Screen {
    /// Whether the terminal is as it was taken.
    pub(super) fn is_taken(&self) -> bool {
        !self.is_doubtful && !HALF_LEFT.load(Ordering::Acquire) && *taken()
    }

    /// Has it taken again as soon as it is this job's.
    pub(super) fn doubt(&mut self) {
        self.is_doubtful = true;
    }

    /// Takes the terminal, or takes it again as another job may have left it.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn take(&mut self) -> io::Result<()> {
        leave_at_panic();
        let mut taken = taken();
        // What another job has set is not what is to be there at the end.
        disable_raw_mode()?;
        enable_raw_mode()?;
        *taken = true;
        HALF_LEFT.store(false, Ordering::Release);
        self.is_doubtful = false;
        self.rows.clear();
        execute!(
            io::stdout(),
            EnterAlternateScreen,
            Hide,
            Clear(ClearType::All)
        )
    }

    /// Shows these rows, the first one as a title. Only what has changed is written.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn draw(&mut self, rows: Vec<String>, columns: usize) -> io::Result<()> {
        let taken = taken();
        if !*taken {
            return Ok(());
        }
        let mut out = Vec::new();
        if rows.len() != self.rows.len() || columns != self.columns {
            self.rows.clear();
            queue!(out, Clear(ClearType::All))?;
        }
        for (number, row) in rows.iter().enumerate() {
            if self.rows.get(number) == Some(row) {
                continue;
            }
            // Lossless: a terminal has less than 65536 rows.
            queue!(out, MoveTo(0, number as u16))?;
            if number == 0 {
                queue!(out, SetAttribute(Attribute::Reverse))?;
            }
            queue!(out, Print(row), SetAttribute(Attribute::Reset))?;
            // After the last column, it would be the last letter that is erased.
            if row.len() < columns {
                queue!(out, Clear(ClearType::UntilNewLine))?;
            }
        }
        self.rows = rows;
        self.columns = columns;
        let mut stdout = io::stdout();
        stdout.write_all(&out)?;
        stdout.flush()
    }
}
