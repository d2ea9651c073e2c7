// SPDX-License-Identifier: GPL-2.0-only

//! What a driver finds that takes over from another one: devices and open files, a batch at a time.

use kernel::{
    prelude::*,
    uaccess::{UserPtr, UserSlice},
};

use super::{Connection, Guard};
use crate::wire::{self, DeviceRecord, FileRecord, STATUS_NAME};

/// Records in a batch, at most: what is held under the lock, and how much memory one call takes.
const BATCH: usize = 128;

/// Bytes of a record with a name.
const NAMED: usize = DeviceRecord::SIZE + STATUS_NAME;

impl Connection {
    /// Serves the ioctl that lists open files. How many records were written.
    ///
    /// # Errors
    /// `EINVAL`: the query, or no room for one record. `EFAULT`. `ENOMEM`.
    pub(crate) fn list_files(&self, argument: usize) -> Result<isize> {
        self.list(argument, FileRecord::SIZE, |inner, from, add| {
            let mut next = Some(from);
            while let Some(at) = next.and_then(|from| inner.files.cursor_lower_bound(&from)) {
                let (number, file) = at.current();
                let there = file.is_open() && inner.serves(file.device());
                if there && !add(&file.record().to_bytes(), &[]) {
                    return;
                }
                next = number.checked_add(1);
            }
        })
    }

    /// Serves the ioctl that lists devices. As [`Self::list_files`].
    pub(crate) fn list_devices(&self, argument: usize) -> Result<isize> {
        self.list(argument, NAMED, |inner, from, add| {
            let mut next = Some(from);
            while let Some(at) = next.and_then(|from| inner.devices.cursor_lower_bound(&from)) {
                let (number, device) = at.current();
                if !add(&device.record().to_bytes(), device.name().to_bytes()) {
                    return;
                }
                next = number.checked_add(1);
            }
        })
    }

    /// Serves a list of records of `size` bytes: `each` gives those from a number on, each in two
    /// parts, until it is told that there is no more room.
    fn list(
        &self,
        argument: usize,
        size: usize,
        each: impl FnOnce(&Guard<'_>, u64, &mut dyn FnMut(&[u8], &[u8]) -> bool),
    ) -> Result<isize> {
        let mut bytes = [0; wire::List::SIZE];
        UserSlice::new(UserPtr::from_addr(argument), bytes.len())
            .reader()
            .read_slice(&mut bytes)?;
        let query = wire::List::from_bytes(&bytes);
        // CAST: widens.
        let room = (query.buffer_length as usize / size).min(BATCH);
        if query.reserved != 0 || room == 0 {
            return Err(EINVAL);
        }
        let length = room.checked_mul(size).ok_or(EINVAL)?;
        let mut records = KVVec::from_elem(0_u8, length, GFP_KERNEL_ACCOUNT)?;
        let mut count = 0_usize;
        let guard = self.lock();
        each(&guard, query.from, &mut |fixed, name| {
            let record = records
                .get_mut(count.saturating_mul(size)..)
                .and_then(|rest| rest.get_mut(..size));
            let Some(record) = record else {
                return false;
            };
            let from = Iterator::chain(fixed.iter(), name);
            for (to, from) in record.iter_mut().zip(from) {
                *to = *from;
            }
            count = count.saturating_add(1);
            count < room
        });
        drop(guard);
        let buffer = usize::try_from(query.buffer).map_err(|_| EFAULT)?;
        let written = records
            .get(..count.saturating_mul(size))
            .unwrap_or_default();
        UserSlice::new(UserPtr::from_addr(buffer), written.len())
            .writer()
            .write_slice(written)?;
        isize::try_from(count).map_err(|_| EINVAL)
    }
}
