//! Waiting for something that another process or thread does.

use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that ought to happen at once: generous, as machines that run tests
/// are busy.
pub const DEADLINE: Duration = Duration::from_secs(30);

/// The pause between two looks at a condition.
const PAUSE: Duration = Duration::from_millis(2);

/// Waits until `condition` holds; false if it did not within `limit`.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(PAUSE);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// It did not within [`DEADLINE`]; the message says `what` was waited for.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        holds_within(DEADLINE, condition),
        "waited {DEADLINE:?} in vain until {what}"
    );
}

/// A call that runs on a thread of its own, because it may block.
pub struct Started<T>(Receiver<T>);

/// Runs `call` on a thread of its own. A call that never returns fails the test that waits for
/// it, and holds nothing up.
pub fn start<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Started<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // The test may have given up on the call.
        let _ = sender.send(call());
    });
    Started(receiver)
}

impl<T> Started<T> {
    /// The call's result.
    ///
    /// # Panics
    /// The call has not returned within [`DEADLINE`], or has panicked.
    #[track_caller]
    pub fn wait(self) -> T {
        match self.0.recv_timeout(DEADLINE) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => panic!("the call still blocks after {DEADLINE:?}"),
            Err(RecvTimeoutError::Disconnected) => panic!("the call panicked"),
        }
    }

    /// The call's result, or `None` if it has not returned within [`DEADLINE`].
    pub fn wait_or_give_up(self) -> Option<T> {
        self.0.recv_timeout(DEADLINE).ok()
    }

    /// Whether the call has not returned yet.
    pub fn blocks(&self) -> bool {
        matches!(self.0.try_recv(), Err(mpsc::TryRecvError::Empty))
    }
}
