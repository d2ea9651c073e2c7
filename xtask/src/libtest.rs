//! Reads what a test program prints, and tells what became of each test.
//!
//! The input is the output of libtest with `--show-output`. The output of tests that passed is
//! hidden. There are lines with which a test says more than libtest can, shown once for each reason:
//! `SKIP NAME: REASON`, it cannot run on this machine; `LACKS NAME: REASON`, it asks for what its
//! backend can never do; `WEAKER NAME: REASON`, it passes, but promises less (hidden). NAME may lack
//! the modules in front.

use std::borrow::Cow;
use std::collections::{BTreeMap, BTreeSet};

use crate::results::{Outcome, Report, Test};

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

/// What a test says beyond passing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Word {
    Skip,
    Lacks,
    Weaker,
}

const WORDS: [(&str, Word); 3] = [
    ("SKIP ", Word::Skip),
    ("LACKS ", Word::Lacks),
    ("WEAKER ", Word::Weaker),
];

/// How many names a reason is shown with.
const NAMES: usize = 3;

/// The tests of one run of libtest: a test program has one, documentation has several.
#[derive(Default)]
struct Run {
    /// As the line of each test has it: all there is when the program crashes.
    seen: BTreeMap<String, Outcome>,
    /// As the last lists have it: nothing that tests print gets between these, but a test may print
    /// what looks like another program's.
    passed: BTreeSet<String>,
    failed: BTreeSet<String>,
    /// What was said, and why, by whom.
    said: BTreeMap<(Word, String), BTreeSet<String>>,
}

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
            && self.is_result(line)
        {
            let said = self.close();
            return Some(format!("{said}{line}").into());
        }
        if self.section != Section::Failures
            && let Some((word, text)) = WORDS
                .iter()
                .find_map(|(start, word)| Some((*word, line.strip_prefix(start)?)))
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
        self.run
            .said
            .entry((word, reason.to_owned()))
            .or_default()
            .insert(name.to_owned());
    }

    /// Whether `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; ...` is of this program:
    /// then it has the numbers of the lists. Else a test has printed it, and goes on.
    fn is_result(&mut self, line: &str) -> bool {
        let number = |label: &str| {
            line.split([';', '.'])
                .filter_map(|part| part.trim().strip_suffix(label))
                .find_map(|number| number.trim().parse::<usize>().ok())
        };
        let run = &mut self.run;
        let numbers = [number("passed"), number("failed")];
        if numbers != [Some(run.passed.len()), Some(run.failed.len())] {
            match self.section {
                Section::Failed => self.enter(Section::Failures),
                Section::Passed => self.enter(Section::Successes),
                _ => {}
            }
            return false;
        }
        // Documentation that is only compiled has another name in its line than in the list.
        run.seen
            .retain(|_, outcome| matches!(outcome, Outcome::Skipped(_)));
        for (names, outcome) in [
            (std::mem::take(&mut run.passed), Outcome::Passed),
            (std::mem::take(&mut run.failed), Outcome::Failed),
        ] {
            run.seen
                .extend(names.into_iter().map(|name| (name, outcome.clone())));
        }
        true
    }

    /// Ends a run: what the tests said is applied to what became of them. Gives what to show of it.
    fn close(&mut self) -> String {
        let run = std::mem::take(&mut self.run);
        let mut shown = String::new();
        let mut tests: BTreeMap<_, _> = run
            .seen
            .into_iter()
            .map(|(name, outcome)| {
                let weaker = BTreeSet::new();
                (name, Test { outcome, weaker })
            })
            .collect();
        for ((word, reason), names) in run.said {
            for name in &names {
                match named(&mut tests, name) {
                    Some(test) => test.say(word, &reason),
                    None => {
                        let fault = format!("{name} is no test of it, but says: {reason}");
                        self.report.faults.push(fault);
                    }
                }
            }
            if word != Word::Weaker {
                shown += &self.summary(word, &reason, &names);
            }
        }
        self.report.tests.append(&mut tests);
        self.enter(Section::Outside);
        shown
    }

    /// One line for all tests that gave the same reason.
    fn summary(&self, word: Word, reason: &str, names: &BTreeSet<String>) -> String {
        let (start, _) = WORDS[word as usize];
        let mut who = names.iter().take(NAMES).cloned().collect::<Vec<_>>();
        if let Some(more @ 1..) = names.len().checked_sub(NAMES) {
            who.push(format!("and {more} more"));
        }
        format!("{start}{}{}: {reason}\n", self.prefix, who.join(", "))
    }
}

impl Test {
    fn say(&mut self, word: Word, reason: &str) {
        match (word, &self.outcome) {
            // One that went on and failed has failed.
            (_, Outcome::Failed) => {}
            (Word::Weaker, _) => _ = self.weaker.insert(reason.to_owned()),
            (Word::Skip, Outcome::Lacks(_)) => {}
            (Word::Skip, _) => self.outcome = Outcome::Skipped(reason.to_owned()),
            (Word::Lacks, _) => self.outcome = Outcome::Lacks(reason.to_owned()),
        }
    }
}

/// The name in a line of a list.
fn listed(line: &str) -> Option<String> {
    line.strip_prefix("    ").map(str::to_owned)
}

/// The test of this name, or the only one whose name ends so after its modules.
fn named<'a>(tests: &'a mut BTreeMap<String, Test>, name: &str) -> Option<&'a mut Test> {
    let key = match tests.contains_key(name) {
        true => name.to_owned(),
        false => {
            let end = format!("::{name}");
            let mut found = tests.keys().filter(|key| key.ends_with(&end));
            let first = found.next()?.clone();
            found.next().is_none().then_some(first)?
        }
    };
    tests.get_mut(&key)
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
