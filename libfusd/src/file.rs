//! An open file: the driver's state for it, and its readiness.

use std::fmt;
use std::io;
use std::ops::Deref;
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::time::Duration;

use crate::backend::{FileId, RequestId, RingUse};
use crate::poll::Readiness;
use crate::ring::{self, Attached};
use crate::sync::lock;
use crate::{Errno, Error, ErrorKind, OpenFlags, PollEvents, Published, Result};

/// An open file of a device, with the driver's state `T` for it.
///
/// One client's open(2) makes one; descriptors that dup(2) or fork(2) made of it share it. Clones
/// name the same file. A clone kept after the file's release is harmless.
pub struct OpenFile<T>(Arc<Inner<T>>);

struct Inner<T> {
    id: FileId,
    readiness: Readiness,
    state: T,
}

impl<T> OpenFile<T> {
    pub(crate) fn new(id: FileId, readiness: Readiness, state: T) -> Self {
        Self(Arc::new(Inner {
            id,
            readiness,
            state,
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

    /// Keeps a number with the file for the driver's successor, which finds it with
    /// [`RestoreRequest::token`](crate::RestoreRequest::token): where the client is, or what names
    /// the rest elsewhere. The last one counts; without any, it is 0.
    ///
    /// # Errors
    /// `EOPNOTSUPP`: there will be no successor ([`Session::is_kept`](crate::Session::is_kept)).
    /// `ENOENT`: the file is closed. `ENODEV`: the session has ended.
    pub fn set_token(&self, token: u64) -> Result<()> {
        let failed = |errno| {
            Error::system(
                ErrorKind::Runtime,
                errno,
                "keep a number for the driver's successor",
            )
        };
        let backend = self.0.readiness.backend();
        let backend = backend.ok_or_else(|| failed(Errno::ENODEV))?;
        let kept = backend.keep_token(self.0.id, token);
        kept.map_err(|error| failed(Errno::from(&error)).on(backend.path()))
    }

    /// The readiness that polls of this file see.
    pub fn ready(&self) -> PollEvents {
        self.0.readiness.events()
    }

    /// Replaces the readiness that polls of this file see, and wakes those who wait for a bit
    /// that rises. A file is ready for reading and writing until the driver says otherwise.
    ///
    /// Call it under the lock that guards what it tells of, or two changes may be told in the
    /// wrong order; and before the answer to the call that made the change, or the client may poll
    /// too early. A [`WaitQueue`](crate::WaitQueue) does that by itself.
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

/// What the kernel knows of a file that the session is to make.
pub(crate) struct Known {
    /// Its number, where the kernel has one.
    pub(crate) file: Option<FileId>,
    /// What polls of it see.
    pub(crate) events: PollEvents,
}

impl Known {
    /// Of a file that is being opened: it begins ready for everything.
    pub(crate) fn new(file: Option<FileId>) -> Self {
        Self {
            file,
            events: PollEvents::READ | PollEvents::WRITE,
        }
    }
}

/// What serves calls of a file that come to the session, in place of its device.
#[derive(Default)]
pub(crate) struct Sources {
    /// What reads get.
    pub(crate) published: Option<Published>,
    /// Where reads are served from, before all else, and where writes go.
    pub(crate) rings: Attached,
}

impl Sources {
    /// Whether there is nothing but the device.
    #[inline]
    pub(crate) fn is_empty(&self) -> bool {
        self.published.is_none() && self.rings.is_empty()
    }
}

/// The open of a file, as the kernel knows it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Opening {
    pub(crate) id: RequestId,
    /// Somebody traces, and is to find all calls.
    pub(crate) traced: bool,
}

/// Makes files of accepted opens: the session, as an open request sees it.
pub(crate) trait Adopter<T>: Send + Sync {
    /// Makes the file; from here on it is released exactly once.
    fn adopt(
        &self,
        state: T,
        flags: OpenFlags,
        slot: Slot,
        known: Known,
        sources: Sources,
    ) -> OpenFile<T>;

    /// Has a ring belong to the session, and, if the kernel has it, to the file that is `opening`; without,
    /// the file is open already, and the kernel cannot have it.
    ///
    /// # Errors
    /// `EINVAL`: the device is no stream. `EBUSY`: the ring is another session's. `EPIPE`: the session has
    /// ended. `ENOENT`: the client has gone.
    fn attach(
        &self,
        opening: Option<Opening>,
        ring: &Arc<ring::Shared>,
        wanted: RingUse,
    ) -> io::Result<()>;

    /// A file from the time of another driver is of no use to this one: its calls fail with `errno`.
    fn lose(&self, file: FileId, errno: Errno);

    /// The client never got the file: has it released, later and on another thread.
    fn abandon(&self, file: FileId);
}

/// The files that may be open at a time.
pub(crate) struct Slots {
    limit: usize,
    taken: Mutex<usize>,
    freed: Condvar,
}

impl Slots {
    pub(crate) fn new(limit: usize) -> Arc<Self> {
        Arc::new(Self {
            limit,
            taken: Mutex::new(0),
            freed: Condvar::new(),
        })
    }

    /// Takes one. Where all are taken, waits for a moment: a client that closes a file and opens
    /// it again may find its release still on the way, as close(2) does not wait for that.
    pub(crate) fn take(self: &Arc<Self>, patience: Duration) -> Option<Slot> {
        let full = |taken: &mut usize| *taken >= self.limit;
        let (mut taken, _) = self
            .freed
            .wait_timeout_while(lock(&self.taken), patience, full)
            .unwrap_or_else(PoisonError::into_inner);
        if full(&mut taken) {
            return None;
        }
        *taken += 1;
        Some(Slot(Arc::clone(self)))
    }
}

/// The right to one open file; given back when dropped.
pub(crate) struct Slot(Arc<Slots>);

impl Drop for Slot {
    fn drop(&mut self) {
        *lock(&self.0.taken) -= 1;
        self.0.freed.notify_one();
    }
}
