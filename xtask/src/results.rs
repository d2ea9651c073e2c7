//! What became of every test at every place where it was to run, and the count of it all.
//!
//! Passes and failures are counted for each place. A skip is a test that ran at none: what the host
//! cannot do, a guest may have done.

use std::collections::{BTreeMap, BTreeSet};

use crate::count::Count;

/// Where tests run: the host, or a guest by its kernel's name.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Host,
    Guest(&'static str),
}

impl Place {
    /// What stands before the name of a test that ran there.
    pub(crate) fn prefix(self) -> String {
        match self {
            Self::Host => String::new(),
            Self::Guest(kernel) => format!("{kernel}: "),
        }
    }
}

/// How a test came out.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Outcome {
    Passed,
    Failed,
    /// It could not run here: why.
    Skipped(String),
    /// It asks for what its backend can never do: why.
    Lacks(String),
}

/// A test at one place.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Test {
    pub(crate) outcome: Outcome,
    /// What it promised less of than other backends' tests do, as its backend cannot do more.
    pub(crate) weaker: BTreeSet<String>,
}

/// What a test program told.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Report {
    /// The tests by their names.
    pub(crate) tests: BTreeMap<String, Test>,
    /// What went wrong beside the tests: a crash.
    pub(crate) faults: Vec<String>,
}

/// All of a run.
#[derive(Default)]
pub(crate) struct Results {
    /// By program and name, then by place.
    tests: BTreeMap<(String, String), BTreeMap<Place, Test>>,
    /// What was counted otherwise.
    others: Count,
}

impl Results {
    /// Adds what `program` told at `place`.
    pub(crate) fn add(&mut self, place: Place, program: &str, report: Report) {
        for (name, test) in report.tests {
            self.tests
                .entry((program.to_owned(), name))
                .or_default()
                .insert(place, test);
        }
        for fault in report.faults {
            self.fail(format!("{}{program}: {fault}", place.prefix()));
        }
    }

    /// Counts one failure of what is no test.
    pub(crate) fn fail(&mut self, what: impl Into<String>) {
        self.others.fail(what);
    }

    /// Counts one skip of what is no test.
    pub(crate) fn skip(&mut self) {
        self.others.skipped += 1;
    }

    /// Adds what was counted otherwise.
    pub(crate) fn add_count(&mut self, count: Count) {
        self.others.add(count);
    }

    /// The tests of one program: each with what became of it at each place.
    pub(crate) fn tests_of(
        &self,
        program: &str,
    ) -> impl Iterator<Item = (&str, &BTreeMap<Place, Test>)> {
        self.tests
            .iter()
            .filter(move |((of, _), _)| of == program)
            .map(|((_, name), places)| (name.as_str(), places))
    }

    /// The tests that ran at no place, by the reason that the last of these gave.
    pub(crate) fn skipped(&self) -> BTreeMap<&str, Vec<&str>> {
        let mut skipped: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for ((_, name), places) in &self.tests {
            let mut reason = None;
            for test in places.values() {
                match &test.outcome {
                    Outcome::Skipped(why) | Outcome::Lacks(why) => reason = Some(why.as_str()),
                    Outcome::Passed | Outcome::Failed => {
                        reason = None;
                        break;
                    }
                }
            }
            if let Some(reason) = reason {
                skipped.entry(reason).or_default().push(name.as_str());
            }
        }
        skipped
    }

    /// The count of the whole run.
    pub(crate) fn count(&self) -> Count {
        let mut count = self.others.clone();
        for ((_, name), places) in &self.tests {
            for (place, test) in places {
                match &test.outcome {
                    Outcome::Passed => count.passed += 1,
                    Outcome::Failed => count.fail(format!("{}{name}", place.prefix())),
                    Outcome::Skipped(_) | Outcome::Lacks(_) => {}
                }
            }
        }
        count.skipped += self.skipped().values().map(Vec::len).sum::<usize>();
        count
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const UM: Place = Place::Guest("um");

    fn report(outcome: Outcome) -> Report {
        let test = Test {
            outcome,
            weaker: BTreeSet::new(),
        };
        Report {
            tests: BTreeMap::from([("t".to_owned(), test)]),
            faults: Vec::new(),
        }
    }

    fn numbers(outcomes: &[(Place, Outcome)]) -> (usize, usize, usize) {
        let mut results = Results::default();
        for (place, outcome) in outcomes {
            results.add(*place, "p", report(outcome.clone()));
        }
        let count = results.count();
        (count.passed, count.failed, count.skipped)
    }

    fn skipped() -> Outcome {
        Outcome::Skipped("no /dev/cuse".to_owned())
    }

    #[test]
    fn passes_and_failures_add_up() {
        let twice = [(Place::Host, Outcome::Passed), (UM, Outcome::Passed)];
        assert_eq!(numbers(&twice), (2, 0, 0));
        let once = [(Place::Host, Outcome::Passed), (UM, Outcome::Failed)];
        assert_eq!(numbers(&once), (1, 1, 0));
    }

    #[test]
    fn what_ran_anywhere_is_no_skip() {
        assert_eq!(
            numbers(&[(Place::Host, skipped()), (UM, Outcome::Passed)]),
            (1, 0, 0)
        );
        assert_eq!(
            numbers(&[(Place::Host, skipped()), (UM, Outcome::Failed)]),
            (0, 1, 0)
        );
    }

    #[test]
    fn what_ran_nowhere_is_one_skip() {
        let lacks = Outcome::Lacks("never".to_owned());
        assert_eq!(numbers(&[(Place::Host, skipped())]), (0, 0, 1));
        let mut results = Results::default();
        results.add(Place::Host, "p", report(skipped()));
        results.add(UM, "p", report(lacks.clone()));
        let named = BTreeMap::from([("never", vec!["t"])]);
        assert_eq!(results.skipped(), named);
        assert_eq!(numbers(&[(Place::Host, skipped()), (UM, lacks)]), (0, 0, 1));
    }

    #[test]
    fn a_failure_names_its_place() {
        let mut results = Results::default();
        results.add(Place::Host, "p", report(Outcome::Failed));
        results.add(UM, "p", report(Outcome::Failed));
        results.add(
            UM,
            "q",
            Report {
                faults: vec!["it crashed".to_owned()],
                ..Report::default()
            },
        );
        assert_eq!(
            results.count().failures,
            ["um: q: it crashed", "t", "um: t"]
        );
        assert_eq!(results.tests_of("q").count(), 0);
        assert_eq!(results.tests_of("p").count(), 1);
    }
}
