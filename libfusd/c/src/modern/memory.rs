//! Memory that a driver has for its clients to map.

use fusd_rust::{Access, Errno, Error, ErrorKind, Memory};

use super::tables::{self, CALLS, Kind, MEMORIES};
use crate::{failure, fork};

/// `FUSD_READ_ONLY`, as in `fusd_device.h`.
const READ_ONLY: u32 = 1;

/// Makes memory. Returns its handle.
///
/// # Errors
/// Those of [`Memory::new`], with their text remembered.
pub(crate) fn make(length: usize) -> Result<usize, Errno> {
    let memory = Memory::new(length).map_err(|error| failure::remember(&error))?;
    let handle = tables::handle();
    MEMORIES.insert(handle, memory);
    Ok(handle)
}

/// Where it is, and how long.
///
/// # Errors
/// `EINVAL`: there is none.
pub(crate) fn place(handle: usize) -> Result<(usize, usize), Errno> {
    let place = MEMORIES.look(handle, |memory| {
        let bytes = memory.bytes();
        (bytes.as_ptr().expose_provenance(), bytes.len())
    });
    place.ok_or(Errno::EINVAL)
}

/// Gives it up; clients that have mapped it keep it.
///
/// # Errors
/// `EINVAL`: there is none.
pub(crate) fn free(handle: usize) -> Result<(), Errno> {
    MEMORIES
        .take(handle, |_| true)
        .map(drop)
        .ok_or(Errno::EINVAL)
}

/// Lets the client of an open map it.
///
/// # Errors
/// `EINVAL`: no such memory, or the call is no open. `ENODEV`: it is a parent's. Those of
/// [`fusd_rust::OpenRequest::offer`], with their text remembered.
pub(crate) fn offer(call: usize, handle: usize, flags: u32) -> Result<(), Errno> {
    let refused = |why: &str| {
        let error = Error::new(ErrorKind::Invalid, Errno::EINVAL, "let clients map memory");
        failure::remember(&error.because(why))
    };
    let access = match flags {
        0 => Access::ReadWrite,
        READ_ONLY => Access::ReadOnly,
        _ => return Err(refused("it has unknown flags")),
    };
    let memory = MEMORIES.look(handle, |memory| memory.clone());
    let memory = memory.ok_or_else(|| refused("there is no such memory"))?;
    // Under the table's lock, so that the call is not answered meanwhile. The module does not wait.
    let offered = CALLS.look(call, |call| match &call.kind {
        _ if call.generation != fork::generation() => Err(Errno::ENODEV),
        Kind::Open(request) => request
            .offer(&memory, access)
            .map_err(|error| failure::remember(&error)),
        _ => Err(refused("the call is no open")),
    });
    offered.unwrap_or_else(|| Err(refused("there is no such call")))
}
