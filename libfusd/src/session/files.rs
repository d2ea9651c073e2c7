//! The open files of a session, and the order of their calls.

use std::collections::VecDeque;
use std::sync::atomic::{AtomicI32, AtomicU8, AtomicU64, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use super::job::Job;
use crate::backend::FileId;
use crate::file::{Known, Slot, Slots, Sources};
use crate::idmap::IdMap;
use crate::panics::contain;
use crate::poll::{Readiness, Teller};
use crate::request::{Context, Cursor, Pending, send_carried};
use crate::sync::lock;
use crate::{Errno, OpenFile, OpenFlags};

/// How long an open beyond the limit waits for a close that is on its way.
const REOPEN_PATIENCE: Duration = Duration::from_millis(50);

/// The files that are open. `T` is the driver's state for one.
pub(super) struct Files<T> {
    map: Mutex<IdMap<FileId, Listed<T>>>,
    next: AtomicU64,
    slots: Arc<Slots>,
    /// Files from the time of another driver that are of no use, and what their calls fail with.
    lost: Mutex<IdMap<FileId, Errno>>,
}

/// A file in the table, with the right to be there.
struct Listed<T> {
    entry: Arc<Entry<T>>,
    slot: Slot,
}

/// An open file and the calls of it that wait for their turn.
pub(super) struct Entry<T> {
    pub(super) file: OpenFile<T>,
    /// The file's position, used where the kernel does not keep one.
    position: Arc<AtomicU64>,
    /// The flags as last seen: not every call brings them along.
    flags: AtomicI32,
    /// Whether a handler of the file runs, see [`IDLE`].
    turn: AtomicU8,
    /// What serves calls in place of the device.
    pub(super) sources: Sources,
    /// There is nothing of that.
    pub(super) device_alone: bool,
    /// Handlers of one file run one after the other: who finds it busy leaves its call here.
    waiting: Mutex<VecDeque<Job>>,
}

/// The file of the latest call, kept by who leads: the next call is likely to be of it too.
pub(super) struct Recent<T> {
    /// `None` where it is not open, or will not be any more.
    entry: Option<Arc<Entry<T>>>,
    file: Option<FileId>,
}

impl<T> Default for Recent<T> {
    fn default() -> Self {
        Self {
            entry: None,
            file: None,
        }
    }
}

impl<T> Recent<T> {
    /// Takes the turn for a call of `file`, if that is this one, and it is idle.
    #[inline(always)]
    pub(super) fn take_turn(&self, file: FileId) -> Option<&Arc<Entry<T>>> {
        let entry = self.entry.as_ref()?;
        (file == entry.file.id() && entry.take_turn()).then_some(entry)
    }

    /// Notes which file a job is of; whether that is another one.
    pub(super) fn switches_to(&mut self, job: &Job) -> bool {
        job.file()
            .is_some_and(|file| self.file.replace(file) != Some(file))
    }

    /// The file itself, to be kept anew.
    pub(super) fn take(&mut self, id: FileId) -> Option<Arc<Entry<T>>> {
        let entry = self.entry.take();
        entry.filter(|entry| entry.file.id() == id)
    }

    pub(super) fn keep(&mut self, entry: &Arc<Entry<T>>) {
        self.entry = Some(Arc::clone(entry));
    }

    /// It is of no use any more.
    pub(super) fn forget(&mut self) {
        if let Some(entry) = self.entry.take() {
            entry.let_go();
        }
    }
}

/// No handler of the file runs, and no call of it waits.
const IDLE: u8 = 0;
/// A handler runs; no call waits.
const BUSY: u8 = 1;
/// A handler runs, and calls may wait. Only set, and only left, under the lock of `waiting`.
const CROWDED: u8 = 2;

impl<T: Send + Sync + 'static> Files<T> {
    /// A table with room for `limit` files, which get numbers from `first` on where the kernel has
    /// none for them.
    pub(super) fn new(limit: usize, first: u64) -> Self {
        Self {
            map: Mutex::default(),
            next: AtomicU64::new(first),
            slots: Slots::new(limit),
            lost: Mutex::default(),
        }
    }

    /// The calls of `file` are to fail with `errno`.
    pub(super) fn lose(&self, file: FileId, errno: Errno) {
        lock(&self.lost).insert(file, errno);
    }

    /// What the calls of a file fail with that is of no use, if it is such a one; `last` takes it out.
    pub(super) fn lost(&self, file: FileId, last: bool) -> Option<Errno> {
        let mut lost = lock(&self.lost);
        match last {
            true => lost.remove(&file),
            false => lost.get(&file).copied(),
        }
    }

    /// The right to one more file; `None` if there are too many.
    pub(super) fn reserve(&self) -> Option<Slot> {
        self.slots.take(REOPEN_PATIENCE)
    }

    /// Adds a file.
    pub(super) fn add(
        &self,
        state: T,
        flags: OpenFlags,
        slot: Slot,
        known: &Known,
        sources: Sources,
        teller: Teller,
    ) -> OpenFile<T> {
        let next = || FileId(self.next.fetch_add(1, Ordering::Relaxed));
        let id = known.file.unwrap_or_else(next);
        let readiness = Readiness::new(id, known.events, teller);
        let file = OpenFile::new(id, readiness, state);
        sources.rings.watch(&file);
        let entry = Entry {
            file: file.clone(),
            position: Arc::default(),
            device_alone: sources.is_empty(),
            sources,
            flags: AtomicI32::new(flags.raw()),
            turn: AtomicU8::new(IDLE),
            waiting: Mutex::default(),
        };
        lock(&self.map).insert(
            id,
            Listed {
                entry: Arc::new(entry),
                slot,
            },
        );
        file
    }

    pub(super) fn get(&self, id: FileId) -> Option<Arc<Entry<T>>> {
        lock(&self.map)
            .get(&id)
            .map(|listed| Arc::clone(&listed.entry))
    }

    /// Takes a file out; it counts as open until the slot is dropped.
    pub(super) fn remove(&self, id: FileId) -> Option<Slot> {
        lock(&self.map).remove(&id).map(|listed| listed.slot)
    }

    /// All open files.
    pub(super) fn all(&self) -> Vec<Arc<Entry<T>>> {
        let map = lock(&self.map);
        map.values()
            .map(|listed| Arc::clone(&listed.entry))
            .collect()
    }
}

