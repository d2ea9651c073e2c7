//! The binary interface: what the library exports, and the layout of what it shares with drivers,
//! compared with the record in `abi.txt`.

use std::fs;
use std::process::Command;

use crate::helper::{PROGRAMS, has, library, program};

/// The record. A line may be added; one that changes or goes breaks programs that are already
/// compiled, and needs another soname.
fn record() -> Vec<String> {
    let path = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/capi/abi.txt");
    let text = fs::read_to_string(path).expect("the record");
    let lines = text.lines().filter(|line| !line.starts_with('#'));
    lines.map(str::to_owned).collect()
}

/// The lines of the record that begin with `word`.
fn recorded(word: &str) -> Vec<String> {
    let mut lines = record();
    lines.retain(|line| line.starts_with(word));
    assert!(!lines.is_empty(), "nothing is recorded of {word}");
    lines
}

/// Whether the test is to return, as a program that it needs is missing. Says so.
fn lacks(test: &str, program: &str) -> bool {
    let lacks = !has(program);
    if lacks {
        fusd_tests::backend::skip(test, &format!("{program} is not installed"));
    }
    lacks
}

#[test]
fn the_exported_symbols_are_those_recorded() {
    if lacks("the_exported_symbols_are_those_recorded", "nm") {
        return;
    }
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(library())
        .output()
        .expect("nm");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found: Vec<_> = text
        .lines()
        .filter_map(|line| line.split(' ').next())
        .map(|name| format!("symbol {name}"))
        .collect();
    found.sort();
    assert_eq!(found, recorded("symbol"));
}

#[test]
fn the_layouts_are_those_recorded() {
    if lacks("the_layouts_are_those_recorded", "gcc") {
        return;
    }
    let program = program(
        &format!("{PROGRAMS}/layout.c"),
        "",
        &["-Wall", "-Wextra", "-Werror"],
    );
    let output = Command::new(program).output().expect("the program");
    let text = String::from_utf8(output.stdout).expect("text");
    let found: Vec<_> = text.lines().map(str::to_owned).collect();
    assert_eq!(found, recorded("layout"));
}

#[test]
fn the_soname_is_that_of_the_interface() {
    if lacks("the_soname_is_that_of_the_interface", "readelf") {
        return;
    }
    let output = Command::new("readelf")
        .arg("--dynamic")
        .arg(library())
        .output()
        .expect("readelf");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(text.contains("soname: [libfusd.so.0]"), "{text}");
}
