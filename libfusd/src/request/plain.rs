//! The calls that only succeed or fail: close(2) of one descriptor, fsync(2).

use super::{Context, request};
use crate::Delivery;
use crate::backend::Answer;

/// A client closes one of the descriptors of a file; others may be left (dup(2), fork(2)). What
/// it fails with, close(2) returns, although the descriptor is closed all the same.
pub struct FlushRequest {
    context: Context,
}

request!(FlushRequest);

impl FlushRequest {
    pub(crate) fn new(context: Context) -> Self {
        Self { context }
    }

    /// The call succeeds.
    pub fn done(self) -> Delivery {
        self.context.finish(Answer::Done)
    }
}

/// A client asks for what it wrote to be made safe: fsync(2) or fdatasync(2).
pub struct SyncRequest {
    context: Context,
    data_only: bool,
}

request!(SyncRequest);

impl SyncRequest {
    pub(crate) fn new(context: Context, data_only: bool) -> Self {
        Self { context, data_only }
    }

    /// Whether it is fdatasync(2).
    pub fn data_only(&self) -> bool {
        self.data_only
    }

    /// The call succeeds.
    pub fn done(self) -> Delivery {
        self.context.finish(Answer::Done)
    }
}
