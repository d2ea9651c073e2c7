//! The position of an open file, as callbacks see and move it.
//!
//! The original kept one number per file: a callback found it in `*offset`, and what it left there
//! was the position of the next call. Today the kernel keeps the position and moves it by what was
//! transferred. The two agree for nearly all drivers. For the others: as long as the kernel's own
//! position is where the last call left it, the driver's counts; where a client went elsewhere
//! (lseek(2), pread(2)), that counts.

/// See above.
#[derive(Debug, Default)]
pub(crate) struct Position {
    /// Where the kernel is after the last call.
    kernel: u64,
    /// What the driver left in `*offset`.
    driver: i64,
}

impl Position {
    /// What `*offset` is to be in a call that begins at `kernel`; `append`: that place means
    /// nothing, as the driver alone knows where the end is.
    pub(crate) fn begin(&mut self, kernel: u64, append: bool) -> i64 {
        if !append && kernel != self.kernel {
            self.kernel = kernel;
            self.driver = i64::try_from(kernel).unwrap_or(i64::MAX);
        }
        self.driver
    }

    /// The call that began at `kernel` has transferred `count` bytes, and left `driver` in `*offset`.
    pub(crate) fn end(&mut self, kernel: u64, count: u64, driver: i64) {
        self.kernel = kernel.saturating_add(count);
        self.driver = driver;
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_driver_moves_it() {
        let mut position = Position::default();
        assert_eq!(position.begin(0, false), 0);
        position.end(0, 5, 1);
        assert_eq!(position.begin(5, false), 1, "it counts lines, say");
        position.end(5, 5, 2);
        assert_eq!(position.begin(10, false), 2);
    }

    #[test]
    fn the_client_goes_elsewhere() {
        let mut position = Position::default();
        position.end(0, 5, 1);
        assert_eq!(position.begin(100, false), 100);
        position.end(100, 0, 100);
        assert_eq!(position.begin(100, false), 100);
        assert_eq!(
            position.begin(0, true),
            100,
            "the end is the driver's business"
        );
    }
}
