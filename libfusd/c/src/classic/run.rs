//! Waits for whatever device has something to dispatch.

use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::{mem, process};

use fusd_rust::Errno;
use nix::errno::Errno as Raw;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{registry, sets};
use crate::sync::lock;

/// Wakes who waits here, as there are other devices now; with the process it belongs to.
static WAKE: Mutex<Option<(u32, Arc<EventFd>)>> = Mutex::new(None);

/// That of this process: what a child has inherited would wake its parent. `None`: there is no
/// descriptor left for it.
fn waker() -> Option<Arc<EventFd>> {
    let mut wake = lock(&WAKE);
    let process = process::id();
    if let Some((owner, own)) = &*wake
        && *owner == process
    {
        return Some(Arc::clone(own));
    }
    let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
    let own = Arc::new(EventFd::from_flags(flags).ok()?);
    let inherited = wake.replace((process, Arc::clone(&own)));
    // Not closed: the number may be another file's in this process.
    mem::forget(inherited);
    Some(own)
}

/// Where the next look begins, so that no device waits for ever behind a busy one.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// The devices are others now.
pub(crate) fn wake() {
    if let Some(wake) = waker() {
        // Full, it wakes as well.
        let _ = wake.write(1);
    }
}

/// Waits until a device has something to dispatch. `None`: there are no devices.
///
/// # Errors
/// poll(2) fails.
pub(crate) fn wait() -> Result<Option<i32>, Errno> {
    let wake = waker();
    loop {
        let descriptors = registry::descriptors();
        if descriptors.is_empty() {
            return Ok(None);
        }
        let ready = match sets::poll(&descriptors, wake.as_deref().map(AsFd::as_fd)) {
            Err(Raw::EINTR) => continue,
            ready => ready?,
        };
        if let Some(wake) = &wake {
            // EAGAIN: it was not what woke this thread.
            let _ = wake.read();
        }
        let turn = TURN.fetch_add(1, Ordering::Relaxed) % ready.len().max(1);
        if let Some(fd) = ready.get(turn) {
            return Ok(Some(*fd));
        }
    }
}
