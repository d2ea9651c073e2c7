//! What the head of an answer says of the page: which version it is, and which part of it follows.

use std::time::Duration;

use reqwest::header::{
    CONTENT_RANGE, CONTENT_TYPE, DATE, ETAG, HeaderMap, HeaderValue, LAST_MODIFIED,
};

/// How old a change has to be, that no other one has its date.
const EXACT_AFTER: Duration = Duration::from_secs(2);

/// What tells one version of a page from another, as far as the server says so.
#[derive(Clone, Debug, Default, PartialEq, Eq, Hash)]
pub(crate) struct Validators {
    etag: Option<HeaderValue>,
    modified: Option<HeaderValue>,
}

impl Validators {
    pub(crate) fn of(headers: &HeaderMap) -> Self {
        Self {
            etag: headers.get(ETAG).cloned(),
            modified: headers.get(LAST_MODIFIED).cloned(),
        }
    }

    /// What to send as If-Range: a strong ETag, else the date (RFC 9110, 13.1.5). A weak ETag may
    /// stay while bytes change.
    pub(crate) fn condition(&self) -> Option<&HeaderValue> {
        let strong = |etag: &&HeaderValue| etag.as_bytes().first() == Some(&b'"');
        self.etag.as_ref().filter(strong).or(self.modified.as_ref())
    }

    /// Whether nothing else can have the same marks: a date is as exact as a second, and ETags that
    /// servers make of it are no better, so that it counts only a while later (RFC 9110, 8.8.2.2).
    pub(crate) fn are_unique(&self, headers: &HeaderMap) -> bool {
        let date = |value: Option<&HeaderValue>| {
            let text = value?.to_str().ok()?;
            httpdate::parse_http_date(text.trim()).ok()
        };
        let Some(modified) = &self.modified else {
            return self.condition().is_some();
        };
        let (Some(modified), Some(now)) = (date(Some(modified)), date(headers.get(DATE))) else {
            return false;
        };
        now.duration_since(modified)
            .is_ok_and(|age| age >= EXACT_AFTER)
    }

    /// Whether an answer with `other` is of another version. What one of them does not say counts
    /// for nothing.
    pub(crate) fn differ(&self, other: &Self) -> bool {
        let differ = |one: &Option<HeaderValue>, other: &Option<HeaderValue>| matches!((one, other), (Some(one), Some(other)) if one != other);
        differ(&self.etag, &other.etag) || differ(&self.modified, &other.modified)
    }
}

/// A Content-Range (RFC 9110, 14.4).
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct ContentRange {
    /// First byte, and the one behind the last; none where there is no such range.
    pub(crate) part: Option<(u64, u64)>,
    pub(crate) total: Option<u64>,
}

impl ContentRange {
    /// What the head says; `None` if it says nothing that can be true.
    pub(crate) fn of(headers: &HeaderMap) -> Option<Self> {
        let mut values = headers.get_all(CONTENT_RANGE).iter();
        let (value, None) = (values.next()?, values.next()) else {
            return None;
        };
        Self::parse(value.to_str().ok()?)
    }

    fn parse(text: &str) -> Option<Self> {
        let (unit, rest) = text.trim().split_once(' ')?;
        if !unit.eq_ignore_ascii_case("bytes") {
            return None;
        }
        let (part, total) = rest.trim().split_once('/')?;
        let total = match total {
            "*" => None,
            total => Some(number(total)?),
        };
        let part = match part {
            "*" => None,
            part => {
                let (first, last) = part.split_once('-')?;
                let (first, last) = (number(first)?, number(last)?);
                let end = last.checked_add(1)?;
                let within = total.is_none_or(|total| end <= total);
                Some((first, end))
                    .filter(|_| first <= last && within)?
                    .into()
            }
        };
        Some(Self { part, total })
    }
}

/// Digits and nothing else.
fn number(text: &str) -> Option<u64> {
    let digits = !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit());
    text.parse().ok().filter(|_| digits)
}

/// Whether several parts follow, which nobody has asked for.
pub(crate) fn is_multipart(headers: &HeaderMap) -> bool {
    let kind = headers.get(CONTENT_TYPE).and_then(|it| it.to_str().ok());
    kind.is_some_and(|kind| {
        kind.to_ascii_lowercase()
            .starts_with("multipart/byteranges")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn validators(etag: Option<&str>, modified: Option<&str>) -> Validators {
        let value = |text: &str| text.parse().unwrap();
        Validators {
            etag: etag.map(value),
            modified: modified.map(value),
        }
    }

    #[test]
    fn ranges_that_cannot_be_true_are_none() {
        let part = |first, end, total| {
            Some(ContentRange {
                part: Some((first, end)),
                total,
            })
        };
        assert_eq!(ContentRange::parse("bytes 0-9/100"), part(0, 10, Some(100)));
        assert_eq!(ContentRange::parse("bytes 0-9/*"), part(0, 10, None));
        let none = ContentRange {
            part: None,
            total: Some(0),
        };
        assert_eq!(ContentRange::parse("bytes */0"), Some(none));
        for text in [
            "",
            "bytes",
            "bytes 0-9",
            "bytes 9-0/100",
            "bytes 0-100/100",
            "bytes -1-9/100",
            "bytes +0-9/100",
            "bytes 0-18446744073709551615/*",
            "items 0-9/100",
            "bytes 0-9/x",
        ] {
            assert_eq!(ContentRange::parse(text), None, "{text:?}");
        }
    }

    #[test]
    fn a_weak_etag_is_no_condition() {
        let weak = validators(Some("W/\"a\""), None);
        assert_eq!(weak.condition(), None);
        let both = validators(Some("W/\"a\""), Some("date"));
        assert_eq!(both.condition().unwrap(), "date");
        let strong = validators(Some("\"a\""), Some("date"));
        assert_eq!(strong.condition().unwrap(), "\"a\"");
    }

    #[test]
    fn what_has_just_changed_may_change_again_unseen() {
        let changed = "Sun, 06 Nov 1994 08:49:37 GMT";
        let unique = |validators: &Validators, date: &str| {
            let headers = HeaderMap::from_iter([(DATE, date.parse().unwrap())]);
            validators.are_unique(&headers)
        };
        for etag in [None, Some("\"a\"")] {
            let dated = validators(etag, Some(changed));
            assert!(!unique(&dated, changed));
            assert!(!unique(&dated, "Sun, 06 Nov 1994 08:49:38 GMT"));
            assert!(unique(&dated, "Sun, 06 Nov 1994 08:49:39 GMT"));
            assert!(!dated.are_unique(&HeaderMap::new()));
        }
        assert!(unique(&validators(Some("\"a\""), None), changed));
        assert!(!unique(&validators(Some("W/\"a\""), None), changed));
    }

    #[test]
    fn versions_differ_where_both_say_so() {
        let one = validators(Some("\"a\""), Some("x"));
        assert!(one.differ(&validators(Some("\"b\""), Some("x"))));
        assert!(one.differ(&validators(None, Some("y"))));
        assert!(!one.differ(&validators(Some("\"a\""), None)));
        assert!(!one.differ(&Validators::default()));
    }
}
