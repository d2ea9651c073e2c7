//! The access log: who did what.

use crate::helper::{echo, run};
use fusd_tests::Case;

pub(crate) fn text(case: &Case) {
    let driver = echo(case, ["-v", "hello"]).start();
    let output = run(case
        .command("setpriv")
        .args(["--reuid=4711", "--clear-groups", "cat"])
        .arg(driver.node()));
    assert_eq!(output.stdout, b"hello\n");
    for part in ["operation=open", "operation=read result=6"] {
        driver.await_error(part);
    }
    let errors = driver.errors();
    let line = errors
        .lines()
        .find(|line| line.contains("uid=4711") && line.contains("operation=read"));
    assert!(
        line.is_some_and(|line| line.contains("cat") && line.contains("pid=")),
        "{errors}"
    );
    driver.stop();
}

pub(crate) fn json(case: &Case) {
    let driver = echo(case, ["-v", "--log-format", "json", "hello"]).start();
    let output = run(case.command("cat").arg(driver.node()));
    assert_eq!(output.stdout, b"hello\n");
    driver.await_error("\"read\"");
    let errors = driver.errors();
    for line in errors.lines() {
        assert!(
            line.starts_with('{') && line.ends_with('}'),
            "no JSON: {line}"
        );
    }
    let line = errors
        .lines()
        .find(|line| line.contains("\"operation\":\"read\""));
    let line = line.unwrap_or_else(|| panic!("no read in {errors}"));
    for part in ["\"pid\":", "\"uid\":0", "\"program\":\"cat\""] {
        assert!(line.contains(part), "{line}");
    }
    driver.stop();
}

pub(crate) fn without_v_calls_are_not_logged(case: &Case) {
    let mut driver = echo(case, ["hello"]).start();
    assert_eq!(
        run(case.command("cat").arg(driver.node())).stdout,
        b"hello\n"
    );
    driver.stop_by(nix::sys::signal::Signal::SIGTERM);
    let errors = driver.errors();
    assert!(!errors.contains("pid="), "{errors}");
}
