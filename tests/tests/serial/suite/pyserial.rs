//! The tests that pyserial has of its own, which want a port that is joined with itself.

use std::fs::File;
use std::path::{Path, PathBuf};
use std::process::Stdio;

use crate::helper::{has_program, proxy};
use fusd_tests::Case;

/// Where `cargo xtask test` unpacks its sources, in the user's cache folder.
const TESTS: &str = "fusd/packages/pyserial/test/run_all_tests.py";

/// What may fail: it wants a test port to have no way to be interrupted in the midst of a read that waits,
/// and then counts on a byte that it has sent before.
const MAY_FAIL: &[&str] = &[];

/// How many there are.
const COUNT: usize = 61;

pub(crate) fn its_tests_pass(case: &Case) {
    let Some(tests) = unpacked() else {
        case.skip("pyserial is not unpacked; `cargo xtask test` does that");
        return;
    };
    if !has_program(case, "python3") {
        return;
    }
    let driver = proxy(case, "loop", [""; 0]).start();
    let log = case.directory().join("pyserial.log");
    let output = File::create(&log).expect("a file");
    let mut child = case
        .command("python3")
        // The folder is the user's, and may be read-only.
        .arg("-B")
        .arg(&tests)
        .arg(driver.node())
        .arg("-v")
        .stdin(Stdio::null())
        .stdout(output.try_clone().expect("a descriptor"))
        .stderr(output)
        .spawn()
        .expect("python3 can be started");
    let ended = fusd_tests::wait::start(move || child.wait());
    ended.wait().expect("it can be waited for");
    let said = std::fs::read_to_string(&log).expect("what it has said");
    let failed: Vec<&str> = said
        .lines()
        .filter_map(|line| {
            let line = line
                .strip_prefix("FAIL: ")
                .or_else(|| line.strip_prefix("ERROR: "));
            line?.split_whitespace().next()
        })
        .collect();
    assert!(said.contains(&format!("Ran {COUNT} tests in")), "{said}");
    let unexpected = failed.iter().any(|name| !MAY_FAIL.contains(name));
    assert!(!unexpected && failed.len() <= 1, "{failed:?}\n{said}");
}

fn unpacked() -> Option<PathBuf> {
    let variable = |name| std::env::var_os(name).filter(|value| !value.is_empty());
    let cache = variable("XDG_CACHE_HOME").map(PathBuf::from);
    let cache = cache.or_else(|| Some(Path::new(&variable("HOME")?).join(".cache")))?;
    Some(cache.join(TESTS)).filter(|file| file.is_file())
}
