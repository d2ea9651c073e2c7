//! Answers that leave when their handler returns.

use std::io::IoSlice;

use super::{FlushRequest, IoctlRequest, ReadRequest, Request, SyncRequest, WriteRequest};
use crate::Errno;

/// A request whose answer leaves when the handler returns: `request.at_return().reply(..)`.
///
/// For a handler that has nothing more to do. The backend can then answer this call and wait for
/// the next by one system call (kfusd does). The client waits until the handler has returned, so do
/// not use it where much comes after the answer.
///
/// What became of the answer is not told, for nobody knows yet when these methods return. Where it
/// matters, as bytes that reached nobody have to go back to where they were taken from, answer with
/// the request itself and look at the [`Delivery`](crate::Delivery).
///
/// An answer that cannot wait leaves at once: on another thread than the handler's, as the second
/// one of a handler, through other backends.
#[must_use = "the request waits for its answer"]
pub struct AtReturn<R>(R);

impl<R> AtReturn<R> {
    #[inline]
    pub(super) fn new(request: R) -> Self {
        Self(request)
    }
}

impl<R: Request> AtReturn<R> {
    /// Ends the call with an error.
    pub fn fail(self, errno: Errno) {
        let _unknown = self.told().fail(errno);
    }

    /// The request, which knows when its answer leaves.
    fn told(mut self) -> R {
        self.0.leave_at_return();
        self.0
    }
}

impl AtReturn<ReadRequest> {
    /// As [`ReadRequest::reply`].
    #[inline]
    pub fn reply(self, data: &[u8]) {
        self.0.reply_at_return(data);
    }

    /// As [`ReadRequest::reply_parts`].
    pub fn reply_parts(self, parts: &[IoSlice<'_>]) {
        let _unknown = self.told().reply_parts(parts);
    }

    /// As [`ReadRequest::reply_from`].
    pub fn reply_from(self, content: &[u8]) {
        let _unknown = self.told().reply_from(content);
    }
}

impl AtReturn<WriteRequest> {
    /// As [`WriteRequest::accept`].
    pub fn accept(self) {
        let _unknown = self.told().accept();
    }

    /// As [`WriteRequest::accept_part`].
    pub fn accept_part(self, count: usize) {
        let _unknown = self.told().accept_part(count);
    }
}

impl AtReturn<IoctlRequest> {
    /// As [`IoctlRequest::reply`].
    pub fn reply(self, result: i32, output: &[u8]) {
        let _unknown = self.told().reply(result, output);
    }
}

impl AtReturn<FlushRequest> {
    /// As [`FlushRequest::done`].
    pub fn done(self) {
        let _unknown = self.told().done();
    }
}

impl AtReturn<SyncRequest> {
    /// As [`SyncRequest::done`].
    pub fn done(self) {
        let _unknown = self.told().done();
    }
}
