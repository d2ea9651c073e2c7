//! What is asked for: the URL and the headers of the command line, which hold no secret.

use std::fmt;

use reqwest::Url;
use reqwest::header::{HeaderName, HeaderValue};

/// Reads the URL.
pub(crate) fn url(text: &str) -> Result<Url, String> {
    let help = "give one such as https://example.org/page";
    let url = Url::parse(text).map_err(|error| format!("{error}; {help}"))?;
    if !matches!(url.scheme(), "http" | "https") {
        return Err(format!("only http and https can be served; {help}"));
    }
    if !url.username().is_empty() || url.password().is_some() {
        return Err(
            "everybody can see a user and password on the command line; give them by --basic \
             or --netrc"
                .to_owned(),
        );
    }
    Ok(url)
}

/// Headers that say who asks, or that the tool itself sets.
const REFUSED: [(&str, &str); 9] = [
    ("authorization", "use --bearer, --basic or --netrc"),
    (
        "proxy-authorization",
        "put the user and password into $HTTPS_PROXY",
    ),
    ("cookie", "use --cookie"),
    ("range", "the tool asks for the ranges that readers read"),
    (
        "if-range",
        "the tool itself sees to it that a file is of one version",
    ),
    ("content-type", "use --content-type"),
    ("content-length", "the length is that of what is written"),
    (
        "transfer-encoding",
        "the tool chooses it by what is written",
    ),
    ("accept-encoding", "use --compressed"),
];

/// A header of the command line.
pub(crate) type Header = (HeaderName, HeaderValue);

/// Why a secret must not be in a header of this name, which the tool itself sets.
pub(crate) fn is_own(name: &HeaderName) -> Option<&'static str> {
    let own = &REFUSED[3..];
    own.iter()
        .find(|(own, _)| name == *own)
        .map(|(_, hint)| *hint)
}

/// Reads "NAME: VALUE".
pub(crate) fn header(text: &str) -> Result<Header, String> {
    let help = "give NAME: VALUE, such as \"Accept: text/plain\"";
    let (name, value) = text.split_once(':').ok_or_else(|| help.to_owned())?;
    let name: HeaderName = name.parse().map_err(|_| help.to_owned())?;
    if let Some((_, hint)) = REFUSED.iter().find(|(refused, _)| name == *refused) {
        return Err(format!("{name} is not for the command line; {hint}"));
    }
    let value = value.trim().parse().map_err(|_| help.to_owned())?;
    Ok((name, value))
}

/// A URL for the log: without the query, in which there may be somebody's token.
pub(crate) struct Shown<'a>(pub(crate) &'a Url);

impl fmt::Display for Shown<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let mut url = self.0.clone();
        // Neither fails for a URL with a host, as all of http are.
        let _ = url.set_username("");
        let _ = url.set_password(None);
        url.set_fragment(None);
        let query = url.query().is_some();
        url.set_query(None);
        write!(f, "{url}{}", if query { "?..." } else { "" })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_not_for_the_command_line() {
        assert!(
            url("https://me:secret@host/")
                .unwrap_err()
                .contains("--basic")
        );
        assert!(header("Authorization: x").unwrap_err().contains("--bearer"));
        assert!(header("Cookie: x").unwrap_err().contains("--cookie"));
        let own = |name| is_own(&HeaderName::from_static(name)).is_some();
        assert!(own("content-type") && own("range") && !own("authorization") && !own("x-key"));
        assert!(header("Content-Type: x/y").is_err());
        assert!(url("file:///etc/passwd").is_err());
        assert!(header("Accept").is_err());
        let (name, value) = header("Accept:  text/plain ").unwrap();
        assert_eq!(
            (name.as_str(), value.as_bytes()),
            ("accept", &b"text/plain"[..])
        );
    }

    #[test]
    fn the_log_has_no_query() {
        let url = Url::parse("https://host/a?token=x#y").unwrap();
        assert_eq!(Shown(&url).to_string(), "https://host/a?...");
    }
}
