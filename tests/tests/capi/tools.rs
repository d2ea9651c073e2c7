//! The same under programs that watch memory. On the host alone, with FUSE: they take time, and what
//! they watch is the same everywhere.

use std::env;

use fusd_tests::{Backend, Case};

use crate::helper::{example, has, lacks_compiler, node, program, start_by};
use crate::suite::{bad, modern};

/// Begins the test unless it is for another machine, or its tool is missing.
pub(crate) fn begin(name: &str, tool: &str) -> Option<Case> {
    if env::var_os("FUSD_LAB").is_some() {
        fusd_tests::backend::skip(name, "on the host it is cheaper, and shows as much");
        return None;
    }
    let case = Case::begin(name, Backend::Fuse)?;
    if !has(tool) {
        case.skip(&format!("{tool} is not installed"));
        return None;
    }
    (!lacks_compiler(&case)).then_some(case)
}

/// valgrind, with its complaints as the exit status. (fsopen(2) and its relatives are too new for some
/// versions of it: they fail there, and mount(2) is used.)
const VALGRIND: [&str; 5] = [
    "--vgdb=no",
    "--quiet",
    "--error-exitcode=99",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite",
];

#[test]
fn valgrind_has_no_complaint_about_bad_drivers() {
    let Some(case) = begin("valgrind_has_no_complaint_about_bad_drivers", "valgrind") else {
        return;
    };
    let mut command = case.command("valgrind");
    command.args(VALGRIND).env("NO_DEVICE_IN_CHILD", "1");
    bad::sin(&case, bad::by(&case, command, &bad::plain()));
}

#[test]
fn valgrind_has_no_complaint_about_good_ones() {
    let Some(case) = begin("valgrind_has_no_complaint_about_good_ones", "valgrind") else {
        return;
    };
    let mut command = case.command("valgrind");
    // A signal ends the driver: an error makes it end before.
    command
        .args(VALGRIND)
        .arg("--exit-on-first-error=yes")
        .arg(example("hello"));
    let driver = start_by(&case, command);
    for _ in 0..3 {
        let text = std::fs::read(node(&case)).expect("read");
        assert_eq!(text, b"Hello, world!\n");
    }
    assert!(driver.is_silent());
}

#[test]
fn the_address_sanitizer_has_no_complaint_about_bad_drivers() {
    let name = "the_address_sanitizer_has_no_complaint_about_bad_drivers";
    let Some(case) = begin(name, "gcc") else {
        return;
    };
    let options = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let program = program(&bad::source(), "-asan", &options);
    let mut command = case.command("env");
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    bad::sin(&case, bad::by(&case, command, &program));
}

#[test]
fn valgrind_has_no_complaint_about_modern_ones() {
    let Some(case) = begin("valgrind_has_no_complaint_about_modern_ones", "valgrind") else {
        return;
    };
    let mut command = case.command("valgrind");
    command.args(VALGRIND).arg(modern::driver());
    modern::serve(&case, start_by(&case, command));
}

#[test]
fn the_address_sanitizer_has_no_complaint_about_modern_ones() {
    let name = "the_address_sanitizer_has_no_complaint_about_modern_ones";
    let Some(case) = begin(name, "gcc") else {
        return;
    };
    let options = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];
    let program = program(&modern::source(), "-asan", &options);
    let command = case.command(program.to_str().expect("UTF-8"));
    modern::serve(&case, start_by(&case, command));
}
