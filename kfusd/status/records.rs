// SPDX-License-Identifier: GPL-2.0-only

//! What the status node tells programs: a record of fixed size per device. Records grow at their end
//! only; either side may know more than the other.

use kernel::{
    prelude::*,
    time::{Instant, Monotonic},
    uaccess::{UserPtr, UserSlice},
};

use crate::device::Device;
use crate::registry;
use crate::wire::{StatusQuery, StatusRecord, STATUS_NAME, STATUS_SIZE};

/// The largest record that a program may know.
const RECORD_MAX: usize = 4096;

/// Serves a query whose argument is at `argument`. Returns how many records were written, and how
/// many changes there had been before they were made.
///
/// # Errors
/// `EINVAL`: the query. `EFAULT`. `ENOMEM`.
pub(super) fn fetch(argument: usize) -> Result<(isize, u64)> {
    let memory = UserPtr::from_addr(argument);
    let mut bytes = [0; StatusQuery::SIZE];
    UserSlice::new(memory, bytes.len())
        .reader()
        .read_slice(&mut bytes)?;
    let mut query = StatusQuery::from_bytes(&bytes);
    // CAST: widens, here and below.
    let size = query.record_size as usize;
    if query.reserved != 0 || !(StatusRecord::SIZE..=RECORD_MAX).contains(&size) {
        return Err(EINVAL);
    }
    query.changes = registry::changes();
    let room = query.buffer_length as usize / size;
    let list = List::new(room, size)?;
    query.known_size = u32::try_from(STATUS_SIZE).map_err(|_| EINVAL)?;
    query.devices = list.devices;
    let buffer = usize::try_from(query.buffer).map_err(|_| EFAULT)?;
    // No lock is held over a fault in the caller's memory.
    UserSlice::new(UserPtr::from_addr(buffer), list.bytes.len())
        .writer()
        .write_slice(&list.bytes)?;
    UserSlice::new(memory, bytes.len())
        .writer()
        .write_slice(&query.to_bytes())?;
    let count = isize::try_from(list.count).map_err(|_| EINVAL)?;
    Ok((count, query.changes))
}

/// Records, one behind the other.
struct List {
    bytes: KVVec<u8>,
    count: usize,
    devices: u32,
}

impl List {
    /// Those of the first `room` devices, with `size` bytes each.
    fn new(room: usize, size: usize) -> Result<Self> {
        let mut list = Self {
            bytes: KVVec::new(),
            count: 0,
            devices: 0,
        };
        let now = Instant::now();
        registry::for_each(|device, number| {
            list.devices = list.devices.saturating_add(1);
            if list.count == room {
                return Ok(());
            }
            list.add(&fixed(device, number, now).to_bytes(), device, size)
        })?;
        Ok(list)
    }

    /// Adds a record: as much of it as `size` has place for, and zeros where it has more.
    fn add(&mut self, fixed: &[u8], device: &Device, size: usize) -> Result {
        let end = self.bytes.len().checked_add(size).ok_or(EINVAL)?;
        let name = device.name().to_bytes();
        let name = name.get(..name.len().min(STATUS_NAME)).unwrap_or_default();
        // The fixed part always has place (`fetch`).
        self.bytes.extend_from_slice(fixed, GFP_KERNEL_ACCOUNT)?;
        let left = end.saturating_sub(self.bytes.len());
        let name = name.get(..name.len().min(left)).unwrap_or_default();
        self.bytes.extend_from_slice(name, GFP_KERNEL_ACCOUNT)?;
        self.bytes.resize(end, 0, GFP_KERNEL_ACCOUNT)?;
        self.count = self.count.saturating_add(1);
        Ok(())
    }
}

fn fixed(device: &Device, (major, minor): (u32, u32), now: Instant<Monotonic>) -> StatusRecord {
    let activity = device.connection().activity(device);
    let (served, bytes) = device.counts();
    let (operations, flags) = device.registered_as();
    let oldest = activity.oldest.map_or(0, |since| (now - since).as_nanos());
    StatusRecord {
        major,
        minor,
        driver: device.connection().driver(),
        files: activity.files,
        waiting: activity.requests,
        name_length: u32::try_from(device.name().to_bytes().len()).unwrap_or(0),
        served,
        bytes,
        oldest: u64::try_from(oldest).unwrap_or(0),
        operations,
        flags,
        deadlocks: u32::try_from(device.deadlocks()).unwrap_or(u32::MAX),
    }
}
