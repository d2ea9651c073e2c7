// SPDX-License-Identifier: GPL-2.0-only

//! Bytes that a driver has published: a file of tmpfs, as memfd_create(2) makes them, that this
//! module reads for clients.

use core::ptr::NonNull;

use kernel::{bindings, iov::IovIterDest, page::PAGE_SIZE, prelude::*, sync::Arc};

use super::Memory;

/// What is published.
///
/// # Invariants
/// The file is one of tmpfs that was opened for reading by its own operations, and this value owns a
/// reference to it.
pub(crate) struct Content {
    /// `None` where there are no bytes.
    file: Option<NonNull<bindings::file>>,
    /// Bytes, not negative. The file may have more, and its owner may make it shorter.
    length: i64,
}

// SAFETY: a reference to a file may be given up by any thread, and nothing else of it is changed.
unsafe impl Send for Content {}
// SAFETY: `read` has a position of its own: it does what any number of threads do at once that read
// from one file by pread(2).
unsafe impl Sync for Content {}

impl Content {
    /// The first `length` bytes of the file that the calling process has mapped at `address`.
    ///
    /// It is told by an address for the reason that [`Memory`] is; what a process has mapped it may
    /// also read (mmap(2), `EACCES`).
    ///
    /// # Errors
    /// `EFAULT`: nothing is mapped there. `EINVAL`: it is not a shared mapping of so many bytes from
    /// the beginning of a file of that length on. `ENODEV`: the file is not one of tmpfs. `ENOMEM`.
    pub(crate) fn of_caller(address: u64, length: u64) -> Result<Arc<Self>> {
        let mut content = Self {
            file: None,
            length: i64::try_from(length).map_err(|_| EINVAL)?,
        };
        if length != 0 {
            // INVARIANT: it is such a file, and the reference is given to this value.
            content.file = Some(Self::file_of_caller(address, length)?);
        }
        Ok(Arc::new(content, GFP_KERNEL_ACCOUNT)?)
    }

    /// A reference to the file.
    fn file_of_caller(address: u64, length: u64) -> Result<NonNull<bindings::file>> {
        let address = usize::try_from(address).map_err(|_| EFAULT)?;
        let length = usize::try_from(length).map_err(|_| EINVAL)?;
        if address % PAGE_SIZE != 0 {
            return Err(EINVAL);
        }
        let task = kernel::current!();
        let guard = task.mm().ok_or(EFAULT)?.mmap_read_lock();
        let area = guard.vma_lookup(address).ok_or(EFAULT)?;
        let file = Memory::file_of(area, address, length)?;
        // SAFETY: the area has a reference to the file, and stays as it is under the lock; the inode
        // stays with the file.
        let size = unsafe {
            let size = (*file.as_ref().f_inode).i_size;
            bindings::get_file(file.as_ptr());
            size
        };
        // Given up, if it comes to that, after the lock: not because it had to be.
        drop(guard);
        if usize::try_from(size).is_ok_and(|size| length <= size) {
            return Ok(file);
        }
        // SAFETY: the reference was taken above.
        unsafe { bindings::fput(file.as_ptr()) };
        Err(EINVAL)
    }

    /// How many bytes.
    pub(crate) fn length(&self) -> i64 {
        self.length
    }

    /// Copies what is at `position`, which is not negative, to `to`. Returns how many bytes: as many
    /// as there is room for, or as there are up to the end.
    ///
    /// It may sleep, for memory that was swapped out and for the caller's own, and waits for nobody's
    /// user space but the caller's: tmpfs gives nothing of this to userfaultfd(2).
    ///
    /// # Errors
    /// `EFAULT`. `EIO`, `ENOMEM`: the memory cannot be had back.
    pub(crate) fn read(&self, position: i64, to: &mut IovIterDest<'_>) -> Result<usize> {
        let left = usize::try_from(self.length.saturating_sub(position)).unwrap_or(0);
        let (Some(file), 1..) = (self.file, left) else {
            return Ok(0);
        };
        let mut control = bindings::kiocb {
            ki_filp: file.as_ptr(),
            ki_pos: position,
            ..Default::default()
        };
        // The file may go on where the content ends.
        let hidden = to.len().saturating_sub(left);
        let iter = to.as_raw();
        // SAFETY: by the invariant the file is valid, and its operations are those of tmpfs, for which
        // it was opened for reading. The control block asks for a synchronous read, and is over when
        // that returns. The iterator is ours for the call; to lower its count hides its end, and to
        // raise it by as much shows that again (iov_iter_truncate, iov_iter_reexpand).
        let result = unsafe {
            let read = (*file.as_ref().f_op).read_iter.ok_or(EINVAL)?;
            (*iter).__bindgen_anon_1.__bindgen_anon_1.as_mut().count -= hidden;
            let result = read(&mut control, iter);
            (*iter).__bindgen_anon_1.__bindgen_anon_1.as_mut().count += hidden;
            result
        };
        // CAST: an errno.
        usize::try_from(result).map_err(|_| Error::from_errno(result as c_int))
    }
}

impl Drop for Content {
    fn drop(&mut self) {
        if let Some(file) = self.file {
            // SAFETY: by the invariant, the reference is this value's.
            unsafe { bindings::fput(file.as_ptr()) };
        }
    }
}
