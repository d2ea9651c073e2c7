//! One version of the text: bytes in memory, or a file too large for that.

use std::borrow::Cow;
use std::fs::File;
use std::io;
use std::os::unix::fs::FileExt;
use std::sync::Arc;

use fusd::{Errno, Published};

/// A version of the text, shared by all who read it. Its bytes do not change; only a file that is
/// served from the disk shows what is done to it there.
#[derive(Clone, Debug)]
pub(crate) enum Content {
    /// In memory, where it can grow.
    Bytes(Arc<Vec<u8>>),
    /// In memory from which clients are served without this program.
    Published(Published),
    /// On the disk.
    File(Arc<File>),
}

impl Content {
    pub(crate) fn new(bytes: Vec<u8>) -> Self {
        Self::Bytes(Arc::new(bytes))
    }

    /// Its length in bytes, at this moment.
    pub(crate) fn len(&self) -> io::Result<u64> {
        match self {
            Self::Bytes(bytes) => Ok(bytes.len() as u64),
            Self::Published(text) => Ok(text.bytes().len() as u64),
            Self::File(file) => Ok(file.metadata()?.len()),
        }
    }

    /// At most `length` bytes from `offset` on; fewer only at the end.
    pub(crate) fn read(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        match self {
            Self::Bytes(bytes) => Ok(Cow::Borrowed(part(bytes, offset, length))),
            Self::Published(text) => Ok(Cow::Borrowed(part(text.bytes(), offset, length))),
            Self::File(file) => {
                let mut buffer = vec![0; length];
                let count = fill(file, &mut buffer, offset)?;
                buffer.truncate(count);
                Ok(Cow::Owned(buffer))
            }
        }
    }

    /// `length` bytes from `offset` on of the text repeated without end; none of an empty text.
    pub(crate) fn read_endless(&self, offset: u64, length: usize) -> io::Result<Cow<'_, [u8]>> {
        let period = self.len()?;
        if period == 0 {
            return Ok(Cow::Borrowed(&[]));
        }
        let mut offset = offset % period;
        let first = self.read(offset, length)?;
        if first.len() == length {
            return Ok(first);
        }
        let mut out = Vec::with_capacity(length);
        out.extend_from_slice(&first);
        offset += first.len() as u64;
        while out.len() < length {
            let left = length - out.len();
            let whole = usize::try_from(period).is_ok_and(|period| out.len() >= period);
            if whole {
                // What was read a period ago comes again; so much at a time that it stays in step.
                let period = period as usize;
                let copied = (out.len() / period * period).min(left);
                let start = out.len() % period;
                out.extend_from_within(start..start + copied);
                continue;
            }
            let more = self.read(offset % period, left)?;
            if more.is_empty() {
                // The file became shorter in between.
                if offset.is_multiple_of(period) {
                    break;
                }
                offset = 0;
                continue;
            }
            out.extend_from_slice(&more);
            offset += more.len() as u64;
        }
        Ok(Cow::Owned(out))
    }

    /// Moves what is in memory to where clients can be served from without this program. Versions that
    /// others hold stay where they are. `None`: it is on the disk, or it stays where it is too, for want
    /// of memory.
    pub(crate) fn publish(&mut self) -> Option<&Published> {
        if let Self::Bytes(bytes) = self {
            match Published::new(bytes) {
                Ok(text) => *self = Self::Published(text),
                Err(error) => tracing::debug!(%error, "each read is answered by this program"),
            }
        }
        match self {
            Self::Published(text) => Some(text),
            _ => None,
        }
    }

    /// Adds `data`, unless the text would be longer than `limit` then. Versions that others hold
    /// stay as they are. The result takes the addition back if it is given to
    /// [`shorten`](Self::shorten).
    ///
    /// # Errors
    /// It does not fit (`EFBIG`), there is no memory (`ENOMEM`), or the text cannot be read.
    pub(crate) fn append(&mut self, data: &[u8], limit: usize) -> Result<usize, Errno> {
        let before = usize::try_from(self.len()?).map_err(|_| Errno::EFBIG)?;
        if data.len() > limit.saturating_sub(before) {
            return Err(Errno::EFBIG);
        }
        if !matches!(self, Self::Bytes(_)) {
            let bytes = self.read(0, before)?.into_owned();
            *self = Self::new(bytes);
        }
        if let Self::Bytes(bytes) = self {
            // A copy only where a reader holds this very version.
            let bytes = Arc::make_mut(bytes);
            bytes.try_reserve(data.len()).map_err(|_| Errno::ENOMEM)?;
            bytes.extend_from_slice(data);
        }
        Ok(before)
    }

    /// Cuts a text that was just added to.
    pub(crate) fn shorten(&mut self, length: usize) {
        if let Self::Bytes(bytes) = self {
            Arc::make_mut(bytes).truncate(length);
        }
    }
}

