//! Taking a device over from another driver.

use std::io;
use std::os::fd::{AsFd, OwnedFd};

use super::connection::{Message, NUMBER};
use super::handshake;
use crate::backend::place::{CREATE, Place};
use crate::backend::{FileId, Inherited};
use crate::sys::{descriptor, successor};
use crate::wire::{Charge, DeviceRecord, FileRecord, RequestHeader, STATUS_NAME, operation};
use crate::{Errno, Error, ErrorKind, OpenFlags, PollEvents, Properties, Restart, Result};

/// Bytes of a device's record with its name.
const NAMED: usize = DeviceRecord::SIZE + STATUS_NAME;

/// What a driver has taken over.
pub(super) struct Taken {
    /// The control file that stands for the device.
    pub(super) control: OwnedFd,
    pub(super) charge: Charge,
    pub(super) files: Vec<Inherited>,
}

/// Takes the device at `place` over, if it is one that can be. `None`: it is not, or not any more.
///
/// # Errors
/// It is somebody else's (`EPERM`), another driver serves it (`EEXIST`), or it is another kind of
/// device than this (`EINVAL`).
pub(super) fn take_over(
    control: &impl AsFd,
    place: &Place<'_>,
    properties: &Properties,
    restart: &Restart,
) -> Result<Option<Taken>> {
    let name = place.name().as_bytes();
    let failed = |error: io::Error| {
        Error::system(ErrorKind::Node, &error, "take over the device").on(place.path())
    };
    let control = match successor::adopt(control, name, restart.replaces()) {
        Ok(control) => control,
        Err(error) => {
            return match Errno::from(&error) {
                Errno::ENOENT | Errno::EINVAL => Ok(None),
                Errno::EBUSY => Err(Error::new(ErrorKind::Node, Errno::EEXIST, CREATE)
                    .on(place.path())
                    .because("another driver serves it")
                    .hint("end that one, or replace it (Restart::replace)")),
                Errno::EPERM => Err(failed(error).hint("run as the user of the driver before")),
                Errno::EOPNOTSUPP => {
                    Err(failed(error).because("the driver before used more of the module"))
                }
                _ => Err(failed(error)),
            };
        }
    };
    let charge = await_charge(&control).map_err(failed)?;
    check_kind(&control, properties).map_err(|why| {
        Error::new(ErrorKind::Node, Errno::EINVAL, "take over the device")
            .on(place.path())
            .because(why)
            .hint("end it first: it waits for a driver of its own kind")
    })?;
    let files = files(&control).map_err(failed)?;
    Ok(Some(Taken {
        control,
        charge,
        files,
    }))
}

/// Waits until the driver before has finished.
fn await_charge(control: &OwnedFd) -> io::Result<Charge> {
    let mut buffer = [0; RequestHeader::SIZE + Charge::SIZE];
    loop {
        let length = match descriptor::read(control, &mut buffer) {
            Ok(length) => length,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => return Err(error),
        };
        let message = Message::parse(&buffer[..length]);
        if message.is_some_and(|message| message.header.operation == operation::CHARGE) {
            return Ok(Charge::from_bytes(&buffer[RequestHeader::SIZE..]));
        }
    }
}

/// Whether the device is what this driver would have made, or else why not.
fn check_kind(control: &OwnedFd, properties: &Properties) -> Result<(), String> {
    let mut buffer = [0; 2 * NAMED];
    let count = successor::list_devices(control, 0, &mut buffer).map_err(|it| it.to_string())?;
    let device = DeviceRecord::from_bytes(&buffer);
    if count != 1 || device.device != NUMBER {
        return Err("its driver had more than this one device".into());
    }
    match handshake::is_kind(&device, properties) {
        true => Ok(()),
        false => Err("it is there with other operations".into()),
    }
}

/// All open files.
fn files(control: &OwnedFd) -> io::Result<Vec<Inherited>> {
    let mut all: Vec<Inherited> = Vec::new();
    let mut buffer = vec![0; 64 * FileRecord::SIZE];
    loop {
        let from = all.last().map_or(0, |last| last.file.0 + 1);
        let count = successor::list_files(control, from, &mut buffer)?;
        if count == 0 {
            return Ok(all);
        }
        let records = buffer.chunks(FileRecord::SIZE).take(count);
        all.extend(records.map(FileRecord::from_bytes).map(|record| Inherited {
            file: FileId(record.file),
            token: record.cookie,
            flags: OpenFlags::from_raw(record.open_flags.cast_signed()),
            events: PollEvents::from_bits_retain(record.events),
        }));
    }
}
