//! How much to ask for before it is read.

/// The first step, in bytes.
const LEAST: u64 = 128 << 10;

/// So many jumps in a row are a habit.
const HABIT: u32 = 8;

/// What one open file has been read like.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct ReadAhead {
    /// Where a reader who reads on reads next.
    next: u64,
    /// How much has been read on so far, in bytes.
    run: u64,
    /// How many reads in a row were each far from the one before.
    jumps: u32,
}

impl ReadAhead {
    /// Notes a read; gives how many bytes behind it to have, at most `most`: none for a reader who
    /// jumps, ever more for one who reads on.
    pub(crate) fn note(&mut self, offset: u64, length: u64, most: u64) -> u64 {
        let reads_on = offset == self.next;
        self.jumps = match offset.abs_diff(self.next) > LEAST {
            true => self.jumps.saturating_add(1),
            false => 0,
        };
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

    /// Whether the reader does nothing but jump, so that what is around a read is of no use.
    pub(crate) fn jumps_about(&self) -> bool {
        self.jumps >= HABIT
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
    #[test]
    fn who_jumps_about_does_so_until_a_read_is_near_another() {
        let mut ahead = ReadAhead::default();
        for jump in 1..=u64::from(HABIT) {
            assert!(!ahead.jumps_about(), "{jump}");
            ahead.note(jump << 30, 1, 1);
        }
        assert!(ahead.jumps_about());
        ahead.note((u64::from(HABIT) << 30) + 1 - LEAST, 1, 1);
        assert!(!ahead.jumps_about());
    }
}
