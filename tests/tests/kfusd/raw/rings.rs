//! The ioctls of rings.

use std::os::fd::{AsFd, AsRawFd};

use fusd::wire::{IOCTL_FEED, IOCTL_RING, IOCTL_TAKE, PORTION_LAST, Portion, Ring};
use nix::errno::Errno;

/// Makes a ring, changes or drops one.
pub(crate) fn ring(control: &impl AsFd, ring: Ring) -> Result<(), Errno> {
    ring_raw(control, &mut ring.to_bytes())
}

/// The same with any bytes, as many as a [`Ring`] has; they are for the kernel to check.
pub(crate) fn ring_raw(control: &impl AsFd, ring: &mut [u8; Ring::SIZE]) -> Result<(), Errno> {
    let fd = control.as_fd().as_raw_fd();
    // SAFETY: the kernel reads the structure.
    let result = unsafe { libc::ioctl(fd, libc::Ioctl::from(IOCTL_RING), ring.as_mut_ptr()) };
    Errno::result(result).map(drop)
}

/// Puts bytes into a ring. How many there was room for.
pub(crate) fn feed(
    control: &impl AsFd,
    ring: u64,
    bytes: &[u8],
    last: bool,
) -> Result<usize, Errno> {
    let address = bytes.as_ptr().expose_provenance() as u64;
    portion(
        control,
        IOCTL_FEED,
        &mut of(ring, address, bytes.len(), last),
    )
}

/// Takes at most `length` bytes out of a ring.
pub(crate) fn take(
    control: &impl AsFd,
    ring: u64,
    length: usize,
    last: bool,
) -> Result<Vec<u8>, Errno> {
    let mut bytes = vec![0; length];
    let address = bytes.as_mut_ptr().expose_provenance() as u64;
    let taken = portion(control, IOCTL_TAKE, &mut of(ring, address, length, last))?;
    bytes.truncate(taken);
    Ok(bytes)
}

/// Moves a portion, to or from any address; it is for the kernel to check.
pub(crate) fn portion(
    control: &impl AsFd,
    number: u32,
    portion: &mut Portion,
) -> Result<usize, Errno> {
    let fd = control.as_fd().as_raw_fd();
    let mut bytes = portion.to_bytes();
    // SAFETY: the kernel reads and writes the structure, and memory that the callers here own for the
    // call or that is not mapped at all.
    let result = unsafe { libc::ioctl(fd, libc::Ioctl::from(number), bytes.as_mut_ptr()) };
    *portion = Portion::from_bytes(&bytes);
    Errno::result(result).map(|count| usize::try_from(count).expect("no negative count"))
}

fn of(ring: u64, address: u64, length: usize, last: bool) -> Portion {
    Portion {
        ring,
        address,
        length: u32::try_from(length).expect("a short portion"),
        flags: if last { PORTION_LAST } else { 0 },
        ..Portion::default()
    }
}
