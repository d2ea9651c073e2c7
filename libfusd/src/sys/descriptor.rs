//! What a descriptor stands for.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Makes `descriptor` stand for what `by` stands for; what it stood for is closed.
pub(crate) fn replace(descriptor: &impl AsFd, by: &impl AsFd) -> io::Result<()> {
    // SAFETY: dup3 touches no memory. Both numbers are open descriptors, as `AsFd` promises, and
    // `descriptor` stays open and its owner's throughout: only what it refers to changes, at once
    // for all threads.
    let result = unsafe {
        libc::dup3(
            by.as_fd().as_raw_fd(),
            descriptor.as_fd().as_raw_fd(),
            libc::O_CLOEXEC,
        )
    };
    if result < 0 {
        Err(io::Error::last_os_error())
    } else {
        Ok(())
    }
}
