//! What went wrong when a device was made or served: on what, why, and what to do next.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};

use crate::Errno;

/// The result of everything in this crate that can fail.
pub type Result<T, E = Error> = std::result::Result<T, E>;

/// The kind of a failure: enough to choose an exit code by.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum ErrorKind {
    /// A name, mode or option that can never work. Nothing was tried.
    Invalid,
    /// Something is at the node's place already, or the place itself is missing or refuses nodes.
    Node,
    /// The rights of this process do not suffice.
    Permission,
    /// No backend can serve a device on this machine, or not the one that was asked for.
    Backend,
    /// The device was there and then failed.
    Runtime,
}

/// A failure to make or serve a device.
///
/// Its text is one line: what failed, on what, why (with the name of the errno), and, where there
/// is something to be done, what to do next.
#[derive(Debug)]
pub struct Error {
    kind: ErrorKind,
    errno: Errno,
    action: String,
    path: Option<PathBuf>,
    hint: Option<String>,
    source: Option<Box<dyn StdError + Send + Sync>>,
}

impl Error {
    /// A failure of `action` ("create the node"), phrased to follow "cannot".
    pub fn new(kind: ErrorKind, errno: Errno, action: impl Into<String>) -> Self {
        Self {
            kind,
            errno,
            action: action.into(),
            path: None,
            hint: None,
            source: None,
        }
    }

    /// A failed system call. The kind follows the errno: `EPERM` and `EACCES` are
    /// [`ErrorKind::Permission`]; where a limit of the process or of the system is reached
    /// (`EMFILE`, `ENFILE`, `EAGAIN`, `ENOMEM`) it is [`ErrorKind::Runtime`]; everything else is
    /// `kind`. Where the errno alone tells what to do, that is the hint.
    pub fn system(kind: ErrorKind, errno: impl Into<Errno>, action: impl Into<String>) -> Self {
        let errno = errno.into();
        let kind = match errno {
            Errno::EPERM | Errno::EACCES => ErrorKind::Permission,
            Errno::EMFILE | Errno::ENFILE | Errno::EAGAIN | Errno::ENOMEM => ErrorKind::Runtime,
            _ => kind,
        };
        Self {
            hint: usual_hint(errno).map(str::to_owned),
            ..Self::new(kind, errno, action)
        }
    }

    /// Names what it failed on.
    #[must_use]
    pub fn on(mut self, path: impl Into<PathBuf>) -> Self {
        self.path = Some(path.into());
        self
    }

    /// Says what to do next.
    #[must_use]
    pub fn hint(mut self, hint: impl Into<String>) -> Self {
        self.hint = Some(hint.into());
        self
    }

    /// Keeps the error that caused this one; its text takes the place of the errno's.
    #[must_use]
    pub fn because(mut self, source: impl Into<Box<dyn StdError + Send + Sync>>) -> Self {
        self.source = Some(source.into());
        self
    }

    /// The kind of the failure.
    pub fn kind(&self) -> ErrorKind {
        self.kind
    }

    /// The error number that a C caller would find in `errno`.
    pub fn errno(&self) -> Errno {
        self.errno
    }

    /// What it failed on, where that is a path.
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }
}

/// What to do about an error number, whatever call it came from.
fn usual_hint(errno: Errno) -> Option<&'static str> {
    Some(match errno {
        Errno::EMFILE => "allow this program more open files, with `ulimit -n`",
        Errno::ENFILE => "close files elsewhere, or raise the limit in /proc/sys/fs/file-max",
        Errno::EAGAIN => "end other processes of this user, or allow more, with `ulimit -u`",
        Errno::ENOMEM => "make memory free, or allow this program more, with `ulimit -v`",
        Errno::ENOSPC | Errno::EDQUOT => "make room on that file system",
        Errno::ELOOP => "choose a path whose symbolic links lead somewhere",
        Errno::ENAMETOOLONG => "choose a shorter path: 255 bytes a component, 4095 in all",
        _ => return None,
    })
}

impl fmt::Display for Error {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "cannot {}", self.action)?;
        if let Some(path) = &self.path {
            write!(f, " {}", path.display())?;
        }
        match &self.source {
            Some(source) => write!(f, ": {source} ({:?})", self.errno)?,
            None => write!(f, ": {}", self.errno)?,
        }
        if let Some(hint) = &self.hint {
            write!(f, "; {hint}")?;
        }
        Ok(())
    }
}

impl StdError for Error {
    // `source` is part of the text: returning it here too would print it twice in a chain.
}

impl From<Error> for io::Error {
    fn from(error: Error) -> Self {
        Self::new(Self::from(error.errno).kind(), error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_text_says_what_where_why_and_what_next() {
        let error = Error::system(ErrorKind::Node, Errno::EEXIST, "create the node")
            .on("/dev/x")
            .hint("choose another name");
        assert_eq!(
            error.to_string(),
            "cannot create the node /dev/x: File exists (EEXIST); choose another name"
        );
        assert_eq!(error.kind(), ErrorKind::Node);
    }

    #[test]
    fn a_cause_replaces_the_text_of_the_errno_and_keeps_its_name() {
        let error = Error::new(ErrorKind::Invalid, Errno::EINVAL, "use the name \"..\"")
            .because("a component may not be \"..\"");
        assert_eq!(
            error.to_string(),
            "cannot use the name \"..\": a component may not be \"..\" (EINVAL)"
        );
    }

    #[test]
    fn a_limit_that_is_reached_is_no_missing_backend_and_says_what_to_raise() {
        let error = Error::system(ErrorKind::Backend, Errno::EMFILE, "open").on("/dev/fuse");
        assert_eq!(error.kind(), ErrorKind::Runtime);
        assert_eq!(
            error.to_string(),
            "cannot open /dev/fuse: Too many open files (EMFILE); allow this program more open \
             files, with `ulimit -n`"
        );
        let error = error.hint("something better");
        assert!(error.to_string().ends_with("; something better"));
    }

    #[test]
    fn missing_rights_are_always_of_the_kind_permission() {
        let error = Error::system(ErrorKind::Node, Errno::EACCES, "open").on("/dev/fuse");
        assert_eq!(error.kind(), ErrorKind::Permission);
    }
}
