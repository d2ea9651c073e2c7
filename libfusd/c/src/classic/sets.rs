//! Sets of descriptors whose numbers C code has.
#![allow(unsafe_code)]

use std::os::fd::{AsRawFd, BorrowedFd};

use libc::fd_set;
use nix::errno::Errno;

/// Adds `fd` to a set. False: its number is too high for one.
///
/// # Safety
/// `set` points to a set that may be written to.
pub(crate) unsafe fn add(set: *mut fd_set, fd: i32) -> bool {
    let fits = usize::try_from(fd).is_ok_and(|fd| fd < libc::FD_SETSIZE);
    if fits {
        // SAFETY: the number is one that a set has a bit for; the set is the caller's duty.
        unsafe { libc::FD_SET(fd, set) };
    }
    fits
}

/// Whether `fd` is in a set.
///
/// # Safety
/// `set` points to a set that may be read.
pub(crate) unsafe fn contains(set: *const fd_set, fd: i32) -> bool {
    let fits = usize::try_from(fd).is_ok_and(|fd| fd < libc::FD_SETSIZE);
    // SAFETY: as in `add`.
    fits && unsafe { libc::FD_ISSET(fd, set) }
}

/// poll(2) without a limit in time: those of `descriptors` for which there is anything to say. A
/// number that has been closed is one of them.
pub(crate) fn poll(descriptors: &[i32], wake: Option<BorrowedFd<'_>>) -> Result<Vec<i32>, Errno> {
    let all = descriptors
        .iter()
        .copied()
        .chain(wake.map(|fd| fd.as_raw_fd()));
    let mut entries: Vec<_> = all
        .map(|fd| libc::pollfd {
            fd,
            events: libc::POLLIN,
            revents: 0,
        })
        .collect();
    // SAFETY: the array is as long as said and lives until the call returns; to poll(2), a number that
    // is not open is no more than a result.
    let result = unsafe { libc::poll(entries.as_mut_ptr(), entries.len() as libc::nfds_t, -1) };
    Errno::result(result)?;
    let ready = entries.iter().take(descriptors.len());
    Ok(ready
        .filter(|entry| entry.revents != 0)
        .map(|entry| entry.fd)
        .collect())
}
