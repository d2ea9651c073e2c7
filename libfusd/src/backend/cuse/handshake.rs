//! The handshake on a fresh /dev/cuse, with which the kernel makes the device.

use std::os::fd::{AsFd, OwnedFd};

use nix::poll::{PollFd, PollFlags, PollTimeout, poll};

use super::DEVICE;
use crate::backend::channel::{Greeting, TRANSFER_MAX, page_size};
use crate::fuse_wire::init::DEFAULT_MAX_PAGES;
use crate::fuse_wire::{Body, encode};
use crate::{Errno, Result};

/// The oldest minor version that has CUSE as it is spoken here: `struct fuse_ioctl_iovec` came with
/// 7.16 (Linux 2.6.39); the structures of reads and writes have had their size since 7.9.
const OLDEST_MINOR: u32 = 31;

/// Has the kernel make the device `name`, and returns how many bytes one of its requests
/// carries at most. Whether the device is there, [`is_connected`] tells.
///
/// # Errors
/// The kernel's CUSE speaks another version (`EPROTO`), or has ended the connection.
pub(super) fn agree(device: &OwnedFd, name: &str, any_memory: bool) -> Result<u32> {
    let mut greeting = Greeting::new(device, DEVICE);
    let frame = greeting.receive()?;
    let Body::CuseInit { major, minor, .. } = frame.body else {
        return Err(greeting
            .failed(Errno::EPROTO)
            .because("its first message is not CUSE_INIT"));
    };
    if major != 7 || minor < OLDEST_MINOR {
        greeting.refuse(frame.unique, Errno::EPROTO);
        let why = format!(
            "this kernel speaks CUSE {major}.{minor}, and 7.{OLDEST_MINOR} (Linux 5.2) or later is needed"
        );
        return Err(greeting.failed(Errno::EPROTO).because(why));
    }
    // No number of pages is negotiated, so this is what a request carries.
    let max_write = DEFAULT_MAX_PAGES
        .saturating_mul(page_size())
        .min(TRANSFER_MAX);
    let head = encode::cuse_init_out(max_write, any_memory);
    let title = format!("DEVNAME={name}\0");
    greeting.answer(frame.unique, &[&head, title.as_bytes()])?;
    Ok(max_write)
}

/// Whether the kernel keeps the connection. It has taken the answer of [`agree`] in any case, but
/// has made the device only if it does (fs/fuse/cuse.c, cuse_process_init_reply).
pub(super) fn is_connected(device: &OwnedFd) -> bool {
    let mut state = [PollFd::new(device.as_fd(), PollFlags::empty())];
    let polled = poll(&mut state, PollTimeout::ZERO);
    let error = state[0]
        .revents()
        .is_some_and(|events| events.contains(PollFlags::POLLERR));
    polled.is_ok() && !error
}
