// SPDX-License-Identifier: GPL-2.0-only

//! Bytes of users' memory whose pages are held in place, of either side of a call.

use kernel::{bindings, page::PAGE_SIZE, prelude::*};

use super::runs::Runs;

/// So many pages are listed in place: those that 64 KiB are in, wherever these begin.
const FEW: usize = 17;

/// So many bytes next to each other in the memory of users.
///
/// # Invariants
/// `list` are the pages that have `room` bytes from `start` on, which is in the first of them. This value
/// holds them as `hold` says.
pub(super) struct Span {
    list: List,
    start: usize,
    room: usize,
    hold: Hold,
}

/// How pages are held (Documentation/core-api/pin_user_pages.rst).
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Hold {
    /// Pinned to be written to.
    Write,
    /// Pinned to be read, for as long as it takes.
    Read,
    /// Referenced, to be read in the system call whose memory it is. That is less work, and enough: if the
    /// process gets another page there meanwhile, this one stays as it was.
    ReadNow,
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

impl Span {
    /// None, with as many pages to be listed as are in place, to be held that way.
    #[inline(always)]
    pub(super) const fn few(hold: Hold) -> Self {
        // INVARIANT: no page, and no byte.
        Self {
            list: List::FEW_EMPTY,
            start: 0,
            room: 0,
            hold,
        }
    }

    /// Makes room to list as many pages as `length` bytes can be in; there are none yet. `false`: there is no
    /// memory for that.
    #[inline(always)]
    pub(super) fn make_room(&mut self, length: usize) -> bool {
        let most = length.div_ceil(PAGE_SIZE).saturating_add(1);
        if most <= FEW {
            return true;
        }
        match KVVec::with_capacity(most, GFP_KERNEL_ACCOUNT) {
            Ok(list) => {
                self.let_go();
                self.list = List::Many(list);
                true
            }
            Err(_) => false,
        }
    }

    /// Makes it the next `length` bytes of `iter`, which moves on; they may be fewer, for want of room to
    /// list them as well. `false`: none, they cannot be pinned, and have to be copied.
    ///
    /// # Safety
    /// The iterator is valid. Where this is to be written to it is a destination, else a source.
    #[inline(always)]
    pub(super) unsafe fn take(&mut self, iter: *mut bindings::iov_iter, length: usize) -> bool {
        self.let_go();
        // SAFETY: by the caller's promise.
        let kind = bindings::iter_type::from(unsafe { (*iter).iter_type });
        // Of all others the kernel pins nothing for us.
        let is_users = matches!(
            kind,
            bindings::iter_type_ITER_UBUF | bindings::iter_type_ITER_IOVEC
        );
        // High memory is nowhere for good (`Runs`).
        if cfg!(CONFIG_HIGHMEM) || !is_users || length == 0 {
            return false;
        }
        let (mut array, most) = self.list.spare();
        let Ok(most) = u32::try_from(most) else {
            return false;
        };
        let mut start = 0;
        // SAFETY: the iterator is valid, and the array has room for `most` pages. It is of user memory,
        // so the first gives a reference to each, and the second pins them (iov_iter_extract_will_pin,
        // linux/uio.h), for writing where the iterator is a destination.
        let extracted = unsafe {
            match self.hold {
                Hold::ReadNow => {
                    bindings::iov_iter_get_pages2(iter, array, length, most, &mut start)
                }
                Hold::Read | Hold::Write => {
                    bindings::iov_iter_extract_pages(iter, &mut array, length, most, 0, &mut start)
                }
            }
        };
        let room = usize::try_from(extracted).unwrap_or(0);
        if room == 0 {
            return false;
        }
        // INVARIANT: these are the pages that hold `room` bytes from `start` on.
        (self.start, self.room) = (start, room);
        let count = start.saturating_add(room).div_ceil(PAGE_SIZE);
        // SAFETY: so many were written to the array.
        unsafe { self.list.set_count(count) };
        true
    }

    /// Makes it none. May sleep: for the locks of pages. What may have been written to is marked so.
    fn let_go(&mut self) {
        let list = self.list.as_slice_mut();
        if list.is_empty() {
            return;
        }
        let (pages, count) = (list.as_mut_ptr(), list.len());
        // SAFETY: all that is in the list is held that way, once each.
        unsafe {
            match self.hold {
                // CAST: not more than `take` has asked for.
                Hold::ReadNow => {
                    bindings::release_pages(bindings::release_pages_arg { pages }, count as c_int)
                }
                Hold::Read => bindings::unpin_user_pages(pages, count),
                Hold::Write => bindings::unpin_user_pages_dirty_lock(pages, count, true),
            }
        }
        // INVARIANT: no page, and no byte.
        self.list.clear();
        (self.start, self.room) = (0, 0);
    }

    /// Bytes that there is room for.
    pub(super) fn room(&self) -> usize {
        self.room
    }

    /// Whether it may be written to.
    pub(super) fn is_writable(&self) -> bool {
        self.hold == Hold::Write
    }

    /// The `length` bytes from `at` on.
    ///
    /// # Errors
    /// `EINVAL`: not all of them are here.
    #[inline(always)]
    pub(super) fn runs(&self, at: usize, length: usize) -> Result<Runs<'_>> {
        let left = self.room.checked_sub(at).ok_or(EINVAL)?;
        if length > left {
            return Err(EINVAL);
        }
        let place = self.start.saturating_add(at);
        let pages = self.list.as_slice().get(place / PAGE_SIZE..);
        // SAFETY: they are held, by the invariant, for as long as this is borrowed.
        Ok(unsafe { Runs::new(pages.ok_or(EINVAL)?, place % PAGE_SIZE) })
    }

    /// Where the byte `at` is.
    ///
    /// # Errors
    /// `EINVAL`: it is none of these.
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
}

impl Drop for Span {
    fn drop(&mut self) {
        self.let_go();
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

    /// None any more.
    fn clear(&mut self) {
        match self {
            Self::Few { count, .. } => *count = 0,
            Self::Many(pages) => pages.clear(),
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
