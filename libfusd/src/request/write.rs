//! write(2) and its relatives.

use std::ops::{Deref, Range};

use super::{Context, request};
use crate::Delivery;
use crate::backend::Answer;
use crate::backend::buffer::Buffer;

/// Up to this size a copy is cheaper than giving a whole buffer away.
const COPIED: usize = 8 * 1024;

/// A client writes. A large write may arrive as several requests, one after the other.
pub struct WriteRequest {
    context: Context,
    offset: u64,
    data: WriteData,
    /// Bytes at the beginning of `data` that have been taken.
    taken: usize,
}

request!(WriteRequest);

impl WriteRequest {
    pub(crate) fn new(context: Context, offset: u64, data: WriteData) -> Self {
        Self {
            context,
            offset,
            data,
            taken: 0,
        }
    }

    /// Where in the file to write, in bytes; 0 on a stream.
    pub fn offset(&self) -> u64 {
        self.offset
    }

    /// What the client wrote, less what has been [taken](Self::take) of it.
    pub fn data(&self) -> &[u8] {
        &self.data[self.taken..]
    }

    /// Takes the first `count` bytes, and leaves the client waiting until the rest is taken as
    /// well, as a write to a full pipe does. Should anything end the call before that, an
    /// interruption or [`fail`](Self::fail), it returns how much has been taken by then.
    ///
    /// [`Delivery::Unwanted`]: the client has stopped waiting, and nothing more of its data may be
    /// used; so ask this first and use them then.
    ///
    /// More than there are is a bug of the driver, and takes none.
    pub fn take(&mut self, count: usize) -> Delivery {
        let taken = self.taken.saturating_add(count);
        match u32::try_from(taken) {
            Ok(total) if taken <= self.data.len() => {
                if !self.context.take(total) {
                    return Delivery::Unwanted;
                }
                self.taken = taken;
                Delivery::Delivered
            }
            _ => {
                let left = self.data().len();
                tracing::error!("bug in the driver: {count} bytes taken of {left}");
                Delivery::Unwanted
            }
        }
    }

    /// Takes all of the data.
    pub fn accept(self) -> Delivery {
        let count = self.data().len();
        self.accept_part(count)
    }

    /// Takes the first `count` bytes: the client's call returns that number, and what has been
    /// taken before.
    ///
    /// More than were written are a bug of the driver: the call fails with `EIO`.
    pub fn accept_part(self, count: usize) -> Delivery {
        let written = self.data().len();
        match u32::try_from(self.taken.saturating_add(count)) {
            Ok(taken) if count <= written => self.context.finish(Answer::Count(taken)),
            _ => self
                .context
                .refuse(format_args!("{count} bytes taken of {written}")),
        }
    }
}

/// The bytes of a write: a copy where they are few, else the buffer they came in.
pub(crate) enum WriteData {
    Copied(Vec<u8>),
    Received(Buffer, Range<usize>),
}

impl WriteData {
    /// No bytes: what a call without data has.
    pub(crate) const fn none() -> Self {
        Self::Copied(Vec::new())
    }

    /// The bytes at `range` of `buffer`; `replace` makes the buffer that takes its place.
    pub(crate) fn take(
        buffer: &mut Buffer,
        range: Range<usize>,
        replace: impl FnOnce() -> Buffer,
    ) -> Self {
        if range.len() <= COPIED {
            Self::Copied(buffer[range].to_vec())
        } else {
            Self::Received(std::mem::replace(buffer, replace()), range)
        }
    }

    pub(crate) fn into_vec(self) -> Vec<u8> {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Received(..) => self.to_vec(),
        }
    }
}

impl Deref for WriteData {
    type Target = [u8];

    fn deref(&self) -> &[u8] {
        match self {
            Self::Copied(bytes) => bytes,
            Self::Received(buffer, range) => &buffer[range.clone()],
        }
    }
}
