//! read(2) and its relatives.

use std::io::IoSlice;

use super::{Context, request};
use crate::Delivery;
use crate::backend::{Answer, total};

/// A client reads. A large read may arrive as several requests, one after the other; on a stream as
/// one, which asks for less.
pub struct ReadRequest {
    context: Context,
    offset: u64,
    length: u32,
}

request!(ReadRequest);

impl ReadRequest {
    #[inline]
    pub(crate) fn new(context: Context, offset: u64, length: u32) -> Self {
        Self {
            context,
            offset,
            length,
        }
    }

    /// Where in the file to read, in bytes; 0 on a stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// Bytes the client has room for. Zero is possible: the answer is then no bytes, too.
    #[expect(clippy::len_without_is_empty, reason = "a request is no container")]
    #[inline]
    pub fn len(&self) -> usize {
        // Lossless: fusd runs on targets with at least 32 bits.
        self.length as usize
    }

    /// Answers with `data`, at most [`len`](Self::len) bytes; none is the end of the file.
    ///
    /// More bytes than were asked for are a bug of the driver: the call fails with `EIO`, and
    /// none of them is delivered.
    #[inline]
    pub fn reply(self, data: &[u8]) -> Delivery {
        if data.len() > self.len() {
            return self.refuse(data.len());
        }
        self.context.finish(Answer::Data(&[IoSlice::new(data)]))
    }

    /// As `self.at_return().reply(data)`.
    #[inline]
    pub(super) fn reply_at_return(self, data: &[u8]) {
        if data.len() > self.len() {
            self.refuse(data.len());
        } else {
            let parts = [IoSlice::new(data)];
            self.context.finish_at_return(Answer::Data(&parts));
        }
    }

    /// Like [`reply`](Self::reply), with the bytes in several pieces: both ends of a ring, say.
    pub fn reply_parts(self, parts: &[IoSlice<'_>]) -> Delivery {
        let total = total(parts);
        if total > self.len() {
            return self.refuse(total);
        }
        self.context.finish(Answer::Data(parts))
    }

    #[cold]
    #[inline(never)]
    fn refuse(self, total: usize) -> Delivery {
        let asked = self.length;
        self.context
            .refuse(format_args!("{total} bytes answer a read of {asked}"))
    }

    /// Answers with what `content`, the whole of the file, has at this request's offset.
    pub fn reply_from(self, content: &[u8]) -> Delivery {
        let start = usize::try_from(self.offset)
            .unwrap_or(usize::MAX)
            .min(content.len());
        let end = start.saturating_add(self.len()).min(content.len());
        self.reply(&content[start..end])
    }
}
