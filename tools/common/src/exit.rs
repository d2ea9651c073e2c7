//! The exit codes of all tools.

use fusd::ErrorKind;

/// Stopped as asked: by SIGTERM, SIGINT, or by the device itself.
pub const STOPPED: u8 = 0;
/// The device was there and then failed, or what it serves cannot be had.
pub const FAILED: u8 = 1;
/// The command line is wrong. Nothing was made.
pub const USAGE: u8 = 2;
/// No backend can serve the device on this machine, or not the one asked for.
pub const NO_BACKEND: u8 = 69;
/// Something is at the node's place, or a node cannot be made there.
pub const NODE: u8 = 73;
/// The rights of the user do not suffice.
pub const PERMISSION: u8 = 77;
/// The command to run beside the device is there but cannot be executed.
pub const NOT_EXECUTABLE: u8 = 126;
/// The command to run beside the device does not exist.
pub const NOT_FOUND: u8 = 127;
/// Added to a signal's number: ended by it.
pub const SIGNAL: u8 = 128;

/// The exit code for a failure of the library.
pub fn code(kind: ErrorKind) -> u8 {
    match kind {
        ErrorKind::Invalid => USAGE,
        ErrorKind::Node => NODE,
        ErrorKind::Permission => PERMISSION,
        ErrorKind::Backend => NO_BACKEND,
        // Runtime, and kinds that a later library may have.
        _ => FAILED,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_of_failure_has_its_code() {
        for (kind, expected) in [
            (ErrorKind::Invalid, 2),
            (ErrorKind::Node, 73),
            (ErrorKind::Permission, 77),
            (ErrorKind::Backend, 69),
            (ErrorKind::Runtime, 1),
        ] {
            assert_eq!(code(kind), expected, "{kind:?}");
        }
    }
}
