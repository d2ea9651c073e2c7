//! kfusd's ioctls for a driver that takes over from another one.

use std::io;
use std::os::fd::{AsFd, FromRawFd, OwnedFd, RawFd};

use super::control::ioctl;
use crate::wire::{ADOPT_REPLACE, Adopt, IOCTL_ADOPT, IOCTL_DEVICES, IOCTL_FILES, List};

/// Takes over the device `name`, with `replace` also from a driver that lives. The control file that
/// stands for it from here on.
pub(crate) fn adopt(control: &impl AsFd, name: &[u8], replace: bool) -> io::Result<OwnedFd> {
    let adopt = Adopt {
        name: name.as_ptr().expose_provenance() as u64,
        // What is longer than a number can say is refused.
        name_length: u32::try_from(name.len()).unwrap_or(u32::MAX),
        flags: if replace { ADOPT_REPLACE } else { 0 },
        reserved: 0,
    };
    // SAFETY: kfusd(4): the ioctl reads the argument and `name_length` bytes of the name, which is no longer
    // than the slice.
    let number = unsafe { ioctl(control, IOCTL_ADOPT, &mut adopt.to_bytes()) }?;
    // SAFETY: kfusd(4): the result is a descriptor that the call has made, and nobody else's. It came as
    // such a number, and is lossless.
    Ok(unsafe { OwnedFd::from_raw_fd(number as RawFd) })
}

/// Fills `buffer` with records of the open files whose numbers are `from` or more. How many there are.
pub(crate) fn list_files(control: &impl AsFd, from: u64, buffer: &mut [u8]) -> io::Result<usize> {
    list(control, IOCTL_FILES, from, buffer)
}

/// Likewise, of devices.
pub(crate) fn list_devices(control: &impl AsFd, from: u64, buffer: &mut [u8]) -> io::Result<usize> {
    list(control, IOCTL_DEVICES, from, buffer)
}

fn list(control: &impl AsFd, number: u32, from: u64, buffer: &mut [u8]) -> io::Result<usize> {
    let list = List {
        from,
        buffer: buffer.as_mut_ptr().expose_provenance() as u64,
        buffer_length: u32::try_from(buffer.len()).unwrap_or(u32::MAX),
        reserved: 0,
    };
    // SAFETY: kfusd(4): the ioctl reads the argument and writes at most `buffer_length` bytes to the buffer,
    // which is borrowed mutably for the duration of the call and no shorter.
    let count = unsafe { ioctl(control, number, &mut list.to_bytes()) }?;
    // Lossless: fusd runs on targets with at least 32 bits.
    Ok(count as usize)
}
