//! The modem lines, breaks, and the hang-up after the last close.

use std::time::{Duration, Instant};

use fusd::Errno;

use super::{Effects, State};

/// Lines that the port's own side drives.
pub(crate) const DRIVEN: u32 = (libc::TIOCM_DTR | libc::TIOCM_RTS) as u32;

/// How long what is sent may take after the last close, until the line is hung up all the same
/// (`closing_wait`).
pub(super) const CLOSING: Duration = Duration::from_secs(30);

impl State {
    /// The modem lines. While the port is lost, there is no carrier.
    ///
    /// # Errors
    /// The port has none.
    pub(crate) fn lines(&mut self) -> Result<u32, Errno> {
        match &mut self.port {
            Some(port) => port.lines(),
            None => Ok(self.lines),
        }
    }

    /// The lines of this side.
    pub(crate) fn driven(&self) -> u32 {
        self.lines
    }

    /// Drives the lines of this side.
    ///
    /// # Errors
    /// The port has none.
    pub(crate) fn set_lines(&mut self, lines: u32) -> Result<(), Errno> {
        if let Some(port) = &mut self.port {
            port.set_lines(lines)?;
        }
        self.lines = lines;
        if let Some(tap) = &mut self.tap {
            tap.driven(lines);
        }
        Ok(())
    }

    /// The lines of the other side may have changed.
    pub(super) fn note_lines(&mut self) {
        let found = self.lines();
        if let (Some(tap), Ok(lines)) = (&mut self.tap, found) {
            tap.found(lines);
        }
    }

    /// [`set_lines`](Self::set_lines), where a port without lines has none to drive.
    pub(super) fn drive(&mut self, lines: u32) {
        let _none = self.set_lines(lines);
    }

    /// Begins or ends a break at once.
    ///
    /// # Errors
    /// The port cannot.
    pub(crate) fn set_break_now(&mut self, on: bool) -> Result<(), Errno> {
        match &mut self.port {
            Some(port) => port.set_break(on),
            None => Err(Errno::EIO),
        }
    }

    pub(super) fn set_break(&mut self, on: bool) {
        let _lost = self.set_break_now(on);
    }

    /// Hangs up, if that is to be done and all is sent. What is stopped is not waited for without end.
    pub(super) fn hang_up(&mut self, now: Instant, effects: &mut Effects) {
        if !self.hangs_up {
            self.hang_up_at = None;
            return;
        }
        let latest = *self.hang_up_at.get_or_insert(now + CLOSING);
        if now < latest && !self.is_sent(effects) {
            effects.look_at = Some(effects.look_at.map_or(latest, |then| then.min(latest)));
            return;
        }
        self.hangs_up = false;
        self.hang_up_at = None;
        self.drive(self.lines & !DRIVEN);
    }
}
