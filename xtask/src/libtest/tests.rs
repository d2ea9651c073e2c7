//! What test programs print, and what is made of it.

use super::*;

fn read(text: &str, success: bool) -> (Report, Vec<String>) {
    let mut reader = Reader::new("um: ");
    let shown = text
        .lines()
        .filter_map(|line| reader.line(line))
        .map(Cow::into_owned)
        .collect();
    (reader.finish(success), shown)
}

fn outcome<'a>(report: &'a Report, name: &str) -> &'a Outcome {
    &report.tests[name].outcome
}

fn skipped(why: &str) -> Outcome {
    Outcome::Skipped(why.to_owned())
}

const TWO: &str = "\
running 3 tests
test a::one ... ok
test b ... ignored, needs root
test c ... ok

successes:

---- c stdout ----
SKIP c: no /dev/cuse
    not the name of a test

successes:
    a::one
    c

test result: ok. 2 passed; 0 failed; 1 ignored; 0 measured; 0 filtered out; finished in 0.00s
";

#[test]
fn each_test_has_its_outcome() {
    let (report, _) = read(TWO, true);
    assert!(report.faults.is_empty(), "{report:?}");
    assert_eq!(report.tests.len(), 3);
    assert_eq!(outcome(&report, "a::one"), &Outcome::Passed);
    assert_eq!(outcome(&report, "b"), &skipped("needs root"));
    assert_eq!(outcome(&report, "c"), &skipped("no /dev/cuse"));
}

#[test]
fn what_passed_tests_print_is_hidden_but_for_skips() {
    let (_, shown) = read(TWO, true);
    let last = shown.last().unwrap();
    assert_eq!(
        last,
        "SKIP um: c: no /dev/cuse\n1 passed, 0 failed, 2 skipped, in 0.00s"
    );
    assert!(!shown.iter().any(|line| line.contains("not the name")));
}

#[test]
fn runs_add_up() {
    let other = TWO.replace("a::one", "x").replace("b ...", "y ...");
    let other = other
        .replace("c stdout", "z stdout")
        .replace("    c", "    z");
    let other = other
        .replace("test c", "test z")
        .replace("SKIP c", "SKIP z");
    let (report, _) = read(&format!("{TWO}\n\n{other}"), true);
    assert!(report.faults.is_empty(), "{report:?}");
    assert_eq!(report.tests.len(), 6);
}

#[test]
fn a_name_may_lack_its_modules() {
    let said = TWO.replace("SKIP c: no /dev/cuse", "");
    let said = said.replace("test c ... ok", "SKIP one: no\ntest c ... ok");
    let (report, _) = read(&said, true);
    assert_eq!(outcome(&report, "a::one"), &skipped("no"));
    // Of two that end so, neither is meant.
    let said = said
        .replace("test c", "test d::one")
        .replace("    c", "    d::one");
    let (report, _) = read(&said, true);
    assert_eq!(outcome(&report, "a::one"), &Outcome::Passed);
    assert_eq!(report.faults.len(), 1);
}

#[test]
fn limits_of_a_backend_are_told_apart() {
    let said = "LACKS c: never\nWEAKER a::one: not quite";
    let text = TWO.replace("test c", &format!("{said}\ntest c"));
    let (report, shown) = read(&text.replace("SKIP c: no /dev/cuse\n", ""), true);
    assert_eq!(outcome(&report, "c"), &Outcome::Lacks("never".to_owned()));
    assert_eq!(outcome(&report, "a::one"), &Outcome::Passed);
    assert!(report.tests["a::one"].weaker.contains("not quite"));
    assert!(shown.last().unwrap().starts_with("LACKS um: c: never\n"));
    assert!(!shown.iter().any(|line| line.starts_with("WEAKER")));
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
    let (report, shown) = read(text, false);
    assert_eq!(outcome(&report, "a"), &Outcome::Failed);
    assert_eq!(outcome(&report, "b"), &Outcome::Passed);
    assert!(report.faults.is_empty(), "{report:?}");
    for line in [
        "test um: a ... FAILED",
        "---- um: a stdout ----",
        "thread 'a' panicked",
    ] {
        assert!(shown.iter().any(|shown| shown == line), "{line}");
    }
}

#[test]
fn a_program_that_crashes_is_a_fault_and_what_it_told_counts() {
    let text = "running 2 tests\ntest a ... ok\n";
    for (text, success) in [(text.to_owned(), false), (format!("{text}{TWO}"), true)] {
        let (report, _) = read(&text, success);
        assert_eq!(outcome(&report, "a"), &Outcome::Passed);
        assert_eq!(report.faults.len(), 1, "{report:?}");
    }
}

#[test]
fn a_program_that_fails_without_a_test_is_a_fault() {
    assert_eq!(read("", false).0.faults.len(), 1);
    assert_eq!(read("", true).0, Report::default());
}

#[test]
fn a_lost_line_is_noticed() {
    let (report, _) = read(&TWO.replace("    a::one\n", ""), true);
    assert_eq!(report.faults.len(), 1, "{report:?}");
}

#[test]
fn many_tests_with_one_reason_are_one_line() {
    let said: String = ["a::one", "c"]
        .map(|name| format!("SKIP {name}: no\n"))
        .concat();
    let (_, shown) = read(&TWO.replace("test c", &format!("{said}test c")), true);
    let last = shown.last().unwrap();
    assert!(last.starts_with("SKIP um: a::one, c: no\n"), "{last}");
}

#[test]
fn what_a_test_prints_of_another_program_is_not_its_result() {
    let inner = "\
running 1 test
test c ... FAILED

failures:

failures:
    b

test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 9 filtered out; finished in 0.00s
";
    let text = format!(
        "\
running 3 tests
test a ... FAILED
test b ... ok
test c ... ok

successes:

successes:
    b
    c

failures:

---- a stdout ----
{inner}
failures:
    a

test result: FAILED. 2 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
"
    );
    let (report, _) = read(&text, false);
    assert!(report.faults.is_empty(), "{report:?}");
    let outcomes: Vec<_> = report.tests.values().map(|test| &test.outcome).collect();
    assert_eq!(
        outcomes,
        [&Outcome::Failed, &Outcome::Passed, &Outcome::Passed]
    );
}

#[test]
fn documentation_that_is_only_compiled_counts_once() {
    let text = "\
running 1 test
test src/a.rs - f (line 1) - compile ... ok

successes:

successes:
    src/a.rs - f (line 1)

test result: ok. 1 passed; 0 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s
";
    let (report, _) = read(text, true);
    assert!(report.faults.is_empty());
    assert_eq!(report.tests.len(), 1);
}
