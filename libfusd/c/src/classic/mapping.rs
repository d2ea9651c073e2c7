//! What clients may map of a file (mmap), asked once the driver has let them in.
//!
//! The original had the driver called for each mmap(2) of a client. Here a client maps without a call, what
//! was offered with its open file: so the driver is asked at the open, for the whole that it has, to be
//! read and written; where it refuses that, to be read.

use fusd_rust::{Access, Errno};

use super::callbacks::{Action, Mmap, Plan};
use super::calls::{Kind, Opened};
use super::dispatch::Arrival;
use super::info::Info;
use super::share;

/// Asks the driver, if it has anything to map. The open comes back where there is nobody to ask.
pub(crate) fn ask(open: Box<Opened>) -> Result<Plan, Box<Opened>> {
    let asked = open.result >= 0 && open.call.device.maps();
    match open.call.device.operations.mmap {
        Some(callback) if asked => Ok(by(callback, open, Access::ReadWrite)),
        _ => Err(open),
    }
}

fn by(callback: Mmap, open: Box<Opened>, access: Access) -> Plan {
    let (device, file) = (&open.call.device, &open.call.file);
    // What the driver has made of the file in its open.
    let arrival = Arrival::of_opener(device, file, &open.call.info);
    let (address, length) = arrival.begin_mapping();
    let protection = match access {
        Access::ReadWrite => libc::PROT_READ | libc::PROT_WRITE,
        Access::ReadOnly => libc::PROT_READ,
    };
    let action = Action::Mmap(callback, share::page(), protection, address, length);
    arrival.hand_over(Kind::Mmap(open, access), action)
}

/// The driver has said what there is: a plan to ask again, or the open, to be answered. `info` is of the
/// question.
pub(crate) fn answered(
    info: &Info,
    open: Box<Opened>,
    access: Access,
    result: i64,
) -> Result<Plan, Box<Opened>> {
    if result < 0 {
        return match (access, open.call.device.operations.mmap) {
            (Access::ReadWrite, Some(callback)) => Ok(by(callback, open, Access::ReadOnly)),
            _ => {
                tracing::debug!(result, "the driver has nothing to map");
                Err(open)
            }
        };
    }
    let (address, length) = info.mapping();
    if let Err(errno) = offer(&open, address, length, access) {
        tracing::error!(
            "clients cannot map {length} bytes at {address:#x} of the driver ({errno}): give memory of its \
             own, in whole pages, that it can write to"
        );
    }
    Err(open)
}

fn offer(open: &Opened, address: usize, length: usize, access: Access) -> Result<(), Errno> {
    let Kind::Open(request) = &open.call.kind else {
        return Ok(());
    };
    let memory = share::share(address, length)?;
    match request
        .offer(&memory, access)
        .map_err(|error| error.errno())
    {
        // The client has gone: the answer to its open finds that out.
        Err(Errno::ENOENT) => Ok(()),
        offered => offered,
    }
}
