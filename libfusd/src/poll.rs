//! Readiness of an open file, and how a change of it reaches those who wait in poll(2).

use std::mem;
use std::sync::{Arc, Mutex, OnceLock, Weak};

use crate::backend::{Backend, FileId, PollKey};
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

/// Where the readiness of a file goes.
pub(crate) struct Teller {
    /// Not kept alive by the files: the session lets go of it at its end.
    backend: Weak<dyn Backend>,
    /// The kernel is told of every change; else those who wait, that something is new.
    every: bool,
}

impl Teller {
    pub(crate) fn new(backend: &Arc<dyn Backend>) -> Self {
        Self {
            backend: Arc::downgrade(backend),
            every: backend.takes_readiness(),
        }
    }

    fn wake(&self, key: PollKey) {
        if let Some(backend) = self.backend.upgrade() {
            backend.wake_poll(key);
        }
    }

    fn push(&self, file: FileId, events: PollEvents) {
        if let Some(backend) = self.backend.upgrade() {
            backend.push_readiness(file, events);
        }
    }
}

/// Returns once a change that has been answered already has been told as well.
pub(crate) type Settle = Box<dyn Fn() + Send + Sync>;

/// The readiness of one open file: the driver pushes it, polls are answered from it.
///
/// One lock orders pushes and polls, so that a poll either sees a change or is woken by it.
pub(crate) struct Readiness {
    file: FileId,
    level: Mutex<Level>,
    teller: Teller,
    /// A queue of the driver's may watch the file, and a ring for each way.
    settle: [OnceLock<Settle>; 3],
}

struct Level {
    /// As polls find it.
    events: PollEvents,
    /// As the driver says it.
    said: PollEvents,
    /// What rings say in its place: of reading, and of writing.
    reads: Option<PollEvents>,
    writes: Option<PollEvents>,
    /// The kernel's name for those who wait on this file, once anybody has.
    key: Option<PollKey>,
}

impl Readiness {
    pub(crate) fn new(file: FileId, events: PollEvents, teller: Teller) -> Self {
        Self {
            file,
            level: Mutex::new(Level {
                events,
                said: events,
                reads: None,
                writes: None,
                key: None,
            }),
            teller,
            settle: Default::default(),
        }
    }

    pub(crate) fn events(&self) -> PollEvents {
        lock(&self.level).events
    }

    /// Where it goes, as long as the session has it.
    pub(crate) fn backend(&self) -> Option<Arc<dyn Backend>> {
        self.teller.backend.upgrade()
    }

    /// Has `settle` called before each poll, from now on; a fourth one is not.
    pub(crate) fn settle_first(&self, settle: Settle) {
        let mut left = Some(settle);
        for place in &self.settle {
            // Of a file that two queues of the driver's watch, the level is the latest's.
            left = left.and_then(|settle| place.set(settle).err());
        }
    }

    /// The state now; waiters registered under `key` hear of every later rise.
    pub(crate) fn poll(&self, key: Option<PollKey>) -> PollEvents {
        for settle in self.settle.iter().filter_map(OnceLock::get) {
            settle();
        }
        let mut level = lock(&self.level);
        level.key = key.or(level.key);
        level.events
    }

    /// Replaces the state that the driver says. Waiters wake when a bit rises: level- and
    /// edge-triggered alike then look again, and nobody is woken for a fall.
    pub(crate) fn set(&self, events: PollEvents) {
        self.change(|level| level.said = events);
    }

    /// Replaces what rings say of reading and of writing, where they do, in place of the driver.
    pub(crate) fn set_of_rings(&self, reads: Option<PollEvents>, writes: Option<PollEvents>) {
        self.change(|level| {
            level.reads = reads.or(level.reads);
            level.writes = writes.or(level.writes);
        });
    }

    fn change(&self, change: impl FnOnce(&mut Level)) {
        // Told under the lock, so that notices leave in the order of the changes. That does not
        // wait for anybody: the kernel only marks the waiters runnable.
        let mut level = lock(&self.level);
        change(&mut level);
        let events = level.all();
        let before = mem::replace(&mut level.events, events);
        if self.teller.every {
            if events != before {
                self.teller.push(self.file, events);
            }
        } else if let (Some(key), false) = (level.key, (events - before).is_empty()) {
            self.teller.wake(key);
        }
    }

    /// The kernel has learned with the answer to the open that the state is `told`: tells it what
    /// has changed while that was on its way.
    pub(crate) fn opened(&self, told: PollEvents) {
        let level = lock(&self.level);
        if self.teller.every && level.events != told {
            self.teller.push(self.file, level.events);
        }
    }
}

