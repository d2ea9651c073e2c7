//! The line discipline of a terminal: what becomes of the bytes that come from the line before they
//! are read, what is echoed, and what becomes of those that are written.
//!
//! It does what the kernel's does (drivers/tty/n_tty.c), byte for byte; a test compares the two. It
//! knows no files, no time and no other readers. What differs: a signal character flushes and is
//! echoed, but there is nobody to send a signal to, as with a port that controls no session.

mod characters;
mod echo;
mod input;
mod output;
#[cfg(test)]
mod peer;
mod receiving;

use input::Input;
use output::Column;

pub(crate) use input::Piece;

use crate::termios::Settings;

#[derive(Debug, Default)]
pub(crate) struct Discipline {
    settings: Settings,
    input: Input,
    column: Column,
    /// What is echoed, and not sent yet.
    echo: Vec<u8>,
    /// Erased characters are being shown (`ECHOPRT`).
    erasing: bool,
    /// The next character is meant as it is.
    quoted: bool,
    /// The other side has sent the stop character.
    stopped: bool,
    /// A signal character asks for what is to be sent to be dropped.
    drops_output: bool,
}

impl Discipline {
    pub(crate) fn settings(&self) -> &Settings {
        &self.settings
    }

    /// Changes the settings, and the input's lines with them (`n_tty_set_termios`).
    pub(crate) fn set(&mut self, new: Settings) {
        let before = std::mem::replace(&mut self.settings, new);
        if (before.local ^ new.local) & (libc::ICANON | libc::EXTPROC) != 0 {
            match self.has_lines() {
                true => self.input.begin_lines(),
                false => self.input.end_lines(),
            }
            self.erasing = false;
            self.quoted = false;
        }
        if !new.i(libc::IXON) && before.i(libc::IXON) {
            self.stopped = false;
        }
    }

    /// Whether reads get lines.
    pub(crate) fn has_lines(&self) -> bool {
        self.settings.l(libc::ICANON)
    }

    /// Whether the stop character keeps output back.
    pub(crate) fn stopped(&self) -> bool {
        self.stopped
    }

    /// Bytes come from the line.
    pub(crate) fn receive(&mut self, bytes: &[u8]) {
        if self.is_raw() {
            self.input.extend(bytes);
            return;
        }
        for byte in bytes {
            self.receive_byte(*byte);
        }
    }

    /// The line was held low for longer than a character.
    pub(crate) fn receive_break(&mut self) {
        use libc::{BRKINT, IGNBRK, PARMRK};
        self.quoted = false;
        if self.settings.i(IGNBRK) {
            return;
        }
        if self.settings.i(BRKINT) {
            self.flush_for_signal();
            return;
        }
        if self.settings.i(PARMRK) {
            self.store(0xff);
            self.store(0);
        }
        self.store(0);
    }

    /// A byte comes with a wrong parity or without its stop bit.
    pub(crate) fn receive_error(&mut self, byte: u8) {
        use libc::{IGNPAR, INPCK, PARMRK};
        self.quoted = false;
        if !self.settings.i(INPCK) {
            self.store(byte);
        } else if self.settings.i(IGNPAR) {
        } else if self.settings.i(PARMRK) {
            for byte in [0xff, 0, byte] {
                self.store(byte);
            }
        } else {
            self.store(0);
        }
    }

    /// Adds to `out` what is sent for what a program writes.
    pub(crate) fn write(&mut self, bytes: &[u8], out: &mut Vec<u8>) {
        if !self.settings.o(libc::OPOST) {
            out.extend(bytes);
            return;
        }
        for byte in bytes {
            self.column.put(&self.settings, *byte, out);
        }
    }

    /// What is to be sent as echo, once.
    pub(crate) fn take_echo(&mut self) -> Vec<u8> {
        std::mem::take(&mut self.echo)
    }

    /// Whether what is to be sent is to be dropped, once.
    pub(crate) fn takes_output_back(&mut self) -> bool {
        std::mem::take(&mut self.drops_output)
    }

    /// The place after all that has come.
    pub(crate) fn head(&self) -> u64 {
        self.input.head()
    }

    /// The place of the first byte that is kept.
    pub(crate) fn base(&self) -> u64 {
        self.input.base()
    }

    /// The place where a reader begins that is to get nothing of what has come.
    pub(crate) fn start(&self) -> u64 {
        match self.has_lines() {
            true => self.input.line(),
            false => self.input.head(),
        }
    }

    /// Bytes that a reader at `place` can have (`FIONREAD`).
    pub(crate) fn readable(&self, place: u64) -> usize {
        self.input.readable(place, self.has_lines())
    }

    /// What a read of `wanted` bytes at `place` gets, if there is anything.
    pub(crate) fn piece(&self, place: u64, wanted: usize) -> Option<Piece> {
        self.input.piece(place, wanted, self.has_lines())
    }

    /// `length` bytes at `place`.
    pub(crate) fn parts(&self, place: u64, length: usize) -> [&[u8]; 2] {
        self.input.parts(place, length)
    }

    /// Forgets what is before `place`.
    pub(crate) fn forget(&mut self, place: u64) {
        self.input.forget(place);
    }

    /// Drops all input, that of an unfinished line as well.
    pub(crate) fn clear(&mut self) {
        self.input.clear();
        self.erasing = false;
        self.quoted = false;
    }

    /// Starts as a terminal that nobody has used, with the settings it has.
    pub(crate) fn restart(&mut self) {
        self.clear();
        self.column = Column::default();
        self.stopped = false;
        self.echo.clear();
    }

    /// No byte means anything.
    pub(crate) fn is_raw(&self) -> bool {
        use libc::{ECHO, ICANON, ICRNL, IGNCR, INLCR, ISIG, ISTRIP, IUCLC, IXON, PARMRK};
        let input = ISTRIP | IUCLC | IGNCR | ICRNL | INLCR | IXON | PARMRK;
        self.settings.input & input == 0
            && self.settings.local & (ICANON | ISIG | ECHO) == 0
            && !self.quoted
    }
}
