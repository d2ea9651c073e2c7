// SPDX-License-Identifier: GPL-2.0-only

//! Bytes of users' memory whose pages are pinned, of either side of a call.

use kernel::{bindings, page::PAGE_SIZE, prelude::*};

/// So many pages are listed in place: those that 64 KiB are in, wherever these begin.
const FEW: usize = 17;

/// So many bytes next to each other in the memory of users.
///
/// # Invariants
/// `list` are pages that this value has pinned, those that hold `room` bytes from `start` on, which is
/// in the first of them. Where they are `writable`, they were pinned for that.
pub(super) struct Span {
    list: List,
    start: usize,
    room: usize,
    writable: bool,
}

enum List {
    /// The first `count` of these.
    Few {
        pages: [*mut bindings::page; FEW],
        count: usize,
    },
    Many(KVVec<*mut bindings::page>),
}

/// A part of a page.
#[derive(Clone, Copy)]
pub(super) struct Place {
    pub(super) page: *mut bindings::page,
    /// Of its first byte. Less than a page.
    pub(super) at: usize,
    /// Bytes, up to the page's end or the span's. Not 0.
    pub(super) length: usize,
}

/// Which way bytes go.
#[derive(Clone, Copy)]
pub(super) enum Way {
    /// To the client.
    In,
    /// To the driver.
    Out,
}

impl Span {
    /// The next `length` bytes of `iter`, which moves on; they may be fewer. `None`: they cannot be
    /// pinned, and have to be copied.
    ///
    /// # Safety
    /// The iterator is valid. With `writable` it is a destination, else a source.
    #[inline(always)]
    pub(super) unsafe fn whole(
        iter: *mut bindings::iov_iter,
        length: usize,
        writable: bool,
    ) -> Option<Self> {
        let most = length.div_ceil(PAGE_SIZE).checked_add(1)?;
        let list = match most {
            0..=FEW => List::FEW_EMPTY,
            _ => List::Many(KVVec::with_capacity(most, GFP_KERNEL_ACCOUNT).ok()?),
        };
        // SAFETY: by the caller's promise.
        unsafe { Self::pin(iter, length, writable, list) }
    }

