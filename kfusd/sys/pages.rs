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

/// So many bytes in a caller's memory.
///
/// # Invariants
/// `list` are pages that this value has pinned, those that hold `room` bytes from `start` on, which is
/// in the first of them. Where they are `writable`, they were pinned for that.
#[pin_data(PinnedDrop)]
pub(crate) struct Pages {
    list: KVVec<*mut bindings::page>,
    start: usize,
    room: usize,
    writable: bool,
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

/// An array of pages that are unpinned as it goes.
struct Pinned {
    list: KVVec<*mut bindings::page>,
    writable: bool,
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
        // SAFETY: by the caller's promise, here and below.
        let kind = bindings::iter_type::from(unsafe { (*iter).iter_type });
        // Of all others the kernel pins nothing for us.
        let is_users = matches!(
            kind,
            bindings::iter_type_ITER_UBUF | bindings::iter_type_ITER_IOVEC
        );
        // SAFETY: as above.
        if !is_users || unsafe { bindings::iov_iter_single_seg_count(iter) } < length {
            return None;
        }
        let most = length.div_ceil(PAGE_SIZE).checked_add(1)?;
        let mut pinned = Pinned {
            list: KVVec::with_capacity(most, GFP_KERNEL_ACCOUNT).ok()?,
            writable,
        };
        let mut array = pinned.list.as_mut_ptr();
        let most = u32::try_from(most).ok()?;
        let mut start = 0;
        // SAFETY: the iterator is valid, and the array has room for `most` pages. It is of user memory,
        // so these are pinned (iov_iter_extract_will_pin, linux/uio.h), for writing where the iterator
        // is a destination.
        let extracted = unsafe {
            bindings::iov_iter_extract_pages(iter, &mut array, length, most, 0, &mut start)
        };
        let room = usize::try_from(extracted).ok().filter(|room| *room != 0)?;
        let count = start.checked_add(room)?.div_ceil(PAGE_SIZE);
        // SAFETY: so many were written to the array; no more than `most`, as `room` is at most `length`.
        unsafe { pinned.list.inc_len(count) };
        // INVARIANT: these are the pages that hold `room` bytes from `start` on. Where there is no memory
        // for this value, `pinned` unpins them.
        let filled = if writable { 0 } else { room };
        let pages = Arc::pin_init(
            pin_init!(Self {
                list: pinned.give(),
                start,
                room,
                writable,
                filled: Atomic::new(filled),
                open <- new_spinlock!(true, "fusd_pages"),
            }),
            GFP_KERNEL_ACCOUNT,
        );
        pages.ok().map(Lent)
    }

    /// Bytes that there is room for.
    pub(crate) fn room(&self) -> usize {
        self.room
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
        if let Some(theirs) = Self::of_destination(to, length) {
            done = theirs.pages().room;
            self.exchange(0, theirs.pages(), done, Way::Out)?;
        }
        let mut tries = 0;
        while done < length {
            let (page, at, room) = self.place(done)?;
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
        let filled = self.len();
        self.ensure_room(length)?;
        let mut left = length;
        if let Some(theirs) = Self::of_source(from, length) {
            let done = theirs.pages().room;
            self.exchange(filled, theirs.pages(), done, Way::In)?;
            self.filled.store(filled.saturating_add(done), Relaxed);
            left = left.saturating_sub(done);
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
            let (page, at, room) = self.place(filled)?;
            let (now, later) = left.split_at(left.len().min(room));
            let open = self.lock_open()?;
            with_page(page, |mapped| {
                // SAFETY: the mapping is of a whole page, which has so many bytes from there on, and may
                // be written to by `ensure_room`. It is none of the kernel's own memory.
                unsafe { core::ptr::copy_nonoverlapping(now.as_ptr(), mapped.add(at), now.len()) };
            });
            drop(open);
            left = later;
            filled = filled.saturating_add(now.len());
        }
        self.filled.store(filled, Relaxed);
        Ok(())
    }

    /// Moves `length` bytes between here, from `at` on, and the beginning of the driver's pages. These are
    /// pinned as well: nothing is waited for.
    ///
    /// # Errors
    /// `ENOENT`: the call has ended meanwhile.
    fn exchange(&self, at: usize, theirs: &Self, length: usize, way: Way) -> Result {
        let mut done = 0_usize;
        while done < length {
            let (page, from, room) = self.place(at.saturating_add(done))?;
            let (their_page, their_from, their_room) = theirs.place(done)?;
            let part = (length - done).min(room).min(their_room);
            let open = self.lock_open()?;
            with_page(page, |mine| {
                with_page(their_page, |their| {
                    // SAFETY: both are mappings of whole pages, which have so many bytes from there on,
                    // inside of what was pinned; the destination was pinned for writing, by
                    // `ensure_room` here, by `of_destination` there.
                    unsafe {
                        let (mine, their) = (mine.add(from), their.add(their_from));
                        let (source, destination) = match way {
                            Way::In => (their.cast_const(), mine),
                            Way::Out => (mine.cast_const(), their),
                        };
                        // A driver may be its own client, with one buffer for both.
                        match core::ptr::eq(page, their_page) {
                            true => core::ptr::copy(source, destination, part),
                            false => {
                                core::ptr::copy_nonoverlapping(source, destination, part);
                            }
                        }
                    }
                });
            });
            drop(open);
            done = done.saturating_add(part);
        }
        Ok(())
    }

    /// Where the byte `at` is: the page, the place in it, and how many bytes there are from there on, of
    /// the page and of what was pinned.
    ///
    /// # Errors
    /// `EINVAL`: it is none of these.
    fn place(&self, at: usize) -> Result<(*mut bindings::page, usize, usize)> {
        let left = self.room.checked_sub(at).filter(|left| *left != 0);
        let left = left.ok_or(EINVAL)?;
        let place = self.start.saturating_add(at);
        let page = *self.list.get(place / PAGE_SIZE).ok_or(EINVAL)?;
        let from = place % PAGE_SIZE;
        Ok((page, from, left.min(PAGE_SIZE - from)))
    }

    /// # Errors
    /// `EINVAL`: there is no room for `length` bytes more that may be written.
    fn ensure_room(&self, length: usize) -> Result {
        match self.writable && length <= self.room.saturating_sub(self.len()) {
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

/// Which way bytes go.
#[derive(Clone, Copy)]
enum Way {
    /// To the client.
    In,
    /// To the driver.
    Out,
}

/// Maps a page for `call`, which must not sleep.
fn with_page(page: *mut bindings::page, call: impl FnOnce(*mut u8)) {
    // SAFETY: the page is pinned. The mapping is the task's own, and undone in the order of a stack.
    unsafe {
        let mapped = bindings::kmap_local_page(page);
        call(mapped.cast());
        bindings::kunmap_local(mapped);
    }
}

#[pinned_drop]
impl PinnedDrop for Pages {
    /// May sleep: for the locks of pages.
    fn drop(self: Pin<&mut Self>) {
        let this = self.project();
        drop(Pinned {
            list: core::mem::take(this.list),
            writable: *this.writable,
        });
    }
}

impl Pinned {
    fn give(&mut self) -> KVVec<*mut bindings::page> {
        core::mem::take(&mut self.list)
    }
}

impl Drop for Pinned {
    fn drop(&mut self) {
        // SAFETY: all that is in the list is pinned, once each. What may have been written to is marked
        // so.
        unsafe {
            bindings::unpin_user_pages_dirty_lock(
                self.list.as_mut_ptr(),
                self.list.len(),
                self.writable,
            );
        }
    }
}
