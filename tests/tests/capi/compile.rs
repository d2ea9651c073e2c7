//! The header compiles in every standard that it is for, without a warning.

use std::env;
use std::process::Command;

use crate::helper::{EXAMPLES, INCLUDE, PROGRAMS, has};

/// The header says nothing to `compiler`.
fn compiles(compiler: &str, options: &[&str], sources: &[String]) {
    let output = Command::new(compiler)
        .args(options)
        .args(["-fsyntax-only", "-I", INCLUDE])
        .args(sources)
        .output()
        .unwrap_or_else(|error| panic!("{compiler}: {error}"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{compiler} {options:?}:\n{errors}");
}

/// Whether the test is to return: it needs no kernel, so the host's result is enough.
fn is_elsewhere(test: &str) -> bool {
    let guest = env::var_os("FUSD_LAB").is_some();
    if guest {
        fusd_tests::backend::skip(test, "on the host it is cheaper, and shows as much");
    }
    guest
}

/// All examples, and what uses all of the modern interface.
fn examples() -> Vec<String> {
    let names = [
        "hello",
        "echo",
        "calculator",
        "logring",
        "greeting",
        "counter",
    ];
    names
        .iter()
        .map(|name| format!("{EXAMPLES}/{name}.c"))
        .chain([format!("{PROGRAMS}/modern.c")])
        .collect()
}

const STRICT: [&str; 3] = ["-Wall", "-Wextra", "-Werror"];

fn all_standards(test: &str, c: &str, cpp: &str, c23: &str) {
    if is_elsewhere(test) {
        return;
    }
    for compiler in [c, cpp] {
        if !has(compiler) {
            fusd_tests::backend::skip(test, &format!("{compiler} is not installed"));
            return;
        }
    }
    let pedantic = |standard: &str| [&[standard, "-pedantic"], &STRICT[..]].concat().join(" ");
    for standard in ["-std=c99", "-std=gnu99", "-std=c11", c23] {
        let options = pedantic(standard);
        let options: Vec<_> = options.split(' ').collect();
        compiles(c, &options, &examples());
    }
    for standard in ["-std=c++17", "-std=c++20"] {
        let options = [&["-x", "c++", standard], &STRICT[..]].concat();
        compiles(cpp, &options, &examples());
    }
    let forms = format!("{PROGRAMS}/forms.c");
    compiles(c, &STRICT, std::slice::from_ref(&forms));
    compiles(
        cpp,
        &[&["-x", "c++", "-std=c++20"], &STRICT[..]].concat(),
        &[forms],
    );
}

#[test]
fn gcc_has_no_complaint_in_any_standard() {
    all_standards(
        "gcc_has_no_complaint_in_any_standard",
        "gcc",
        "g++",
        "-std=c2x",
    );
}

#[test]
fn clang_has_no_complaint_in_any_standard() {
    let test = "clang_has_no_complaint_in_any_standard";
    all_standards(test, "clang-19", "clang++-19", "-std=c23");
}

/// What somebody reads who wants to begin is to be short.
#[test]
fn examples_are_short() {
    for entry in std::fs::read_dir(EXAMPLES).expect("the examples") {
        let path = entry.expect("an example").path();
        let text = std::fs::read_to_string(&path).expect("text");
        let lines = text.lines().count();
        assert!(lines < 100, "{} has {lines} lines", path.display());
    }
}

#[test]
fn drivers_of_2003_compile_unchanged() {
    let test = "drivers_of_2003_compile_unchanged";
    if is_elsewhere(test) {
        return;
    }
    if !has("gcc") {
        fusd_tests::backend::skip(test, "gcc is not installed");
        return;
    }
    let old = ["pager", "udev"].map(|name| format!("{PROGRAMS}/{name}.c"));
    for standard in ["-std=gnu89", "-std=gnu99", "-std=gnu17", "-std=gnu2x"] {
        compiles("gcc", &[standard], &old);
    }
    if has("clang-19") {
        compiles("clang-19", &["-std=gnu89", "-Wno-gnu-designator"], &old);
    }
}
