//! How much to ask for before it is read.

/// The first step, in bytes.
const LEAST: u64 = 128 << 10;

/// What one open file has been read like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadAhead {
    /// Where a reader who reads on reads next.
    next: u64,
    /// How much has been read on so far, in bytes.
    run: u64,
}

impl ReadAhead {
    /// Notes a read; gives how many bytes behind it to have, at most `most`: none for a reader who
    /// jumps, ever more for one who reads on.
    pub(crate) fn note(&mut self, offset: u64, length: u64, most: u64) -> u64 {
        let reads_on = offset == self.next;
        self.next = offset.saturating_add(length);
        self.run = match reads_on {
            true => self.run.saturating_add(length),
            false => 0,
        };
        match reads_on {
            true => (self.run * 2).max(LEAST).min(most),
            false => 0,
        }
    }

    /// How much has been read on so far, in bytes.
    pub(crate) fn run(&self) -> u64 {
        self.run
    }

    /// How much one request for what comes next is for, in bytes: as much as has been read on, so that
    /// who reads all of a page takes few of them, and who stops has not made the server begin with
    /// much more.
    pub(crate) fn request(&self, window: u64) -> u64 {
        self.run.max(window)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn who_reads_on_gets_more_and_who_jumps_gets_nothing() {
        let mut ahead = ReadAhead::default();
        let (step, most) = (64 << 10, 400 << 10);
        let windows: Vec<_> = (0..4).map(|it| ahead.note(it * step, step, most)).collect();
        assert_eq!(windows, [LEAST, 4 * step, 6 * step, most]);
        assert_eq!(ahead.request(most), most);
        assert_eq!(ahead.request(step), 4 * step);
        assert_eq!(ahead.note(1 << 30, step, most), 0);
        assert_eq!(ahead.request(0), 0);
        assert_eq!(ahead.note((1 << 30) + step, step, most), LEAST);
    }
}
