//! Reads what test programs print and counts it.
//!
//! The input is the output of `cargo test -- --show-output`. A test that cannot run on this machine
//! prints a line `SKIP NAME: REASON` and returns: libtest calls that a pass, this does not. The
//! output of tests that passed is hidden, apart from those lines.

use std::collections::BTreeSet;

use crate::count::Count;

/// Which part of a test program's output the next line belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Outside of a test program's output.
    Outside,
    /// One line per test.
    Results,
    /// What passed tests printed.
    Successes,
    /// What failed tests printed.
    Failures,
}

pub(crate) struct Reader {
    section: Section,
    /// The test whose output is being shown.
    block: Option<String>,
    /// The tests of this program that turned out to be unable to run.
    skipped: BTreeSet<String>,
    count: Count,
}

impl Reader {
    pub(crate) fn new() -> Self {
        Self {
            section: Section::Outside,
            block: None,
            skipped: BTreeSet::new(),
            count: Count::default(),
        }
    }

    /// Takes the next line, without its newline, and says whether to show it.
    pub(crate) fn line(&mut self, line: &str) -> bool {
        if self.section != Section::Outside && line.starts_with("test result: ") {
            self.result(line);
            return true;
        }
        match self.section {
            Section::Outside | Section::Results if is_start(line) => self.start(),
            Section::Outside => {}
            _ if line == "successes:" => self.enter(Section::Successes),
            _ if line == "failures:" => self.enter(Section::Failures),
            Section::Results => {
                if let Some(name) = failed_name(line) {
                    self.count.failures.push(name.to_owned());
                }
            }
            Section::Successes | Section::Failures => {
                if let Some(name) = block_name(line) {
                    self.block = Some(name.to_owned());
                }
            }
        }
        if self.section != Section::Failures && self.skip(line) {
            return true;
        }
        self.section != Section::Successes
    }

    /// Ends the reading: `success` is whether the command ended with status 0.
    pub(crate) fn finish(mut self, success: bool) -> Count {
        self.abandon();
        if !success && self.count.failed == 0 {
            self.count.fail("cargo test (see above)");
        }
        self.count
    }

    fn start(&mut self) {
        self.abandon();
        self.enter(Section::Results);
    }

    fn enter(&mut self, section: Section) {
        self.section = section;
        self.block = None;
    }

    /// Counts a test program that ended without a result: a crash.
    fn abandon(&mut self) {
        if self.section != Section::Outside {
            self.count
                .fail("a test program ended without a result (see above)");
        }
        self.enter(Section::Outside);
        self.skipped.clear();
    }

    fn skip(&mut self, line: &str) -> bool {
        let Some(text) = line.strip_prefix("SKIP ") else {
            return false;
        };
        let name = match &self.block {
            Some(block) => block,
            None => text.split(':').next().unwrap_or(text),
        };
        self.skipped.insert(name.to_owned());
        true
    }

    /// Counts `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; ...`.
    fn result(&mut self, line: &str) {
        let number = |label: &str| {
            line.split([';', '.'])
                .filter_map(|part| part.trim().strip_suffix(label))
                .find_map(|number| number.trim().parse::<usize>().ok())
                .unwrap_or(0)
        };
        let passed = number("passed");
        let skipped = self.skipped.len().min(passed);
        self.count.passed += passed - skipped;
        self.count.failed += number("failed");
        self.count.skipped += number("ignored") + skipped;
        self.skipped.clear();
        self.enter(Section::Outside);
    }
}

/// `running 3 tests`
fn is_start(line: &str) -> bool {
    line.strip_prefix("running ")
        .and_then(|rest| {
            rest.strip_suffix(" tests")
                .or_else(|| rest.strip_suffix(" test"))
        })
        .is_some_and(|number| number.parse::<usize>().is_ok())
}

/// `test NAME ... FAILED`
fn failed_name(line: &str) -> Option<&str> {
    line.strip_prefix("test ")?.strip_suffix(" ... FAILED")
}

/// `---- NAME stdout ----`
fn block_name(line: &str) -> Option<&str> {
    line.strip_prefix("---- ")?.strip_suffix(" stdout ----")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str, success: bool) -> (Count, Vec<&str>) {
        let mut reader = Reader::new();
        let shown = text.lines().filter(|line| reader.line(line)).collect();
        (reader.finish(success), shown)
    }

    fn numbers(count: &Count) -> (usize, usize, usize) {
        (count.passed, count.failed, count.skipped)
    }

    #[test]
    fn programs_add_up() {
        let text = "\
running 2 tests
test a ... ok
test b ... ignored

test result: ok. 1 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s


running 1 test
test c ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 7 filtered out; finished in 0.50s
";
        assert_eq!(numbers(&read(text, true).0), (2, 0, 1));
    }

    #[test]
    fn a_skip_is_taken_off_passed_and_other_output_is_hidden() {
        let text = "\
running 2 tests
test a ... ok
test b ... ok

successes:

---- a stdout ----
SKIP a: no /dev/cuse
SKIP a: still no /dev/cuse

---- b stdout ----
some words

successes:
    a
    b

test result: ok. 2 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let (count, shown) = read(text, true);
        assert_eq!(numbers(&count), (1, 0, 1));
        assert!(shown.contains(&"SKIP a: no /dev/cuse"));
        assert!(!shown.contains(&"some words"));
    }

    #[test]
    fn a_test_that_fails_after_a_skip_line_has_failed() {
        let text = "\
running 2 tests
test a ... FAILED
test b ... ok

successes:

successes:
    b

failures:

---- a stdout ----
SKIP a: tried and gave up
thread 'a' panicked

failures:
    a

test result: FAILED. 1 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        let (count, shown) = read(text, false);
        assert_eq!(numbers(&count), (1, 1, 0));
        assert_eq!(count.failures, ["a"]);
        assert!(shown.contains(&"thread 'a' panicked"));
    }

    #[test]
    fn a_program_that_crashes_is_one_failure() {
        let text = "\
running 2 tests
test a ... ok

running 1 test
test c ... ok

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
        assert_eq!(numbers(&read(text, false).0), (1, 1, 0));
        assert_eq!(numbers(&read("running 1 test\n", false).0), (0, 1, 0));
    }

    #[test]
    fn a_command_that_fails_before_any_test_is_one_failure() {
        assert_eq!(numbers(&read("", false).0), (0, 1, 0));
        assert_eq!(numbers(&read("", true).0), (0, 0, 0));
    }
}
