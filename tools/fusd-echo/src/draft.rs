//! What one open file has written under `--on-write replace`, before it becomes the text.

use std::sync::Arc;

use fusd::Errno;

/// A text being written. It becomes the device's text as a whole, or not at all.
#[derive(Debug, Default)]
pub(crate) struct Draft {
    /// Shared with the device once it has become the text.
    bytes: Arc<Vec<u8>>,
    /// Something was written that is not part of the device's text yet.
    written: bool,
    /// The file was opened with `O_TRUNC`: it replaces the text even if nothing is written.
    truncated: bool,
}

/// What a write did, to be [kept](Draft::keep) or [undone](Draft::undo).
#[derive(Debug)]
#[must_use]
pub(crate) struct Written {
    /// Bytes taken.
    pub(crate) count: usize,
    start: usize,
    length_before: usize,
    overwritten: Vec<u8>,
}

impl Draft {
    /// The draft of a file that was just opened.
    pub(crate) fn new(truncated: bool) -> Self {
        Self {
            truncated,
            ..Self::default()
        }
    }

    /// Writes of `data` at `offset` what fits below `limit`, and fills a gap with zeros.
    ///
    /// # Errors
    /// Nothing fits (`EFBIG`), or there is no memory (`ENOMEM`).
    pub(crate) fn write(
        &mut self,
        offset: u64,
        data: &[u8],
        limit: usize,
    ) -> Result<Written, Errno> {
        let start = usize::try_from(offset).unwrap_or(usize::MAX);
        let count = limit.saturating_sub(start).min(data.len());
        if count == 0 && !data.is_empty() {
            return Err(Errno::EFBIG);
        }
        let length_before = self.bytes.len();
        let end = if count == 0 { 0 } else { start + count };
        let bytes = Arc::make_mut(&mut self.bytes);
        if end > length_before {
            let more = bytes.try_reserve(end - length_before);
            more.map_err(|_| Errno::ENOMEM)?;
            bytes.resize(end, 0);
        }
        let start = start.min(end);
        let overwritten = bytes[start.min(length_before)..end.min(length_before)].to_vec();
        bytes[start..end].copy_from_slice(&data[..count]);
        Ok(Written {
            count,
            start,
            length_before,
            overwritten,
        })
    }

    /// The client has been told of the write.
    pub(crate) fn keep(&mut self, written: Written) {
        self.written |= written.count > 0;
    }

    /// The client has not: it was interrupted, and may write the same again.
    pub(crate) fn undo(&mut self, written: Written) {
        let bytes = Arc::make_mut(&mut self.bytes);
        bytes.truncate(written.length_before);
        let start = written.start.min(bytes.len());
        bytes[start..start + written.overwritten.len()].copy_from_slice(&written.overwritten);
    }

    /// The new text, if anything was written since the last time.
    pub(crate) fn written(&mut self) -> Option<Arc<Vec<u8>>> {
        std::mem::take(&mut self.written).then(|| {
            self.truncated = false;
            Arc::clone(&self.bytes)
        })
    }

    /// The new text at the end of the file: also where it was only truncated.
    pub(crate) fn last(&mut self) -> Option<Arc<Vec<u8>>> {
        self.written |= std::mem::take(&mut self.truncated);
        self.written()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(draft: &mut Draft, offset: u64, data: &[u8]) {
        let written = draft.write(offset, data, 10).unwrap();
        assert_eq!(written.count, data.len());
        draft.keep(written);
    }

    fn text(bytes: Option<Arc<Vec<u8>>>) -> String {
        bytes.map_or("none".into(), |bytes| {
            String::from_utf8_lossy(&bytes).into_owned()
        })
    }

    #[test]
    fn writes_fill_gaps_and_overwrite() {
        let mut draft = Draft::default();
        write(&mut draft, 2, b"cd");
        write(&mut draft, 1, b"BC");
        write(&mut draft, 9, b"");
        let first = draft.written();
        assert_eq!(text(draft.written()), "none");
        write(&mut draft, 4, b"e");
        assert_eq!(text(first), "\0BCd");
        assert_eq!(text(draft.last()), "\0BCde");
        assert_eq!(text(draft.last()), "none");
    }

    #[test]
    fn the_limit_shortens_then_refuses() {
        let mut draft = Draft::default();
        let written = draft.write(0, b"abcdef", 4).unwrap();
        assert_eq!(written.count, 4);
        draft.keep(written);
        for offset in [4, u64::MAX] {
            assert_eq!(draft.write(offset, b"g", 4).unwrap_err(), Errno::EFBIG);
        }
        assert_eq!(text(draft.written()), "abcd");
    }

    #[test]
    fn a_write_that_nobody_waits_for_any_more_is_undone() {
        let mut draft = Draft::default();
        write(&mut draft, 0, b"abc");
        for offset in [0, 1, 3, 5] {
            let written = draft.write(offset, b"XYZ", 10).unwrap();
            draft.undo(written);
        }
        assert_eq!(text(draft.written()), "abc");
        let written = draft.write(3, b"d", 10).unwrap();
        draft.undo(written);
        assert_eq!(text(draft.last()), "none");
    }

    #[test]
    fn truncation_alone_counts_at_the_end_only() {
        let mut draft = Draft::new(true);
        assert_eq!(text(draft.written()), "none");
        assert_eq!(text(draft.last()), "");
        assert_eq!(text(Draft::new(false).last()), "none");
        let mut draft = Draft::new(true);
        write(&mut draft, 0, b"a");
        assert_eq!(text(draft.written()), "a");
        assert_eq!(text(draft.last()), "none");
    }
}
