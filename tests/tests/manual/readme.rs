//! How to try what the README shows: commands with their output, commands of cargo, and drivers.

use std::env;
use std::process::Command;

use fusd_tests::binaries;

use crate::markdown::fenced;
use crate::prompt::answered;
use crate::{Example, serial};

pub(crate) const TEXT: &str = include_str!("../../../README.md");

/// What the reader has running in another terminal when the first output is shown.
const FIRST: &str = "cargo run --bin fusd-echo -- --name helloworld \"Hello, world!\"";

/// The same, with a cargo for which all is built.
const START_FIRST: &str = r#"
cargo() { test "$1 $2 $4" = "run --bin --"; program=$3; shift 4; exec "$program" "$@"; }
cargo run --bin fusd-echo -- --name helloworld "Hello, world!" &
until_true ready 1
"#;

/// Examples of which the README says what they print.
const fn told(begins: &'static str, before: &'static str) -> Example {
    Example {
        begins,
        before,
        stays: &[],
        after: "",
        check: |_| false,
    }
}

pub(crate) const EXAMPLES: [Example; 8] = [
    told("cat /dev/helloworld", START_FIRST),
    told("fusd-echo --name whoami", ""),
    told("fusd-pipe ./jobs", ""),
    serial::SHARED,
    told("fusd-http http://127.0.0.1:8080/big.tar", "start_pages"),
    told(
        "fusd-prompt --ask secret --template",
        answered!("echo hunter2; :", ""),
    ),
    told("fusd run -d 'ttyUSB0", ""),
    Example {
        after: "until_true grep one printed",
        check: |printed| printed == "done: one\n",
        ..told("fusd-pipe --records line ./tasks", "")
    },
];

/// Each of these commands is one that cargo takes; what they do has tests of its own.
#[test]
fn the_commands_of_the_readme_are_there() {
    if env::var_os("FUSD_LAB").is_some() {
        let name = "the_commands_of_the_readme_are_there";
        return fusd_tests::backend::skip(name, "on the host it shows as much");
    }
    let blocks = fenced(TEXT, "sh").concat();
    let mut lines = blocks.lines().filter(|line| *line != FIRST).peekable();
    assert!(blocks.contains(FIRST) && START_FIRST.contains(FIRST));
    assert!(lines.peek().is_some(), "only that one?");
    for line in lines {
        let words = line.strip_prefix("cargo xtask ");
        let words = words.unwrap_or_else(|| panic!("nobody knows how to try {line:?}"));
        let output = Command::new(binaries::find("xtask"))
            .args(words.split(' '))
            .arg("--help")
            .output()
            .expect("xtask can be run");
        assert!(output.status.success(), "{line}: {output:?}");
    }
}

/// The drivers of the README are, or are parts of, examples that have tests of their own.
#[test]
fn the_drivers_of_the_readme_are_examples() {
    for (language, example) in [
        ("rust", include_str!("../../../libfusd/examples/hello.rs")),
        ("c", include_str!("../../../libfusd/examples/c/hello.c")),
        ("python", include_str!("../../../python/examples/hello.py")),
    ] {
        let blocks = fenced(TEXT, language);
        assert!(!blocks.is_empty(), "no driver in {language}");
        for block in blocks {
            assert!(example.contains(&block), "not in the example:\n{block}");
        }
    }
}
