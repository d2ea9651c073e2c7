//! The state, and all that is told of its changes: the clients that wait, the clock, the port's
//! thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Instant;

use fusd::WaitQueue;
use fusd_tool::Clock;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::state::State;

/// Clones are the same one.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

struct Shared {
    queue: WaitQueue<State>,
    clock: OnceLock<Clock>,
    /// Wakes the port's thread.
    port_bell: Bell,
    /// Wakes whoever looks on from within, if anybody does.
    bell: OnceLock<Arc<Bell>>,
}

/// A hub that may be gone.
#[derive(Clone)]
pub(crate) struct WeakHub(Weak<Shared>);

/// A descriptor that can be read when there is something to look at.
pub(crate) struct Bell(EventFd);

impl Bell {
    pub(crate) fn new() -> io::Result<Self> {
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        Ok(Self(EventFd::from_value_and_flags(0, flags)?))
    }

    pub(crate) fn ring(&self) {
        // It is full only if nobody has looked for 2^64 times.
        let _full = self.0.write(1);
    }

    pub(crate) fn quiet(&self) {
        let _silent = self.0.read();
    }

    pub(crate) fn descriptor(&self) -> BorrowedFd<'_> {
        self.0.as_fd()
    }
}

impl Hub {
    /// # Errors
    /// A thread or a descriptor cannot be had.
    pub(crate) fn new(state: State) -> io::Result<Self> {
        let hub = Self(Arc::new(Shared {
            queue: WaitQueue::new(state),
            clock: OnceLock::new(),
            port_bell: Bell::new()?,
            bell: OnceLock::new(),
        }));
        let weak = hub.downgrade();
        let clock = Clock::start(move || {
            if let Some(hub) = weak.upgrade() {
                hub.change(|_, _| ());
            }
        })?;
        hub.0.clock.get_or_init(|| clock);
        Ok(hub)
    }

    pub(crate) fn downgrade(&self) -> WeakHub {
        WeakHub(Arc::downgrade(&self.0))
    }

    pub(crate) fn queue(&self) -> &WaitQueue<State> {
        &self.0.queue
    }

    pub(crate) fn port_bell(&self) -> &Bell {
        &self.0.port_bell
    }

    /// Has `bell` rung at every change, from now on.
    pub(crate) fn ring_at_changes(&self, bell: Arc<Bell>) {
        self.0.bell.get_or_init(|| bell);
    }

    /// Has the state looked at again at that time.
    pub(crate) fn look_at(&self, then: Instant) {
        if let Some(clock) = self.0.clock.get() {
            clock.at(then);
        }
    }

    /// Changes the state, and serves whoever can be served.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = Instant::now();
        self.0.queue.update(|state| {
            let result = change(state, now);
            self.changed(state, now);
            result
        })
    }

    /// To be called after each change, under the queue's lock.
    pub(crate) fn changed(&self, state: &mut State, now: Instant) {
        let effects = state.advance(now);
        if let Some(then) = effects.look_at {
            self.look_at(then);
        }
        if effects.interest {
            self.0.port_bell.ring();
        }
        if let Some(bell) = self.0.bell.get() {
            bell.ring();
        }
        if let Some(drain) = effects.drain {
            let weak = self.downgrade();
            let wait = move || {
                drain();
                if let Some(hub) = weak.upgrade() {
                    hub.change(|state, _| state.drained());
                }
            };
            let thread = thread::Builder::new().name("drain".into());
            if let Err(error) = thread.spawn(wait) {
                tracing::warn!(%error, "cannot start a thread; output is taken for sent");
                state.drained();
            }
        }
    }
}

impl WeakHub {
    pub(crate) fn upgrade(&self) -> Option<Hub> {
        self.0.upgrade().map(Hub)
    }
}
