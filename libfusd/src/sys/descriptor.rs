//! Reading, writing and replacing descriptors.
//!
//! `read`, `write_parts` and `exchange` are the system calls themselves: the functions of the C library are
//! points of cancellation, and in a process with threads each call of one costs two atomic
//! exchanges to allow what nobody here does.

use std::io::{self, IoSlice};
use std::os::fd::{AsFd, AsRawFd};

use crate::wire::{Exchange, IOCTL_EXCHANGE, IOCTL_STATUS, StatusQuery};

/// read(2).
#[inline]
pub(crate) fn read(descriptor: &impl AsFd, buffer: &mut [u8]) -> io::Result<usize> {
    Ok(rustix::io::read(descriptor, buffer)?)
}

/// writev(2), of at most 1024 parts (`UIO_MAXIOV`).
#[inline]
pub(crate) fn write_parts(descriptor: &impl AsFd, parts: &[IoSlice<'_>]) -> io::Result<usize> {
    Ok(rustix::io::writev(descriptor, parts)?)
}

/// How an [`exchange`] went.
pub(crate) struct Exchanged {
    /// The message that was handed in has been taken.
    pub(crate) taken: bool,
    /// Bytes of the message that was received.
    pub(crate) received: io::Result<usize>,
}

/// kfusd's ioctl: hands in `message` and receives the next one into `buffer`. (On anything else
/// than the module's control node, the number means nothing, and the kernel touches no memory.)
#[inline]
pub(crate) fn exchange(descriptor: &impl AsFd, message: &[u8], buffer: &mut [u8]) -> Exchanged {
    // What is longer than a number can say is not read, or written to, beyond that number.
    let length = |bytes: &[u8]| u32::try_from(bytes.len()).unwrap_or(u32::MAX);
    let exchange = Exchange {
        command: message.as_ptr().expose_provenance() as u64,
        buffer: buffer.as_mut_ptr().expose_provenance() as u64,
        command_length: length(message),
        buffer_length: length(buffer),
        reserved: 0,
    };
    let mut argument = exchange.to_bytes();
    // SAFETY: the descriptor is open, as `AsFd` promises. kfusd(4): the ioctl reads and writes the
    // argument, which is of the size that its number encodes, reads at most `command_length` bytes
    // of `message`, and writes at most `buffer_length` bytes to `buffer`, which is borrowed mutably
    // for the duration of the call; neither number is larger than the slice.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            descriptor.as_fd().as_raw_fd(),
            libc::c_ulong::from(IOCTL_EXCHANGE),
            argument.as_mut_ptr(),
        )
    };
    let received = check(result);
    Exchanged {
        taken: Exchange::from_bytes(&argument).command_length == 0,
        received,
    }
}

/// kfusd's ioctl of the status node: fetches records of `record_size` bytes into `buffer`. How many
/// were written, and what the module has set in the query. (On anything else, the number means
/// nothing, and the kernel touches no memory.)
pub(crate) fn status(
    descriptor: &impl AsFd,
    buffer: &mut [u8],
    record_size: u32,
) -> io::Result<(usize, StatusQuery)> {
    let query = StatusQuery {
        buffer: buffer.as_mut_ptr().expose_provenance() as u64,
        buffer_length: u32::try_from(buffer.len()).unwrap_or(u32::MAX),
        record_size,
        ..StatusQuery::default()
    };
    let mut argument = query.to_bytes();
    // SAFETY: the descriptor is open, as `AsFd` promises. kfusd(4): the ioctl reads and writes the
    // argument, which is of the size that its number encodes, and writes at most `buffer_length`
    // bytes, which are no more than `buffer` has, to memory that is borrowed mutably for the
    // duration of the call.
    let result = unsafe {
        libc::syscall(
            libc::SYS_ioctl,
            descriptor.as_fd().as_raw_fd(),
            libc::c_ulong::from(IOCTL_STATUS),
            argument.as_mut_ptr(),
        )
    };
    let written = check(result)?;
    Ok((written, StatusQuery::from_bytes(&argument)))
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
