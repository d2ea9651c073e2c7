//! Where the library's log goes in a C program: to standard error, warnings and errors only, unless
//! `FUSD_LOG` in the environment says otherwise (off, error, warn, info, debug, trace).

use std::env;
use std::sync::Once;

use tracing_subscriber::filter::LevelFilter;

static STARTED: Once = Once::new();

/// Starts the log, once per process.
pub(crate) fn start() {
    STARTED.call_once(|| {
        let wanted = env::var("FUSD_LOG").ok();
        let level = wanted.as_deref().and_then(|name| name.parse().ok());
        let started = tracing_subscriber::fmt()
            .with_max_level(level.unwrap_or(LevelFilter::WARN))
            .with_writer(std::io::stderr)
            // It would say by eprintln!, which panics, that standard error cannot be written to.
            .log_internal_errors(false)
            .with_ansi(false)
            .without_time()
            .try_init();
        if let Err(error) = started {
            // Somebody else in this process has a log already: then it is theirs.
            tracing::debug!(%error, "no log of our own");
        }
    });
}
