//! Files that are open from the time of another driver.

use std::fmt;
use std::sync::Weak;

use crate::backend::Inherited;
use crate::file::{Adopter, Known, OpenFile, Slot};
use crate::{Errno, OpenFlags};

/// A file that is open from the time of another driver, whose place this one has taken. Accepted, it
/// becomes an [`OpenFile`] with the state `T`, and is released like any other.
#[must_use]
pub struct RestoreRequest<T: Send + Sync + 'static> {
    file: Inherited,
    adopter: Weak<dyn Adopter<T>>,
    /// Until it is accepted or not.
    slot: Option<Slot>,
}

impl<T: Send + Sync + 'static> RestoreRequest<T> {
    pub(crate) fn new(file: Inherited, adopter: Weak<dyn Adopter<T>>, slot: Slot) -> Self {
        Self {
            file,
            adopter,
            slot: Some(slot),
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
        let file = adopter.adopt(state, self.file.flags, slot, known, None);
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
