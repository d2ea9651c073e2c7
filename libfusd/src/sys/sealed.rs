//! Bytes in memory that nobody can change any more, in a form in which the kernel can be given them.

use std::ffi::c_void;
use std::fs::File;
use std::io::{self, Write};
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, BorrowedFd};
use std::ptr::NonNull;
use std::slice;

use nix::errno::Errno;
use nix::fcntl::{FcntlArg, OFlag, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};

/// A file of memory, sealed and mapped for as long as this value lives.
///
/// # Invariants
/// `length` bytes from `start` on are mapped, to be read, and stay there as they are: the file is
/// sealed against writing and against being made shorter.
pub(crate) struct Sealed {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

// SAFETY: the mapping belongs to no thread, and nobody writes to it (invariant).
unsafe impl Send for Sealed {}
// SAFETY: as above.
unsafe impl Sync for Sealed {}

impl Sealed {
    /// Copies `bytes`; `None` where there are none.
    ///
    /// # Errors
    /// As of memfd_create(2), write(2) and mmap(2).
    pub(crate) fn new(bytes: &[u8]) -> io::Result<Option<Self>> {
        let Some(length) = NonZeroUsize::new(bytes.len()) else {
            return Ok(None);
        };
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        let mut file = File::from(memfd_create(c"fusd-published", flags)?);
        file.write_all(bytes)?;
        let seals = SealFlag::F_SEAL_WRITE
            | SealFlag::F_SEAL_SHRINK
            | SealFlag::F_SEAL_GROW
            | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        // Else a read would be a change of the file's times as well, which nobody ever sees.
        fcntl(&file, FcntlArg::F_SETFL(OFlag::O_NOATIME))?;
        let start = match map(file.as_fd(), length, MapFlags::MAP_SHARED) {
            // Before Linux 6.7. A kernel to give the bytes to is later than that.
            Err(Errno::EPERM) => map(file.as_fd(), length, MapFlags::MAP_PRIVATE),
            mapped => mapped,
        }?;
        Ok(Some(Self { start, length }))
    }

    /// Where they begin: the beginning of a page.
    pub(crate) fn address(&self) -> *mut c_void {
        self.start.as_ptr()
    }

    pub(crate) fn bytes(&self) -> &[u8] {
        // SAFETY: by the invariant the memory is there as long as `self`, and does not change.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.length.get()) }
    }
}

fn map(
    file: BorrowedFd<'_>,
    length: NonZeroUsize,
    flags: MapFlags,
) -> Result<NonNull<c_void>, Errno> {
    // SAFETY: a new mapping, at a place of the kernel's choice.
    unsafe { mmap(None, length, ProtFlags::PROT_READ, flags, file, 0) }
}

impl Drop for Sealed {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, and nothing borrows from it any more. It fails for none
        // that is whole.
        let _ = unsafe { munmap(self.start, self.length.get()) };
    }
}
