//! The state, and all that is told of its changes: the clients that wait, the clock, the port's
//! thread.

use std::io;
use std::os::fd::{AsFd, BorrowedFd};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError, Weak};
use std::thread;
use std::time::Instant;

use fusd::WaitQueue;
use fusd_tool::Clock;
use nix::sys::eventfd::{EfdFlags, EventFd};

use crate::port::Unit;
use crate::state::{Interest, State};

/// Clones are the same one.
#[derive(Clone)]
pub(crate) struct Hub(Arc<Shared>);

struct Shared {
    queue: WaitQueue<State>,
    clock: OnceLock<Clock>,
    /// Wakes the port's thread.
    port_bell: Bell,
    /// Whoever looks on from within, if anybody does. Locked under the queue's lock, or with no other.
    onlooker: Mutex<Option<Arc<dyn Onlooker>>>,
}

/// Somebody within the program who has a part in every change of the state, on the thread that changes
/// it and under the queue's lock: what is done there wakes no other thread.
pub(crate) trait Onlooker: Send + Sync {
    /// Bytes come from the port: how many of them it takes before the state has them.
    fn offer(&self, state: &State, bytes: &[u8]) -> usize;

    /// The state has changed: takes what there is to be taken.
    fn take(&self, state: &mut State, now: Instant);

    /// All that has become possible by that is done.
    fn look(&self, state: &State);
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
            onlooker: Mutex::new(None),
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

    /// Has `onlooker` look on from now on, in place of another one, or nobody.
    pub(crate) fn look_on(&self, onlooker: Option<Arc<dyn Onlooker>>) {
        *self.onlooker() = onlooker;
    }

    fn onlooker(&self) -> MutexGuard<'_, Option<Arc<dyn Onlooker>>> {
        let onlooker = self.0.onlooker.lock();
        onlooker.unwrap_or_else(PoisonError::into_inner)
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

    /// Something has come from the port, and goes to whom it is for. What the port's thread is to wait
    /// for from now on.
    pub(crate) fn receive(&self, units: &mut Vec<Unit>) -> Interest {
        let now = Instant::now();
        self.0.queue.update(|state| {
            let onlooker = self.onlooker();
            for unit in units.drain(..) {
                match (onlooker.as_deref(), &unit) {
                    (Some(onlooker), Unit::Bytes(bytes)) => {
                        let taken = onlooker.offer(state, bytes);
                        state.receive_rest(unit, taken);
                    }
                    _ => state.receive(unit),
                }
            }
            drop(onlooker);
            self.changed(state, now);
            state.interest()
        })
    }

    /// To be called after each change, under the queue's lock.
    pub(crate) fn changed(&self, state: &mut State, now: Instant) {
        let onlooker = self.onlooker();
        if let Some(onlooker) = onlooker.as_deref() {
            onlooker.take(state, now);
        }
        let effects = state.advance(now);
        if let Some(onlooker) = onlooker.as_deref() {
            onlooker.look(state);
        }
        drop(onlooker);
        if let Some(then) = effects.look_at {
            self.look_at(then);
        }
        if effects.interest {
            self.0.port_bell.ring();
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
