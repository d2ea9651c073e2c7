//! The same tests with many more records, as `cargo xtask soak pipe` has them run: how many, and a line
//! now and then that says how far it is.

use std::env;
use std::time::Instant;

use fusd_tests::Case;

/// The variable that says how many records a test is to account for.
const RECORDS: &str = "FUSD_SOAK_RECORDS";

/// How often a client is killed in a test of the suite, and in a soak.
const KILLS: [usize; 2] = [8, 400];

/// Lines in which a soak tells how far it is.
const LINES: usize = 20;

/// How far a test has come.
pub(crate) struct Soak<'a> {
    case: &'a Case,
    total: usize,
    told: usize,
    begin: Instant,
}

impl<'a> Soak<'a> {
    /// How many records a test is to account for, if it is a soak.
    pub(crate) fn records() -> Option<usize> {
        let text = env::var(RECORDS).ok()?;
        Some(text.parse().expect("a number of records"))
    }

    /// A test that begins to read `total` records.
    pub(crate) fn begin(case: &'a Case, total: usize) -> Self {
        Self {
            case,
            total,
            told: 0,
            begin: Instant::now(),
        }
    }

    /// How often to kill a client meanwhile.
    pub(crate) fn kills(&self) -> usize {
        KILLS[usize::from(Self::records().is_some())]
    }

    /// Tells, in a soak, how many records have been read and how many clients killed.
    pub(crate) fn tell(&mut self, read: usize, killed: usize) {
        let parts = read * LINES / self.total.max(1);
        if Self::records().is_none() || parts == self.told {
            return;
        }
        self.told = parts;
        eprintln!(
            "{}: {read} of {} records read, {killed} clients killed, {:.0} s",
            self.case.name(),
            self.total,
            self.begin.elapsed().as_secs_f64(),
        );
    }
}
