//! read(2) and its relatives.

use std::io::IoSlice;

use super::{Context, request};
use crate::Delivery;
use crate::backend::Answer;

/// A client reads. A large read may arrive as several requests, one after the other; on a stream as
/// one, which asks for less.
pub struct ReadRequest {
    context: Context,
    offset: u64,
    length: u32,
}

request!(ReadRequest);

impl ReadRequest {
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
    pub fn len(&self) -> usize {
        // Lossless: fusd runs on targets with at least 32 bits.
        self.length as usize
    }

    /// Answers with `data`, at most [`len`](Self::len) bytes; none is the end of the file.
    ///
    /// More bytes than were asked for are a bug of the driver: the call fails with `EIO`, and
    /// none of them is delivered.
    pub fn reply(self, data: &[u8]) -> Delivery {
        self.reply_parts(&[IoSlice::new(data)])
    }

    /// Like [`reply`](Self::reply), with the bytes in several pieces: both ends of a ring, say.
    pub fn reply_parts(self, parts: &[IoSlice<'_>]) -> Delivery {
        let total: usize = parts.iter().map(|part| part.len()).sum();
        if total > self.len() {
            let asked = self.length;
            return self
                .context
                .refuse(format_args!("{total} bytes answer a read of {asked}"));
        }
        self.context.finish(Answer::Data(parts))
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
