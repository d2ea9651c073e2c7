//! The terminal while it is `fusd top`'s, and as it was before on every way to the end.

use std::io::{self, Write};
use std::panic;
use std::sync::Once;
use std::sync::atomic::{AtomicBool, Ordering};

use crossterm::cursor::{Hide, MoveTo, Show};
use crossterm::style::{Attribute, Print, SetAttribute};
use crossterm::terminal::{
    BeginSynchronizedUpdate, Clear, ClearType, EndSynchronizedUpdate, EnterAlternateScreen,
    LeaveAlternateScreen, disable_raw_mode, enable_raw_mode,
};
use crossterm::{execute, queue};
use rustix::termios::tcgetwinsize;

/// The size of a terminal that does not tell: columns and rows.
const SIZE: (usize, usize) = (80, 24);

/// Whether the terminal is taken.
static TAKEN: AtomicBool = AtomicBool::new(false);

/// The terminal. Dropped, it is given back.
pub(super) struct Screen(());

/// Gives the terminal back, once.
fn give_back() {
    if TAKEN.swap(false, Ordering::AcqRel) {
        // Where it is gone, there is nothing to give back.
        let _gone = disable_raw_mode();
        let _gone = execute!(io::stdout(), Show, LeaveAlternateScreen);
    }
}

impl Screen {
    /// Takes the terminal.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn take() -> io::Result<Self> {
        static ONCE: Once = Once::new();
        ONCE.call_once(|| {
            let before = panic::take_hook();
            panic::set_hook(Box::new(move |info| {
                give_back();
                before(info);
            }));
        });
        // From here on, it is given back if anything fails.
        let mut screen = Self(());
        screen.take_again()?;
        Ok(screen)
    }

    /// Takes it again, after it was given back.
    ///
    /// # Errors
    /// It is gone.
    pub(super) fn take_again(&mut self) -> io::Result<()> {
        enable_raw_mode()?;
        TAKEN.store(true, Ordering::Release);
        execute!(io::stdout(), EnterAlternateScreen, Hide)
    }

    /// Gives it back.
    pub(super) fn leave(&self) {
        give_back();
    }

    /// Shows lines, of which the second one is a title, as much of them as fits.
    ///
    /// # Errors
    /// The terminal is gone.
    pub(super) fn draw(&mut self, lines: &[String]) -> io::Result<()> {
        let (columns, rows) = match tcgetwinsize(io::stdout()) {
            Ok(size) if size.ws_row > 0 && size.ws_col > 0 => {
                (usize::from(size.ws_col), usize::from(size.ws_row))
            }
            _ => SIZE,
        };
        let mut out = Vec::new();
        queue!(out, BeginSynchronizedUpdate)?;
        for (number, line) in lines.iter().take(rows).enumerate() {
            // Lossless: a terminal has less than 65536 rows.
            queue!(out, MoveTo(0, number as u16))?;
            if number == 1 {
                queue!(out, SetAttribute(Attribute::Reverse))?;
            }
            // In the last column, some terminals begin a new line.
            let line: String = line.chars().take(columns - 1).collect();
            queue!(out, Print(line), SetAttribute(Attribute::Reset))?;
            queue!(out, Clear(ClearType::UntilNewLine))?;
        }
        if lines.len() < rows {
            queue!(
                out,
                MoveTo(0, lines.len() as u16),
                Clear(ClearType::FromCursorDown)
            )?;
        }
        queue!(out, EndSynchronizedUpdate)?;
        let mut stdout = io::stdout();
        stdout.write_all(&out)?;
        stdout.flush()
    }
}

impl Drop for Screen {
    fn drop(&mut self) {
        give_back();
    }
}
