//! What the terminal gets: given to it on whatever thread it comes by, so that no other has to wake.

use std::fs::File;
use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::CLIENT;
use crate::discipline::Piece;
use crate::hub::{Bell, Onlooker};
use crate::state::{State, Writing};

/// Bytes that are copied at once.
pub(super) const COPIED: usize = 4096;

/// The terminal's other side, and what its thread waits for.
pub(super) struct Gate {
    master: File,
    bell: Bell,
    inner: Mutex<Inner>,
}

#[derive(Default)]
struct Inner {
    is_open: bool,
    /// What the thread waits for, while it does.
    waits: Option<Wants>,
}

/// What the thread has to do, or can do, if the terminal lets it.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Wants {
    /// The terminal is open: bytes of what is written there that the state takes.
    pub(super) output: usize,
    /// It is open, and has not taken all that has come.
    pub(super) input: bool,
    /// Nobody has it open, as far as is known, and something has come.
    pub(super) unclaimed: bool,
}

impl Gate {
    pub(super) fn new(master: File) -> io::Result<Self> {
        Ok(Self {
            master,
            bell: Bell::new()?,
            inner: Mutex::default(),
        })
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn master(&self) -> &File {
        &self.master
    }

    /// What wakes the thread.
    pub(super) fn bell(&self) -> &Bell {
        &self.bell
    }

    pub(super) fn descriptor(&self) -> BorrowedFd<'_> {
        self.master.as_fd()
    }

    pub(super) fn is_open(&self) -> bool {
        self.lock().is_open
    }

    /// Has what comes given to the terminal from now on, or no longer.
    pub(super) fn set_open(&self, is_open: bool) {
        self.lock().is_open = is_open;
    }

    /// The thread is about to wait; for what. To be called under the queue's lock: then it is woken at
    /// the next change of that.
    pub(super) fn sleep(&self, state: &State) -> Wants {
        let mut inner = self.lock();
        let wants = inner.wants(state);
        inner.waits = Some(wants);
        wants
    }

    /// What there is to do now.
    pub(super) fn wants(&self, state: &State) -> Wants {
        self.lock().wants(state)
    }

    /// Gives the terminal bytes; how many it takes. If none, the thread waits until it does, or finds
    /// out why.
    fn write(&self, bytes: &[u8]) -> usize {
        rustix::io::write(&self.master, bytes).unwrap_or(0)
    }

    /// It waits no longer.
    pub(super) fn wake(&self) {
        self.lock().waits = None;
    }
}

impl Inner {
    fn wants(&self, state: &State) -> Wants {
        let there = state.readable(CLIENT) > 0;
        Wants {
            output: if self.is_open { room(state) } else { 0 },
            input: self.is_open && there,
            unclaimed: !self.is_open && there,
        }
    }
}

/// Bytes that the state takes.
fn room(state: &State) -> usize {
    match state.writing(CLIENT, COPIED) {
        Writing::Take(count) => count,
        Writing::Wait => 0,
        // What cannot be written is dropped, as a line without anybody does.
        Writing::Fail(_) => COPIED,
    }
}

impl Onlooker for Gate {
    fn offer(&self, state: &State, bytes: &[u8]) -> usize {
        match self.is_open() && state.passes_on(CLIENT) {
            true => self.write(bytes),
            false => 0,
        }
    }

    fn take(&self, state: &mut State, _: Instant) {
        if !self.is_open() {
            return;
        }
        loop {
            let length = state.readable(CLIENT);
            let piece = Piece { length, skipped: 0 };
            let [bytes, _] = state.parts(CLIENT, piece);
            if bytes.is_empty() {
                return;
            }
            let wanted = bytes.len();
            let length = self.write(bytes);
            if length > 0 {
                state.consume(CLIENT, Piece { length, skipped: 0 });
            }
            if length < wanted {
                return;
            }
        }
    }

    fn look(&self, state: &State) {
        let mut inner = self.lock();
        let now = inner.wants(state);
        let more = |before: Wants| {
            now.output > 0 && before.output == 0
                || now.input && !before.input
                || now.unclaimed && !before.unclaimed
        };
        if inner.waits.take_if(|before| more(*before)).is_some() {
            self.bell.ring();
        }
    }
}
