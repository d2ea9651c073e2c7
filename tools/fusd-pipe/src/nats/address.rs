//! Where the server is, and what a subject and a stream may be called.
//!
//! Passwords and tokens are taken out of the URL at once: what is shown or logged has none.

use std::fmt;

use async_nats::{ConnectOptions, ServerAddr};
use percent_encoding::percent_decode_str;
use url::Url;

const HELP: &str = "give nats://HOST:PORT, or tls://HOST:PORT";

/// A server, and who we are there.
#[derive(Clone)]
pub(crate) struct Address {
    server: ServerAddr,
    user: String,
    password: Option<String>,
}

impl Address {
    /// Reads a URL.
    ///
    /// # Errors
    /// It is none; the text does not repeat it, as it may hold a password.
    pub(crate) fn parse(text: &str) -> Result<Self, String> {
        let whole = match text.contains("://") {
            true => text.to_owned(),
            false => format!("nats://{text}"),
        };
        let mut url =
            Url::parse(&whole).map_err(|error| format!("--nats has no URL: {error}; {HELP}"))?;
        if !matches!(url.scheme(), "nats" | "tls") {
            let scheme = url.scheme();
            return Err(format!("--nats has a URL for {scheme}; {HELP}"));
        }
        let plain = matches!(url.path(), "" | "/") && url.query().is_none();
        if !url.has_host() || !plain {
            return Err(format!(
                "--nats has a URL with more or less than a host; {HELP}"
            ));
        }
        let decoded = |text: &str| percent_decode_str(text).decode_utf8_lossy().into_owned();
        let (user, password) = (decoded(url.username()), url.password().map(decoded));
        url.set_path("");
        let cleared = url.set_username("").and_then(|()| url.set_password(None));
        let server = ServerAddr::from_url(url);
        match (cleared, server) {
            (Ok(()), Ok(server)) => Ok(Self {
                server,
                user,
                password,
            }),
            _ => Err(format!("--nats has a URL without a server; {HELP}")),
        }
    }

    /// The server alone.
    pub(crate) fn server(&self) -> ServerAddr {
        self.server.clone()
    }

    /// Says who we are: by user and password, or by a token, which stands where the user would.
    pub(crate) fn introduce(&self, options: ConnectOptions) -> ConnectOptions {
        match (&self.user, &self.password) {
            (user, None) if user.is_empty() => options,
            (token, None) => options.token(token.clone()),
            (user, Some(password)) => options.user_and_password(user.clone(), password.clone()),
        }
    }
}

impl fmt::Display for Address {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (scheme, port) = (self.server.scheme(), self.server.port());
        match self.server.host() {
            host if host.contains(':') => write!(f, "{scheme}://[{host}]:{port}"),
            host => write!(f, "{scheme}://{host}:{port}"),
        }
    }
}

/// Reads a subject that can be published to.
pub(crate) fn subject(text: &str) -> Result<String, String> {
    let token = |token: &str| {
        let bad = |c: char| c.is_whitespace() || c.is_control() || matches!(c, '*' | '>');
        !token.is_empty() && !token.contains(bad)
    };
    match text.split('.').all(token) && !text.starts_with(['$', '_']) {
        true => Ok(text.to_owned()),
        false => Err("give words with dots between them: jobs.paris".to_owned()),
    }
}

/// Reads the name of a stream.
pub(crate) fn stream(text: &str) -> Result<String, String> {
    let good = |c: char| c.is_ascii_alphanumeric() || matches!(c, '-' | '_');
    match !text.is_empty() && text.len() <= 255 && text.chars().all(good) {
        true => Ok(text.to_owned()),
        false => Err("give letters, digits, - and _: JOBS".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn no_secret_is_shown() {
        for (text, shown) in [
            ("nats://host", "nats://host:4222"),
            ("host:99", "nats://host:99"),
            ("nats://me:s3cret@host:1", "nats://host:1"),
            ("tls://t0ken@[::1]:1/", "tls://[::1]:1"),
        ] {
            let address = Address::parse(text).unwrap();
            assert_eq!(address.to_string(), shown);
            assert_eq!(address.server().username(), None, "{text}");
            assert_eq!(address.server().password(), None, "{text}");
        }
        let address = Address::parse("nats://a%40b:c%2Fd@host").unwrap();
        assert_eq!(address.user, "a@b");
        assert_eq!(address.password.as_deref(), Some("c/d"));
    }

    #[test]
    fn what_is_no_address_is_refused_without_repeating_it() {
        for text in [
            "",
            "http://me:s3cret@host",
            "nats://me:s3cret@",
            "nats://me:s3cret@host:port",
            "nats://me:s3cret@host/path",
        ] {
            let error = Address::parse(text).map(drop).unwrap_err();
            assert!(error.contains("nats://HOST:PORT"), "{error}");
            assert!(!error.contains("s3cret"), "{error}");
        }
    }

    #[test]
    fn names() {
        for good in ["jobs", "jobs.paris.1", "a-b_c"] {
            assert_eq!(subject(good).as_deref(), Ok(good));
        }
        for bad in [
            "", ".", "a..b", "a.", "a b", "a.*", ">", "$SYS.x", "_INBOX.1", "a\tb",
        ] {
            assert!(subject(bad).unwrap_err().contains("jobs.paris"), "{bad:?}");
        }
        assert_eq!(stream("JOBS-1_x").as_deref(), Ok("JOBS-1_x"));
        for bad in ["", "a.b", "a b", "a/b", "*", "ä"] {
            assert!(stream(bad).unwrap_err().contains("JOBS"), "{bad:?}");
        }
    }
}
