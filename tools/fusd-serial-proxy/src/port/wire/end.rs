//! One end of a cable, as a port.

use std::io;
use std::sync::Arc;
use std::time::{Duration, Instant};

use fusd::Errno;

use super::{ROOM, Wire};
use crate::port::{Port, Unit};
use crate::sys::{COUNTERS, SERIAL};
use crate::termios::Settings;

/// What one side has of both wires, and its own lines.
pub(super) struct End {
    out: Arc<Wire>,
    back: Arc<Wire>,
    paced: bool,
    /// The lines this side drives.
    lines: u32,
    /// The lines of the other side, as they were counted last.
    seen: u32,
    /// cts, dsr, rng, dcd, rx, tx, frame, overrun, parity, brk, buf_overrun.
    counts: [u32; 11],
}

impl End {
    /// What is sent goes to `out`; what comes is from `back`.
    pub(super) fn new(out: Arc<Wire>, back: Arc<Wire>, paced: bool) -> Self {
        Self {
            out,
            back,
            paced,
            lines: 0,
            seen: 0,
            counts: [0; 11],
        }
    }

    /// What this side finds of the other's lines, as a null modem joins them.
    fn find(&self) -> u32 {
        let other = self.back.lock().lines;
        let mut seen = 0;
        if other & libc::TIOCM_DTR as u32 != 0 {
            seen |= (libc::TIOCM_DSR | libc::TIOCM_CD) as u32;
        }
        if other & libc::TIOCM_RTS as u32 != 0 {
            seen |= libc::TIOCM_CTS as u32;
        }
        seen
    }

    fn put(&mut self, unit: Unit) {
        let mut state = self.out.lock();
        if let Unit::Bytes(bytes) = &unit {
            state.queued += bytes.len();
            if state.byte_time.is_some() {
                state.taken_until.get_or_insert_with(Instant::now);
            }
        }
        state.units.push_back(unit);
        self.out.changed.notify_all();
    }
}

impl Port for End {
    fn send(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let room = ROOM.saturating_sub(self.out.lock().queued);
        let count = room.min(bytes.len());
        if count > 0 {
            self.counts[5] = self.counts[5].wrapping_add(count as u32);
            self.put(Unit::Bytes(bytes[..count].to_vec()));
        }
        Ok(count)
    }

    fn apply(&mut self, settings: &mut Settings) -> Result<(), Errno> {
        *settings = settings.encoded();
        let mut state = self.out.lock();
        state.heeds = settings.c(libc::CRTSCTS);
        let bits = f64::from(settings.frame_bits());
        let speed = f64::from(settings.output_speed.max(1));
        state.byte_time = self.paced.then(|| Duration::from_secs_f64(bits / speed));
        self.out.changed.notify_all();
        Ok(())
    }

    fn queued(&mut self) -> usize {
        self.out.lock().queued
    }

    fn backlog(&self) -> usize {
        self.out.lock().queued
    }

    fn drop_output(&mut self) {
        let mut state = self.out.lock();
        for unit in std::mem::take(&mut state.units) {
            match unit {
                Unit::Bytes(bytes) => state.queued -= bytes.len(),
                unit => state.units.push_back(unit),
            }
        }
        state.taken_until = None;
        self.out.changed.notify_all();
    }

    fn lines(&mut self) -> Result<u32, Errno> {
        // As counted: who sees a change finds it in the counters.
        Ok(self.lines | self.seen)
    }

    fn set_lines(&mut self, lines: u32) -> Result<(), Errno> {
        self.lines = lines & (libc::TIOCM_DTR | libc::TIOCM_RTS) as u32;
        let mut state = self.out.lock();
        state.drive(self.lines);
        self.out.changed.notify_all();
        drop(state);
        let mut state = self.back.lock();
        state.clear = self.lines & libc::TIOCM_RTS as u32 != 0;
        self.back.changed.notify_all();
        Ok(())
    }

    fn set_break(&mut self, on: bool) -> Result<(), Errno> {
        if on {
            self.put(Unit::Break);
        }
        Ok(())
    }

    fn counters(&mut self) -> Result<[u8; COUNTERS], Errno> {
        let mut bytes = [0; COUNTERS];
        for (place, count) in bytes.chunks_exact_mut(4).zip(self.counts) {
            place.copy_from_slice(&count.to_ne_bytes());
        }
        Ok(bytes)
    }

    fn serial(&mut self) -> Result<[u8; SERIAL], Errno> {
        // No hardware: type, line, port and interrupt are 0 (PORT_UNKNOWN).
        Ok([0; SERIAL])
    }

    fn waits(&self) -> bool {
        // With the pace of a real line goes that it waits for nobody who has not said so.
        !self.paced
    }

    fn want(&mut self, wanted: bool) {
        let mut state = self.back.lock();
        if state.refused == wanted {
            state.refused = !wanted;
            self.back.changed.notify_all();
        }
    }

    fn next(&mut self, now: Instant) -> Option<Unit> {
        self.back.lock().pop(now)
    }

    fn is_looped(&self) -> bool {
        Arc::ptr_eq(&self.out, &self.back)
    }

    fn came(&mut self, unit: &Unit) {
        let add = |count: &mut u32, more: usize| *count = count.wrapping_add(more as u32);
        match unit {
            Unit::Bytes(bytes) => add(&mut self.counts[4], bytes.len()),
            Unit::Break => add(&mut self.counts[9], 1),
            Unit::Error(_) => add(&mut self.counts[8], 1),
            Unit::Speed(_) => {}
            Unit::Lines => {
                let now = self.find();
                let changed = now ^ std::mem::replace(&mut self.seen, now);
                for (index, line) in [
                    (0, libc::TIOCM_CTS),
                    (1, libc::TIOCM_DSR),
                    (3, libc::TIOCM_CD),
                ] {
                    add(
                        &mut self.counts[index],
                        usize::from(changed & line as u32 != 0),
                    );
                }
            }
        }
    }
}
