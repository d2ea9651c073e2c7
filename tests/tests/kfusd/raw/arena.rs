//! Memory for the arguments of ioctls whose driver is not to be trusted.

use std::os::fd::{AsFd, AsRawFd};
use std::ptr;

use nix::errno::Errno;

/// Memory that drivers may write to while its address is an ioctl's argument: they can do no harm
/// there, however wrong they are about the length. Nobody looks at what is in it.
pub(crate) struct Arena {
    start: *mut libc::c_void,
}

/// Bytes of an [`Arena`].
const ARENA: usize = 4 << 20;

// SAFETY: the mapping belongs to no thread.
unsafe impl Send for Arena {}
// SAFETY: nothing here reads or writes what is in it; only the kernel does.
unsafe impl Sync for Arena {}

impl Arena {
    /// Maps it.
    pub(crate) fn new() -> Self {
        // SAFETY: a new mapping at a place of the kernel's choice.
        let start = unsafe {
            libc::mmap(
                ptr::null_mut(),
                ARENA,
                libc::PROT_READ | libc::PROT_WRITE,
                // Shared: it can be offered as memory, too.
                libc::MAP_SHARED | libc::MAP_ANONYMOUS,
                -1,
                0,
            )
        };
        assert_ne!(start, libc::MAP_FAILED);
        Self { start }
    }

    /// Its addresses.
    pub(crate) fn range(&self) -> std::ops::Range<u64> {
        let start = self.start.expose_provenance() as u64;
        start..start + ARENA as u64
    }

    /// ioctl(2) with its beginning for an argument.
    pub(crate) fn ioctl(&self, file: &impl AsFd, number: u32) -> Result<i32, Errno> {
        // SAFETY: what the kernel touches for a driver of these tests is in the arena, which is
        // larger than any ioctl's argument.
        let result = unsafe {
            libc::ioctl(
                file.as_fd().as_raw_fd(),
                libc::Ioctl::from(number),
                self.start,
            )
        };
        Errno::result(result)
    }
}

impl Drop for Arena {
    fn drop(&mut self) {
        // SAFETY: the mapping of `new`, which nobody uses any more.
        unsafe { libc::munmap(self.start, ARENA) };
    }
}
