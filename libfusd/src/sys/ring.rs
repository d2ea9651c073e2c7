//! kfusd's ioctls for rings. They wait for nobody.

use std::io;
use std::os::fd::AsFd;

use super::control::ioctl;
use crate::wire::{IOCTL_FEED, IOCTL_RING, IOCTL_TAKE, PORTION_LAST, Portion, Ring};

/// Makes a ring, changes or drops one.
pub(crate) fn set(control: &impl AsFd, ring: Ring) -> io::Result<()> {
    // SAFETY: kfusd(4): the ioctl reads the argument, and touches no other memory.
    unsafe { ioctl(control, IOCTL_RING, &mut ring.to_bytes()) }.map(drop)
}

/// Puts bytes in. How many; and `last`, if it was all.
pub(crate) fn feed(control: &impl AsFd, ring: u64, data: &[u8], last: bool) -> io::Result<usize> {
    let address = data.as_ptr().expose_provenance() as u64;
    let mut argument = portion(ring, address, data.len(), last).to_bytes();
    // SAFETY: kfusd(4): the ioctl reads and writes the argument, and reads at most `length` bytes of
    // the data, which has no fewer.
    let fed = unsafe { ioctl(control, IOCTL_FEED, &mut argument) }?;
    // Lossless, as below.
    Ok(fed as usize)
}

/// Takes bytes out. How many, and how many are left.
pub(crate) fn take(
    control: &impl AsFd,
    ring: u64,
    out: &mut [u8],
    last: bool,
) -> io::Result<(usize, usize)> {
    let address = out.as_mut_ptr().expose_provenance() as u64;
    let mut argument = portion(ring, address, out.len(), last).to_bytes();
    // SAFETY: kfusd(4): the ioctl reads and writes the argument, and writes at most `length` bytes to
    // `out`, which is borrowed mutably for the duration of the call and has no fewer.
    let taken = unsafe { ioctl(control, IOCTL_TAKE, &mut argument) }?;
    // Lossless: fusd runs on targets with at least 32 bits.
    Ok((
        taken as usize,
        Portion::from_bytes(&argument).filled as usize,
    ))
}

fn portion(ring: u64, address: u64, length: usize, last: bool) -> Portion {
    Portion {
        ring,
        // Of no bytes, there is no address either.
        address: if length == 0 { 0 } else { address },
        // What is longer than a number can say goes in, or comes out, in part.
        length: u32::try_from(length).unwrap_or(u32::MAX),
        flags: if last { PORTION_LAST } else { 0 },
        filled: 0,
        reserved: 0,
    }
}
