//! Tells a process from the one that has forked it.
#![allow(unsafe_code)]

use std::sync::Once;
use std::sync::atomic::{AtomicU32, Ordering};

/// How many fork(2)s lie between this process and the one that loaded the library.
static GENERATION: AtomicU32 = AtomicU32::new(0);

/// Which process of its line this is. (Unlike getpid(2), it takes no system call.)
pub(crate) fn generation() -> u32 {
    static COUNTED: Once = Once::new();
    COUNTED.call_once(|| {
        // SAFETY: the handler does what a signal handler may, and stays: the library is never
        // unloaded (`-z nodelete` in build.rs). It fails for want of memory alone.
        let result = unsafe { libc::pthread_atfork(None, None, Some(count)) };
        if result != 0 {
            tracing::warn!("no memory to watch for fork(2): a child may answer its parent's calls");
        }
    });
    GENERATION.load(Ordering::Relaxed)
}

/// Runs in each child.
extern "C" fn count() {
    GENERATION.fetch_add(1, Ordering::Relaxed);
}
