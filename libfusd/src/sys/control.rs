//! An ioctl of kfusd's control node: a number, and an argument as `wire` has it.

use std::io;
use std::os::fd::{AsFd, AsRawFd};

/// Makes it. What it returns, which is not negative.
///
/// # Safety
/// `argument` has the size that the number encodes, and what it names is memory that the kernel may touch
/// as kfusd(4) says of the number. (On anything else than the module's control node, the number means
/// nothing, and the kernel touches no memory.)
pub(super) unsafe fn ioctl<const SIZE: usize>(
    control: &impl AsFd,
    number: u32,
    argument: &mut [u8; SIZE],
) -> io::Result<u32> {
    // SAFETY: the descriptor is open, as `AsFd` promises. For the rest, as the caller promises.
    let result = unsafe {
        libc::ioctl(
            control.as_fd().as_raw_fd(),
            libc::Ioctl::from(number),
            argument.as_mut_ptr(),
        )
    };
    u32::try_from(result).map_err(|_| io::Error::last_os_error())
}
