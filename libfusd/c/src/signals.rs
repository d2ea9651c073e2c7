//! Keeps the driver's signals to the driver's own threads.

use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};

/// Runs `code` with all signals blocked. Threads that it starts inherit that, and so do theirs: a
/// signal handler of the driver runs on a thread of the driver, and interrupts its select(2).
pub(crate) fn blocked<T>(code: impl FnOnce() -> T) -> T {
    let mut before = SigSet::empty();
    let all = SigSet::all();
    let blocked = pthread_sigmask(SigmaskHow::SIG_SETMASK, Some(&all), Some(&mut before));
    let result = code();
    if blocked.is_ok() {
        // Fails for an impossible argument only.
        let _ = before.thread_set_mask();
    }
    result
}
