//! What comes from there: bytes, and what the other side tells of its port.

use std::io::{self, ErrorKind, Read};
use std::net::TcpStream;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::Arc;

use super::{MODEM, Shared, flush};
use crate::port::telnet::{Decoder, Notice};
use crate::port::{Source, Unit};

/// Bytes of one read.
const READ: usize = 4096;

/// Bits of the line's state: overrun, parity, framing, break.
const OVERRUN: u8 = 0x02;
const PARITY: u8 = 0x04;
const FRAMING: u8 = 0x08;
const BREAK: u8 = 0x10;

/// The other half.
pub(super) struct Input {
    pub(super) stream: Arc<TcpStream>,
    pub(super) shared: Arc<Shared>,
    pub(super) decoder: Option<Decoder>,
}

impl Input {
    /// What the other side has said, as far as clients learn of it.
    fn notice(&self, notice: Notice, units: &mut Vec<Unit>) {
        let mut state = self.shared.lock();
        match notice {
            Notice::Speed(speed) => units.push(Unit::Speed(speed)),
            Notice::Suspended(suspended) => state.suspended = suspended,
            Notice::Known(known) => state.known = Some(known),
            Notice::Modem(modem) => {
                state.modem = modem;
                // In the order of the counters.
                for (index, (bit, _)) in MODEM.into_iter().enumerate() {
                    let changed = u32::from(modem & bit >> 4 != 0);
                    state.counts[index] = state.counts[index].wrapping_add(changed);
                }
                units.push(Unit::Lines);
            }
            Notice::Line(line) => {
                for (bit, index) in [(FRAMING, 6), (OVERRUN, 7), (PARITY, 8), (BREAK, 9)] {
                    let more = u32::from(line & bit != 0);
                    state.counts[index] = state.counts[index].wrapping_add(more);
                }
                if line & BREAK != 0 {
                    units.push(Unit::Break);
                }
            }
        }
    }
}

impl Source for Input {
    fn descriptor(&self) -> BorrowedFd<'_> {
        self.stream.as_fd()
    }

    fn read(&mut self, units: &mut Vec<Unit>) -> io::Result<bool> {
        let mut buffer = [0; READ];
        let count = match (&*self.stream).read(&mut buffer) {
            Ok(0) => return Ok(false),
            Ok(count) => count,
            Err(error) => match error.kind() {
                ErrorKind::WouldBlock | ErrorKind::Interrupted => return Ok(true),
                _ => return Err(error),
            },
        };
        let Some(decoder) = &mut self.decoder else {
            units.push(Unit::Bytes(buffer[..count].to_vec()));
            return Ok(true);
        };
        let decoded = decoder.take(&buffer[..count]);
        if !decoded.bytes.is_empty() {
            let mut state = self.shared.lock();
            let count = decoded.bytes.len() as u32;
            state.counts[4] = state.counts[4].wrapping_add(count);
            units.push(Unit::Bytes(decoded.bytes));
        }
        for notice in decoded.notices {
            self.notice(notice, units);
        }
        if !decoded.answer.is_empty() {
            let mut state = self.shared.lock();
            state.pending.extend(decoded.answer);
            flush(&self.stream, &mut state);
        }
        Ok(true)
    }
}
