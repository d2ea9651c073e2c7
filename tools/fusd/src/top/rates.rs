//! From counts to rates: what has come between two looks.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::time::{Duration, Instant};

use crate::devices::{self, Counters, Device};

/// How much there is in a second.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Rate {
    /// Requests in a thousand seconds: a device may have less than one in a second.
    pub(super) requests: u64,
    pub(super) bytes: u64,
}

impl Rate {
    /// Requests in a second.
    pub(super) fn requests(&self) -> f64 {
        self.requests as f64 / 1000.0
    }

    fn between(before: &Counters, now: &Counters, time: Duration) -> Option<Self> {
        // Another device has the name by now if it counts from the beginning.
        let served = now.served.checked_sub(before.served)?;
        let bytes = now.bytes.checked_sub(before.bytes)?;
        let time = u128::max(time.as_millis(), 1);
        let in_time = |count: u64, seconds: u128| {
            let rate = u128::from(count) * seconds * 1000 / time;
            u64::try_from(rate).unwrap_or(u64::MAX)
        };
        Some(Self {
            requests: in_time(served, 1000),
            bytes: in_time(bytes, 1),
        })
    }
}

/// What was counted at the last look.
#[derive(Default)]
pub(super) struct Rates {
    before: BTreeMap<PathBuf, (Instant, Counters)>,
}

impl Rates {
    /// All devices, and what has come since the last look.
    pub(super) fn look(&mut self) -> Vec<(Device, Option<Rate>)> {
        let devices = devices::find();
        let now = Instant::now();
        let counted = devices
            .iter()
            .filter_map(|device| Some((device.path.clone(), (now, device.counters?))));
        let before = std::mem::replace(&mut self.before, counted.collect());
        let rate = |device: &Device| {
            let (then, counters) = before.get(&device.path)?;
            Rate::between(counters, device.counters.as_ref()?, now - *then)
        };
        let rows = devices.into_iter().map(|device| {
            let rate = rate(&device);
            (device, rate)
        });
        rows.collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn counters(served: u64, bytes: u64) -> Counters {
        Counters {
            files: 0,
            waiting: 0,
            served,
            bytes,
            oldest: Duration::ZERO,
        }
    }

    #[test]
    fn a_rate_is_what_came_divided_by_the_time() {
        let rate = |time| Rate::between(&counters(10, 100), &counters(15, 1100), time);
        let second = Rate {
            requests: 5000,
            bytes: 1000,
        };
        assert_eq!(rate(Duration::from_secs(1)), Some(second));
        let rate = rate(Duration::from_secs(10)).unwrap();
        assert_eq!((rate.requests, rate.requests()), (500, 0.5));
        assert_eq!(rate.bytes, 100);
    }

    #[test]
    fn a_device_that_begins_anew_has_no_rate_yet() {
        let time = Duration::from_secs(1);
        assert_eq!(Rate::between(&counters(10, 0), &counters(9, 0), time), None);
    }
}
