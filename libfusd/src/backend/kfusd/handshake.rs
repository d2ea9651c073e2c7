//! How a connection to the module begins: versions, features, the device.

use std::os::fd::OwnedFd;

use nix::errno::Errno as Raw;
use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;

use super::DEVICE;
use super::connection::{Connection, Message, NUMBER};
use crate::backend::Placement;
use crate::backend::place::{CREATE, Place};
use crate::sys::descriptor;
use crate::wire::{self, DeviceRecord, Greeting, Hello, Register, RequestHeader, operation};
use crate::{Errno, Error, ErrorKind, Operations, Position, Properties, Restart, Result};

/// The permission bits that the module knows of.
pub(super) const MODE_MASK: u32 = 0o777;

/// Opens the control node.
pub(super) fn open_device() -> Result<OwnedFd> {
    open(DEVICE, OFlag::O_RDWR | OFlag::O_CLOEXEC, Mode::empty()).map_err(|errno| {
        let error = Error::system(ErrorKind::Backend, errno, "open").on(DEVICE);
        match errno {
            Raw::ENOENT | Raw::ENODEV | Raw::ENXIO | Raw::ENOTDIR => error
                .hint("build the module kfusd for this kernel and load it with `modprobe kfusd`"),
            Raw::EACCES | Raw::EPERM => {
                error.hint("run as root, or as a user of the group that the node belongs to")
            }
            _ => error,
        }
    })
}

/// Agrees on the version and the features.
///
/// # Errors
/// The module speaks another version, or lacks a feature that the device takes (`EPROTO`).
pub(super) fn agree(
    device: OwnedFd,
    properties: &Properties,
    restart: Option<&Restart>,
) -> Result<Connection> {
    let failed =
        |errno| Error::system(ErrorKind::Backend, errno, "agree on a protocol with").on(DEVICE);
    let mut buffer = [0; RequestHeader::SIZE + Greeting::SIZE];
    let length =
        descriptor::read(&device, &mut buffer).map_err(|error| failed(Errno::from(&error)))?;
    let greeting = Message::parse(&buffer[..length])
        .filter(|message| message.header.operation == operation::GREETING)
        .map(|_| Greeting::from_bytes(&buffer[RequestHeader::SIZE..]))
        .ok_or_else(|| failed(Errno::EPROTO).because("its first message is no greeting"))?;
    if greeting.version != wire::VERSION {
        let why = format!(
            "the module speaks version {}, and this library {}",
            greeting.version,
            wire::VERSION
        );
        let hint = "install the module and the library of the same release";
        return Err(failed(Errno::EPROTO).because(why).hint(hint));
    }
    // Of use where the module has them; the device works without.
    let wanted = wire::FEATURE_EXCHANGE
        | wire::FEATURE_MEMORY
        | wire::FEATURE_WORKERS
        | wire::FEATURE_PUBLISH
        | wire::FEATURE_RINGS;
    let copy = match is_any_ioctl(properties) {
        true => wire::FEATURE_COPY,
        false => 0,
    };
    let keep = match restart {
        Some(_) => wire::FEATURE_KEEP,
        None => 0,
    };
    let features = greeting.features & (wanted | keep) | copy;
    if let Some(name) = wire::feature_name(features & !greeting.features) {
        let why = format!("the module does not have the feature {name:?}");
        return Err(failed(Errno::EPROTO).because(why));
    }
    let hello = Hello {
        version: wire::VERSION,
        reserved: 0,
        features,
    };
    let connection = Connection::new(device, greeting.max_transfer, features);
    connection
        .send_plain(operation::HELLO, &hello.to_bytes())
        .map_err(|error| failed(Errno::from(&error)))?;
    Ok(connection)
}

/// Has the module make the device.
///
/// # Errors
/// Those of the module, kfusd(4).
pub(super) fn register(
    connection: &Connection,
    place: &Place<'_>,
    placement: &Placement,
    properties: &Properties,
) -> Result<()> {
    let name = place.name().as_bytes();
    let restart = placement.restart.filter(|_| connection.keeps());
    let register = Register {
        device: NUMBER,
        operations: operations(properties),
        flags: flags(properties) | restart.as_ref().map_or(0, policy),
        mode: placement.mode & MODE_MASK,
        uid: placement.uid,
        gid: placement.gid,
        max_transfer: 0,
        // Lossless: a name has at most 1024 bytes.
        name_length: name.len() as u32,
        keep: restart.map_or(0, |restart| restart.millis()),
        reserved: 0,
    };
    let body = [register.to_bytes().as_slice(), name].concat();
    connection
        .send_plain(operation::REGISTER, &body)
        .map_err(|error| {
            let error = Error::system(ErrorKind::Node, &error, CREATE).on(place.path());
            match error.errno() {
                Errno::EEXIST => error.hint("choose another name, or remove what is there"),
                Errno::ENAMETOOLONG => error.hint("choose a name of at most 255 bytes"),
                Errno::ENOSPC => {
                    error.hint("end other devices, or load kfusd with a larger max_devices")
                }
                _ => error,
            }
        })
}

/// Whether the device takes ioctls of any number.
pub(super) fn is_any_ioctl(properties: &Properties) -> bool {
    properties
        .operations
        .contains(Operations::IOCTL | Operations::ANY_IOCTL)
}

/// Whether a device that another driver made is what this one would make.
pub(super) fn is_kind(device: &DeviceRecord, properties: &Properties) -> bool {
    let kind = wire::REGISTER_STREAM | wire::REGISTER_RAW_IOCTL;
    device.operations == operations(properties) && device.flags & kind == flags(properties)
}

/// The flags for a device that is to be kept.
fn policy(restart: &Restart) -> u32 {
    match restart.is_again() {
        true => wire::REGISTER_KEEP | wire::REGISTER_AGAIN,
        false => wire::REGISTER_KEEP,
    }
}

fn operations(properties: &Properties) -> u64 {
    // The session knows which files are read and written without the device: by what is published, or by
    // rings. Of the others it says `EINVAL` itself.
    let always = wire::IMPLEMENTS_READ | wire::IMPLEMENTS_WRITE;
    let all = [
        (Operations::IOCTL, wire::IMPLEMENTS_IOCTL),
        (Operations::POLL, wire::IMPLEMENTS_POLL),
        (Operations::FLUSH, wire::IMPLEMENTS_FLUSH),
        (Operations::SYNC, wire::IMPLEMENTS_SYNC),
    ];
    let seek = match properties.position {
        Position::Seekable => wire::IMPLEMENTS_SEEK,
        Position::Stream => 0,
    };
    all.into_iter()
        .filter(|(operation, _)| properties.operations.contains(*operation))
        .fold(always | seek, |bits, (_, bit)| bits | bit)
}

fn flags(properties: &Properties) -> u32 {
    let stream = match properties.position {
        Position::Stream => wire::REGISTER_STREAM,
        Position::Seekable => 0,
    };
    match is_any_ioctl(properties) {
        true => stream | wire::REGISTER_RAW_IOCTL,
        false => stream,
    }
}
