//! How much to ask for before it is read.

/// The first step, in bytes.
const LEAST: u64 = 128 << 10;

/// What one open file has been read like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadAhead {
    /// Where a reader who reads on reads next.
    next: u64,
    window: u64,
}

impl ReadAhead {
    /// Notes a read; gives how many bytes behind it to ask for, at most `most`: none for a reader who
    /// jumps, ever more for one who reads on.
    pub(crate) fn note(&mut self, offset: u64, length: u64, most: u64) -> u64 {
        self.window = match offset == self.next {
            true => (self.window * 2).max(LEAST).min(most),
            false => 0,
        };
        self.next = offset.saturating_add(length);
        self.window
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_on_gets_more_and_who_jumps_gets_nothing() {
        let mut ahead = ReadAhead::default();
        let most = 400 << 10;
        assert_eq!(ahead.note(0, 4096, most), LEAST);
        assert_eq!(ahead.note(4096, 4096, most), 2 * LEAST);
        assert_eq!(ahead.note(8192, 4096, most), most);
        assert_eq!(ahead.note(1 << 30, 4096, most), 0);
        assert_eq!(ahead.note((1 << 30) + 4096, 4096, most), LEAST);
    }
}
