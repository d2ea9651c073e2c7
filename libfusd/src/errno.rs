//! Error numbers as a type: what a handler answers and what a client's call sets `errno` to.

use std::fmt;
use std::io;

use nix::errno::Errno as Raw;

/// An error number of Linux, in the range 1 to 4095 (`include/linux/err.h`, `MAX_ERRNO`).
///
/// Never zero: success is not an error number.
#[derive(Clone, Copy, PartialEq, Eq, Hash)]
pub struct Errno(i32);

macro_rules! constants {
    ($($name:ident: $text:literal,)*) => {
        impl Errno {
            $(#[doc = $text] pub const $name: Self = Self(Raw::$name as i32);)*
        }
    };
}

constants! {
    EPERM: "Operation not permitted.",
    ENOENT: "No such file or directory.",
    EINTR: "The call was interrupted by a signal.",
    EIO: "Input/output error.",
    ENXIO: "No such device or address.",
    E2BIG: "Argument list too long.",
    ENOEXEC: "The file is not executable in form.",
    EBADF: "Bad file descriptor.",
    EAGAIN: "Would block: try again.",
    ENOMEM: "Out of memory.",
    EACCES: "Permission denied.",
    EFAULT: "Bad address.",
    EBUSY: "Device or resource busy.",
    EEXIST: "File exists.",
    ENODEV: "No such device.",
    ENOTDIR: "Not a directory.",
    EISDIR: "Is a directory.",
    EINVAL: "Invalid argument.",
    ENFILE: "Too many open files in the system.",
    EMFILE: "Too many open files.",
    ENOTTY: "The device knows no such ioctl.",
    EFBIG: "File too large.",
    ENOSPC: "No space left on device.",
    ESPIPE: "Illegal seek.",
    ELOOP: "Too many symbolic links encountered.",
    EROFS: "Read-only file system.",
    EPIPE: "Broken pipe: the other side is gone.",
    ERANGE: "Result too large.",
    EDEADLK: "The call would wait for itself.",
    ENAMETOOLONG: "File name too long.",
    ENOSYS: "Function not implemented.",
    ENODATA: "No data available.",
    ETIME: "Timer expired.",
    EPROTO: "Protocol error.",
    EOVERFLOW: "Value too large.",
    EMSGSIZE: "Message too long.",
    EOPNOTSUPP: "Operation not supported.",
    ECONNABORTED: "The connection was aborted.",
    ECONNRESET: "The connection was reset by the peer.",
    ENOTCONN: "Not connected: the driver is gone.",
    ESHUTDOWN: "The endpoint has shut down.",
    ETIMEDOUT: "Timed out.",
    ECONNREFUSED: "Connection refused.",
    EHOSTUNREACH: "No route to host.",
    ESTALE: "The file changed beneath its open descriptor.",
    EDQUOT: "Disk quota exceeded.",
    ECANCELED: "The operation was cancelled.",
}

impl Errno {
    /// The error number `raw`, or `None` where it is outside 1 to 4095.
    pub const fn from_raw(raw: i32) -> Option<Self> {
        if raw >= 1 && raw <= 4095 {
            Some(Self(raw))
        } else {
            None
        }
    }

    /// The number itself, 1 to 4095.
    pub const fn raw(self) -> i32 {
        self.0
    }

    /// The text of `strerror(3)`, in English.
    pub fn describe(self) -> &'static str {
        Raw::from_raw(self.0).desc()
    }
}

impl fmt::Display for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} ({self:?})", self.describe())
    }
}

impl fmt::Debug for Errno {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Raw::from_raw(self.0) {
            Raw::UnknownErrno => write!(f, "errno {}", self.0),
            known => write!(f, "{known:?}"),
        }
    }
}

impl std::error::Error for Errno {}

impl From<Raw> for Errno {
    fn from(raw: Raw) -> Self {
        Self::from_raw(raw as i32).unwrap_or(Self::EIO)
    }
}

impl From<&io::Error> for Errno {
    /// The error's own number; `EIO` for an error that did not come from the system.
    fn from(error: &io::Error) -> Self {
        error
            .raw_os_error()
            .and_then(Self::from_raw)
            .unwrap_or(Self::EIO)
    }
}

impl From<io::Error> for Errno {
    fn from(error: io::Error) -> Self {
        Self::from(&error)
    }
}

impl From<Errno> for io::Error {
    fn from(errno: Errno) -> Self {
        Self::from_raw_os_error(errno.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_range_is_that_of_the_kernel() {
        assert_eq!(Errno::from_raw(0), None);
        assert_eq!(Errno::from_raw(-5), None);
        assert_eq!(Errno::from_raw(4096), None);
        assert_eq!(Errno::from_raw(5), Some(Errno::EIO));
    }

    #[test]
    fn names_and_texts_are_shown() {
        assert_eq!(Errno::EIO.to_string(), "I/O error (EIO)");
        assert_eq!(
            format!("{:?}", Errno::from_raw(4000).unwrap()),
            "errno 4000"
        );
    }

    #[test]
    fn an_error_without_a_number_is_eio() {
        assert_eq!(Errno::from(io::Error::other("no number")), Errno::EIO);
        assert_eq!(Errno::from(io::Error::from_raw_os_error(13)), Errno::EACCES);
    }
}
