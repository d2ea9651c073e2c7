//! What is at the other side of the proxy: a serial port, or something that can be taken for one.
//!
//! A [`Port`] is what the state sends to and asks; a [`Source`] is where its input comes from, on a
//! thread of its own. Two halves of the same thing.

pub(crate) mod marks;
pub(crate) mod net;
mod telnet;
pub(crate) mod tty;
pub(crate) mod wire;

use std::io;
use std::os::fd::BorrowedFd;
use std::time::Instant;

use fusd::Errno;

use crate::sys::{COUNTERS, RS485, SERIAL};
use crate::termios::Settings;

/// Something that comes from the line.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Unit {
    Bytes(Vec<u8>),
    /// The line was held low.
    Break,
    /// A byte with a wrong parity, or without its stop bit.
    Error(u8),
    /// The modem lines may have changed.
    Lines,
    /// The port says that it has this speed, in bit/s.
    Speed(u32),
}

/// Where bytes are sent. Nothing here waits for the line.
pub(crate) trait Port: Send {
    /// Sends the first of these bytes; how many, which may be none for now.
    ///
    /// # Errors
    /// The port is lost.
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize>;

    /// Sets the line, and tells in `settings` what has come of it.
    ///
    /// # Errors
    /// The port does not take them.
    fn apply(&mut self, settings: &mut Settings) -> Result<(), Errno>;

    /// Bytes that have been taken by [`send`](Self::send) and are not on the line yet.
    fn queued(&mut self) -> usize;

    /// The same, as far as changes of it are told: what poll(2) goes by.
    fn backlog(&self) -> usize {
        0
    }

    /// What returns when they are, and may take long; `None` if [`queued`](Self::queued) tells all.
    fn drain(&mut self) -> Option<Box<dyn FnOnce() + Send>> {
        None
    }

    /// Drops them.
    fn drop_output(&mut self) {}

    /// The modem lines, as `TIOCM_` bits.
    ///
    /// # Errors
    /// The port has none (`ENOTTY`), or is lost.
    fn lines(&mut self) -> Result<u32, Errno>;

    /// Drives the lines of this side.
    ///
    /// # Errors
    /// Likewise.
    fn set_lines(&mut self, lines: u32) -> Result<(), Errno>;

    /// Begins or ends a break.
    ///
    /// # Errors
    /// The port cannot.
    fn set_break(&mut self, on: bool) -> Result<(), Errno>;

    /// A `struct serial_icounter_struct`.
    ///
    /// # Errors
    /// The port counts nothing (`ENOTTY`).
    fn counters(&mut self) -> Result<[u8; COUNTERS], Errno> {
        Err(Errno::ENOTTY)
    }

    /// Whether changes of the lines are to be looked for, because nothing tells of them.
    fn hides_changes(&self) -> bool {
        false
    }

    /// A `struct serial_struct`.
    ///
    /// # Errors
    /// There is none (`ENOTTY`).
    fn serial(&mut self) -> Result<[u8; SERIAL], Errno> {
        Err(Errno::ENOTTY)
    }

    /// A `struct serial_rs485`.
    ///
    /// # Errors
    /// The hardware cannot do that (`ENOTTY`).
    fn rs485(&mut self) -> Result<[u8; RS485], Errno> {
        Err(Errno::ENOTTY)
    }

    /// Changes those settings; what has come of them.
    ///
    /// # Errors
    /// Likewise.
    fn set_rs485(&mut self, _value: [u8; RS485]) -> Result<[u8; RS485], Errno> {
        Err(Errno::ENOTTY)
    }

    /// Whether it keeps bytes that it has yet to send, by the next [`send`](Self::send).
    fn has_unsent(&self) -> bool {
        false
    }

    /// Whether the other side takes nothing for now, and its [`Source`] tells when it does again.
    fn is_suspended(&self) -> bool {
        false
    }

    /// Sends the stop character, or the start character, ahead of all that waits; false where the
    /// port has no way to.
    fn send_flow(&mut self, _stop: bool) -> bool {
        false
    }

    /// Whether the port itself obeys the stop character and sends it (`IXON`, `IXOFF`).
    fn handles_flow(&self) -> bool {
        false
    }

    /// Whether the other side waits for [`want`](Self::want), so that nothing need be lost.
    fn waits(&self) -> bool {
        false
    }

    /// Says whether anything that comes is wanted now. Where it is not, the other side is to wait.
    fn want(&mut self, _wanted: bool) {}

    /// What has come by `now` and was not handed over, where no [`Source`] does that.
    fn next(&mut self, _now: Instant) -> Option<Unit> {
        None
    }

    /// Whether all that is sent comes back.
    fn is_looped(&self) -> bool {
        false
    }

    /// Something has come in: for those that count it themselves.
    fn came(&mut self, _unit: &Unit) {}

    /// Leaves it as it was found.
    fn restore(&mut self) {}
}

/// Where input comes from.
pub(crate) trait Source: Send {
    /// What tells by poll(2) that there is some.
    fn descriptor(&self) -> BorrowedFd<'_>;

    /// Adds what there is to `units`; false where the port is lost.
    ///
    /// # Errors
    /// The port is lost.
    fn read(&mut self, units: &mut Vec<Unit>) -> io::Result<bool>;
}

/// A port that has been opened.
pub(crate) struct Opened {
    pub(crate) port: Box<dyn Port>,
    pub(crate) source: Box<dyn Source>,
    /// The settings it was found with.
    pub(crate) settings: Settings,
    /// What came while it was opened.
    pub(crate) early: Vec<Unit>,
}
