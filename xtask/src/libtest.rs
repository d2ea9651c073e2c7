//! Reads what a test program prints, and tells what became of each test.
//!
//! The input is the output of libtest with `--show-output`. The output of tests that passed is
//! hidden. There are lines with which a test says more than libtest can, shown once for each reason:
//! `SKIP NAME: REASON`, it cannot run on this machine; `LACKS NAME: REASON`, it asks for what its
//! backend can never do; `WEAKER NAME: REASON`, it passes, but promises less (hidden). NAME may lack
//! the modules in front.

mod run;

use std::borrow::Cow;

use crate::results::{Outcome, Report, Test};
use run::{Ended, Run, Word};

/// Which part of a test program's output the next line belongs to.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Section {
    /// Outside of a test program's output.
    Outside,
    /// One line per test.
    Results,
    /// What passed tests printed.
    Successes,
    /// The names of passed tests.
    Passed,
    /// What failed tests printed.
    Failures,
    /// The names of failed tests.
    Failed,
}

/// Takes the lines of one test program.
pub(crate) struct Reader {
    /// What to put before the names of tests.
    prefix: String,
    section: Section,
    /// The test whose output is being shown.
    block: Option<String>,
    run: Run,
    report: Report,
}

impl Reader {
    /// `prefix` is shown before the names of tests that failed or were skipped.
    pub(crate) fn new(prefix: &str) -> Self {
        Self {
            prefix: prefix.to_owned(),
            section: Section::Outside,
            block: None,
            run: Run::default(),
            report: Report::default(),
        }
    }

    /// Takes the next line, without its newline; gives what to show of it.
    pub(crate) fn line<'a>(&mut self, line: &'a str) -> Option<Cow<'a, str>> {
        if self.section != Section::Outside
            && line.starts_with("test result: ")
            && let Some(result) = self.result(line)
        {
            return Some(result.into());
        }
        if self.section != Section::Failures
            && let Some((word, text)) = Run::word(line)
        {
            self.say(word, text);
            return None;
        }
        match self.section {
            Section::Outside | Section::Results if is_start(line) => self.start(),
            Section::Outside => {}
            // Each word twice: before what the tests printed, and before their names.
            Section::Successes if line == "successes:" => {
                self.run.passed.clear();
                self.enter(Section::Passed);
            }
            Section::Failures if line == "failures:" => {
                self.run.failed.clear();
                self.enter(Section::Failed);
            }
            _ if line == "successes:" => self.enter(Section::Successes),
            _ if line == "failures:" => self.enter(Section::Failures),
            // Tests put one in front of what they say past the test runner.
            Section::Results if line.is_empty() => return None,
            Section::Results => return Some(self.test(line)),
            Section::Successes | Section::Failures => return self.output(line),
            Section::Passed => _ = listed(line).map(|name| self.run.passed.insert(name)),
            Section::Failed => _ = listed(line).map(|name| self.run.failed.insert(name)),
        }
        let hidden = [Section::Successes, Section::Passed];
        (!hidden.contains(&self.section)).then_some(line.into())
    }

    /// Ends the reading: `success` is whether the program ended with status 0.
    pub(crate) fn finish(mut self, success: bool) -> Report {
        self.abandon();
        let report = self.report;
        let failed = |test: &Test| test.outcome == Outcome::Failed;
        if success || !report.faults.is_empty() || report.tests.values().any(failed) {
            return report;
        }
        Report {
            faults: vec!["it failed without a failed test (see above)".to_owned()],
            ..report
        }
    }

    fn start(&mut self) {
        self.abandon();
        self.enter(Section::Results);
    }

    fn enter(&mut self, section: Section) {
        self.section = section;
        self.block = None;
    }

    /// Counts a program that ended without a result: a crash. What it told before, it told.
    fn abandon(&mut self) {
        if self.section != Section::Outside {
            let fault = "it ended without a result (see above)";
            self.report.faults.push(fault.to_owned());
            self.close();
        }
    }

    /// `test NAME ... ok`
    fn test<'a>(&mut self, line: &'a str) -> Cow<'a, str> {
        let Some((name, outcome)) = line
            .strip_prefix("test ")
            .and_then(|rest| rest.rsplit_once(" ... "))
        else {
            return line.into();
        };
        let outcome = match outcome.split_once(", ").unwrap_or((outcome, "")) {
            ("ok", _) => Outcome::Passed,
            ("FAILED", _) => Outcome::Failed,
            ("ignored", why) => Outcome::Skipped(why.to_owned()),
            _ => return line.into(),
        };
        let shown = match outcome {
            Outcome::Failed => format!("test {}{name} ... FAILED", self.prefix).into(),
            _ => line.into(),
        };
        self.run.seen.insert(name.to_owned(), outcome);
        shown
    }

    /// What a test printed, below `---- NAME stdout ----`.
    fn output<'a>(&mut self, line: &'a str) -> Option<Cow<'a, str>> {
        let name = line
            .strip_prefix("---- ")
            .and_then(|rest| rest.strip_suffix(" stdout ----"));
        if let Some(name) = name {
            self.block = Some(name.to_owned());
        }
        match (self.section, name) {
            (Section::Successes, _) => None,
            (_, Some(name)) => Some(format!("---- {}{name} stdout ----", self.prefix).into()),
            _ => Some(line.into()),
        }
    }

    fn say(&mut self, word: Word, text: &str) {
        let (name, reason) = text.split_once(": ").unwrap_or((text, ""));
        let name = self.block.as_deref().unwrap_or(name);
        self.run.say(word, name, reason);
    }

    /// What to show of a line that is the result of the program; `None` if a test has printed it, and
    /// goes on. libtest counts what was skipped as passed.
    fn result(&mut self, line: &str) -> Option<String> {
        if !self.run.is_settled_by(line) {
            match self.section {
                Section::Failed => self.enter(Section::Failures),
                Section::Passed => self.enter(Section::Successes),
                _ => {}
            }
            return None;
        }
        let ended = self.close();
        let time = line.rsplit_once("; finished in ").unwrap_or_default().1;
        Some(format!("{}{}, in {time}", ended.said, ended.count()))
    }

    /// Ends a run, and adds it to the report.
    fn close(&mut self) -> Ended {
        let ended = std::mem::take(&mut self.run).end(&self.prefix);
        self.report.tests.extend(ended.tests.clone());
        self.report.faults.extend(ended.faults.clone());
        self.enter(Section::Outside);
        ended
    }
}

/// The name in a line of a list.
fn listed(line: &str) -> Option<String> {
    line.strip_prefix("    ").map(str::to_owned)
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

#[cfg(test)]
mod tests;
