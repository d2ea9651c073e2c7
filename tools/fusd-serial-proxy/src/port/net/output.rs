//! What is sent there, and asked and told of the port.

use std::io::{self, ErrorKind, Write};
use std::net::TcpStream;
use std::sync::Arc;

use fusd::Errno;

use super::{MODEM, Shared, flush};
use crate::port::{Port, telnet};
use crate::sys::COUNTERS;
use crate::termios::Settings;

/// One half.
pub(super) struct Output {
    pub(super) stream: Arc<TcpStream>,
    pub(super) shared: Arc<Shared>,
    /// It is a serial port.
    pub(super) serial: bool,
    pub(super) lines: u32,
}

impl Output {
    fn say(&mut self, bytes: &[u8]) -> Result<(), Errno> {
        if !self.serial {
            return Err(Errno::ENOTTY);
        }
        let mut state = self.shared.lock();
        state.pending.extend(bytes);
        flush(&self.stream, &mut state);
        Ok(())
    }
}

impl Port for Output {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut state = self.shared.lock();
        if !flush(&self.stream, &mut state) || state.suspended {
            return Ok(0);
        }
        let count = if self.serial {
            state.pending.extend(telnet::escape(bytes));
            flush(&self.stream, &mut state);
            bytes.len()
        } else {
            match (&*self.stream).write(bytes) {
                Err(error) if error.kind() == ErrorKind::WouldBlock => 0,
                result => result?,
            }
        };
        state.counts[5] = state.counts[5].wrapping_add(count as u32);
        Ok(count)
    }

    fn apply(&mut self, settings: &mut Settings) -> Result<(), Errno> {
        *settings = settings.encoded();
        if !self.serial {
            return Ok(());
        }
        self.say(&telnet::set(settings))
    }

    fn queued(&mut self) -> usize {
        self.shared.lock().pending.len()
    }

    fn drop_output(&mut self) {
        // Without a serial port there is nothing to be dropped.
        let _none = self.say(&telnet::purge());
    }

    fn lines(&mut self) -> Result<u32, Errno> {
        if !self.serial {
            return Err(Errno::ENOTTY);
        }
        let modem = self.shared.lock().modem;
        let mut lines = self.lines;
        for (bit, line) in MODEM {
            if modem & bit != 0 {
                lines |= line as u32;
            }
        }
        Ok(lines)
    }

    fn set_lines(&mut self, lines: u32) -> Result<(), Errno> {
        let is = |line: i32| lines & line as u32 != 0;
        let (dtr, rts) = (is(libc::TIOCM_DTR), is(libc::TIOCM_RTS));
        self.say(&telnet::lines(dtr, rts))?;
        self.lines = lines & (libc::TIOCM_DTR | libc::TIOCM_RTS) as u32;
        Ok(())
    }

    fn set_break(&mut self, on: bool) -> Result<(), Errno> {
        self.say(&telnet::hold(on))
    }

    fn counters(&mut self) -> Result<[u8; COUNTERS], Errno> {
        if !self.serial {
            return Err(Errno::ENOTTY);
        }
        let mut bytes = [0; COUNTERS];
        let counts = self.shared.lock().counts;
        for (place, count) in bytes.chunks_exact_mut(4).zip(counts) {
            place.copy_from_slice(&count.to_ne_bytes());
        }
        Ok(bytes)
    }

    fn has_unsent(&self) -> bool {
        !self.shared.lock().pending.is_empty()
    }

    fn is_suspended(&self) -> bool {
        self.shared.lock().suspended
    }

    fn handles_flow(&self) -> bool {
        self.serial
    }
}
