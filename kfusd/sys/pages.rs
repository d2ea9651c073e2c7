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
        Arc, SpinLock,
    },
};

use super::{bring_in_destination, TRIES};

mod span;

use span::{with_page, Place, Span, Way};

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
        unsafe { Self::extract(from.as_raw(), length, false) }
    }

    /// The memory that the next `length` bytes to `to` go to, which moves on; none counts yet. They may
    /// be fewer. `None`: it cannot be pinned.
    pub(crate) fn of_destination(to: &mut IovIterDest<'_>, length: usize) -> Option<Lent> {
        // SAFETY: as above; the iterator is one that is written to.
        unsafe { Self::extract(to.as_raw(), length, true) }
    }

    /// # Safety
    /// The iterator is valid. With `writable` it is a destination, else a source.
    unsafe fn extract(
        iter: *mut bindings::iov_iter,
        length: usize,
        writable: bool,
    ) -> Option<Lent> {
        // SAFETY: by the caller's promise.
        if unsafe { bindings::iov_iter_single_seg_count(iter) } < length {
            return None;
        }
        // SAFETY: by the caller's promise.
        let span = unsafe { Span::whole(iter, length, writable) }?;
        let filled = if writable { 0 } else { span.room() };
        let pages = Arc::pin_init(
            pin_init!(Self {
                span,
                filled: Atomic::new(filled),
                open <- new_spinlock!(true, "fusd_pages"),
            }),
            GFP_KERNEL_ACCOUNT,
        );
        pages.ok().map(Lent)
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
        // SAFETY: the iterator is valid for as long as it is borrowed, and a destination.
        while let Some(theirs) = unsafe { Span::next(to.as_raw(), length - done, true) } {
            self.exchange(done, &theirs, Way::Out)?;
            done = done.saturating_add(theirs.room()).min(length);
        }
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
        // SAFETY: the iterator is valid for as long as it is borrowed.
        while let Some(theirs) = unsafe { Span::next(from.as_raw(), left, false) } {
            let filled = self.len();
            self.exchange(filled, &theirs, Way::In)?;
            let filled = filled.saturating_add(theirs.room());
            self.filled.store(filled, Relaxed);
            left = left.saturating_sub(theirs.room());
        }
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
        let mut filled = self.len();
        let mut left = more;
        while !left.is_empty() {
            let place = self.span.place(filled)?;
            let (now, later) = left.split_at(left.len().min(place.length));
            let open = self.lock_open()?;
            with_page(place.page, |mapped| {
                // SAFETY: the mapping is of a whole page, which has so many bytes from there on, and may
                // be written to by `ensure_room`. It is none of the kernel's own memory.
                unsafe {
                    let there = mapped.add(place.at);
                    core::ptr::copy_nonoverlapping(now.as_ptr(), there, now.len());
                };
            });
            drop(open);
            left = later;
            filled = filled.saturating_add(now.len());
        }
        self.filled.store(filled, Relaxed);
        Ok(())
    }

    /// Moves bytes between here, from `at` on, and all of a driver's span. Nothing is waited for.
    ///
    /// # Errors
    /// `ENOENT`: the call has ended meanwhile. `EINVAL`: they cannot be moved that way, or not so many.
    fn exchange(&self, at: usize, theirs: &Span, way: Way) -> Result {
        let destination = match way {
            Way::In => &self.span,
            Way::Out => theirs,
        };
        if !destination.is_writable() {
            return Err(EINVAL);
        }
        let mut done = 0_usize;
        while done < theirs.room() {
            let mut mine = self.span.place(at.saturating_add(done))?;
            mine.length = mine.length.min(theirs.room() - done);
            let open = self.lock_open()?;
            // SAFETY: where bytes go to is writable, as was seen above.
            unsafe { theirs.exchange(done, mine, way) }?;
            drop(open);
            done = done.saturating_add(mine.length);
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
