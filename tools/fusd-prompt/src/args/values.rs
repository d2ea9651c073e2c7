//! What options take.

use std::time::Duration;

use clap::ValueEnum;

/// What `--ask` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Kind {
    /// A line of text: the default
    #[default]
    Text,
    /// A line of which only stars are seen
    Secret,
    /// Several lines
    Multiline,
    /// One of --choices
    Choice,
    /// Yes or no: what is read is "yes", or what --answer-file has
    Confirm,
}

/// What `--echo` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Echo {
    /// A star for each character
    #[default]
    Mask,
    /// Nothing, not even how long it is
    Off,
}

/// What `--per` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum Per {
    /// At each open; all reads of the open file see that answer
    #[default]
    Open,
    /// At each read, as of a terminal: the node is a stream, and Ctrl-D its end
    Read,
    /// Once; everybody gets that answer, until SIGHUP
    Once,
}

/// What `--on-timeout` takes.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum OnTimeout {
    /// The call fails with EACCES
    Deny,
    /// The answer is that of --default
    Default,
}

/// What `--on-write` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum OnWrite {
    /// Opening for writing fails with EACCES
    #[default]
    Deny,
    /// What is written is shown on standard error
    Show,
    /// A write waits until the person has seen what is written, and approves, or fails with EACCES
    Approve,
}

/// A length of time, more than none.
pub(super) fn duration(text: &str) -> Result<Duration, String> {
    match duration_or_none(text) {
        Ok(time) if !time.is_zero() => Ok(time),
        _ => Err(HELP.to_owned()),
    }
}

const HELP: &str = "give a time with its unit, such as 10s, 5m or 1h 30m";

/// A length of time.
pub(super) fn duration_or_none(text: &str) -> Result<Duration, String> {
    if text == "0" {
        return Ok(Duration::ZERO);
    }
    let time = humantime::parse_duration(text).map_err(|_| HELP.to_owned())?;
    // More than that is for ever, and would not fit everywhere.
    Ok(time.min(Duration::from_secs(10 * 365 * 86400)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units() {
        assert_eq!(duration("90s"), Ok(Duration::from_secs(90)));
        assert_eq!(duration("1h 30m"), Ok(Duration::from_secs(5400)));
        assert_eq!(duration_or_none("0"), Ok(Duration::ZERO));
        for text in ["", "0", "0s", "5", "-1s", "x"] {
            assert!(duration(text).unwrap_err().contains("10s"), "{text:?}");
        }
    }
}
