//! Tells threads of this program that the pipe has changed.

use std::fmt;
use std::sync::{Condvar, Mutex, MutexGuard, OnceLock, PoisonError};
use std::time::Duration;

/// A count of changes, on which threads can wait.
#[derive(Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
    /// Who cannot wait here.
    listener: OnceLock<Box<dyn Fn() + Send + Sync>>,
}

#[derive(Debug, Default)]
struct State {
    count: u64,
    waiting: usize,
}

impl Bell {
    /// Something has changed.
    pub(crate) fn ring(&self) {
        let mut state = self.lock();
        state.count += 1;
        // To notify nobody takes a system call as well, and this is part of every read and write.
        if state.waiting > 0 {
            self.rung.notify_all();
        }
        drop(state);
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
        self.lock().count
    }

    /// Waits until it has rung since the count was `seen`.
    pub(crate) fn wait(&self, seen: u64) {
        let mut state = self.lock();
        state.waiting += 1;
        let same = |state: &mut State| state.count == seen;
        let waited = self.rung.wait_while(state, same);
        waited.unwrap_or_else(PoisonError::into_inner).waiting -= 1;
    }

    /// Likewise, but not longer than `limit`.
    pub(crate) fn wait_at_most(&self, seen: u64, limit: Duration) {
        let mut state = self.lock();
        state.waiting += 1;
        let same = |state: &mut State| state.count == seen;
        let waited = self.rung.wait_timeout_while(state, limit, same);
        waited.unwrap_or_else(PoisonError::into_inner).0.waiting -= 1;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl fmt::Debug for Bell {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Bell")
            .field("state", &self.state)
            .finish_non_exhaustive()
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::thread;

    use super::*;

    #[test]
    fn whoever_waits_is_woken_and_who_has_missed_it_does_not_wait() {
        let bell = Arc::new(Bell::default());
        let seen = bell.count();
        bell.ring();
        bell.wait(seen);
        let waiting = {
            let (bell, seen) = (Arc::clone(&bell), bell.count());
            thread::spawn(move || bell.wait(seen))
        };
        bell.ring();
        waiting.join().unwrap();
        assert_eq!(bell.lock().waiting, 0);
    }
}
