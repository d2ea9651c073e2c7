//! The types of the Python package.

use std::env;
use std::process::Command;

use crate::helper::has;

#[test]
fn mypy_has_no_complaint() {
    let test = "mypy_has_no_complaint";
    if env::var_os("FUSD_LAB").is_some() {
        fusd_tests::backend::skip(test, "on the host it is cheaper, and shows as much");
        return;
    }
    if !has("mypy") {
        fusd_tests::backend::skip(test, "mypy is not installed");
        return;
    }
    let (package, programs) = ("python", "tests/tests/capi/py");
    let output = Command::new("mypy")
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["--strict", "--config-file", "python/pyproject.toml"])
        .args(["--cache-dir", "/dev/null"])
        .args([
            format!("{package}/src"),
            format!("{package}/examples/sensor.py"),
        ])
        .args(["modern", "checks"].map(|name| format!("{programs}/{name}.py")))
        .env("MYPYPATH", "python/src")
        .output()
        .expect("mypy");
    let text = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{text}");
}