    /// Likewise, of as many pages at most as are listed in place.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    pub(super) unsafe fn next(
        iter: *mut bindings::iov_iter,
        length: usize,
        writable: bool,
    ) -> Option<Self> {
        // SAFETY: by the caller's promise.
        unsafe { Self::pin(iter, length, writable, List::FEW_EMPTY) }
    }

    /// Pins as many pages as `list`, which is empty, has room for.
    ///
    /// # Safety
    /// As above.
    #[inline(always)]
    unsafe fn pin(
        iter: *mut bindings::iov_iter,
        length: usize,
        writable: bool,
        list: List,
    ) -> Option<Self> {
        // SAFETY: by the caller's promise.
        let kind = bindings::iter_type::from(unsafe { (*iter).iter_type });
        // Of all others the kernel pins nothing for us.
        let is_users = matches!(
            kind,
            bindings::iter_type_ITER_UBUF | bindings::iter_type_ITER_IOVEC
        );
        if !is_users || length == 0 {
            return None;
        }
        // INVARIANT: no page yet, and no byte. From here on, `span` unpins what is in the list.
        let mut span = Self {
            list,
            start: 0,
            room: 0,
            writable,
        };
        let (mut array, most) = span.list.spare();
        let most = u32::try_from(most).ok()?;
        // SAFETY: the iterator is valid, and the array has room for `most` pages. It is of user memory,
        // so these are pinned (iov_iter_extract_will_pin, linux/uio.h), for writing where the iterator
        // is a destination.
        let extracted = unsafe {
            bindings::iov_iter_extract_pages(iter, &mut array, length, most, 0, &mut span.start)
        };
        // INVARIANT: these are the pages that hold `room` bytes from `start` on.
        span.room = usize::try_from(extracted).ok().filter(|room| *room != 0)?;
        let count = span.start.saturating_add(span.room).div_ceil(PAGE_SIZE);
        // SAFETY: so many were written to the array.
        unsafe { span.list.set_count(count) };
        Some(span)
    }

    /// Bytes that there is room for.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Whether it may be written to.
    pub(super) fn is_writable(&self) -> bool {
        self.writable
    }

    /// Where the byte `at` is.
    ///
    /// # Errors
    /// `EINVAL`: it is none of these.
    #[inline(always)]
    pub(super) fn place(&self, at: usize) -> Result<Place> {
        let left = self.room.checked_sub(at).filter(|left| *left != 0);
        let left = left.ok_or(EINVAL)?;
        let place = self.start.saturating_add(at);
        let page = *self.list.as_slice().get(place / PAGE_SIZE).ok_or(EINVAL)?;
        let at = place % PAGE_SIZE;
        Ok(Place {
            page,
            at,
            length: left.min(PAGE_SIZE - at),
        })
    }

    /// Moves bytes between here, from `at` on, and `mine`, a place of another span. Waits for nothing.
    ///
    /// # Safety
    /// Of the two, that where bytes go to is writable.
    ///
    /// # Errors
    /// `EINVAL`: there are not so many bytes here.
    #[inline(always)]
    pub(super) unsafe fn exchange(&self, at: usize, mine: Place, way: Way) -> Result {
        let mut done = 0_usize;
        while done < mine.length {
            let their = self.place(at.saturating_add(done))?;
            let part = their.length.min(mine.length - done);
            with_page(mine.page, |mine_mapped| {
                with_page(their.page, |their_mapped| {
                    // SAFETY: both are mappings of whole pages, which have so many bytes from there on,
                    // inside of what was pinned, and where they go to was pinned for writing.
                    unsafe {
                        let mine_mapped = mine_mapped.add(mine.at + done);
                        let their_mapped = their_mapped.add(their.at);
                        let (source, destination) = match way {
                            Way::In => (their_mapped.cast_const(), mine_mapped),
                            Way::Out => (mine_mapped.cast_const(), their_mapped),
                        };
                        // A driver may be its own client, with one buffer for both.
                        match core::ptr::eq(mine.page, their.page) {
                            true => core::ptr::copy(source, destination, part),
                            false => core::ptr::copy_nonoverlapping(source, destination, part),
                        }
                    }
                });
            });
            done = done.saturating_add(part);
        }
        Ok(())
    }
}

impl Drop for Span {
    /// May sleep: for the locks of pages. What may have been written to is marked so.
    fn drop(&mut self) {
        let list = self.list.as_slice_mut();
        // SAFETY: all that is in the list is pinned, once each.
        unsafe {
            bindings::unpin_user_pages_dirty_lock(list.as_mut_ptr(), list.len(), self.writable);
        }
    }
}

impl List {
    const FEW_EMPTY: Self = Self::Few {
        pages: [core::ptr::null_mut(); FEW],
        count: 0,
    };

    #[inline(always)]
    fn as_slice(&self) -> &[*mut bindings::page] {
        match self {
            Self::Few { pages, count } => pages.get(..*count).unwrap_or_default(),
            Self::Many(pages) => pages,
        }
    }

    fn as_slice_mut(&mut self) -> &mut [*mut bindings::page] {
        match self {
            Self::Few { pages, count } => pages.get_mut(..*count).unwrap_or_default(),
            Self::Many(pages) => pages,
        }
    }

    /// Where pages are to be written to, if there are none yet, and for how many there is room.
    fn spare(&mut self) -> (*mut *mut bindings::page, usize) {
        match self {
            Self::Few { pages, .. } => (pages.as_mut_ptr(), FEW),
            Self::Many(pages) => (pages.as_mut_ptr(), pages.capacity()),
        }
    }

    /// # Safety
    /// So many have been written to [`Self::spare`].
    unsafe fn set_count(&mut self, number: usize) {
        match self {
            Self::Few { count, .. } => *count = number,
            // SAFETY: by the caller's promise; there were none.
            Self::Many(pages) => unsafe { pages.inc_len(number) },
        }
    }
}

/// Maps a page for `call`, which must not sleep.
pub(super) fn with_page(page: *mut bindings::page, call: impl FnOnce(*mut u8)) {
    // SAFETY: the page is pinned. The mapping is the task's own, and undone in the order of a stack.
    unsafe {
        let mapped = bindings::kmap_local_page(page);
        call(mapped.cast());
        bindings::kunmap_local(mapped);
    }
}
