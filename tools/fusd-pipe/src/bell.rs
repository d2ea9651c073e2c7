//! Tells threads of this program that the pipe has changed.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A count of changes, on which threads can wait.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    count: Mutex<u64>,
    rung: Condvar,
}

impl Bell {
    /// Something has changed.
    pub(crate) fn ring(&self) {
        *self.lock() += 1;
        self.rung.notify_all();
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

    /// Likewise, but not longer than `limit`.
    pub(crate) fn wait_at_most(&self, seen: u64, limit: Duration) {
        let same = |count: &mut u64| *count == seen;
        drop(self.rung.wait_timeout_while(self.lock(), limit, same));
    }

    fn lock(&self) -> MutexGuard<'_, u64> {
        self.count.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