/// At most `length` of `bytes` from `offset` on.
fn part(bytes: &[u8], offset: u64, length: usize) -> &[u8] {
    let start = usize::try_from(offset).unwrap_or(usize::MAX);
    let start = start.min(bytes.len());
    let end = start.saturating_add(length).min(bytes.len());
    &bytes[start..end]
}

/// Reads until `buffer` is full or the file ends.
fn fill(file: &File, buffer: &mut [u8], offset: u64) -> io::Result<usize> {
    let mut count = 0;
    while count < buffer.len() {
        match file.read_at(&mut buffer[count..], offset + count as u64) {
            Ok(0) => break,
            Ok(more) => count += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(count)
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::*;

    fn all(text: &[u8]) -> [Content; 3] {
        let mut file = tempfile::tempfile().unwrap();
        file.write_all(text).unwrap();
        let mut published = Content::new(text.to_vec());
        assert_eq!(published.publish().unwrap().bytes(), text);
        let file = Content::File(Arc::new(file));
        [Content::new(text.to_vec()), published, file]
    }

    #[test]
    fn reads_are_those_of_a_file() {
        for content in all(b"hello") {
            assert_eq!(content.len().unwrap(), 5);
            for (offset, length, expected) in [
                (0, 100, &b"hello"[..]),
                (1, 3, b"ell"),
                (4, 2, b"o"),
                (5, 1, b""),
                (1 << 40, 1, b""),
                (0, 0, b""),
            ] {
                assert_eq!(*content.read(offset, length).unwrap(), *expected);
            }
        }
        let [bytes, published, mut file] = all(b"x");
        for content in [bytes, published] {
            assert_eq!(*content.read(u64::MAX, usize::MAX).unwrap(), *b"");
        }
        assert!(file.publish().is_none(), "it may change");
    }

    #[test]
    fn an_endless_read_is_never_short() {
        for text in [&b"a"[..], b"abc", b"0123456789"] {
            for content in all(text) {
                for offset in [0, 1, 2, 3, 11, 1_000_003] {
                    for length in [0, 1, 2, 3, 7, 64, 1000] {
                        let bytes = content.read_endless(offset, length).unwrap();
                        let expected: Vec<u8> = (0..length)
                            .map(|i| text[(offset as usize + i) % text.len()])
                            .collect();
                        assert_eq!(*bytes, *expected, "{offset}+{length}");
                    }
                }
            }
        }
        for content in all(b"") {
            assert_eq!(*content.read_endless(3, 10).unwrap(), *b"");
        }
    }

    #[test]
    fn appending_leaves_the_versions_of_others_alone() {
        for mut content in all(b"ab") {
            let version = content.clone();
            assert_eq!(content.append(b"cd", 4), Ok(2));
            assert_eq!(*content.read(0, 9).unwrap(), *b"abcd");
            assert_eq!(*version.read(0, 9).unwrap(), *b"ab");
            assert_eq!(content.append(b"e", 4), Err(Errno::EFBIG));
            assert_eq!(content.append(b"e", 5), Ok(4));
            content.shorten(4);
            assert_eq!(*content.read(0, 9).unwrap(), *b"abcd");
        }
    }
}
