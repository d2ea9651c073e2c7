//! What the threads of a session do.

use std::sync::Arc;

use super::files::Entry;
use crate::OpenFlags;
use crate::backend::{FileId, Operation};
use crate::request::{Pending, WriteData};

/// One call, or what else there is to do.
pub(super) enum Job {
    /// A call of a client; `data` is what a write or an ioctl hands in.
    Call {
        pending: Pending,
        operation: Operation,
        data: WriteData,
    },
    /// A file that was accepted but never reached its client is to be released.
    Abandoned(FileId),
}

/// What there is to a read.
#[derive(Clone, Copy)]
pub(super) struct Read {
    pub(super) file: FileId,
    pub(super) flags: OpenFlags,
    pub(super) offset: u64,
    pub(super) length: u32,
}

impl Read {
    /// That of `operation`, if it is one.
    #[inline(always)]
    pub(super) fn of(operation: &Operation) -> Option<Self> {
        match *operation {
            Operation::Read {
                file,
                flags,
                offset,
                length,
            } => Some(Self {
                file,
                flags,
                offset,
                length,
            }),
            _ => None,
        }
    }
}

impl Job {
    /// Whether it is the last one of its file.
    pub(super) fn is_last(&self) -> bool {
        matches!(
            self,
            Self::Abandoned(_)
                | Self::Call {
                    operation: Operation::Release { .. },
                    ..
                }
        )
    }

    /// The file whose calls are handled one after the other, this among them.
    pub(super) fn file(&self) -> Option<FileId> {
        match self {
            Self::Abandoned(file) => Some(*file),
            Self::Call { operation, .. } => match operation {
                Operation::Open { .. } | Operation::Poll { .. } | Operation::Size { .. } => None,
                Operation::Release { file }
                | Operation::Flush { file }
                | Operation::Read { file, .. }
                | Operation::Write { file, .. }
                | Operation::Ioctl { file, .. }
                | Operation::Sync { file, .. } => Some(*file),
            },
        }
    }
}

/// A job whose turn has come. `T` is the driver's state for an open file.
pub(super) enum Task<T> {
    /// A job in no file's order.
    Free(Job),
    /// A job of a file that is busy with it from now on.
    Ordered(Arc<Entry<T>>, Job),
}

impl<T> Task<T> {
    pub(super) fn job(&self) -> &Job {
        match self {
            Self::Free(job) | Self::Ordered(_, job) => job,
        }
    }
}