impl<T> Entry<T> {
    /// Is done with it. With a released file goes the driver's state for it.
    pub(super) fn let_go(self: Arc<Self>) {
        if Arc::strong_count(&self) == 1 {
            // What has been answered does not wait for that.
            send_carried();
            contain("the state of a file", move || drop(self));
        }
    }

    /// Notes the flags that a call has brought along.
    #[inline]
    pub(super) fn note(&self, flags: OpenFlags) {
        self.flags.store(flags.raw(), Ordering::Relaxed);
    }

    /// The context of a call that has brought none.
    pub(super) fn context(&self, pending: Pending) -> Context {
        let flags = OpenFlags::from_raw(self.flags.load(Ordering::Relaxed));
        Context::new(pending, flags, None)
    }

    /// A call at the file's position, or at `start`.
    pub(super) fn cursor(&self, start: Option<u64>) -> Cursor {
        Cursor::new(&self.position, start)
    }

    /// Takes the turn for a job, if the file is idle: the usual case, in which the job stays where it is.
    #[inline(always)]
    pub(super) fn take_turn(&self) -> bool {
        self.turn_to(IDLE, BUSY)
    }

    /// Whether `job` may be handled now: else it waits here for whoever is busy with the file.
    #[inline(always)]
    pub(super) fn begin(&self, job: Job) -> Option<Job> {
        if self.take_turn() {
            return Some(job);
        }
        let mut waiting = lock(&self.waiting);
        loop {
            if self.take_turn() {
                return Some(job);
            }
            if self.turn_to(BUSY, CROWDED) || self.turn_to(CROWDED, CROWDED) {
                waiting.push_back(job);
                return None;
            }
        }
    }

    /// After a handler: makes the file idle. False: jobs may wait, for [`next`](Self::next).
    #[inline(always)]
    pub(super) fn rest(&self) -> bool {
        self.turn_to(BUSY, IDLE)
    }

    /// After a handler: the job that waited longest; without one the file is idle.
    pub(super) fn next(&self) -> Option<Job> {
        if self.rest() {
            return None;
        }
        let mut waiting = lock(&self.waiting);
        let next = waiting.pop_front();
        if next.is_none() {
            self.turn.store(IDLE, Ordering::Release);
        }
        next
    }

    #[inline(always)]
    fn turn_to(&self, from: u8, to: u8) -> bool {
        self.turn
            .compare_exchange(from, to, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    }
}
