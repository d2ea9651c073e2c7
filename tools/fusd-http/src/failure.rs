//! Why a request came to nothing: the errno for the client, the reason for the log, and whether to
//! ask again.

use std::error::Error as StdError;
use std::fmt;
use std::io;
use std::sync::Arc;
use std::time::Duration;

use fusd::Errno;
use reqwest::StatusCode;

/// A failure. Clones are for all who wait for the same request.
#[derive(Clone, Debug)]
pub(crate) struct Failure {
    pub(crate) errno: Errno,
    pub(crate) again: Again,
    text: Arc<str>,
}

/// Whether the same request may do better a moment later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Again {
    Never,
    /// The server, or the network, was busy; the server may have said for how long.
    Later(Option<Duration>),
}

impl Failure {
    /// A failure that a second try would not mend.
    pub(crate) fn new(errno: Errno, text: impl Into<Arc<str>>) -> Self {
        Self {
            errno,
            again: Again::Never,
            text: text.into(),
        }
    }

    /// The same, worth another try.
    pub(crate) fn later(mut self, pause: Option<Duration>) -> Self {
        self.again = Again::Later(pause);
        self
    }

    /// The server has answered with a status that is none of success. `pause`: its Retry-After.
    pub(crate) fn status(status: StatusCode, pause: Option<Duration>) -> Self {
        let reason = status.canonical_reason().unwrap_or_default();
        let text = format!("the server answers {} {reason}", status.as_u16());
        let failure = Self::new(errno(status), text.trim_end());
        match status.as_u16() {
            408 | 429 | 502..=504 => failure.later(pause),
            _ => failure,
        }
    }

    /// The network, or what the server says, has failed.
    pub(crate) fn network(error: reqwest::Error) -> Self {
        // The URL may have somebody's token in it.
        let error = error.without_url();
        match error.is_timeout() || error.is_builder() {
            true => {
                let failed = if error.is_timeout() {
                    Errno::ETIMEDOUT
                } else {
                    Errno::EIO
                };
                Self::new(known(&error).unwrap_or(failed), chain(&error))
            }
            false => Self::of(&error),
        }
    }

    /// The same, of any error that is neither a time-out nor a request that is wrong.
    pub(crate) fn of(error: &(dyn StdError + 'static)) -> Self {
        let known = known(error);
        let failure = Self::new(known.unwrap_or(Errno::EIO), chain(error));
        match known {
            // A connection that broke, not one that was never there.
            None | Some(Errno::EIO) => failure.later(None),
            _ => failure,
        }
    }

    /// A time-out of the tool's own.
    pub(crate) fn late(what: &str, limit: Duration) -> Self {
        let limit = humantime::format_duration(limit);
        Self::new(Errno::ETIMEDOUT, format!("{what} within {limit}"))
    }
}

impl fmt::Display for Failure {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for Failure {}

/// What a status is for the client.
fn errno(status: StatusCode) -> Errno {
    match status.as_u16() {
        404 | 410 => Errno::ENOENT,
        401 | 403 | 407 => Errno::EACCES,
        405 => Errno::EPERM,
        408 | 504 => Errno::ETIMEDOUT,
        409 | 423 => Errno::EBUSY,
        413 => Errno::EFBIG,
        429 | 503 => Errno::EAGAIN,
        _ => Errno::EIO,
    }
}

/// A name that could not be looked up. The system's resolver has numbers of its own for it.
#[derive(Debug)]
pub(crate) struct NoSuchHost(pub(crate) io::Error);

impl fmt::Display for NoSuchHost {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "the host's name cannot be looked up: {}", self.0)
    }
}

impl StdError for NoSuchHost {}

/// What the causes of an error say about it, the innermost last.
fn known(error: &(dyn StdError + 'static)) -> Option<Errno> {
    let mut next = Some(error);
    while let Some(error) = next {
        if error.is::<NoSuchHost>() {
            return Some(Errno::EHOSTUNREACH);
        }
        if error.is::<rustls::Error>() {
            return Some(Errno::EPROTO);
        }
        if let Some(failure) = error.downcast_ref::<Failure>() {
            return Some(failure.errno);
        }
        if let Some(error) = error.downcast_ref::<io::Error>() {
            // Its source is that of what is in it: look there first.
            if let Some(inner) = error.get_ref() {
                let inner: &(dyn StdError + 'static) = inner;
                return known(inner);
            }
            if let Some(raw) = error.raw_os_error() {
                return Some(match Errno::from_raw(raw) {
                    // A unix socket that nobody made, or that others may not use.
                    Some(Errno::ECONNREFUSED | Errno::ENOENT) => Errno::ECONNREFUSED,
                    Some(Errno::EACCES) => Errno::EACCES,
                    Some(Errno::ETIMEDOUT) => Errno::ETIMEDOUT,
                    Some(Errno::EHOSTUNREACH) => Errno::EHOSTUNREACH,
                    _ if raw == nix::libc::ENETUNREACH => Errno::EHOSTUNREACH,
                    _ => Errno::EIO,
                });
            }
        }
        next = error.source();
    }
    None
}

/// An error and its causes in one line, each text once.
fn chain(error: &dyn StdError) -> String {
    let mut text = error.to_string();
    let mut next = error.source();
    while let Some(cause) = next {
        let more = cause.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        next = cause.source();
    }
    text
}

/// The failure that travelled inside an error of the standard library, or what that is.
pub(crate) fn from_io(error: io::Error) -> Failure {
    if let Some(failure) = error.get_ref().and_then(|it| it.downcast_ref::<Failure>()) {
        return failure.clone();
    }
    Failure::new(
        Errno::EIO,
        format!("the content's encoding is damaged: {error}"),
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_status_has_its_errno() {
        for (status, errno) in [
            (401, Errno::EACCES),
            (403, Errno::EACCES),
            (404, Errno::ENOENT),
            (405, Errno::EPERM),
            (408, Errno::ETIMEDOUT),
            (409, Errno::EBUSY),
            (410, Errno::ENOENT),
            (413, Errno::EFBIG),
            (423, Errno::EBUSY),
            (429, Errno::EAGAIN),
            (500, Errno::EIO),
            (503, Errno::EAGAIN),
            (504, Errno::ETIMEDOUT),
            (418, Errno::EIO),
        ] {
            let status = StatusCode::from_u16(status).unwrap();
            let failure = Failure::status(status, None);
            assert_eq!(failure.errno, errno, "{status}");
            assert!(failure.to_string().contains(status.as_str()), "{failure}");
        }
    }

    #[test]
    fn causes_are_found_in_errors_within_errors() {
        let tls = rustls::Error::General("x".into());
        assert_eq!(known(&io::Error::other(tls)), Some(Errno::EPROTO));
        let refused = io::Error::from_raw_os_error(nix::libc::ECONNREFUSED);
        let refused = io::Error::other(refused);
        assert_eq!(known(&refused), Some(Errno::ECONNREFUSED));
        let reset = io::Error::from_raw_os_error(nix::libc::ECONNRESET);
        assert_eq!(known(&reset), Some(Errno::EIO));
        let host = NoSuchHost(io::Error::other("x"));
        assert_eq!(known(&host), Some(Errno::EHOSTUNREACH));
        assert_eq!(known(&io::Error::other("x")), None);
    }
}
