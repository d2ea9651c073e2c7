//! The binary interface: what the library exports, and the layout of what it shares with drivers,
//! compared with the record in `abi.txt`.

use std::fs;
use std::path::Path;
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

/// The functions that a library exports, as the record has them.
fn exported(library: &Path) -> Vec<String> {
    let output = Command::new("nm")
        .args(["--dynamic", "--defined-only", "--format=posix"])
        .arg(library)
        .output()
        .expect("nm");
    let text = String::from_utf8_lossy(&output.stdout);
    let mut found: Vec<_> = text
        .lines()
        // The others are the names of versions.
        .filter_map(|line| line.split_once(" T "))
        .map(|(name, _)| format!("symbol {name}"))
        .collect();
    found.sort();
    found
}

/// What linker and loader are told of a library.
fn dynamic(library: &Path) -> String {
    let output = Command::new("readelf")
        .arg("--dynamic")
        .arg(library)
        .output()
        .expect("readelf");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// The library that is installed has the functions of the record, in their versions.
pub(crate) fn is_as_recorded(installed: &Path) {
    assert_eq!(exported(installed), recorded("symbol"));
    let text = dynamic(installed);
    assert!(text.contains("soname: [libfusd.so.0]"), "{text}");
    assert!(text.contains("NODELETE"), "{text}");
}

/// That which cargo builds has the same, without versions.
#[test]
fn the_exported_symbols_are_those_recorded() {
    if lacks("the_exported_symbols_are_those_recorded", "nm") {
        return;
    }
    let names: Vec<_> = recorded("symbol")
        .iter()
        .filter_map(|line| line.split('@').next().map(str::to_owned))
        .collect();
    assert_eq!(exported(&library()), names);
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
    let text = dynamic(&library());
    assert!(text.contains("soname: [libfusd.so.0]"), "{text}");
    assert!(text.contains("NODELETE"), "{text}");
}
