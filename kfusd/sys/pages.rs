// SPDX-License-Identifier: GPL-2.0-only

//! A caller's memory, held in place while its call waits: large data goes there, or comes from there,
//! in the driver's own system call, without memory of the kernel's in between.
//!
//! The pages are the caller's own, which may look at them and write to them meanwhile. So nothing here
//! makes a reference of what is in them: all copies go from pointer to pointer. Once the call has ended,
//! however that came, nobody touches them any more ([`Lent`]).

use kernel::{
    bindings,
    iov::{IovIterDest, IovIterSource},
    new_spinlock,
    page::PAGE_SIZE,
    prelude::*,
    sync::{
        atomic::{Atomic, Relaxed},
        lock::{spinlock::SpinLockBackend, Guard},
        Arc, SpinLock, UniqueArc,
    },
};

use super::{bring_in_destination, TRIES};

mod runs;
mod span;

use runs::Runs;
use span::{Hold, Place, Span};

/// So many bytes are moved without a look at whether the call lasts: the end of a call waits for them, and
/// so may whoever wants the processor.
const AT_ONCE: usize = 32 << 10;

/// So many bytes in a caller's memory.
#[pin_data]
pub(crate) struct Pages {
    span: Span,
    /// How many of the bytes count.
    filled: Atomic<usize>,
    /// The call has not ended. Bytes are moved under this lock alone, which nothing is waited for under.
    #[pin]
    open: SpinLock<bool>,
}

// SAFETY: pinned pages stay where they are whoever unpins them.
unsafe impl Send for Pages {}
// SAFETY: bytes are moved under a lock.
unsafe impl Sync for Pages {}

/// The call that pages belong to: as this goes, they are let alone.
pub(crate) struct Lent(Arc<Pages>);

impl Lent {
    /// The pages.
    pub(crate) fn pages(&self) -> &Arc<Pages> {
        &self.0
    }
}

impl Drop for Lent {
    fn drop(&mut self) {
        *self.0.open.lock() = false;
    }
}

impl Pages {
    /// The memory that the next `length` bytes of `from` are in, which moves on; they all count. They may
    /// be fewer. `None`: it cannot be pinned, and has to be copied.
    pub(crate) fn of_source(from: &mut IovIterSource<'_>, length: usize) -> Option<Lent> {
        // SAFETY: the iterator is valid for as long as it is borrowed.
        unsafe { Self::extract(from.as_raw(), length, Hold::Read) }
    }

    /// The memory that the next `length` bytes to `to` go to, which moves on; none counts yet. They may
    /// be fewer. `None`: it cannot be pinned.
    pub(crate) fn of_destination(to: &mut IovIterDest<'_>, length: usize) -> Option<Lent> {
        // SAFETY: as above; the iterator is one that is written to.
        unsafe { Self::extract(to.as_raw(), length, Hold::Write) }
    }

    /// # Safety
    /// The iterator is valid. To be written to, it is a destination, else a source.
    unsafe fn extract(iter: *mut bindings::iov_iter, length: usize, hold: Hold) -> Option<Lent> {
        // SAFETY: by the caller's promise.
        if unsafe { bindings::iov_iter_single_seg_count(iter) } < length {
            return None;
        }
        let pages = UniqueArc::pin_init(
            pin_init!(Self {
                span: Span::few(hold),
                filled: Atomic::new(0),
                open <- new_spinlock!(true, "fusd_pages"),
            }),
            GFP_KERNEL_ACCOUNT,
        );
        let mut pages = pages.ok()?;
        let fields = pages.as_mut().project();
        // SAFETY: by the caller's promise.
        if !fields.span.make_room(length) || !unsafe { fields.span.take(iter, length) } {
            return None;
        }
        if hold != Hold::Write {
            *fields.filled = Atomic::new(fields.span.room());
        }
        Some(Lent(pages.into()))
    }

    /// Bytes that there is room for.
    pub(crate) fn room(&self) -> usize {
        self.span.room()
    }

    /// Bytes that count.
    pub(crate) fn len(&self) -> usize {
        self.filled.load(Relaxed)
    }

    /// None of the bytes counts.
    pub(crate) fn clear(&self) {
        self.filled.store(0, Relaxed);
    }

