//! Waits for whatever device has something to dispatch.

use std::cell::RefCell;
use std::os::fd::AsFd;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::{Arc, Mutex, Weak};
use std::{mem, process};

use fusd_rust::Errno;
use nix::errno::Errno as Raw;
use nix::sys::eventfd::{EfdFlags, EventFd};

use super::{polling, registry, sets};
use crate::standard;
use crate::sync::lock;

/// What wakes each of the threads that have waited here.
static WAKERS: Mutex<Vec<Weak<Waker>>> = Mutex::new(Vec::new());

thread_local! {
    static OWN: RefCell<Option<Arc<Waker>>> = const { RefCell::new(None) };
}

/// Wakes one thread, as there are other devices now.
struct Waker {
    /// Whose it is: what a child has inherited would wake its parent.
    process: u32,
    event: EventFd,
}

impl Waker {
    fn is_own(&self) -> bool {
        self.process == process::id()
    }
}

/// That of this thread. `None`: there is no descriptor left for it.
fn waker() -> Option<Arc<Waker>> {
    OWN.with_borrow_mut(|own| {
        if let Some(own) = own.as_ref().filter(|own| own.is_own()) {
            return Some(Arc::clone(own));
        }
        let flags = EfdFlags::EFD_CLOEXEC | EfdFlags::EFD_NONBLOCK;
        let event = standard::spared(|| EventFd::from_flags(flags)).ok()?;
        let waker = Arc::new(Waker {
            process: process::id(),
            event,
        });
        let mut wakers = lock(&WAKERS);
        wakers.retain(|waker| waker.strong_count() > 0);
        wakers.push(Arc::downgrade(&waker));
        drop(wakers);
        // Not closed: the number may be another file's in this process.
        mem::forget(own.replace(Arc::clone(&waker)));
        Some(waker)
    })
}

/// Where the next look begins, so that no device waits for ever behind a busy one.
static TURN: AtomicUsize = AtomicUsize::new(0);

/// The devices are others now.
pub(crate) fn wake() {
    let wakers: Vec<_> = lock(&WAKERS).iter().filter_map(Weak::upgrade).collect();
    for waker in wakers.iter().filter(|waker| waker.is_own()) {
        // Full, it wakes as well.
        let _ = waker.event.write(1);
    }
}

/// Waits until a device has something to dispatch. `None`: there are no devices.
///
/// # Errors
/// poll(2) fails.
pub(crate) fn wait() -> Result<Option<i32>, Errno> {
    polling::leave();
    let wake = waker();
    loop {
        let descriptors = registry::descriptors();
        if descriptors.is_empty() {
            return Ok(None);
        }
        let ready = match sets::poll(&descriptors, wake.as_ref().map(|wake| wake.event.as_fd())) {
            Err(Raw::EINTR) => continue,
            ready => ready?,
        };
        if let Some(wake) = &wake {
            // EAGAIN: it was not what woke this thread.
            let _ = wake.event.read();
        }
        let turn = TURN.fetch_add(1, Ordering::Relaxed) % ready.len().max(1);
        if let Some(fd) = ready.get(turn) {
            return Ok(Some(*fd));
        }
    }
}
