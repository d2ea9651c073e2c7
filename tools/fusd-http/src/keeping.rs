//! Pages that are kept: the options.

use std::time::Duration;

use clap::Args;

use crate::jq::Filter;
use crate::network::duration;

const KEEPING: &str = "Keeping pages";

/// What has the page kept as a whole.
#[derive(Args, Clone, Debug, Default)]
pub struct KeepArgs {
    /// Use a page for this long before the server is asked again
    ///
    /// For as long again, readers get the old page while the server is asked, and, while the server fails,
    /// for ten times as long.
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = KEEPING)]
    pub cache: Option<Duration>,

    /// Ask for the page so often, and give all readers what came last
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = KEEPING)]
    pub poll_interval: Option<Duration>,

    /// Give readers what this filter of jq makes of the page, which is JSON: a line for each value
    #[arg(long, value_name = "FILTER", value_parser = Filter::parse, help_heading = KEEPING)]
    pub jq: Option<Filter>,
}

impl KeepArgs {
    /// Whether pages are kept as a whole.
    pub(crate) fn keeps(&self) -> bool {
        self.cache.is_some() || self.poll_interval.is_some() || self.jq.is_some()
    }

    /// How long a page is as good as new.
    pub(crate) fn time(&self) -> Duration {
        let polled = self.poll_interval.map(|time| time * 2);
        self.cache.max(polled).unwrap_or_default()
    }
}
