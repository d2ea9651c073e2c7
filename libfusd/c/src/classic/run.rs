//! Waits for whatever device has something to dispatch.

use std::os::fd::AsFd;
use std::sync::LazyLock;
use std::sync::atomic::{AtomicUsize, Ordering};

use fusd_rust::Errno;
use nix::errno::Errno as Raw;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{registry, sets};

/// Wakes who waits here, as there are other devices now. `None`: there is no descriptor left for it.
static WAKE: LazyLock<Option<EventFd>> = LazyLock::new(|| {
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    EventFd::from_flags(flags).ok()
});

/// Where the next look begins, so that no device waits for ever behind a busy one.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// The devices are others now.
pub(crate) fn wake() {
    if let Some(wake) = &*WAKE {
        // Full, it wakes as well.
        let _ = wake.write(1);
    }
}

/// Waits until a device has something to dispatch. `None`: there are no devices.
///
/// # Errors
/// poll(2) fails.
pub(crate) fn wait() -> Result<Option<i32>, Errno> {
    loop {
        let descriptors = registry::descriptors();
        if descriptors.is_empty() {
            return Ok(None);
        }
        let wake = WAKE.as_ref().map(AsFd::as_fd);
        let ready = match sets::poll(&descriptors, wake) {
            Err(Raw::EINTR) => continue,
            ready => ready?,
        };
        if let Some(wake) = &*WAKE {
            // EAGAIN: it was not what woke this thread.
            let _ = wake.read();
        }
        let turn = TURN.fetch_add(1, Ordering::Relaxed) % ready.len().max(1);
        if let Some(fd) = ready.get(turn) {
            return Ok(Some(*fd));
        }
    }
}
