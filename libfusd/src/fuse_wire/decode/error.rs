//! Why a request could not be decoded, and whether somebody waits for its answer.

use std::fmt;

use fuse_abi::linux::fuse_opcode as Opcode;

use super::HEADER_SIZE;

/// A request that cannot be understood.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct DecodeError {
    request: Option<Request>,
    flaw: Flaw,
}

/// What is known of a request from its header.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Request {
    pub unique: u64,
    pub opcode: u32,
}

/// Which length is wrong. All counts are bytes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Flaw {
    /// Not even a header.
    Header { got: usize },
    /// The header gives another length than was read.
    Length { announced: u32, got: usize },
    /// The extensions are longer than all that follows the header.
    Extensions { announced: usize, got: usize },
    /// Too short for the structure of its kind.
    Body { expected: usize, got: usize },
    /// The data is not as long as the request says.
    Data { expected: usize, got: usize },
}

impl DecodeError {
    pub(super) fn new(request: Option<Request>, flaw: Flaw) -> Self {
        Self { request, flaw }
    }

    /// The request to answer with EIO: its header was whole and it is of a kind that is answered.
    pub(crate) fn answerable(&self) -> Option<u64> {
        let Request { unique, opcode } = self.request?;
        let silent = matches!(
            Opcode::try_from(opcode),
            Ok(Opcode::FUSE_FORGET
                | Opcode::FUSE_BATCH_FORGET
                | Opcode::FUSE_INTERRUPT
                | Opcode::FUSE_NOTIFY_REPLY)
        );
        // An answer to 0 would be taken for a notification.
        (!silent && unique != 0).then_some(unique)
    }

    /// Which length is wrong.
    #[cfg(test)]
    pub(super) fn flaw(&self) -> Flaw {
        self.flaw
    }
}

impl fmt::Display for DecodeError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self.request {
            None => f.write_str("FUSE request: ")?,
            Some(Request { unique, opcode }) => match Opcode::try_from(opcode) {
                Ok(known) => write!(f, "{known:?} request {unique}: ")?,
                Err(_) => write!(f, "FUSE request {unique} of unknown kind {opcode}: ")?,
            },
        }
        match self.flaw {
            Flaw::Header { got } => {
                write!(f, "{got} bytes, and the header alone has {HEADER_SIZE}")
            }
            Flaw::Length { announced, got } => write!(f, "{announced} bytes announced, {got} read"),
            Flaw::Extensions { announced, got } => {
                write!(
                    f,
                    "{announced} bytes of extensions announced, {got} after the header"
                )
            }
            Flaw::Body { expected, got } => {
                write!(
                    f,
                    "{got} bytes after the header, at least {expected} expected"
                )
            }
            Flaw::Data { expected, got } => {
                write!(f, "{expected} bytes of data announced, {got} there")
            }
        }
    }
}

impl std::error::Error for DecodeError {}
