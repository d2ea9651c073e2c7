//! Reading, writing and replacing descriptors.
//!
//! `read` and `write_parts` are the system calls themselves: the functions of the C library are
//! points of cancellation, and in a process with threads each call of one costs two atomic
//! exchanges to allow what nobody here does.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd};

/// read(2).
pub(crate) fn read(descriptor: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    // SAFETY: the descriptor is open, as `AsFd` promises, and the kernel writes at most
    // `buffer.len()` bytes to memory that is borrowed mutably for the duration of the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_read,
            descriptor.as_fd().as_raw_fd(),
            buffer.as_mut_ptr(),
            buffer.len(),
        )
    };
    check(result)
}

/// writev(2), of at most 1024 parts (`UIO_MAXIOV`).
pub(crate) fn write_parts(descriptor: &impl AsFd, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    // SAFETY: the descriptor is open, as `AsFd` promises. `IoSlice` has the layout of `iovec`, as
    // its documentation promises, and the kernel only reads what the slices borrow.
    let result = unsafe {
        libc::syscall(
            libc::SYS_writev,
            descriptor.as_fd().as_raw_fd(),
            parts.as_ptr(),
            parts.len(),
        )
    };
    check(result)
}

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
    check(result.into()).map(drop)
}

/// The result of a system call, which is negative only where it failed.
fn check(result: libc::c_long) -> io::Result<usize> {
    usize::try_from(result).map_err(|_| io::Error::last_os_error())
}
