// SPDX-License-Identifier: GPL-2.0-only

//! The ioctl by which a driver becomes the successor of another one: it names a device, and gets a
//! control file for all that the other one has.

use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};

use super::{Control, TABLE};
use crate::connection::Connection;
use crate::seat::Seat;
use crate::sys::NewFile;
use crate::wire::{self, Adopt};
use crate::{error, registry};

/// Serves the ioctl. The number of the new descriptor.
///
/// # Errors
/// `EINVAL`: the argument, or the device is not to be kept. `ENOENT`: there is no such device. `EPERM`:
/// it is somebody else's. `EBUSY`: it has a driver, and `ADOPT_REPLACE` is not set. `EOPNOTSUPP`: the
/// driver has not taken all features that the one before had. `EFAULT`, `EMFILE`, `ENFILE`, `ENOMEM`.
pub(super) fn adopt(connection: &Connection, argument: usize) -> Result<isize> {
    if !connection.has(wire::FEATURE_KEEP) {
        return Err(error::eopnotsupp());
    }
    let mut bytes = [0; Adopt::SIZE];
    UserSlice::new(UserPtr::from_addr(argument), bytes.len())
        .reader()
        .read_slice(&mut bytes)?;
    let adopt = Adopt::from_bytes(&bytes);
    // CAST: widens.
    let length = adopt.name_length as usize;
    if adopt.reserved != 0
        || adopt.flags & !wire::ADOPT_REPLACE != 0
        || !(1..=wire::NAME_MAX).contains(&length)
    {
        return Err(EINVAL);
    }
    let mut name = KVec::from_elem(0_u8, length, GFP_KERNEL)?;
    let address = usize::try_from(adopt.name).map_err(|_| EFAULT)?;
    UserSlice::new(UserPtr::from_addr(address), length)
        .reader()
        .read_slice(&mut name)?;
    let device = registry::named(&name).ok_or(ENOENT)?;
    let target = device.connection();
    if !target.viewer().may_be_succeeded() {
        return Err(EPERM);
    }
    let seat = Seat::next(target)?;
    // First, all that may fail: after it is there is a successor.
    let file = NewFile::new::<Control>(c"[fusd-control]", &TABLE, seat.clone())?;
    let replace = adopt.flags & wire::ADOPT_REPLACE != 0;
    target.succeed(&device, &seat, connection.features(), replace)?;
    isize::try_from(file.install()).map_err(|_| EMFILE)
}
