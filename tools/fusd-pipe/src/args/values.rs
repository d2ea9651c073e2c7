//! Values that are more than a word or a number.

use std::time::Duration;

use crate::settings::{Eof, SyncPolicy};

/// Reads a time that is not zero, in seconds.
fn seconds(text: &str) -> Option<Duration> {
    let seconds = text.parse().ok()?;
    let time = Duration::try_from_secs_f64(seconds).ok()?;
    (!time.is_zero()).then_some(time)
}

/// Reads when the file is forced to disk.
pub(super) fn sync(text: &str) -> Result<SyncPolicy, String> {
    match text {
        "never" => Ok(SyncPolicy::Never),
        "always" => Ok(SyncPolicy::Always),
        _ => seconds(text)
            .map(SyncPolicy::Every)
            .ok_or_else(|| "give never, always, or a number of seconds".to_owned()),
    }
}

/// Reads when the end of the file is there.
pub(super) fn eof(text: &str) -> Result<Eof, String> {
    match text {
        "last-writer" => Ok(Eof::LastWriter),
        "never" => Ok(Eof::Never),
        "content" => Ok(Eof::Content),
        _ => match text.strip_prefix("idle=").and_then(seconds) {
            Some(limit) => Ok(Eof::Idle(limit)),
            None => Err("give last-writer, never, content, or idle=SECONDS".to_owned()),
        },
    }
}
