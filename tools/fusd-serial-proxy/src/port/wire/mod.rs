//! Ports without hardware: a null modem between two proxies (`pair`), or a plug that joins a port
//! with itself (`loop`).
//!
//! A [`Wire`] goes one way. What a port sends is in the wire until the other side takes it, on a
//! thread of the wire's own, so that neither side's lock is ever held for the other's.

mod end;

use std::collections::VecDeque;
use std::io;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use end::End;

use super::{Port, Unit};
use crate::hub::WeakHub;

/// Bytes that are on their way at most.
const ROOM: usize = 4096;

/// Changes of the lines that are on their way at most: then a later one takes the place of the last.
const CHANGES: usize = 64;

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
    /// What the receiver knows of the sender's lines: `TIOCM_DTR` and `TIOCM_RTS`.
    lines: u32,
    /// What they have become since, one after the other: a pulse is seen however short it is.
    changes: VecDeque<u32>,
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
            if let Some(lines) = state.changes.pop_front() {
                state.lines = lines;
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
    /// The sender's lines are these now.
    fn drive(&mut self, lines: u32) {
        if lines == *self.changes.back().unwrap_or(&self.lines) {
            return;
        }
        if self.changes.len() == CHANGES {
            self.changes.pop_back();
        }
        self.changes.push_back(lines);
    }

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

/// A port whose output is its input, or two that are each other's; the wires that have to be
/// [started](start).
pub(crate) fn cable(looped: bool, paced: bool) -> (Vec<Box<dyn Port>>, Vec<Arc<Wire>>) {
    let wires: Vec<Arc<Wire>> = (0..if looped { 1 } else { 2 })
        .map(|_| Arc::default())
        .collect();
    let end = |number: usize| -> Box<dyn Port> {
        let (out, back) = (&wires[number], &wires[wires.len() - 1 - number]);
        Box::new(End::new(Arc::clone(out), Arc::clone(back), paced))
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

#[test]
fn every_change_of_the_lines_is_told() {
    let wire = Wire::default();
    let tell = || -> Vec<u32> {
        let count = wire.lock().changes.len();
        let told = (0..count).map(|_| {
            assert_eq!(wire.take(), Unit::Lines);
            wire.lock().lines
        });
        told.collect()
    };
    for lines in [6, 6, 0, 6] {
        wire.lock().drive(lines);
    }
    assert_eq!(tell(), [6, 0, 6]);
    wire.lock().drive(6);
    assert!(tell().is_empty());
    // Who drives them without end has no more memory for it; the last one counts.
    for lines in [0, 2].into_iter().cycle().take(1001) {
        wire.lock().drive(lines);
    }
    wire.lock().drive(4);
    let told = tell();
    assert_eq!((told.len(), told.last()), (CHANGES, Some(&4)));
}
