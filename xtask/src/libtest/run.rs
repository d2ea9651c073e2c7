//! The tests of one run of libtest: what became of each, from its lines, its lists, and what the
//! tests said of themselves.

use std::collections::{BTreeMap, BTreeSet};

use crate::results::{Outcome, Test};

/// What a test says beyond passing.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Word {
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
pub(super) struct Run {
    /// As the line of each test has it: all there is when the program crashes.
    pub(super) seen: BTreeMap<String, Outcome>,
    /// As the last lists have it: nothing that tests print gets between these, but a test may print
    /// what looks like another program's.
    pub(super) passed: BTreeSet<String>,
    pub(super) failed: BTreeSet<String>,
    /// What was said, and why, by whom.
    said: BTreeMap<(Word, String), BTreeSet<String>>,
}

/// A run that came to its end, or was cut off.
#[derive(Default)]
pub(super) struct Ended {
    pub(super) tests: BTreeMap<String, Test>,
    pub(super) faults: Vec<String>,
    /// What the tests said, to be shown: whole lines.
    pub(super) said: String,
}

impl Run {
    /// What the line of a test says; `None` if it is no such line.
    pub(super) fn word(line: &str) -> Option<(Word, &str)> {
        WORDS
            .iter()
            .find_map(|(start, word)| Some((*word, line.strip_prefix(start)?)))
    }

    /// A test says something, for a reason.
    pub(super) fn say(&mut self, word: Word, name: &str, reason: &str) {
        self.said
            .entry((word, reason.to_owned()))
            .or_default()
            .insert(name.to_owned());
    }

    /// Whether `test result: ok. 12 passed; 0 failed; 1 ignored; 0 measured; ...` is of this program:
    /// then it has the numbers of the lists, and these count. Else a test has printed it.
    pub(super) fn is_settled_by(&mut self, line: &str) -> bool {
        let number = |label: &str| {
            line.split([';', '.'])
                .filter_map(|part| part.trim().strip_suffix(label))
                .find_map(|number| number.trim().parse::<usize>().ok())
        };
        if [number("passed"), number("failed")]
            != [Some(self.passed.len()), Some(self.failed.len())]
        {
            return false;
        }
        // Documentation that is only compiled has another name in its line than in the list.
        self.seen
            .retain(|_, outcome| matches!(outcome, Outcome::Skipped(_)));
        for (names, outcome) in [
            (std::mem::take(&mut self.passed), Outcome::Passed),
            (std::mem::take(&mut self.failed), Outcome::Failed),
        ] {
            self.seen
                .extend(names.into_iter().map(|name| (name, outcome.clone())));
        }
        true
    }

    /// Ends it: what the tests said is applied to what became of them. `prefix` is shown before
    /// their names.
    pub(super) fn end(self, prefix: &str) -> Ended {
        let tests = self.seen.into_iter().map(|(name, outcome)| {
            let weaker = BTreeSet::new();
            (name, Test { outcome, weaker })
        });
        let mut ended = Ended {
            tests: tests.collect(),
            ..Ended::default()
        };
        for ((word, reason), names) in self.said {
            for name in &names {
                match named(&mut ended.tests, name) {
                    Some(test) => test.say(word, &reason),
                    None => {
                        let fault = format!("{name} is no test of it, but says: {reason}");
                        ended.faults.push(fault);
                    }
                }
            }
            if word != Word::Weaker {
                ended.said += &summary(prefix, word, &reason, &names);
            }
        }
        ended
    }
}

impl Ended {
    /// How many tests passed, failed and were skipped.
    pub(super) fn count(&self) -> String {
        let number = |wanted: fn(&Outcome) -> bool| {
            let tests = self.tests.values();
            tests.filter(|test| wanted(&test.outcome)).count()
        };
        let passed = number(|outcome| matches!(outcome, Outcome::Passed));
        let failed = number(|outcome| matches!(outcome, Outcome::Failed));
        let skipped = self.tests.len() - passed - failed;
        format!("{passed} passed, {failed} failed, {skipped} skipped")
    }
}

/// One line for all tests that gave the same reason.
fn summary(prefix: &str, word: Word, reason: &str, names: &BTreeSet<String>) -> String {
    let (start, _) = WORDS[word as usize];
    let mut who = names.iter().take(NAMES).cloned().collect::<Vec<_>>();
    if let Some(more @ 1..) = names.len().checked_sub(NAMES) {
        who.push(format!("and {more} more"));
    }
    format!("{start}{}{}: {reason}\n", prefix, who.join(", "))
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
