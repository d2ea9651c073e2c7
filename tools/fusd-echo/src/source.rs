//! Where a text comes from at the start: a file, or standard input.

use std::fs::File;
use std::io::{self, Read};
use std::path::Path;
use std::sync::Arc;

use fusd::{Errno, Error, ErrorKind};
use fusd_tool::ToolError;

use crate::content::Content;

/// A file up to this size, in bytes, is read into memory; a larger one is served from the disk.
const IN_MEMORY: u64 = 16 << 20;

/// A file's text, and whether it can be read again.
#[derive(Debug)]
pub(crate) struct Loaded {
    pub(crate) content: Content,
    /// A regular file; a pipe gives its text once.
    pub(crate) again: bool,
}

/// Reads the file at `path`; `limit` bounds what is taken from a pipe or a device.
///
/// # Errors
/// It is missing, may not be read, is a directory, or says more than `limit`.
pub(crate) fn file(path: &Path, limit: usize) -> Result<Loaded, ToolError> {
    let failed = |error: io::Error| -> ToolError {
        let errno = Errno::from(&error);
        let failed = Error::system(ErrorKind::Runtime, errno, "read the file").on(path);
        match errno {
            Errno::ENOENT => failed.hint("give the path of a file that exists"),
            Errno::EACCES | Errno::EPERM => failed.hint("make it readable for this user"),
            Errno::EISDIR => failed.hint("give the path of a file"),
            _ => failed,
        }
        .into()
    };
    let mut file = File::open(path).map_err(failed)?;
    let metadata = file.metadata().map_err(failed)?;
    if metadata.is_dir() {
        return Err(failed(Errno::EISDIR.into()));
    }
    if !metadata.is_file() {
        let bytes = bounded(&mut file, limit).map_err(failed)?;
        let bytes = bytes.ok_or_else(|| too_long(&path.display().to_string(), limit))?;
        return Ok(Loaded {
            content: Content::new(bytes),
            again: false,
        });
    }
    let mut bytes = Vec::new();
    if metadata.len() <= IN_MEMORY {
        // Lossless: both are below IN_MEMORY. It may have grown since: hence the second look.
        bytes.reserve_exact(metadata.len() as usize + 1);
        let mut head = (&mut file).take(IN_MEMORY + 1);
        head.read_to_end(&mut bytes).map_err(failed)?;
    }
    let large = metadata.len().max(bytes.len() as u64) > IN_MEMORY;
    Ok(Loaded {
        content: if large {
            Content::File(Arc::new(file))
        } else {
            Content::new(bytes)
        },
        again: true,
    })
}

/// Reads standard input to its end.
///
/// # Errors
/// It cannot be read, or says more than `limit` bytes.
pub(crate) fn standard_input(limit: usize) -> Result<Content, ToolError> {
    let bytes = bounded(&mut io::stdin().lock(), limit).map_err(|error| {
        Error::system(ErrorKind::Runtime, &error, "read standard input")
            .hint("redirect it from a file or a pipe that can be read")
    })?;
    bytes
        .map(Content::new)
        .ok_or_else(|| too_long("standard input", limit))
}

/// All that `reader` has; `None` if that is more than `limit` bytes.
fn bounded(reader: &mut impl Read, limit: usize) -> io::Result<Option<Vec<u8>>> {
    let mut bytes = Vec::new();
    reader.take(limit as u64 + 1).read_to_end(&mut bytes)?;
    Ok((bytes.len() <= limit).then_some(bytes))
}

fn too_long(what: &str, limit: usize) -> ToolError {
    ToolError::failed(format!(
        "{what} says more than {limit} bytes; allow more with --max-size"
    ))
}

#[cfg(test)]
mod tests {
    use std::fs;

    use super::*;

    #[test]
    fn a_small_file_is_read_and_a_large_one_is_served_from_the_disk() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("text");
        fs::write(&path, "hello").unwrap();
        let loaded = file(&path, 1).unwrap();
        assert!(matches!(loaded.content, Content::Bytes(_)));
        assert!(loaded.again);
        File::create(&path).unwrap().set_len(IN_MEMORY + 1).unwrap();
        let loaded = file(&path, 1).unwrap();
        assert!(matches!(loaded.content, Content::File(_)));
        assert_eq!(loaded.content.len().unwrap(), IN_MEMORY + 1);
    }

    #[test]
    fn a_file_without_a_size_is_read_to_its_end() {
        let loaded = file(Path::new("/proc/self/status"), 1).unwrap();
        assert!(loaded.content.len().unwrap() > 100);
    }

    #[test]
    fn what_is_no_file_is_bounded() {
        let error = file(Path::new("/dev/zero"), 4096).unwrap_err();
        assert_eq!(error.code(), 1);
        assert_eq!(
            error.to_string(),
            "/dev/zero says more than 4096 bytes; allow more with --max-size"
        );
        assert!(!file(Path::new("/dev/null"), 1).unwrap().again);
    }

    #[test]
    fn what_cannot_be_read_is_named() {
        for (path, text) in [
            (
                "/no/such/file",
                "(ENOENT); give the path of a file that exists",
            ),
            ("/", "(EISDIR); give the path of a file"),
        ] {
            let error = file(Path::new(path), 1).unwrap_err();
            assert_eq!(error.code(), 1);
            let message = error.to_string();
            assert!(message.starts_with(&format!("cannot read the file {path}: ")));
            assert!(message.ends_with(text), "{message}");
        }
    }
}
