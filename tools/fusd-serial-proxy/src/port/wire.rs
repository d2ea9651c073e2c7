//! Ports without hardware: a null modem between two proxies (`pair`), or a plug that joins a port
//! with itself (`loop`).
//!
//! A [`Wire`] goes one way. What a port sends is in the wire until the other side takes it, on a
//! thread of the wire's own, so that neither side's lock is ever held for the other's.

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use fusd::Errno;

use super::{Port, Unit};
use crate::hub::WeakHub;
use crate::sys::{COUNTERS, SERIAL};
use crate::termios::Settings;

/// Bytes that are on their way at most.
const ROOM: usize = 4096;

/// A paced wire hands on what a line takes in this time, or one byte.
const TICK: Duration = Duration::from_millis(1);

/// One direction.
#[derive(Default)]
pub(crate) struct Wire {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    units: VecDeque<Unit>,
    /// Bytes in `units`, and those that are being handed over.
    queued: usize,
    /// What the sender's lines are: `TIOCM_DTR` and `TIOCM_RTS`.
    lines: u32,
    lines_changed: bool,
    /// The receiver takes nothing now.
    refused: bool,
    /// The sender heeds `CTS` (`CRTSCTS`), and the receiver's `RTS` is low.
    heeds: bool,
    clear: bool,
    /// The time that a byte takes, where that is kept.
    byte_time: Option<Duration>,
    /// Until when the line is taken by what was handed on. Timers may be coarse: what is late then
    /// comes together, and the pace is right on the whole.
    taken_until: Option<Instant>,
}

impl Wire {
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes the bytes that are on their way.
    #[cfg(test)]
    pub(crate) fn take_bytes(&self) -> Vec<u8> {
        let mut state = self.lock();
        state.queued = 0;
        let mut bytes = Vec::new();
        for unit in state.units.drain(..) {
            if let Unit::Bytes(more) = unit {
                bytes.extend(more);
            }
        }
        bytes
    }

    /// Waits until there is something for the receiver.
    fn take(&self) -> Unit {
        let mut state = self.lock();
        loop {
            if std::mem::take(&mut state.lines_changed) {
                return Unit::Lines;
            }
            let held = state.refused || state.heeds && !state.clear;
            if !held && !state.units.is_empty() {
                let Some(time) = state.byte_time else {
                    return state.units.pop_front().unwrap_or(Unit::Lines);
                };
                let begin = *state.taken_until.get_or_insert_with(Instant::now);
                let until = begin + state.next(time);
                state = self.pass(state, until);
                // They may have been dropped meanwhile.
                if let Some(unit) = state.pop_due(begin, time) {
                    return unit;
                }
                continue;
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Lets the time pass that bytes take.
    fn pass<'a>(
        &'a self,
        mut state: MutexGuard<'a, State>,
        until: Instant,
    ) -> MutexGuard<'a, State> {
        while let Some(left) = until.checked_duration_since(Instant::now()) {
            if left.is_zero() {
                break;
            }
            state = self
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        state
    }

    /// Hands everything over to `receiver`, for as long as there is one.
    fn serve(&self, receiver: &WeakHub, sender: &WeakHub, same: bool) {
        loop {
            let unit = self.take();
            let count = match &unit {
                Unit::Bytes(bytes) => bytes.len(),
                _ => 0,
            };
            let Some(hub) = receiver.upgrade() else {
                return;
            };
            if same {
                hub.change(|state, _| {
                    self.lock().queued -= count;
                    state.receive(unit);
                });
                continue;
            }
            hub.change(|state, _| state.receive(unit));
            self.lock().queued -= count;
            if let Some(hub) = sender.upgrade().filter(|_| count > 0) {
                // There is room again, and it may be empty.
                hub.change(|_, _| ());
            }
        }
    }
}

impl State {
    /// The time that the next bytes take which are handed on together.
    fn next(&self, time: Duration) -> Duration {
        let Some(Unit::Bytes(bytes)) = self.units.front() else {
            return Duration::ZERO;
        };
        // Lossless: at most some thousands.
        TICK.max(time).min(time * bytes.len() as u32)
    }

    /// The bytes whose time has come on a line that is free since `begin`, or whatever else is first.
    fn pop_due(&mut self, begin: Instant, time: Duration) -> Option<Unit> {
        let Unit::Bytes(bytes) = self.units.front_mut()? else {
            return self.units.pop_front();
        };
        let passed = begin.elapsed().as_nanos() / time.as_nanos().max(1);
        let due = usize::try_from(passed).unwrap_or(usize::MAX);
        let count = due.clamp(1, bytes.len());
        // Lossless: at most some thousands.
        self.taken_until = Some(begin + time * count as u32);
        if count == bytes.len() {
            let unit = self.units.pop_front();
            if self.units.is_empty() {
                self.taken_until = None;
            }
            return unit;
        }
        let rest = bytes.split_off(count);
        Some(Unit::Bytes(std::mem::replace(bytes, rest)))
    }
}

/// One end of a cable.
struct End {
    out: Arc<Wire>,
    back: Arc<Wire>,
    paced: bool,
    /// The lines this side drives.
    lines: u32,
    /// The lines of the other side, as they were counted last.
    seen: u32,
    /// cts, dsr, rng, dcd, rx, tx, frame, overrun, parity, brk, buf_overrun.
    counts: [u32; 11],
    receives: bool,
}

/// A port whose output is its input, or two that are each other's; the wires that have to be
/// [started](start).
pub(crate) fn cable(looped: bool, paced: bool) -> (Vec<Box<dyn Port>>, Vec<Arc<Wire>>) {
    let wires: Vec<Arc<Wire>> = (0..if looped { 1 } else { 2 })
        .map(|_| Arc::default())
        .collect();
    let end = |number: usize| -> Box<dyn Port> {
        Box::new(End {
            out: Arc::clone(&wires[number]),
            back: Arc::clone(&wires[wires.len() - 1 - number]),
            paced,
            lines: 0,
            seen: 0,
            counts: [0; 11],
            receives: true,
        })
    };
    ((0..wires.len()).map(end).collect(), wires)
}

/// Has `wire` hand over what `sender` sends.
///
/// # Errors
/// There is no thread to be had.
pub(crate) fn start(
    wire: Arc<Wire>,
    sender: WeakHub,
    receiver: WeakHub,
    same: bool,
) -> io::Result<()> {
    let serve = move || wire.serve(&receiver, &sender, same);
    thread::Builder::new().name("wire".into()).spawn(serve)?;
    Ok(())
}

impl End {
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
        self.receives = settings.c(libc::CREAD);
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
        self.out.changed.notify_all();
    }

    fn lines(&mut self) -> Result<u32, Errno> {
        // As counted: who sees a change finds it in the counters.
        Ok(self.lines | self.seen)
    }

    fn set_lines(&mut self, lines: u32) -> Result<(), Errno> {
        self.lines = lines & (libc::TIOCM_DTR | libc::TIOCM_RTS) as u32;
        let mut state = self.out.lock();
        if state.lines != self.lines {
            state.lines = self.lines;
            state.lines_changed = true;
            self.out.changed.notify_all();
        }
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