    /// Copies what counts to `to`.
    ///
    /// # Errors
    /// `EFAULT`. `ENOENT`: the call has ended meanwhile.
    pub(crate) fn copy_to(&self, to: &mut IovIterDest<'_>) -> Result {
        let length = self.len();
        let mut done = 0;
        let mut theirs = Span::few(Hold::Write);
        // SAFETY: the iterator is valid for as long as it is borrowed, and a destination.
        while unsafe { theirs.take(to.as_raw(), length - done) } {
            let count = theirs.room();
            let mut source = self.span.runs(done, count)?;
            // SAFETY: `theirs` is writable.
            unsafe { self.transfer(&mut source, &mut theirs.runs(0, count)?, count) }?;
            done = done.saturating_add(count).min(length);
        }
        drop(theirs);
        let mut tries = 0;
        while done < length {
            let Place {
                page,
                at,
                length: room,
            } = self.span.place(done)?;
            let wanted = room.min(length - done);
            let open = self.lock_open()?;
            // CAST: less than a page.
            // SAFETY: the page is pinned, the bytes are in it, and the iterator is valid.
            let copied = unsafe {
                bindings::copy_page_to_iter_nofault(page, at as u32, wanted, to.as_raw())
            };
            drop(open);
            done = done.saturating_add(copied);
            if copied == wanted {
                tries = 0;
                continue;
            }
            // Not all of it is there, or not yet.
            tries = if copied == 0 { tries + 1 } else { 0 };
            if tries == TRIES {
                return Err(EFAULT);
            }
            bring_in_destination(to, wanted.saturating_sub(copied))?;
        }
        Ok(())
    }

    /// Appends the next `length` bytes of `from`.
    ///
    /// # Errors
    /// `EFAULT`, `ENOMEM`: some may have been appended. `EINVAL`: there is too little room. `ENOENT`: the
    /// call has ended meanwhile.
    pub(crate) fn fill(&self, from: &mut IovIterSource<'_>, length: usize) -> Result {
        self.ensure_room(length)?;
        let mut left = length;
        let mut theirs = Span::few(Hold::ReadNow);
        // SAFETY: the iterator is valid for as long as it is borrowed.
        while unsafe { theirs.take(from.as_raw(), left) } {
            let (filled, count) = (self.len(), theirs.room());
            let mut destination = self.span.runs(filled, count)?;
            // SAFETY: this is writable, by `ensure_room`.
            unsafe { self.transfer(&mut theirs.runs(0, count)?, &mut destination, count) }?;
            self.filled.store(filled.saturating_add(count), Relaxed);
            left = left.saturating_sub(count);
        }
        drop(theirs);
        if left == 0 {
            return Ok(());
        }
        // What cannot be pinned may have to be waited for, and whoever ends the call must not wait for
        // that: it goes by way of memory of our own.
        let mut part = KVec::<u8>::with_capacity(PAGE_SIZE, GFP_KERNEL)?;
        while left != 0 {
            part.clear();
            let room = part.spare_capacity_mut();
            let wanted = left.min(room.len());
            let room = room.get_mut(..wanted).ok_or(EINVAL)?;
            let copied = from.copy_from_iter_raw(room).len();
            // SAFETY: so many bytes of the spare capacity were written.
            unsafe { part.inc_len(copied) };
            self.extend(&part)?;
            if copied < wanted {
                return Err(EFAULT);
            }
            left = left.saturating_sub(copied);
        }
        Ok(())
    }

    /// Appends `more`, without waiting for anything.
    ///
    /// # Errors
    /// `EINVAL`: there is too little room. `ENOENT`: the call has ended meanwhile.
    pub(crate) fn extend(&self, more: &[u8]) -> Result {
        self.ensure_room(more.len())?;
        let filled = self.len();
        let mut destination = self.span.runs(filled, more.len())?;
        for part in more.chunks(AT_ONCE) {
            let open = self.lock_open()?;
            // SAFETY: this is writable, by `ensure_room`.
            unsafe { destination.put(part) }?;
            drop(open);
        }
        self.filled
            .store(filled.saturating_add(more.len()), Relaxed);
        Ok(())
    }

    /// Moves `length` bytes, from or to memory of the call. Nothing is waited for.
    ///
    /// # Errors
    /// `ENOENT`: the call has ended meanwhile. `EINVAL`: there are not so many bytes.
    ///
    /// # Safety
    /// The pages of `to` are pinned for writing.
    unsafe fn transfer(&self, from: &mut Runs<'_>, to: &mut Runs<'_>, length: usize) -> Result {
        let mut left = length;
        while left != 0 {
            let part = left.min(AT_ONCE);
            let open = self.lock_open()?;
            // SAFETY: by the caller's promise.
            unsafe { from.copy_to(to, part) }?;
            drop(open);
            left = left.saturating_sub(part);
        }
        Ok(())
    }

    /// # Errors
    /// `EINVAL`: there is no room for `length` bytes more that may be written.
    fn ensure_room(&self, length: usize) -> Result {
        match self.span.is_writable() && length <= self.room().saturating_sub(self.len()) {
            true => Ok(()),
            false => Err(EINVAL),
        }
    }

    /// Keeps the call from ending. Nothing may sleep as long as this is held.
    ///
    /// # Errors
    /// `ENOENT`: it has ended.
    fn lock_open(&self) -> Result<Guard<'_, bool, SpinLockBackend>> {
        let open = self.open.lock();
        match *open {
            true => Ok(open),
            false => Err(ENOENT),
        }
    }
}
