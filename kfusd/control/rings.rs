// SPDX-License-Identifier: GPL-2.0-only

//! The ioctls for rings: one to make them, one to put bytes in, one to take some out.

use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};

use super::address;
use crate::error;
use crate::ring::Ring;
use crate::seat::Seat;
use crate::sys::{with_destination, with_source, Event};
use crate::wire::{self, Portion};

/// Serves the ioctl that makes rings, changes and drops them.
///
/// # Errors
/// `EOPNOTSUPP`: not agreed on. `EFAULT`. `EBADF`, `EINVAL`: the event is none. Those of
/// [`crate::connection::Connection::set_ring`].
pub(super) fn set(seat: &Seat, argument: usize) -> Result<isize> {
    ensure(seat)?;
    let mut bytes = [0; wire::Ring::SIZE];
    UserSlice::new(UserPtr::from_addr(argument), bytes.len())
        .reader()
        .read_slice(&mut bytes)?;
    let wanted = wire::Ring::from_bytes(&bytes).checked()?;
    let event = match wanted.flags & wire::RING_EVENT {
        0 => None,
        _ => Some(Event::of_descriptor(wanted.event)?),
    };
    seat.connection().set_ring(&wanted, event)?;
    Ok(0)
}

/// Serves the ioctl that puts bytes into a ring.
///
/// # Errors
/// `EAGAIN`: there is no room. `ENOENT`: no such ring. `EOPNOTSUPP`, `EINVAL`, `EFAULT`.
pub(super) fn feed(seat: &Seat, argument: usize) -> Result<isize> {
    move_portion(seat, argument, |ring, portion, last| {
        // CAST: widens.
        let length = portion.length as usize;
        with_source(address(portion.address)?, length, |from| {
            ring.feed(from, last)
        })
    })
}

/// Serves the ioctl that takes bytes out of a ring.
///
/// # Errors
/// `EAGAIN`: there are none. `ENOENT`: no such ring. `EOPNOTSUPP`, `EINVAL`, `EFAULT`.
pub(super) fn take(seat: &Seat, argument: usize) -> Result<isize> {
    move_portion(seat, argument, |ring, portion, last| {
        // CAST: widens.
        let length = portion.length as usize;
        with_destination(address(portion.address)?, length, |to| ring.drain(to, last))
    })
}

fn move_portion(
    seat: &Seat,
    argument: usize,
    call: impl FnOnce(&Ring, &Portion, bool) -> Result<usize>,
) -> Result<isize> {
    ensure(seat)?;
    let memory = UserPtr::from_addr(argument);
    let mut bytes = [0; Portion::SIZE];
    UserSlice::new(memory, bytes.len())
        .reader()
        .read_slice(&mut bytes)?;
    let portion = Portion::from_bytes(&bytes).checked()?;
    let ring = seat.connection().ring(portion.ring).ok_or(ENOENT)?;
    // First: once bytes have been moved, how many must be told.
    let filled = memory.wrapping_byte_add(core::mem::offset_of!(Portion, filled));
    UserSlice::new(filled, 4).writer().write(&ring.filled())?;
    let moved = call(&ring, &portion, portion.flags & wire::PORTION_LAST != 0)?;
    // It is there still, or was never more than a courtesy.
    let _ = UserSlice::new(filled, 4).writer().write(&ring.filled());
    isize::try_from(moved).map_err(|_| EINVAL)
}

fn ensure(seat: &Seat) -> Result {
    let connection = seat.connection();
    if !connection.has(wire::FEATURE_RINGS) {
        return Err(error::eopnotsupp());
    }
    connection.ensure_seated(seat)
}
