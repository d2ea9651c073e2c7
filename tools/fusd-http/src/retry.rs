//! When a request is sent again.

use std::time::{Duration, SystemTime};

use reqwest::header::{HeaderMap, RETRY_AFTER};

use crate::failure::{Again, Failure};

/// The first pause, doubled with each more.
const FIRST: Duration = Duration::from_millis(250);

/// How often, and after how long.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Retry {
    pub(crate) times: u32,
    pub(crate) longest: Duration,
}

impl Retry {
    /// The pause before the next try, if there is to be one after `tries` again. `jitter` is between
    /// 0 and 1: many who were turned away at once shall not all come back at once.
    pub(crate) fn pause(&self, failure: &Failure, tries: u32, jitter: f64) -> Option<Duration> {
        let Again::Later(asked) = failure.again else {
            return None;
        };
        if tries >= self.times {
            return None;
        }
        let backoff = FIRST.saturating_mul(1 << tries.min(20)).min(self.longest);
        let backoff = backoff.mul_f64(0.5 + jitter.clamp(0.0, 1.0) / 2.0);
        match asked {
            Some(asked) if asked > self.longest => None,
            Some(asked) => Some(asked.max(backoff)),
            None => Some(backoff),
        }
    }
}

/// What Retry-After says (RFC 9110, 10.2.3): seconds, or a date.
pub(crate) fn after(headers: &HeaderMap, now: SystemTime) -> Option<Duration> {
    let text = headers.get(RETRY_AFTER)?.to_str().ok()?.trim();
    if let Ok(seconds) = text.parse() {
        return Some(Duration::from_secs(seconds));
    }
    let date = httpdate::parse_http_date(text).ok()?;
    Some(date.duration_since(now).unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use fusd::Errno;

    use super::*;

    const RETRY: Retry = Retry {
        times: 3,
        longest: Duration::from_secs(5),
    };

    fn busy(seconds: Option<u64>) -> Failure {
        Failure::new(Errno::EAGAIN, "busy").later(seconds.map(Duration::from_secs))
    }

    #[test]
    fn pauses_grow_up_to_a_limit_and_come_to_an_end() {
        let pauses: Vec<_> = (0..4)
            .map(|tries| RETRY.pause(&busy(None), tries, 1.0))
            .collect();
        let millis = |millis| Some(Duration::from_millis(millis));
        assert_eq!(pauses, [millis(250), millis(500), millis(1000), None]);
        let many = Retry {
            times: 100,
            ..RETRY
        };
        assert_eq!(many.pause(&busy(None), 99, 1.0), millis(5000));
        assert_eq!(many.pause(&busy(None), 99, 0.0), millis(2500));
    }

    #[test]
    fn the_server_says_how_long() {
        let seconds = |seconds| Some(Duration::from_secs(seconds));
        assert_eq!(RETRY.pause(&busy(Some(2)), 0, 0.5), seconds(2));
        assert_eq!(RETRY.pause(&busy(Some(6)), 0, 0.5), None, "too long");
        assert!(RETRY.pause(&busy(Some(0)), 0, 0.5) > seconds(0));
        let never = Failure::new(Errno::ENOENT, "gone");
        assert_eq!(RETRY.pause(&never, 0, 0.5), None);
    }

    #[test]
    fn retry_after_is_a_number_or_a_date() {
        let now = httpdate::parse_http_date("Sun, 06 Nov 1994 08:49:37 GMT").unwrap();
        for (text, seconds) in [
            ("7", Some(7)),
            ("Sun, 06 Nov 1994 08:49:40 GMT", Some(3)),
            ("Sun, 06 Nov 1994 08:49:00 GMT", Some(0)),
            ("soon", None),
            ("-1", None),
        ] {
            let headers = HeaderMap::from_iter([(RETRY_AFTER, text.parse().unwrap())]);
            assert_eq!(
                after(&headers, now),
                seconds.map(Duration::from_secs),
                "{text}"
            );
        }
    }
}
