//! How many passed, failed and were skipped.

use std::fmt;
use std::process::ExitCode;

/// The tally of a run. A skip is never a pass.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) passed: usize,
    pub(crate) failed: usize,
    pub(crate) skipped: usize,
    /// The names of what failed, as far as known.
    pub(crate) failures: Vec<String>,
}

impl Count {
    /// Counts one failure.
    pub(crate) fn fail(&mut self, name: impl Into<String>) {
        self.failed += 1;
        self.failures.push(name.into());
    }

    pub(crate) fn add(&mut self, other: Self) {
        self.passed += other.passed;
        self.failed += other.failed;
        self.skipped += other.skipped;
        self.failures.extend(other.failures);
    }

    /// Success if something ran and nothing failed.
    pub(crate) fn exit_code(&self) -> ExitCode {
        match self.failed == 0 && self.passed > 0 {
            true => ExitCode::SUCCESS,
            false => ExitCode::FAILURE,
        }
    }
}

impl fmt::Display for Count {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{} passed, {} failed, {} skipped",
            self.passed, self.failed, self.skipped
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(passed: usize, failed: usize, skipped: usize) -> Count {
        Count {
            passed,
            failed,
            skipped,
            failures: Vec::new(),
        }
    }

    #[test]
    fn the_line_has_the_promised_form() {
        assert_eq!(
            count(12, 0, 3).to_string(),
            "12 passed, 0 failed, 3 skipped"
        );
    }

    #[test]
    fn a_run_without_a_pass_is_no_success() {
        let code = |count: Count| format!("{:?}", count.exit_code());
        let [success, failure] = [ExitCode::SUCCESS, ExitCode::FAILURE].map(|c| format!("{c:?}"));
        assert_eq!(code(count(1, 0, 0)), success);
        assert_eq!(code(count(1, 1, 0)), failure);
        assert_eq!(code(count(0, 0, 0)), failure);
        assert_eq!(code(count(0, 0, 5)), failure);
    }
}
