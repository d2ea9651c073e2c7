//! Tells threads of this program that the pipe has changed.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};

/// A count of changes, on which threads can wait.
#[derive(Default)]
pub(crate) struct Bell {
    count: Mutex<u64>,
    rung: Condvar,
    /// Who cannot wait here.
    listener: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

impl Bell {
    /// Something has changed.
    pub(crate) fn ring(&self) {
        *self.lock() += 1;
        self.rung.notify_all();
        if let Some(listener) = self.listener.get() {
            listener();
        }
    }

    /// Has `listener` called each time it rings, on the thread that changes the pipe: it must not
    /// wait. There is only one; the first stays.
    pub(crate) fn on_ring(&self, listener: impl Fn() + Send + Sync + 'static) {
        self.listener.get_or_init(|| Box::new(listener));
    }

    /// How often it has rung: ask before you look at what may change.
    pub(crate) fn count(&self) -> u64 {
        *self.lock()
    }

    /// Waits until it has rung since the count was `seen`.
    pub(crate) fn wait(&self, seen: u64) {
        let same = |count: &mut u64| *count == seen;
        drop(self.rung.wait_while(self.lock(), same));
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell")
            .field("count", &self.count)
            .finish_non_exhaustive()
    }
}
