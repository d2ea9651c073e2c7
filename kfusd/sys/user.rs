// SPDX-License-Identifier: GPL-2.0-only

//! Moving data and positions, where the kernel crate has no bounded or no safe form.

use core::ops::{Deref, DerefMut};

use kernel::{
    bindings,
    error::to_result,
    fs::File,
    iov::{IovIterDest, IovIterSource},
    prelude::*,
    uaccess::UserPtr,
};

/// Appends at most `max` bytes of `iter` to `out`, within the capacity it has. Returns how many:
/// fewer where memory of the caller is not there. (`copy_from_iter_vec` reserves as much as the
/// caller claims to have.)
pub(crate) fn fill_from_iter(
    iter: &mut IovIterSource<'_>,
    out: &mut KVVec<u8>,
    max: usize,
) -> usize {
    let room = out.spare_capacity_mut();
    let max = max.min(room.len());
    let Some(room) = room.get_mut(..max) else {
        return 0;
    };
    let copied = iter.copy_from_iter_raw(room).len();
    // SAFETY: `copied` bytes of the spare capacity were written.
    unsafe { out.inc_len(copied) };
    copied
}

/// Calls `call` with `length` bytes of the calling process at `memory` to be written to.
///
/// # Errors
/// `EFAULT`: that is no address of users. Those of `call`.
pub(crate) fn with_destination<T>(
    memory: UserPtr,
    length: usize,
    call: impl FnOnce(&mut IovIterDest<'_>) -> Result<T>,
) -> Result<T> {
    let mut iter = import(bindings::ITER_DEST, memory, length)?;
    // SAFETY: it is valid for this function, and a destination.
    call(unsafe { IovIterDest::from_raw(&mut iter) })
}

/// Likewise, to be read from.
///
/// # Errors
/// As above.
pub(crate) fn with_source<T>(
    memory: UserPtr,
    length: usize,
    call: impl FnOnce(&mut IovIterSource<'_>) -> Result<T>,
) -> Result<T> {
    let mut iter = import(bindings::ITER_SOURCE, memory, length)?;
    // SAFETY: it is valid for this function, and a source.
    call(unsafe { IovIterSource::from_raw(&mut iter) })
}

fn import(direction: u32, memory: UserPtr, length: usize) -> Result<bindings::iov_iter> {
    let mut iter = bindings::iov_iter::default();
    // CAST: 0 or 1.
    let direction = direction as c_int;
    // SAFETY: `iter` is written to, and nothing else is looked at: the address is only checked.
    to_result(unsafe { bindings::import_ubuf(direction, memory.as_mut_ptr(), length, &mut iter) })?;
    Ok(iter)
}

/// A destination that can be written to once more from where it stands now.
pub(crate) struct Rewindable<'a, 'data> {
    iter: &'a mut IovIterDest<'data>,
    length: usize,
}

impl<'a, 'data> Rewindable<'a, 'data> {
    /// From here on.
    pub(crate) fn new(iter: &'a mut IovIterDest<'data>) -> Self {
        let length = iter.len();
        Self { iter, length }
    }

    /// Back to there.
    pub(crate) fn rewind(&mut self) {
        let advanced = self.length.saturating_sub(self.iter.len());
        // SAFETY: it stood there when this value was made, and only moves on.
        unsafe { self.iter.revert(advanced) };
    }
}

impl<'data> Deref for Rewindable<'_, 'data> {
    type Target = IovIterDest<'data>;

    fn deref(&self) -> &Self::Target {
        self.iter
    }
}

impl DerefMut for Rewindable<'_, '_> {
    fn deref_mut(&mut self) -> &mut Self::Target {
        self.iter
    }
}

/// The kernel's own lseek(2).
pub(crate) struct Seek;

impl Seek {
    /// `SEEK_SET` and `SEEK_CUR`; for all else `EINVAL`.
    pub(crate) fn plain(file: &File, offset: i64, whence: c_int) -> Result<i64> {
        // SAFETY: the file is valid, and the VFS holds its position lock in `llseek`.
        let position = unsafe { bindings::no_seek_end_llseek(file.as_ptr(), offset, whence) };
        Self::result(position)
    }

    /// Sets the position. `EINVAL` for a negative one.
    pub(crate) fn to(file: &File, position: i64) -> Result<i64> {
        // SAFETY: as above.
        Self::result(unsafe { bindings::vfs_setpos(file.as_ptr(), position, i64::MAX) })
    }

    /// Makes the file one without a position.
    pub(crate) fn never(file: &File) {
        // SAFETY: the file is being opened, and nobody else has it yet. The inode is not looked
        // at (stream_open, fs/open.c), and the result is always 0.
        unsafe { bindings::stream_open(core::ptr::null_mut(), file.as_ptr()) };
    }

    fn result(position: i64) -> Result<i64> {
        match i32::try_from(position) {
            Ok(errno) if errno < 0 => Err(Error::from_errno(errno)),
            _ => Ok(position),
        }
    }
}

/// How often memory is brought in for a copy that makes no progress. Somebody else of the process may
/// take it away each time.
pub(crate) const TRIES: u32 = 16;

/// Brings in the next `length` bytes of memory that is to be written to. Returns how many there are. May
/// wait, for whoever has to provide them; such a wait can be killed.
///
/// # Errors
/// `EFAULT`: there is none.
pub(crate) fn bring_in_destination(to: &mut IovIterDest<'_>, length: usize) -> Result<usize> {
    // SAFETY: the iterator is valid.
    let missing = unsafe { bindings::fault_in_iov_iter_writeable(to.as_raw(), length) };
    brought_in(missing, length)
}

/// Likewise, that is to be read from.
///
/// # Errors
/// As above.
pub(crate) fn bring_in_source(from: &mut IovIterSource<'_>, length: usize) -> Result<usize> {
    // SAFETY: the iterator is valid.
    let missing = unsafe { bindings::fault_in_iov_iter_readable(from.as_raw(), length) };
    brought_in(missing, length)
}

fn brought_in(missing: usize, length: usize) -> Result<usize> {
    match length.saturating_sub(missing) {
        0 => Err(EFAULT),
        there => Ok(there),
    }
}
