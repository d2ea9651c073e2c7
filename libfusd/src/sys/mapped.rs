//! Memory that other processes can map too.

use std::ffi::{CStr, c_void};
use std::io;
use std::num::NonZeroUsize;
use std::os::fd::{AsFd, OwnedFd};
use std::ptr::NonNull;
use std::slice;
use std::sync::atomic::{AtomicU8, AtomicU64};

use nix::fcntl::{FcntlArg, SealFlag, fcntl};
use nix::sys::memfd::{MFdFlags, memfd_create};
use nix::sys::mman::{MapFlags, ProtFlags, mmap, munmap};
use nix::unistd::ftruncate;

use super::process::above_stdio;

/// A file of memory, mapped from its beginning to its end for as long as this value lives.
///
/// # Invariants
/// `length` bytes from `start` on are mapped, to be read and written, and stay there: the file is
/// sealed against being made shorter. `start` is the beginning of a page, `length` a multiple of its
/// size. All access is by atomics.
pub(crate) struct Mapped {
    start: NonNull<c_void>,
    length: usize,
    file: OwnedFd,
}

// SAFETY: the mapping belongs to no thread, and access to it is by atomics (invariant).
unsafe impl Send for Mapped {}
// SAFETY: as above.
unsafe impl Sync for Mapped {}

impl Mapped {
    /// Makes a file of `length` bytes, a multiple of the size of a page, all zero.
    ///
    /// # Errors
    /// As of memfd_create(2), ftruncate(2) and mmap(2).
    pub(crate) fn new(length: NonZeroUsize) -> io::Result<Self> {
        Self::named(c"fusd", length)
    }

    /// Likewise; `name` is what /proc calls the file.
    ///
    /// # Errors
    /// As of [`new`](Self::new).
    pub(crate) fn named(name: &CStr, length: NonZeroUsize) -> io::Result<Self> {
        let flags = MFdFlags::MFD_CLOEXEC | MFdFlags::MFD_ALLOW_SEALING;
        // A driver may have no standard files: this must not become one.
        let file = above_stdio(&memfd_create(name, flags)?)?;
        ftruncate(
            &file,
            i64::try_from(length.get()).map_err(|_| io::ErrorKind::OutOfMemory)?,
        )?;
        let seals = SealFlag::F_SEAL_SHRINK | SealFlag::F_SEAL_GROW | SealFlag::F_SEAL_SEAL;
        fcntl(&file, FcntlArg::F_ADD_SEALS(seals))?;
        let access = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new mapping, at a place of the kernel's choice.
        let start = unsafe { mmap(None, length, access, MapFlags::MAP_SHARED, file.as_fd(), 0) }?;
        Ok(Self {
            start,
            length: length.get(),
            file,
        })
    }

    /// Its address.
    pub(crate) fn address(&self) -> *mut c_void {
        self.start.as_ptr()
    }

    /// Its file.
    pub(crate) fn file(&self) -> &OwnedFd {
        &self.file
    }

    pub(crate) fn bytes(&self) -> &[AtomicU8] {
        // SAFETY: by the invariant the memory is there as long as `self`, and is changed by atomics
        // alone. What other processes do to it is like what another thread does by atomics.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.length) }
    }

    pub(crate) fn words(&self) -> &[AtomicU64] {
        // SAFETY: as above; a page is aligned for any number, and holds a multiple of its size.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast(), self.length / 8) }
    }
}

impl Drop for Mapped {
    fn drop(&mut self) {
        // SAFETY: the mapping is this value's, and nothing borrows from it any more. It fails for none
        // that is whole.
        let _ = unsafe { munmap(self.start, self.length) };
    }
}
