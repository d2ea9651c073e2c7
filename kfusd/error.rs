// SPDX-License-Identifier: GPL-2.0-only

//! Between the protocol's errors and the kernel's.

use kernel::{bindings, prelude::*};

use crate::wire::{Fault, ERRNO_MAX};

impl From<Fault> for Error {
    /// What a driver is told of a message that does not parse.
    fn from(fault: Fault) -> Self {
        match fault {
            Fault::Version => eprotonosupport(),
            Fault::Feature => eopnotsupp(),
            Fault::Length | Fault::Operation | Fault::Flags | Fault::Reserved | Fault::Range => {
                EINVAL
            }
        }
    }
}

/// The error a driver answers a call with: `None` for 0.
pub(crate) fn of_answer(errno: u32) -> Option<Error> {
    match i32::try_from(errno) {
        Ok(0) => None,
        // Parsing has refused what is beyond; such a number must not reach a client.
        Ok(errno) if errno.unsigned_abs() <= ERRNO_MAX => Some(Error::from_errno(-errno)),
        _ => Some(EIO),
    }
}

/// The errno of an error, as a driver is told it.
pub(crate) fn to_errno(error: Error) -> u32 {
    error.to_errno().unsigned_abs()
}

/// An error that the kernel crate has no name for.
fn unnamed(errno: u32) -> Error {
    // CAST: the errnos below are under 4096.
    Error::from_errno(-(errno as i32))
}

/// The driver has not said hello, or a second time.
pub(crate) fn eproto() -> Error {
    unnamed(bindings::EPROTO)
}

/// The driver has lost what it had to its successor.
pub(crate) fn estale() -> Error {
    unnamed(bindings::ESTALE)
}

/// A name is too long.
pub(crate) fn enametoolong() -> Error {
    unnamed(bindings::ENAMETOOLONG)
}

/// A version that is not served.
pub(crate) fn eprotonosupport() -> Error {
    unnamed(bindings::EPROTONOSUPPORT)
}

/// A feature that does not exist, or was not agreed on.
pub(crate) fn eopnotsupp() -> Error {
    unnamed(bindings::EOPNOTSUPP)
}

/// The call would wait for itself.
pub(crate) fn edeadlk() -> Error {
    unnamed(bindings::EDEADLK)
}
