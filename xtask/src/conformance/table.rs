//! The table of what each backend keeps, from the results of the suite.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use super::contract::{self, BACKENDS, ROWS};
use crate::programs::CONFORMANCE;
use crate::results::{Outcome, Place, Results, Test};

/// What a backend keeps of a row.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Cell {
    /// How many tests passed, and how many ask for what the backend can never do.
    passed: usize,
    lacks: usize,
    /// What it cannot do.
    reasons: BTreeSet<String>,
}

/// The table.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct Table(Vec<[Cell; BACKENDS.len()]>);

impl Table {
    /// The table of a run, or the reason why there is none.
    pub(crate) fn of(results: &Results) -> Result<Self, String> {
        let mut cells = vec![[const { Cell::EMPTY }; BACKENDS.len()]; ROWS.len()];
        let mut ran = false;
        for (name, places) in results.tests_of(CONFORMANCE) {
            let Some((backend, row)) = contract::place(name) else {
                continue;
            };
            ran = true;
            let outcome = merge(name, places)?;
            let column = BACKENDS.iter().position(|name| *name == backend);
            let (Some(row), Some(column)) = (row, column) else {
                continue;
            };
            let cell = &mut cells[row - 1][column];
            match outcome {
                Some(reason) => {
                    cell.lacks += 1;
                    cell.reasons.insert(reason);
                }
                None => cell.passed += 1,
            }
            let weaker = places.values().flat_map(|test| &test.weaker);
            cell.reasons.extend(weaker.cloned());
        }
        match ran {
            true => Ok(Self(cells)),
            false => Err("the suite did not run".to_owned()),
        }
    }
}

/// What became of a test at all its places: `None` if it passed, else what its backend can never do.
fn merge(name: &str, places: &BTreeMap<Place, Test>) -> Result<Option<String>, String> {
    let mut merged = Err(format!("{name} did not run"));
    for test in places.values() {
        match (&test.outcome, &merged) {
            (Outcome::Failed, _) => return Err(format!("{name} failed")),
            (Outcome::Passed, _) => merged = Ok(None),
            (Outcome::Lacks(reason), Err(_)) => merged = Ok(Some(reason.clone())),
            (Outcome::Lacks(_), Ok(_)) => {}
            (Outcome::Skipped(reason), Err(_)) => {
                merged = Err(format!("{name} did not run: {reason}"));
            }
            (Outcome::Skipped(_), Ok(_)) => {}
        }
    }
    merged
}

impl Cell {
    const EMPTY: Self = Self {
        passed: 0,
        lacks: 0,
        reasons: BTreeSet::new(),
    };

    fn word(&self) -> &'static str {
        match (self.passed, self.lacks) {
            (0, 0) => "planned",
            (0, _) => "no",
            _ if self.reasons.is_empty() => "yes",
            _ => "mostly",
        }
    }
}

impl fmt::Display for Table {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // A note for each thing that a backend cannot do, in the order of the table.
        let mut notes: Vec<(&str, &str)> = Vec::new();
        let rule = BACKENDS.map(|_| "---").join("|");
        writeln!(
            f,
            "| | A client can rely on this | `{}` |",
            BACKENDS.join("` | `")
        )?;
        writeln!(f, "|--:|---|{rule}|")?;
        for (index, (cells, title)) in self.0.iter().zip(ROWS).enumerate() {
            write!(f, "| {} | {title} |", index + 1)?;
            for (cell, backend) in cells.iter().zip(BACKENDS) {
                write!(f, " {}", cell.word())?;
                for reason in &cell.reasons {
                    let note = (backend, reason.as_str());
                    let number = notes.iter().position(|other| *other == note);
                    let number = number.unwrap_or_else(|| {
                        notes.push(note);
                        notes.len() - 1
                    });
                    write!(f, " ({})", number + 1)?;
                }
                write!(f, " |")?;
            }
            writeln!(f)?;
        }
        for (index, (backend, reason)) in notes.iter().enumerate() {
            let first = if index == 0 { "\n" } else { "" };
            writeln!(f, "{first}{}. `{backend}`: {reason}", index + 1)?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::results::Report;

    fn results(tests: &[(Place, &str, Outcome, &[&str])]) -> Results {
        let mut results = Results::default();
        for (place, name, outcome, weaker) in tests {
            let test = Test {
                outcome: outcome.clone(),
                weaker: weaker.iter().map(|&text| text.to_owned()).collect(),
            };
            let report = Report {
                tests: BTreeMap::from([((*name).to_owned(), test)]),
                faults: Vec::new(),
            };
            results.add(*place, CONFORMANCE, report);
        }
        results
    }

    const UM: Place = Place::Guest("um");

    fn lacks(reason: &str) -> Outcome {
        Outcome::Lacks(reason.to_owned())
    }

    fn row(table: &Table, number: usize) -> String {
        let start = format!("| {number} | ");
        let text = table.to_string();
        let line = text.lines().find(|line| line.starts_with(&start)).unwrap();
        line.rsplit('|')
            .skip(1)
            .take(3)
            .map(str::trim)
            .collect::<Vec<_>>()
            .join(",")
    }

    #[test]
    fn a_cell_says_what_the_tests_say() {
        let table = Table::of(&results(&[
            (UM, "fuse::row1_a", Outcome::Passed, &[]),
            (UM, "cuse::row1_a", Outcome::Passed, &["no owner"]),
            (UM, "fuse::row3_a", Outcome::Passed, &[]),
            (UM, "fuse::row3_b", lacks("no turns"), &[]),
            (UM, "cuse::row3_a", lacks("no seek"), &[]),
            (UM, "fuse::row4_c", lacks("no turns"), &[]),
        ]))
        .unwrap();
        // From the right: kfusd, cuse, fuse.
        assert_eq!(row(&table, 1), "planned,mostly (1),yes");
        assert_eq!(row(&table, 2), "planned,planned,planned");
        assert_eq!(row(&table, 3), "planned,no (3),mostly (2)");
        assert_eq!(row(&table, 4), "planned,planned,no (2)");
        let notes = "\n1. `cuse`: no owner\n2. `fuse`: no turns\n3. `cuse`: no seek\n";
        assert!(table.to_string().ends_with(notes), "{table}");
    }

    #[test]
    fn a_test_that_ran_anywhere_has_run() {
        let skipped = || Outcome::Skipped("no root".to_owned());
        let twice = [
            (Place::Host, "fuse::row1_a", skipped(), &[][..]),
            (UM, "fuse::row1_a", Outcome::Passed, &[]),
        ];
        assert_eq!(
            row(&Table::of(&results(&twice)).unwrap(), 1),
            "planned,planned,yes"
        );
        let never = Table::of(&results(&twice[..1])).unwrap_err();
        assert_eq!(never, "fuse::row1_a did not run: no root");
    }

    #[test]
    fn nothing_is_written_of_a_run_with_a_failure() {
        let failed = [
            (Place::Host, "fuse::row1_a", Outcome::Passed, &[][..]),
            (UM, "fuse::row1_a", Outcome::Failed, &[]),
        ];
        assert!(Table::of(&results(&failed)).unwrap_err().contains("failed"));
        let other = [(UM, "fuse::kill_of_drivers", Outcome::Failed, &[][..])];
        assert!(Table::of(&results(&other)).is_err());
        assert!(Table::of(&results(&[])).is_err());
    }
}
