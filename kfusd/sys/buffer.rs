// SPDX-License-Identifier: GPL-2.0-only

//! Bytes in pages, first in, first out. To put some in or to take some out waits for nobody's memory:
//! what is not there is not copied, and can be had and tried again.

use kernel::{
    bindings,
    iov::{IovIterDest, IovIterSource},
    page::{Page, PAGE_SIZE},
    prelude::*,
};

/// The bytes.
pub(crate) struct Buffer {
    /// As many bytes of these are used as `size` says.
    pages: KVVec<Page>,
    /// A multiple of a page's, not 0.
    size: usize,
    /// Where the first byte is. Less than `size`.
    begin: usize,
    /// How many there are. At most `size`.
    filled: usize,
}

/// A part of a page.
struct Place {
    page: *mut bindings::page,
    /// Of its first byte. Less than a page.
    at: usize,
    /// Bytes, up to the page's end.
    length: usize,
}

impl Buffer {
    /// None, with room for `size` bytes or somewhat more, up to a whole page.
    ///
    /// # Errors
    /// `EINVAL`: 0. `ENOMEM`.
    pub(crate) fn new(size: usize) -> Result<Self> {
        let count = size.div_ceil(PAGE_SIZE);
        if count == 0 {
            return Err(EINVAL);
        }
        let mut pages = KVVec::with_capacity(count, GFP_KERNEL_ACCOUNT)?;
        for _ in 0..count {
            // What has not been put in is never shown: it need not be cleared.
            pages.push(Page::alloc_page(GFP_KERNEL_ACCOUNT)?, GFP_KERNEL_ACCOUNT)?;
        }
        Ok(Self {
            pages,
            size: count.saturating_mul(PAGE_SIZE),
            begin: 0,
            filled: 0,
        })
    }

    /// Bytes that it can hold.
    pub(crate) fn size(&self) -> usize {
        self.size
    }

    /// Bytes that are there.
    pub(crate) fn filled(&self) -> usize {
        self.filled
    }

    /// Bytes that there is room for.
    pub(crate) fn room(&self) -> usize {
        self.size.saturating_sub(self.filled)
    }

    /// Takes out what there is, at most `max` bytes, and as many as `to` has room for. Returns how many:
    /// fewer where memory of `to` is not there; the others stay.
    pub(crate) fn take(&mut self, to: &mut IovIterDest<'_>, max: usize) -> usize {
        let mut done = 0_usize;
        loop {
            let left = max.saturating_sub(done).min(self.filled).min(to.len());
            let Some(place) = self.place(self.begin, left) else {
                return done;
            };
            // SAFETY: the page is this value's, the bytes are in it, and the iterator is valid. Nothing
            // else writes to the page, as this value is borrowed alone.
            let copied = unsafe {
                bindings::copy_page_to_iter_nofault(
                    place.page,
                    // CAST: less than a page.
                    place.at as u32,
                    place.length,
                    to.as_raw(),
                )
            };
            // More than was asked for would be a fault of the kernel's.
            let copied = copied.min(place.length);
            self.begin = self.begin.saturating_add(copied) % self.size;
            self.filled = self.filled.saturating_sub(copied);
            done = done.saturating_add(copied);
            if copied < place.length {
                return done;
            }
        }
    }

    /// Puts in the next `length` bytes of `from`, as far as there is room. Returns how many: fewer where
    /// memory of `from` is not there. With `whole`, then none, and `from` is as before.
    pub(crate) fn put(
        &mut self,
        from: &mut IovIterSource<'_>,
        length: usize,
        whole: bool,
    ) -> usize {
        let wanted = length.min(self.room()).min(from.len());
        let mut done = 0_usize;
        loop {
            let end = self.begin.saturating_add(self.filled).saturating_add(done) % self.size;
            let Some(place) = self.place(end, wanted.saturating_sub(done)) else {
                break;
            };
            // SAFETY: the page is this value's, and nobody else has it, as this value is borrowed alone.
            // It is no part of a larger one, and so a folio of its own. The bytes are in it, and the
            // iterator is valid.
            let copied = unsafe {
                bindings::copy_folio_from_iter_atomic(
                    place.page.cast(),
                    place.at,
                    place.length,
                    from.as_raw(),
                )
            };
            let copied = copied.min(place.length);
            done = done.saturating_add(copied);
            if copied < place.length {
                if whole {
                    // SAFETY: the iterator is valid, and has gone on by so many bytes.
                    unsafe { bindings::iov_iter_revert(from.as_raw(), done) };
                    return 0;
                }
                break;
            }
        }
        self.filled = self.filled.saturating_add(done);
        done
    }

    /// Where up to `length` bytes are from `at` on, without a gap. `None`: no byte.
    fn place(&self, at: usize, length: usize) -> Option<Place> {
        let page = self.pages.get(at / PAGE_SIZE)?;
        let at = at % PAGE_SIZE;
        let length = length.min(PAGE_SIZE.saturating_sub(at));
        (length != 0).then_some(Place {
            page: page.as_ptr(),
            at,
            length,
        })
    }
}
