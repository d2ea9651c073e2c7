//! `--status-file`: what the server said last.

use std::io::{self, Write};
use std::path::{Path, PathBuf};

use reqwest::Response;
use reqwest::header::{HeaderName, SET_COOKIE};
use tempfile::NamedTempFile;

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
    pub(crate) fn tell(&self, response: &Response) {
        if let Err(error) = self.write(response) {
            let path = self.0.display();
            tracing::warn!(%path, %error, "the status file cannot be written");
        }
    }

    fn write(&self, response: &Response) -> io::Result<()> {
        let mut text = format!("{:?} {}\n", response.version(), response.status()).into_bytes();
        for (name, value) in response.headers() {
            let value = shown(name, value.as_bytes());
            text.extend_from_slice(&[name.as_str().as_bytes(), b": ", value, b"\n"].concat());
        }
        let mut file = NamedTempFile::new_in(folder(&self.0))?;
        file.write_all(&text)?;
        file.persist(&self.0)?;
        Ok(())
    }
}

/// What may be shown of a header: of a cookie that the server sets, its name.
fn shown<'a>(name: &HeaderName, value: &'a [u8]) -> &'a [u8] {
    match *name == SET_COOKIE {
        true => value.split(|byte| *byte == b'=').next().unwrap_or_default(),
        false => value,
    }
}

fn folder(path: &Path) -> &Path {
    match path.parent() {
        Some(parent) if !parent.as_os_str().is_empty() => parent,
        _ => Path::new("."),
    }
}
