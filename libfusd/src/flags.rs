//! The flags a client opened a file with, as they are at the time of a call.

use std::fmt;

use nix::fcntl::OFlag;

/// The `O_` flags of an open file (open(2)), current at each call: `O_NONBLOCK` set later by
/// fcntl(2) shows in the next one.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct OpenFlags(i32);

impl OpenFlags {
    pub(crate) const fn from_raw(raw: i32) -> Self {
        Self(raw)
    }

    /// The bits, as in `<fcntl.h>`.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// Opened for reading (`O_RDONLY` or `O_RDWR`).
    pub const fn readable(self) -> bool {
        self.0 & libc::O_ACCMODE != libc::O_WRONLY
    }

    /// Opened for writing (`O_WRONLY` or `O_RDWR`).
    pub const fn writable(self) -> bool {
        self.0 & libc::O_ACCMODE != libc::O_RDONLY
    }

    /// Calls must not wait (`O_NONBLOCK`).
    pub const fn nonblocking(self) -> bool {
        self.0 & libc::O_NONBLOCK != 0
    }

    /// Writes go to the end (`O_APPEND`, `>>` in a shell).
    pub const fn append(self) -> bool {
        self.0 & libc::O_APPEND != 0
    }

    /// The client asked for an emptied file (`O_TRUNC`, `>` in a shell). Seen at open only.
    pub const fn truncate(self) -> bool {
        self.0 & libc::O_TRUNC != 0
    }
}

impl fmt::Debug for OpenFlags {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&OFlag::from_bits_retain(self.0), f)
    }
}
