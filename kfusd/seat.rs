// SPDX-License-Identifier: GPL-2.0-only

//! A control file: one driver's seat at a connection. Mostly there is one. A driver that takes over
//! from another one (`connection/succession.rs`) gets a seat of its own at the same connection.

use kernel::{
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        Arc, LockedBy,
    },
};

use crate::connection::{Connection, Inner};
use crate::sys::Viewer;

/// The number of the seat that a connection is made with.
pub(crate) const FIRST: u64 = 1;

/// A driver's seat.
pub(crate) struct Seat {
    connection: Arc<Connection>,
    /// Set once, before anybody else has the file: seats are counted as they are taken.
    number: Atomic<u64>,
    /// The rest.
    pub(crate) state: LockedBy<State, Inner>,
}

/// Of a seat, what is under the connection's lock.
#[derive(Default)]
pub(crate) struct State {
    /// Readers that are to return with [`operation::NUDGED`](crate::wire::operation::NUDGED).
    nudges: u32,
    /// The driver has been told that there is a successor.
    pub(crate) told: bool,
}

impl Seat {
    /// The first one of a new connection, of a driver as seen by `viewer`.
    pub(crate) fn first(viewer: Viewer) -> Result<Arc<Self>> {
        Self::new(Connection::new(viewer)?, FIRST)
    }

    /// One at `connection` that is yet to be taken.
    pub(crate) fn next(connection: &Arc<Connection>) -> Result<Arc<Self>> {
        Self::new(connection.clone(), 0)
    }

    fn new(connection: Arc<Connection>, number: u64) -> Result<Arc<Self>> {
        let seat = Self {
            number: Atomic::new(number),
            state: LockedBy::new(connection.lock_of_state(), State::default()),
            connection,
        };
        Ok(Arc::new(seat, GFP_KERNEL)?)
    }

    /// The connection.
    pub(crate) fn connection(&self) -> &Arc<Connection> {
        &self.connection
    }

    /// Its number; 0 before it is taken.
    pub(crate) fn number(&self) -> u64 {
        self.number.load(Relaxed)
    }

    /// It is taken. Under the connection's lock, once.
    pub(crate) fn take(&self, number: u64) {
        self.number.store(number, Relaxed);
    }

    /// Has one reader return, now or when it comes.
    pub(crate) fn nudge(&self) {
        self.add_nudge(&mut self.connection.lock());
        self.connection.announce();
    }

    /// Has one reader more return. They need not be counted beyond what a number holds.
    pub(crate) fn add_nudge(&self, inner: &mut Inner) {
        let state = self.state.access_mut(inner);
        state.nudges = state.nudges.saturating_add(1);
    }

    /// Whether a reader is to return.
    pub(crate) fn is_nudged(&self, inner: &Inner) -> bool {
        self.state.access(inner).nudges != 0
    }

    /// One has.
    pub(crate) fn take_nudge(&self, inner: &mut Inner) {
        let state = self.state.access_mut(inner);
        state.nudges = state.nudges.saturating_sub(1);
    }
}
