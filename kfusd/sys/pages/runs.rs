// SPDX-License-Identifier: GPL-2.0-only

//! Bytes of users' pages as the kernel itself finds them, and their way from one place to another. Pages
//! that the kernel has next to each other are one run, and are copied as one.

use core::{ptr, slice};

use kernel::{bindings, page::PAGE_SIZE, prelude::*};

/// The bytes of some pages that are yet to be moved.
///
/// # Invariants
/// From `begin` on, there are `length` bytes of these pages, without a gap. The page behind them begins at
/// `next`, unless that is null, and those in `rest` follow. All are held for `'a`.
pub(super) struct Runs<'a> {
    begin: *mut u8,
    length: usize,
    next: *mut u8,
    rest: slice::Iter<'a, *mut bindings::page>,
}

impl<'a> Runs<'a> {
    /// From the byte `at` of the first page on.
    ///
    /// # Safety
    /// The pages are held for `'a`.
    #[inline(always)]
    pub(super) unsafe fn new(pages: &'a [*mut bindings::page], at: usize) -> Self {
        // INVARIANT: no byte yet; the pages are held by the caller's promise.
        let mut runs = Self {
            begin: ptr::null_mut(),
            length: 0,
            next: ptr::null_mut(),
            rest: pages.iter(),
        };
        runs.next = runs.next_page();
        runs.next_run();
        runs.advance(at);
        runs
    }

    /// Where the next page of `rest` begins, which is taken out. Null: there is none.
    #[inline(always)]
    fn next_page(&mut self) -> *mut u8 {
        match self.rest.next() {
            // SAFETY: the page is held, by the invariant. There is no high memory (`Span::take`): this is
            // where the kernel has it for good, and nothing that is to be undone.
            Some(page) => unsafe { bindings::kmap_local_page(*page) }.cast(),
            None => ptr::null_mut(),
        }
    }

    /// Goes on with the next page, and all that follow it without a gap.
    #[inline(never)]
    fn next_run(&mut self) {
        // INVARIANT: a page has so many bytes; what is next to it is in the same run.
        self.begin = self.next;
        self.length = 0;
        while !self.next.is_null() && self.next == self.begin.wrapping_add(self.length) {
            self.length = self.length.wrapping_add(PAGE_SIZE);
            self.next = self.next_page();
        }
    }

    /// Leaves out the next `count` bytes, which are in this run.
    #[inline(always)]
    fn advance(&mut self, count: usize) {
        // INVARIANT: the others are still there.
        self.begin = self.begin.wrapping_add(count);
        self.length = self.length.saturating_sub(count);
        if self.length == 0 {
            self.next_run();
        }
    }

    /// Copies `bytes` to the next ones.
    ///
    /// # Errors
    /// `EINVAL`: there are not so many.
    ///
    /// # Safety
    /// The pages are pinned for writing.
    pub(super) unsafe fn put(&mut self, bytes: &[u8]) -> Result {
        let mut left = bytes;
        while !left.is_empty() {
            let part = left.len().min(self.length);
            let (now, later) = left.split_at_checked(part).ok_or(EINVAL)?;
            if now.is_empty() {
                return Err(EINVAL);
            }
            // SAFETY: by the invariant, so many bytes are there, of users, and so none of `bytes`. They may
            // be written to by the caller's promise.
            unsafe { ptr::copy_nonoverlapping(now.as_ptr(), self.begin, part) };
            self.advance(part);
            left = later;
        }
        Ok(())
    }

    /// Moves the next `length` bytes to the next ones of `to`.
    ///
    /// # Errors
    /// `EINVAL`: there are not so many.
    ///
    /// # Safety
    /// The pages of `to` are pinned for writing.
    #[inline(always)]
    pub(super) unsafe fn copy_to(&mut self, to: &mut Runs<'_>, length: usize) -> Result {
        let mut left = length;
        while left != 0 {
            let part = left.min(self.length).min(to.length);
            if part == 0 {
                return Err(EINVAL);
            }
            // SAFETY: by the invariants, so many bytes are there at both places, and may be written to at
            // the second by the caller's promise. Whoever else has them, in a process, has no reference.
            unsafe {
                // A driver may be its own client, with one buffer for both.
                match self.begin.addr().abs_diff(to.begin.addr()) < part {
                    true => ptr::copy(self.begin, to.begin, part),
                    false => ptr::copy_nonoverlapping(self.begin, to.begin, part),
                }
            }
            self.advance(part);
            to.advance(part);
            left = left.saturating_sub(part);
        }
        Ok(())
    }
}
