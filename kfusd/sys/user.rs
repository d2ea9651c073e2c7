// SPDX-License-Identifier: GPL-2.0-only

//! Moving data and positions, where the kernel crate has no bounded or no safe form.

use kernel::{bindings, fs::File, iov::IovIterSource, prelude::*};

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
