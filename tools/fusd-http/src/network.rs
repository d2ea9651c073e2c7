//! How servers are reached, and for how long: what the options of the network say.

use std::path::PathBuf;
use std::time::Duration;

use clap::{Args, ValueEnum};
use reqwest::{Proxy, Url};

const NETWORK: &str = "Network";

/// Every wait has its end.
#[derive(Args, Clone, Debug)]
pub struct NetworkArgs {
    /// Longest time for a connection to come about: 10s, 500ms, 2m
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "10s", help_heading = NETWORK)]
    pub connect_timeout: Duration,

    /// Longest time from a request until its answer begins
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s", help_heading = NETWORK)]
    pub first_byte_timeout: Duration,

    /// Longest time without a byte in the middle of an answer; a live stream may be silent for ever
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "1m", help_heading = NETWORK)]
    pub stall_timeout: Duration,

    /// Longest time for one request, its answer and all retries [default: no limit]
    #[arg(long, value_name = "TIME", value_parser = duration, help_heading = NETWORK)]
    pub max_time: Option<Duration>,

    /// How often a request that may be sent again is sent again, where the server is busy or the
    /// connection broke
    #[arg(long, value_name = "N", default_value_t = 3, help_heading = NETWORK)]
    pub retries: u32,

    /// Longest pause before another try; a server that asks for a longer one is not asked again
    #[arg(long, value_name = "TIME", value_parser = duration, default_value = "30s", help_heading = NETWORK)]
    pub retry_max_wait: Duration,

    /// How many redirects are followed
    #[arg(long, value_name = "N", default_value_t = 10, help_heading = NETWORK)]
    pub max_redirects: u32,

    /// Go through this proxy: http://, https:// or socks5h:// [default: as $HTTPS_PROXY and so on say]
    #[arg(long, value_name = "URL", value_parser = proxy, help_heading = NETWORK)]
    pub proxy: Option<Url>,

    /// Connect to this unix socket, whatever host the URL names
    #[arg(long, value_name = "PATH", conflicts_with = "proxy", help_heading = NETWORK)]
    pub unix_socket: Option<PathBuf>,

    /// Trust the certificates in this PEM file, and no others
    #[arg(long, value_name = "FILE", help_heading = NETWORK)]
    pub ca: Option<PathBuf>,

    /// Show the server this certificate: a PEM file with it and its private key
    #[arg(long, value_name = "FILE", help_heading = NETWORK)]
    pub client_cert: Option<PathBuf>,

    /// Version of HTTP; "2" without TLS means prior knowledge
    #[arg(long, value_name = "VERSION", value_enum, default_value_t, help_heading = NETWORK)]
    pub http: HttpVersion,
}

/// What `--http` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum HttpVersion {
    /// 2 where the server offers it in the TLS handshake, else 1.1, as for live streams
    #[default]
    Auto,
    /// 1.1
    #[value(name = "1.1", alias = "1")]
    One,
    /// 2
    #[value(name = "2")]
    Two,
}

/// Reads a time that is not zero.
pub(crate) fn duration(text: &str) -> Result<Duration, String> {
    let time = match text.parse() {
        Ok(seconds) => Duration::try_from_secs_f64(seconds).ok(),
        Err(_) => humantime::parse_duration(text).ok(),
    };
    time.filter(|time| !time.is_zero() && *time <= LONGEST)
        .ok_or_else(|| "give a time, such as 10s, 500ms or 2m".to_owned())
}

/// What a clock can add to now: ten years.
const LONGEST: Duration = Duration::from_secs(10 * 366 * 24 * 3600);

fn proxy(text: &str) -> Result<Url, String> {
    let help = "give a URL such as http://proxy:3128 or socks5h://127.0.0.1:1080";
    let url = Url::parse(text).map_err(|error| format!("{error}; {help}"))?;
    if url.password().is_some() {
        return Err(
            "everybody can see a password on the command line; put the whole URL into \
             $HTTPS_PROXY, $HTTP_PROXY or $ALL_PROXY"
                .to_owned(),
        );
    }
    Proxy::all(url.clone()).map_err(|error| format!("{error}; {help}"))?;
    Ok(url)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_have_units_and_an_end() {
        assert_eq!(duration("10s"), Ok(Duration::from_secs(10)));
        assert_eq!(duration("0.5"), Ok(Duration::from_millis(500)));
        assert_eq!(duration("2m"), Ok(Duration::from_secs(120)));
        for text in ["0", "0s", "", "x", "-1", "inf", "1e30", "1000y"] {
            assert!(duration(text).is_err(), "{text:?}");
        }
    }

    #[test]
    fn a_password_of_a_proxy_is_refused() {
        assert!(
            proxy("http://user:secret@proxy:1")
                .unwrap_err()
                .contains("$HTTPS_PROXY")
        );
        assert!(proxy("proxy").is_err());
        assert!(proxy("socks5h://127.0.0.1:1080").is_ok());
    }
}
