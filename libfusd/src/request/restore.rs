//! Files that are open from the time of another driver.

use std::fmt;
use std::mem;
use std::sync::Weak;

use super::open::cannot_attach;
use crate::backend::{Inherited, RingUse};
use crate::file::{Adopter, Known, OpenFile, Slot, Sources};
use crate::{Errno, OpenFlags, Result, Ring};

/// A file that is open from the time of another driver, whose place this one has taken. Accepted, it
/// becomes an [`OpenFile`] with the state `T`, and is released like any other.
#[must_use]
pub struct RestoreRequest<T: Send + Sync + 'static> {
    file: Inherited,
    adopter: Weak<dyn Adopter<T>>,
    /// Until it is accepted or not.
    slot: Option<Slot>,
    sources: Sources,
}

impl<T: Send + Sync + 'static> RestoreRequest<T> {
    pub(crate) fn new(file: Inherited, adopter: Weak<dyn Adopter<T>>, slot: Slot) -> Self {
        Self {
            file,
            adopter,
            slot: Some(slot),
            sources: Sources::default(),
        }
    }

    /// The number that the driver before has kept with the file ([`OpenFile::set_token`]); 0 if none.
    pub fn token(&self) -> u64 {
        self.file.token
    }

    /// The file's flags at the time it was opened.
    pub fn flags(&self) -> OpenFlags {
        self.file.flags
    }

    /// Has reads of the file served from `ring`, as [`OpenRequest::attach_reads`](crate::OpenRequest::attach_reads) does.
    ///
    /// # Errors
    /// As there.
    pub fn attach_reads(&mut self, ring: &Ring) -> Result<()> {
        self.attach(ring, RingUse::Reads)
    }

    /// Has writes to the file go to `ring`, as [`OpenRequest::attach_writes`](crate::OpenRequest::attach_writes) does.
    ///
    /// # Errors
    /// As there.
    pub fn attach_writes(&mut self, ring: &Ring) -> Result<()> {
        self.attach(ring, RingUse::Writes)
    }

    fn attach(&mut self, ring: &Ring, wanted: RingUse) -> Result<()> {
        let adopter = self.adopter.upgrade();
        let attach = || match &adopter {
            Some(adopter) => adopter.attach(None, ring.shared(), wanted),
            None => Err(Errno::EPIPE.into()),
        };
        let attached = self.sources.rings.add(ring.shared(), wanted, attach);
        attached.map_err(|error| cannot_attach(&error))
    }

    /// Goes on with the file. Its token stays as it is.
    pub fn accept(self, state: T) {
        self.accept_with(state, |_| {});
    }

    /// Goes on with the file, after `setup` has seen it: calls of its client come later. Polls see
    /// what the driver before said last, until `setup` says otherwise.
    pub fn accept_with(mut self, state: T, setup: impl FnOnce(&OpenFile<T>)) {
        let (Some(adopter), Some(slot)) = (self.adopter.upgrade(), self.slot.take()) else {
            return;
        };
        let known = Known {
            file: Some(self.file.file),
            events: self.file.events,
        };
        let sources = mem::take(&mut self.sources);
        let file = adopter.adopt(state, self.file.flags, slot, known, sources);
        setup(&file);
    }

    /// Does not go on with the file: its calls fail with `errno`, until its client closes it.
    pub fn fail(mut self, errno: Errno) {
        self.lose(errno);
    }

    fn lose(&mut self, errno: Errno) {
        if let (Some(adopter), Some(slot)) = (self.adopter.upgrade(), self.slot.take()) {
            drop(slot);
            adopter.lose(self.file.file, errno);
        }
    }
}

impl<T: Send + Sync + 'static> Drop for RestoreRequest<T> {
    fn drop(&mut self) {
        self.lose(Errno::EIO);
    }
}

impl<T: Send + Sync + 'static> fmt::Debug for RestoreRequest<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RestoreRequest")
            .field("token", &self.file.token)
            .finish_non_exhaustive()
    }
}
