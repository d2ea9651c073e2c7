//! The log: events of the library and the tool, on standard error.

use std::env;
use std::io::{self, IsTerminal, Write};

use tracing_subscriber::EnvFilter;
use tracing_subscriber::filter::LevelFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::{CommonArgs, LogFormat, ToolError, status};

/// Variables that may hold a filter, the first one set counts.
const FILTERS: [&str; 2] = ["FUSD_LOG", "RUST_LOG"];

/// Starts the log. To be called before the device is registered: whether an access log is kept is
/// decided then.
///
/// # Errors
/// A variable holds no filter.
pub(crate) fn start(args: &CommonArgs) -> Result<(), ToolError> {
    let chosen = args.quiet || args.verbose > 0;
    let filter = if chosen { None } else { environment()? };
    let builder = tracing_subscriber::fmt()
        .with_writer(Stderr)
        .log_internal_errors(false);
    let started = match (filter, args.log_format) {
        (None, LogFormat::Text) => builder
            .with_max_level(level(args))
            .with_ansi(colours())
            .try_init(),
        (None, LogFormat::Json) => builder.with_max_level(level(args)).json().try_init(),
        (Some(filter), LogFormat::Text) => builder
            .with_env_filter(filter)
            .with_ansi(colours())
            .try_init(),
        (Some(filter), LogFormat::Json) => builder.with_env_filter(filter).json().try_init(),
    };
    // It fails only where the process has a log already: then that one serves.
    drop(started);
    Ok(())
}

fn level(args: &CommonArgs) -> LevelFilter {
    match (args.quiet, args.verbose) {
        (true, _) => LevelFilter::ERROR,
        (false, 0) => LevelFilter::WARN,
        (false, 1) => LevelFilter::INFO,
        (false, 2) => LevelFilter::DEBUG,
        (false, _) => LevelFilter::TRACE,
    }
}

fn environment() -> Result<Option<EnvFilter>, ToolError> {
    let set = FILTERS.into_iter().find_map(|name| {
        let value = env::var_os(name).filter(|value| !value.is_empty())?;
        Some((name, value))
    });
    let Some((name, value)) = set else {
        return Ok(None);
    };
    let value = value.to_string_lossy();
    match EnvFilter::builder().parse(&value) {
        Ok(filter) => Ok(Some(filter)),
        Err(error) => Err(ToolError::usage(format!(
            "${name} is no log filter: {error}; write warn, info, or fusd=debug, for example"
        ))),
    }
}

fn colours() -> bool {
    io::stderr().is_terminal() && env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// Standard error, where a reader that is gone is no failure: the device goes on without a log.
#[derive(Clone, Copy)]
struct Stderr;

impl Write for Stderr {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        status::say(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

impl MakeWriter<'_> for Stderr {
    type Writer = Self;

    fn make_writer(&self) -> Self {
        *self
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_v_says_more_and_q_says_least() {
        let level = |quiet, verbose| {
            level(&CommonArgs {
                quiet,
                verbose,
                ..CommonArgs::default()
            })
        };
        assert_eq!(level(true, 0), LevelFilter::ERROR);
        assert_eq!(level(false, 0), LevelFilter::WARN);
        assert_eq!(level(false, 1), LevelFilter::INFO);
        assert_eq!(level(false, 2), LevelFilter::DEBUG);
        assert_eq!(level(false, 3), LevelFilter::TRACE);
        assert_eq!(level(false, 200), LevelFilter::TRACE);
    }
}
