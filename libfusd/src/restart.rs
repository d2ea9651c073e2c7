//! What becomes of a device whose driver ends: the policy of a restart under open files.

use std::time::Duration;

use crate::wire;

/// A device that outlives its driver ([`DeviceBuilder::restart`](crate::DeviceBuilder::restart)).
///
/// When the driver ends, however it does, the node stays and clients keep their open files: their
/// calls wait, killable, for a driver that registers the same name with a policy of its own. It takes
/// the device over, with all open files ([`Device::restore`](crate::Device::restore)). Where none
/// comes within the limit, the device ends as it does without a policy: calls fail with `EPIPE`.
///
/// What the driver has with it, memory above all, is lost with it: what a successor needs is what has
/// been written down elsewhere, and one number per file
/// ([`OpenFile::set_token`](crate::OpenFile::set_token)).
///
/// Only the backend kfusd can do that. On others the device is served without
/// ([`Session::is_kept`](crate::Session::is_kept) tells, and so does a warning in the log).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Restart {
    limit: Duration,
    again: bool,
    replace: bool,
}

impl Restart {
    /// The device waits for a driver for `limit` (a millisecond to a day; what is beyond is made one
    /// of these). Calls that the old one has begun with, and not answered, fail with `EPIPE`.
    pub fn within(limit: Duration) -> Self {
        Self {
            limit,
            again: false,
            replace: false,
        }
    }

    /// Those calls are given to the successor instead, which cannot know how much of each has been
    /// done: for devices on which it does no harm to do a thing twice.
    #[must_use]
    pub fn again(mut self) -> Self {
        self.again = true;
        self
    }

    /// Takes the device over also from a driver that lives. That one answers what it has begun with,
    /// and [`Session::run`](crate::Session::run) returns there; until it has, or the limit is over,
    /// registration waits here. No call of a client fails on the way.
    #[must_use]
    pub fn replace(mut self) -> Self {
        self.replace = true;
        self
    }

    /// The limit in milliseconds, in its range.
    pub(crate) fn millis(&self) -> u32 {
        let millis = u32::try_from(self.limit.as_millis()).unwrap_or(u32::MAX);
        millis.clamp(1, wire::KEEP_MAX)
    }

    pub(crate) fn is_again(&self) -> bool {
        self.again
    }

    pub(crate) fn replaces(&self) -> bool {
        self.replace
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn limits_are_brought_into_their_range() {
        for (limit, millis) in [
            (Duration::ZERO, 1),
            (Duration::from_millis(1500), 1500),
            (Duration::MAX, 86_400_000),
        ] {
            assert_eq!(Restart::within(limit).millis(), millis);
        }
    }
}
