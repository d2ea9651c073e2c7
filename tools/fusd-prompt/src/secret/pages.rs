//! Whole pages of memory that are kept out of swap, core dumps and children: the only unsafe code of
//! the tool.

#![allow(unsafe_code)]

use std::ffi::c_void;
use std::num::NonZeroUsize;
use std::ptr::NonNull;
use std::slice;
use std::sync::Once;

use nix::sys::mman::{MapFlags, MmapAdvise, ProtFlags, madvise, mlock, mmap_anonymous, munmap};
use zeroize::Zeroize;

/// What memory is mapped in, in bytes: a multiple of the page of every machine that fusd runs on.
const STEP: usize = 64 << 10;

/// Said once: the limit is the same for all of the process.
static UNLOCKED: Once = Once::new();

/// A private mapping of its own. Invariant: `start` is the begin of a mapping of `length` bytes that
/// nobody else knows and that is readable and writable until this is dropped.
pub(super) struct Pages {
    start: NonNull<c_void>,
    length: NonZeroUsize,
}

impl Pages {
    /// At least `bytes` bytes, all zero.
    ///
    /// # Panics
    /// There is no memory left.
    pub(super) fn new(bytes: usize) -> Self {
        let length = bytes.max(1).next_multiple_of(page());
        let length = NonZeroUsize::new(length).expect("it is at least a page");
        let rights = ProtFlags::PROT_READ | ProtFlags::PROT_WRITE;
        // SAFETY: a new private mapping, at a place that the kernel chooses, touches no other memory.
        let mapped = unsafe { mmap_anonymous(None, length, rights, MapFlags::MAP_PRIVATE) };
        let start = mapped.unwrap_or_else(|errno| panic!("no memory for a secret: {errno}"));
        let pages = Self { start, length };
        pages.protect();
        pages
    }

    /// Where the kernel refuses, the tool goes on: a secret in memory that may be swapped is what every
    /// other program has.
    fn protect(&self) {
        let length = self.length.get();
        // SAFETY: the mapping is this one's; to lock it changes nothing that is in it.
        if let Err(errno) = unsafe { mlock(self.start, length) } {
            UNLOCKED.call_once(|| {
                tracing::warn!(
                    error = %fusd::Errno::from(errno),
                    "answers cannot be kept out of swap; raise the limit of locked memory (ulimit -l)"
                );
            });
        }
        for advice in [MmapAdvise::MADV_DONTDUMP, MmapAdvise::MADV_DONTFORK] {
            // SAFETY: neither changes what this process finds in the mapping. Children do not have it,
            // and start another program without touching it.
            if let Err(errno) = unsafe { madvise(self.start, length, advice) } {
                tracing::debug!(error = %fusd::Errno::from(errno), "madvise of a secret");
            }
        }
    }

    pub(super) fn bytes(&self) -> &[u8] {
        // SAFETY: by the invariant these bytes can be read, and `&self` lets nobody write them; new
        // mappings are zero, so they are initialized.
        unsafe { slice::from_raw_parts(self.start.as_ptr().cast::<u8>(), self.length.get()) }
    }

    pub(super) fn bytes_mut(&mut self) -> &mut [u8] {
        // SAFETY: as for `bytes`; `&mut self` makes this the only reference.
        unsafe { slice::from_raw_parts_mut(self.start.as_ptr().cast::<u8>(), self.length.get()) }
    }
}

impl Drop for Pages {
    fn drop(&mut self) {
        self.bytes_mut().zeroize();
        // SAFETY: by the invariant it is this one's mapping, and there is no reference left.
        let unmapped = unsafe { munmap(self.start, self.length.get()) };
        debug_assert!(unmapped.is_ok(), "it was mapped with this length");
    }
}

// SAFETY: the mapping belongs to this value alone, and nothing about it is bound to a thread.
unsafe impl Send for Pages {}
// SAFETY: a shared reference only reads.
unsafe impl Sync for Pages {}

/// The size of a page, in bytes.
fn page() -> usize {
    let size = nix::unistd::sysconf(nix::unistd::SysconfVar::PAGE_SIZE);
    size.ok()
        .flatten()
        .and_then(|size| usize::try_from(size).ok())
        .unwrap_or(STEP)
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    /// The flags of the mapping that begins at `start` (`/proc/self/smaps`, "VmFlags").
    fn flags(start: usize) -> String {
        let maps = fs::read_to_string("/proc/self/smaps").unwrap();
        let mut lines = maps
            .lines()
            .skip_while(|line| !line.starts_with(&format!("{start:x}-")));
        let line = lines.find(|line| line.starts_with("VmFlags:"));
        line.expect("a mapping of its own").to_owned()
    }

    #[test]
    fn pages_are_locked_and_neither_dumped_nor_inherited() {
        let mut pages = Pages::new(1);
        pages.bytes_mut()[0] = b'x';
        let flags = flags(pages.start.as_ptr() as usize);
        for flag in ["lo", "dd", "dc"] {
            assert!(flags.split(' ').any(|one| one == flag), "{flag}: {flags}");
        }
    }

    #[test]
    fn they_begin_as_zeros_and_are_as_long_as_asked_for() {
        let pages = Pages::new(100_000);
        assert!(pages.bytes().len() >= 100_000);
        assert!(pages.bytes().iter().all(|byte| *byte == 0));
    }
}
