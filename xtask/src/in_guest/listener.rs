//! Takes a guest's output apart: which program said what, and what became of each.

use super::guest::MARK;
use crate::libtest::Reader;
use crate::programs::Program;
use crate::results::{Place, Results};

/// Takes a guest's output apart.
pub(super) struct Listener<'a> {
    place: Place,
    programs: &'a [&'a Program],
    /// How many of the programs have begun.
    started: usize,
    /// Of the program that runs.
    reader: Option<Reader>,
    results: &'a mut Results,
}

impl<'a> Listener<'a> {
    /// Listens to a guest at `place` that runs these programs in this order.
    pub(super) fn new(place: Place, programs: &'a [&'a Program], results: &'a mut Results) -> Self {
        Self {
            place,
            programs,
            started: 0,
            reader: None,
            results,
        }
    }

    /// Takes the next line; gives what to show of it.
    pub(super) fn line(&mut self, line: &str) -> Option<String> {
        let Some(words) = line.strip_prefix(MARK) else {
            let reader = self.reader.as_mut()?;
            return reader.line(line).map(|line| line.into_owned());
        };
        match words.split_once(' ').unwrap_or((words, "")) {
            ("kernel", name) => {
                let place = self.place.prefix();
                Some(format!("\n-- in {place}{name}, root --"))
            }
            ("begin", _) => {
                self.close(false);
                self.reader = Some(Reader::new(&self.place.prefix()));
                self.started += 1;
                Some(format!("\n{}{}", self.place.prefix(), self.title()))
            }
            ("end", status) => {
                self.close(status == "0");
                None
            }
            _ => None,
        }
    }

    fn title(&self) -> &str {
        let program = self.started.checked_sub(1);
        program
            .and_then(|index| self.programs.get(index))
            .map_or("", |program| &program.title)
    }

    /// Ends the program that runs.
    fn close(&mut self, success: bool) {
        if let Some(reader) = self.reader.take() {
            let title = self.title().to_owned();
            self.results.add(self.place, &title, reader.finish(success));
        }
    }

    /// Ends the guest. `said` is why it failed, as far as known.
    pub(super) fn end(mut self, success: bool, said: Option<String>) {
        let cut_off = self.reader.is_some() || self.started < self.programs.len();
        self.close(false);
        if success && !cut_off {
            return;
        }
        let why = said.unwrap_or_else(|| "the guest ended before the tests did".to_owned());
        let left: Vec<_> = self.programs[self.started..]
            .iter()
            .map(|program| program.title.as_str())
            .collect();
        let left = match left.is_empty() {
            true => String::new(),
            false => format!("; did not run: {}", left.join(", ")),
        };
        self.results
            .fail(format!("{}{why}{left}", self.place.prefix()));
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::program;
    use super::*;

    const OUTPUT: &str = "\
@fusd-guest kernel Linux 7.2.13

@fusd-guest begin
running 1 test
test a ... FAILED
failures:
failures:
    a
test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

@fusd-guest end 101

@fusd-guest begin
running 2 tests
test b ... ok
";

    fn listen(output: &str, success: bool, said: Option<&str>) -> (Vec<String>, Results) {
        let programs = ["p", "q", "r"].map(program);
        let programs: Vec<_> = programs.iter().collect();
        let mut results = Results::default();
        let mut listener = Listener::new(Place::Guest("um"), &programs, &mut results);
        let shown = output.lines().filter_map(|line| listener.line(line));
        let shown = shown.collect();
        listener.end(success, said.map(str::to_owned));
        (shown, results)
    }

    #[test]
    fn a_guest_that_is_cut_off_keeps_what_ran_and_says_what_did_not() {
        let (shown, results) = listen(OUTPUT, false, Some("killed after 9 s"));
        let count = results.count();
        assert_eq!((count.passed, count.failed), (1, 3));
        assert_eq!(
            count.failures,
            [
                "um: q: it ended without a result (see above)",
                "um: killed after 9 s; did not run: r",
                "um: a"
            ]
        );
        for line in [
            "\n-- in um: Linux 7.2.13, root --",
            "\num: p",
            "test um: a ... FAILED",
        ] {
            assert!(shown.iter().any(|shown| shown == line), "{line}: {shown:?}");
        }
    }

    #[test]
    fn a_fault_of_the_kernel_is_a_failure_though_all_tests_passed() {
        let passed = "@fusd-guest begin\n@fusd-guest end 0\n".repeat(3);
        let (_, results) = listen(&passed, true, None);
        assert_eq!(results.count().failed, 0);
        let (_, results) = listen(&passed, false, Some("the kernel reports: BUG:"));
        assert_eq!(results.count().failures, ["um: the kernel reports: BUG:"]);
        let (_, results) = listen("", true, None);
        assert_eq!(results.count().failed, 1);
    }
}
