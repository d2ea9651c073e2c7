//! `--status-file`: what the server said last.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use http::Response;
use reqwest::header::{HeaderName, SET_COOKIE};
use tempfile::NamedTempFile;
use tokio::task::spawn_blocking;

/// A file with the head of the last answer, but for the cookies that it sets. For its owner alone:
/// servers may tell other secrets there.
#[derive(Clone, Debug)]
pub(crate) struct StatusFile(PathBuf);

impl StatusFile {
    /// # Errors
    /// There can be no such file.
    pub(crate) fn new(path: &Path) -> io::Result<Self> {
        drop(NamedTempFile::new_in(folder(path))?);
        Ok(Self(path.to_owned()))
    }

    /// Replaces it: nobody reads half of a head.
    pub(crate) async fn tell<B>(&self, response: &Response<B>) {
        let (place, text) = (self.clone(), text(response));
        // A slow disk stops nobody else.
        let written = spawn_blocking(move || place.write(&text)).await;
        if let Err(error) = written.unwrap_or_else(|error| Err(io::Error::other(error))) {
            let path = self.0.display();
            tracing::warn!(%path, %error, "the status file cannot be written");
        }
    }

    fn write(&self, text: &[u8]) -> io::Result<()> {
        let mut file = NamedTempFile::new_in(folder(&self.0))?;
        file.write_all(text)?;
        file.persist(&self.0)?;
        Ok(())
    }
}

/// The head of an answer, as the file has it.
fn text<B>(response: &Response<B>) -> Vec<u8> {
    let mut text = format!("{:?} {}\n", response.version(), response.status()).into_bytes();
    for (name, value) in response.headers() {
        let value = shown(name, value.as_bytes());
        text.extend_from_slice(&[name.as_str().as_bytes(), b": ", value, b"\n"].concat());
    }
    text
}

/// What may be shown of a header: of a cookie that the server sets, its name, if it has one.
fn shown<'a>(name: &HeaderName, value: &'a [u8]) -> &'a [u8] {
    if *name != SET_COOKIE {
        return value;
    }
    let pair = value.split(|byte| *byte == b';').next().unwrap_or_default();
    // Without a name, all of it is the value.
    let end = pair.iter().position(|byte| *byte == b'=');
    &pair[..end.unwrap_or(0)]
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_of_cookies_are_not_shown() {
        for (value, name) in [
            ("session=s3cret; Path=/", "session"),
            ("s3cret; Path=/", ""),
            ("s3cret", ""),
            ("=s3cret", ""),
        ] {
            assert_eq!(shown(&SET_COOKIE, value.as_bytes()), name.as_bytes());
        }
        let kind = reqwest::header::CONTENT_TYPE;
        assert_eq!(shown(&kind, b"a; b=c"), b"a; b=c");
    }
}
