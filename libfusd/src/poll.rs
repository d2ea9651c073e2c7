//! Readiness of an open file, and how a change of it reaches those who wait in poll(2).

use std::sync::{Arc, Mutex, OnceLock};

use crate::backend::PollKey;
use crate::sync::lock;

bitflags::bitflags! {
    /// What poll(2), select(2) and epoll(7) report of a file: the bits of `<poll.h>` as on x86.
    #[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
    pub struct PollEvents: u32 {
        /// A read will not wait (`POLLIN | POLLRDNORM`).
        const READ = 0x0041;
        /// A write will not wait (`POLLOUT | POLLWRNORM`).
        const WRITE = 0x0104;
        /// Something exceptional, such as out-of-band data (`POLLPRI`).
        const PRIORITY = 0x0002;
        /// The device is in error (`POLLERR`).
        const ERROR = 0x0008;
        /// The other side has hung up (`POLLHUP`).
        const HANG_UP = 0x0010;
    }
}

/// Called with the key of a waiting poll when the file becomes ready for something new.
pub(crate) type Wake = Arc<dyn Fn(PollKey) + Send + Sync>;

/// Returns once a change that has been answered already has been told as well.
pub(crate) type Settle = Box<dyn Fn() + Send + Sync>;

/// The readiness of one open file: the driver pushes it, polls are answered from it.
///
/// One lock orders pushes and polls, so that a poll either sees a change or is woken by it.
pub(crate) struct Readiness {
    level: Mutex<Level>,
    wake: Wake,
    settle: OnceLock<Settle>,
}

struct Level {
    events: PollEvents,
    /// The kernel's name for those who wait on this file, once anybody has.
    key: Option<PollKey>,
}

impl Readiness {
    pub(crate) fn new(events: PollEvents, wake: Wake) -> Self {
        Self {
            level: Mutex::new(Level { events, key: None }),
            wake,
            settle: OnceLock::new(),
        }
    }

    pub(crate) fn events(&self) -> PollEvents {
        lock(&self.level).events
    }

    /// Has `settle` called before each poll, from now on. Only the first one counts.
    pub(crate) fn settle_first(&self, settle: Settle) {
        // A second one comes of a file that two queues watch: the level then is the latest's.
        let _ = self.settle.set(settle);
    }

    /// The state now; waiters registered under `key` hear of every later rise.
    pub(crate) fn poll(&self, key: Option<PollKey>) -> PollEvents {
        if let Some(settle) = self.settle.get() {
            settle();
        }
        let mut level = lock(&self.level);
        level.key = key.or(level.key);
        level.events
    }

    /// Replaces the state. Waiters wake when a bit rises: level- and edge-triggered alike then
    /// look again, and nobody is woken for a fall.
    pub(crate) fn set(&self, events: PollEvents) {
        let mut level = lock(&self.level);
        let risen = events - level.events;
        level.events = events;
        if let (Some(key), false) = (level.key, risen.is_empty()) {
            // Under the lock, so that notices leave in the order of the changes. It does not wait
            // for anybody: the kernel only marks the waiters runnable.
            (self.wake)(key);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::atomic::{AtomicUsize, Ordering};

    use super::*;

    #[test]
    fn only_a_rise_wakes_and_only_those_who_wait() {
        let count = Arc::new(AtomicUsize::new(0));
        let wake: Wake = {
            let count = Arc::clone(&count);
            Arc::new(move |_| {
                count.fetch_add(1, Ordering::SeqCst);
            })
        };
        let readiness = Readiness::new(PollEvents::empty(), wake);
        readiness.set(PollEvents::READ);
        assert_eq!(count.load(Ordering::SeqCst), 0, "nobody has polled yet");
        assert_eq!(readiness.poll(Some(PollKey(7))), PollEvents::READ);
        readiness.set(PollEvents::empty());
        assert_eq!(count.load(Ordering::SeqCst), 0, "a fall wakes nobody");
        readiness.set(PollEvents::READ);
        readiness.set(PollEvents::READ);
        assert_eq!(count.load(Ordering::SeqCst), 1, "the same state is no news");
        readiness.set(PollEvents::READ | PollEvents::WRITE);
        assert_eq!(count.load(Ordering::SeqCst), 2);
    }
}