impl Level {
    /// What polls are to find.
    fn all(&self) -> PollEvents {
        let mut all = self.said;
        if let Some(reads) = self.reads {
            all = (all - PollEvents::READ) | reads;
        }
        if let Some(writes) = self.writes {
            all = (all - PollEvents::WRITE) | writes;
        }
        all
    }
}

#[cfg(test)]
mod tests {
    use std::io;
    use std::path::Path;

    use super::*;
    use crate::BackendKind;
    use crate::backend::buffer::Buffer;
    use crate::backend::{Answer, Call, Incoming, RequestId};

    /// A backend that only notes what it is told of readiness.
    struct Notes {
        every: bool,
        told: Mutex<Vec<u32>>,
    }

    impl Notes {
        fn new(every: bool) -> Arc<Self> {
            let told = Mutex::default();
            Arc::new(Self { every, told })
        }

        /// What it was told since it was asked last: a key or the events.
        fn take(&self) -> Vec<u32> {
            mem::take(&mut *lock(&self.told))
        }
    }

    impl Backend for Notes {
        fn buffer_size(&self) -> usize {
            0
        }

        fn kind(&self) -> BackendKind {
            BackendKind::Loopback
        }

        fn path(&self) -> &Path {
            Path::new("notes")
        }

        fn takes_readiness(&self) -> bool {
            self.every
        }

        fn receive(&self, _: &mut Buffer) -> io::Result<Incoming> {
            Ok(Incoming::Ended)
        }

        fn answer(&self, _: RequestId, _: Call, _: Answer<'_>) -> io::Result<()> {
            Ok(())
        }

        fn wake_poll(&self, PollKey(key): PollKey) {
            lock(&self.told).push(u32::try_from(key).unwrap());
        }

        fn push_readiness(&self, file: FileId, events: PollEvents) {
            assert_eq!(file, FileId(9));
            lock(&self.told).push(events.bits());
        }

        fn nudge(&self) {}

        fn detach(&self) -> crate::Result<()> {
            Ok(())
        }

        fn close(&self) {}
    }

    fn readiness(notes: &Arc<Notes>) -> Readiness {
        let backend: Arc<dyn Backend> = Arc::clone(notes) as _;
        Readiness::new(FileId(9), PollEvents::empty(), Teller::new(&backend))
    }

    #[test]
    fn only_a_rise_wakes_and_only_those_who_wait() {
        let notes = Notes::new(false);
        let readiness = readiness(&notes);
        readiness.set(PollEvents::READ);
        assert_eq!(notes.take(), [], "nobody has polled yet");
        assert_eq!(readiness.poll(Some(PollKey(7))), PollEvents::READ);
        readiness.set(PollEvents::empty());
        assert_eq!(notes.take(), [], "a fall wakes nobody");
        readiness.set(PollEvents::READ);
        readiness.set(PollEvents::READ);
        assert_eq!(notes.take(), [7], "the same state is no news");
        readiness.set(PollEvents::READ | PollEvents::WRITE);
        assert_eq!(notes.take(), [7]);
    }

    #[test]
    fn what_a_ring_says_takes_the_place_of_what_the_driver_says() {
        let (read, write) = (PollEvents::READ, PollEvents::WRITE);
        let readiness = readiness(&Notes::new(false));
        readiness.set(read | PollEvents::PRIORITY);
        readiness.set_of_rings(Some(PollEvents::empty()), None);
        assert_eq!(readiness.events(), PollEvents::PRIORITY);
        readiness.set(read | write);
        assert_eq!(readiness.events(), write);
        readiness.set_of_rings(None, Some(PollEvents::ERROR));
        assert_eq!(readiness.events(), PollEvents::ERROR);
        readiness.set_of_rings(Some(read | PollEvents::HANG_UP), None);
        let all = read | PollEvents::HANG_UP | PollEvents::ERROR;
        assert_eq!(readiness.events(), all);
    }

    #[test]
    fn a_kernel_that_keeps_the_state_is_told_of_every_change() {
        let notes = Notes::new(true);
        let readiness = readiness(&notes);
        let (read, none) = (PollEvents::READ, PollEvents::empty());
        for events in [read, read, none, read | PollEvents::WRITE] {
            readiness.set(events);
        }
        let bits = [0x41, 0, 0x145];
        assert_eq!(notes.take(), bits);
        readiness.opened(read | PollEvents::WRITE);
        assert_eq!(notes.take(), [], "it has learned that with the open");
        readiness.opened(none);
        assert_eq!(notes.take(), [0x145], "it has changed since");
    }
}
