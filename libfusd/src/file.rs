//! An open file: the driver's state for it, and its readiness.

use std::fmt;
use std::ops::Deref;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use crate::backend::FileId;
use crate::poll::Readiness;
use crate::{OpenFlags, PollEvents};

/// An open file of a device, with the driver's state `T` for it.
///
/// One client's open(2) makes one; descriptors that dup(2) or fork(2) made of it share it. Clones
/// name the same file. A clone kept after the file's release is harmless.
pub struct OpenFile<T>(Arc<Inner<T>>);

struct Inner<T> {
    id: FileId,
    readiness: Readiness,
    state: T,
    _slot: Slot,
}

impl<T> OpenFile<T> {
    pub(crate) fn new(id: FileId, readiness: Readiness, state: T, slot: Slot) -> Self {
        Self(Arc::new(Inner {
            id,
            readiness,
            state,
            _slot: slot,
        }))
    }

    /// A number that no other file of this session has or had.
    pub fn number(&self) -> u64 {
        self.0.id.0
    }

    pub(crate) fn id(&self) -> FileId {
        self.0.id
    }

    pub(crate) fn readiness(&self) -> &Readiness {
        &self.0.readiness
    }

    /// The readiness that polls of this file see.
    pub fn ready(&self) -> PollEvents {
        self.0.readiness.events()
    }

    /// Replaces the readiness that polls of this file see, and wakes those who wait for a bit
    /// that rises. A file is ready for reading and writing until the driver says otherwise.
    ///
    /// Call it under the lock that guards what it tells of, or two changes may be told in the
    /// wrong order. A [`WaitQueue`](crate::WaitQueue) does that by itself.
    pub fn set_ready(&self, events: PollEvents) {
        self.0.readiness.set(events);
    }
}

impl<T> Clone for OpenFile<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for OpenFile<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0.state
    }
}

impl<T> PartialEq for OpenFile<T> {
    fn eq(&self, other: &Self) -> bool {
        Arc::ptr_eq(&self.0, &other.0)
    }
}

impl<T> Eq for OpenFile<T> {}

impl<T: fmt::Debug> fmt::Debug for OpenFile<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenFile")
            .field("number", &self.0.id.0)
            .field("state", &self.0.state)
            .finish()
    }
}

/// Makes files of accepted opens: the session, as an open request sees it.
pub(crate) trait Adopter<T>: Send + Sync {
    /// Makes the file; from here on it is released exactly once.
    fn adopt(&self, state: T, flags: OpenFlags, slot: Slot) -> OpenFile<T>;

    /// The client never got the file: has it released, later and on another thread.
    fn abandon(&self, file: FileId);
}

/// One of the files that may be open at a time; given back when dropped.
pub(crate) struct Slot(Arc<AtomicUsize>);

impl Slot {
    /// Takes one of `limit`; `None` where all are taken.
    pub(crate) fn take(taken: &Arc<AtomicUsize>, limit: usize) -> Option<Self> {
        taken
            .fetch_update(Ordering::AcqRel, Ordering::Acquire, |n| {
                (n < limit).then_some(n + 1)
            })
            .ok()
            .map(|_| Self(Arc::clone(taken)))
    }
}

impl Drop for Slot {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::AcqRel);
    }
}
