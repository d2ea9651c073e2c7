// SPDX-License-Identifier: GPL-2.0-only

//! A driver's memory, where messages come from and go to: what read(2) and write(2) name, and what an
//! ioctl does.

use kernel::{
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};

use crate::bytes::Bytes;
use crate::connection::{Input, Output};
use crate::sys::{with_destination, with_source, Pages, Rewindable};

/// To be read from.
pub(super) trait Source {
    /// Fills `out`.
    ///
    /// # Errors
    /// `EFAULT`.
    fn fill(&mut self, out: &mut [u8]) -> Result;

    /// Appends `length` bytes to `out`, which has room for them.
    ///
    /// # Errors
    /// `EFAULT`.
    fn append(&mut self, out: &mut Bytes, length: usize) -> Result;
}

/// What is left of a message: bytes read already, then the others.
pub(super) struct Rest<'a, S> {
    early: &'a [u8],
    input: &'a mut S,
}

impl<'a, S> Rest<'a, S> {
    /// `early`, then what `input` gives.
    pub(super) fn new(early: &'a [u8], input: &'a mut S) -> Self {
        Self { early, input }
    }
}

impl<S: Source> Input for Rest<'_, S> {
    fn at_hand(&self, length: usize) -> Option<&[u8]> {
        self.early.get(..length)
    }

    fn append(&mut self, out: &mut Bytes, length: usize) -> Result {
        let early = self.early.len().min(length);
        let (now, later) = self.early.split_at_checked(early).ok_or(EINVAL)?;
        self.early = later;
        out.extend(now)?;
        match length.saturating_sub(early) {
            0 => Ok(()),
            left => self.input.append(out, left),
        }
    }
}

/// What write(2) takes.
pub(super) struct IterInput<'a, 'b>(&'a mut IovIterSource<'b>);

impl<'a, 'b> IterInput<'a, 'b> {
    /// What is left of it.
    pub(super) fn new(from: &'a mut IovIterSource<'b>) -> Self {
        Self(from)
    }
}

impl Source for IterInput<'_, '_> {
    fn fill(&mut self, out: &mut [u8]) -> Result {
        if self.0.copy_from_iter(out) == out.len() {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }

    fn append(&mut self, out: &mut Bytes, length: usize) -> Result {
        if let Some(pages) = out.as_pages() {
            return pages.fill(self.0, length);
        }
        if out.fill(self.0, length) == length {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }
}

/// What read(2) fills.
pub(super) struct IterOutput<'a, 'b>(Rewindable<'a, 'b>);

impl<'a, 'b> IterOutput<'a, 'b> {
    /// What is left of it.
    pub(super) fn new(to: &'a mut IovIterDest<'b>) -> Self {
        Self(Rewindable::new(to))
    }
}

impl Output for IterOutput<'_, '_> {
    fn room(&self) -> usize {
        self.0.len()
    }

    fn put(&mut self, bytes: &[u8]) -> Result {
        if self.0.copy_to_iter(bytes) == bytes.len() {
            Ok(())
        } else {
            Err(EFAULT)
        }
    }

    fn put_pages(&mut self, pages: &Pages) -> Result {
        pages.copy_to(&mut self.0)
    }

    fn rewind(&mut self) {
        self.0.rewind();
    }
}

/// Memory that an ioctl takes a message from.
pub(super) struct UserInput {
    memory: UserPtr,
    left: usize,
}

impl UserInput {
    /// `left` bytes.
    pub(super) fn new(memory: UserPtr, left: usize) -> Self {
        Self { memory, left }
    }

    /// Where the next `length` bytes are.
    fn next(&mut self, length: usize) -> Result<UserPtr> {
        let left = self.left.checked_sub(length).ok_or(EFAULT)?;
        let memory = self.memory;
        self.memory = memory.wrapping_byte_add(length);
        self.left = left;
        Ok(memory)
    }
}

impl Source for UserInput {
    fn fill(&mut self, out: &mut [u8]) -> Result {
        let memory = self.next(out.len())?;
        UserSlice::new(memory, out.len()).reader().read_slice(out)
    }

    fn append(&mut self, out: &mut Bytes, length: usize) -> Result {
        let memory = self.next(length)?;
        match out.as_pages() {
            Some(pages) => with_source(memory, length, |from| pages.fill(from, length)),
            None => out.read(UserSlice::new(memory, length), length),
        }
    }
}

/// Memory that an ioctl puts a message to.
pub(super) struct UserOutput {
    begin: (UserPtr, usize),
    memory: UserPtr,
    left: usize,
}

impl UserOutput {
    /// `left` bytes.
    pub(super) fn new(memory: UserPtr, left: usize) -> Self {
        Self {
            begin: (memory, left),
            memory,
            left,
        }
    }
}

impl Output for UserOutput {
    fn room(&self) -> usize {
        self.left
    }

    fn put(&mut self, bytes: &[u8]) -> Result {
        let left = self.left.checked_sub(bytes.len()).ok_or(EFAULT)?;
        UserSlice::new(self.memory, bytes.len())
            .writer()
            .write_slice(bytes)?;
        self.memory = self.memory.wrapping_byte_add(bytes.len());
        self.left = left;
        Ok(())
    }

    fn put_pages(&mut self, pages: &Pages) -> Result {
        let length = pages.len();
        let left = self.left.checked_sub(length).ok_or(EFAULT)?;
        with_destination(self.memory, length, |to| pages.copy_to(to))?;
        self.memory = self.memory.wrapping_byte_add(length);
        self.left = left;
        Ok(())
    }

    fn rewind(&mut self) {
        (self.memory, self.left) = self.begin;
    }
}
