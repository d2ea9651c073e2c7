//! Tells threads of this program that the pipe has changed.

use std::sync::{Condvar, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

/// A count of changes, on which threads can wait.
#[derive(Debug, Default)]
pub(crate) struct Bell {
    state: Mutex<State>,
    rung: Condvar,
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
