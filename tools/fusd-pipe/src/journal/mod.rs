//! What a pipe keeps, in a file as well, from which the next run of the tool begins.
//!
//! The file is a journal: a header, then an entry for each change, appended by one write(2). What a
//! writer wrote is there before it is answered; what a reader got leaves it after the answer. The
//! entries are replayed at the start, and whenever what they have grown to is worth it, what they come
//! to takes their place.

mod entry;
mod file;
mod header;
mod image;
mod inner;
mod open;
mod replay;
mod span;
mod syncing;
#[cfg(test)]
mod tests;
mod varint;

use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fusd::Errno;

pub(crate) use self::entry::Write;
use self::inner::Inner;
pub(crate) use self::replay::Content;
pub(crate) use self::span::{Span, Spans};
use self::syncing::Ticker;
use crate::stats::Count;

/// A journal that is open. Clones are the same one.
///
/// Its lock is the innermost of all: no answer is given under it. Writes are added under the queue's
/// lock as well, so with [`SyncPolicy::Always`](crate::SyncPolicy::Always) all clients wait for the disk.
#[derive(Clone, Debug)]
pub(crate) struct Journal {
    inner: Arc<Mutex<Inner>>,
    /// Ends the thread that forces it to disk.
    _ticker: Option<Ticker>,
}

impl Journal {
    /// Adds a write; the lengths of its records follow from `lengths`, none in a stream. Then comes
    /// [`keep`](Self::keep) or [`undo`](Self::undo), before anything else is added. Gives the
    /// position of its first byte.
    ///
    /// # Errors
    /// The file does not take it: then nothing of it is there.
    pub(crate) fn write(
        &self,
        write: Write<'_>,
        records: u64,
        lengths: impl Iterator<Item = u64> + Clone,
    ) -> Result<u64, Errno> {
        self.lock().write(write, records, lengths)
    }

    /// The writer knows that its write is taken.
    pub(crate) fn keep(&self) {
        self.lock().settle();
    }

    /// The write that was added last, if it has not been kept, never was.
    pub(crate) fn undo(&self) {
        self.lock().undo();
    }

    /// The writer has gone, and what it had begun is a record of so many bytes, or nothing. Gives the
    /// position of that.
    pub(crate) fn leave(&self, writer: u64, record: Option<u64>) -> u64 {
        self.lock().leave(writer, record)
    }

    /// Readers have got these.
    pub(crate) fn gone(&self, spans: Spans) {
        self.lock().gone(spans);
    }

    /// A fifo has dropped these; so many losses have not been told of now. That goes to the file with
    /// what comes next.
    pub(crate) fn dropped(&self, spans: Spans, lost: Count) {
        self.lock().dropped(spans, lost);
    }

    /// Nothing more will come: what is to be on the disk is.
    pub(crate) fn finish(&self) {
        self.lock().finish();
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
