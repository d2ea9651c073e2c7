//! Ports without hardware: a null modem between two proxies (`pair`), or a plug that joins a port
//! with itself (`loop`).
//!
//! A [`Wire`] goes one way. What a port sends is in the wire until the other side takes it: on a
//! thread of the wire's own, so that neither side's lock is ever held for the other's, or before, where
//! it has to know all that has come.

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
    /// Bytes in `units`.
    queued: usize,
    /// There are fewer than the sender knows of.
    freed: bool,
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

    /// Waits until there is something for the receiver, or the sender has room that it does not know of.
    fn wait(&self) {
        let mut state = self.lock();
        while !state.freed {
            let now = Instant::now();
            let changed = match state.due(now) {
                Some(then) if then <= now => return,
                Some(then) => {
                    let waited = self.changed.wait_timeout(state, then - now);
                    waited.unwrap_or_else(PoisonError::into_inner).0
                }
                None => {
                    let waited = self.changed.wait(state);
                    waited.unwrap_or_else(PoisonError::into_inner)
                }
            };
            state = changed;
        }
    }

    /// Hands everything over to `receiver`, for as long as there is one.
    fn serve(&self, receiver: &WeakHub, sender: &WeakHub, same: bool) {
        loop {
            self.wait();
            let Some(hub) = receiver.upgrade() else {
                return;
            };
            // Taken under the receiver's lock: who flushes what has come finds all of it.
            hub.change(|state, now| state.receive_next(now));
            let freed = std::mem::take(&mut self.lock().freed);
            if let Some(hub) = sender.upgrade().filter(|_| freed && !same) {
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

    /// When there is something for the receiver; `None`: not before anything changes.
    fn due(&mut self, now: Instant) -> Option<Instant> {
        if !self.changes.is_empty() {
            return Some(now);
        }
        if self.refused || self.heeds && !self.clear {
            // The time in which it could not be used is not made up for.
            self.taken_until = None;
            return None;
        }
        let first = self.units.front()?;
        let Some(time) = self.byte_time else {
            return Some(now);
        };
        let begin = *self.taken_until.get_or_insert(now);
        let Unit::Bytes(bytes) = first else {
            return Some(begin);
        };
        // Lossless: at most some thousands.
        Some(begin + TICK.max(time).min(time * bytes.len() as u32))
    }

    /// Takes that, if it is there at `now`.
    fn pop(&mut self, now: Instant) -> Option<Unit> {
        self.due(now).filter(|then| *then <= now)?;
        if let Some(lines) = self.changes.pop_front() {
            self.lines = lines;
            return Some(Unit::Lines);
        }
        let paced = self.byte_time.zip(self.taken_until);
        let Some(Unit::Bytes(bytes)) = self.units.front_mut() else {
            return self.units.pop_front();
        };
        let mut count = bytes.len();
        if let Some((time, begin)) = paced {
            let passed = now.duration_since(begin).as_nanos() / time.as_nanos().max(1);
            count = usize::try_from(passed).unwrap_or(count).clamp(1, count);
            // Lossless: at most some thousands.
            self.taken_until = Some(begin + time * count as u32);
        }
        self.queued -= count;
        self.freed = true;
        if count < bytes.len() {
            let rest = bytes.split_off(count);
            return Some(Unit::Bytes(std::mem::replace(bytes, rest)));
        }
        let unit = self.units.pop_front();
        if self.units.is_empty() {
            self.taken_until = None;
        }
        unit
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
            let mut state = wire.lock();
            assert_eq!(state.pop(Instant::now()), Some(Unit::Lines));
            state.lines
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

#[test]
fn a_line_is_as_fast_as_it_was_set() {
    let wire = Wire::default();
    let begin = Instant::now();
    let byte = Duration::from_millis(10);
    let mut state = wire.lock();
    state.byte_time = Some(byte);
    state.units.push_back(Unit::Bytes(vec![b'x'; 10]));
    state.queued = 10;
    let mut come = |now| {
        let unit = state.pop(now);
        unit.map(|unit| match unit {
            Unit::Bytes(bytes) => bytes.len(),
            unit => panic!("{unit:?}"),
        })
    };
    assert_eq!(come(begin), None);
    assert_eq!(come(begin + byte / 2), None);
    assert_eq!(come(begin + byte), Some(1));
    assert_eq!(come(begin + byte * 7 / 2), Some(2));
    assert_eq!(come(begin + byte * 7 / 2), None);
    assert_eq!(state.queued, 7);
    // The other side takes nothing for a while, and nothing of that is made up for.
    state.refused = true;
    assert_eq!(state.due(begin + byte * 5), None);
    state.refused = false;
    let later = begin + byte * 100;
    assert_eq!(state.due(later), Some(later + byte));
    assert_eq!(
        state.pop(later + byte * 7),
        Some(Unit::Bytes(vec![b'x'; 7]))
    );
    assert_eq!((state.queued, state.taken_until), (0, None));
}
