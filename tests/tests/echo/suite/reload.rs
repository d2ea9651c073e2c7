//! Files that change: SIGHUP and --watch.

use fusd_tests::Case;
use std::fs;

use crate::helper::{await_content, content, echo};
use fusd_tests::client::open_with;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;

pub(crate) fn hangup_reloads(case: &Case) {
    let file = case.file("content", b"old text\n");
    let driver = echo(case, ["--file", file.to_str().expect("UTF-8")]).start();
    let early = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    assert_eq!(early.read(4).expect("read"), b"old ");
    let new = case.file("new", b"something new\n");
    fs::rename(new, &file).expect("rename");
    assert_eq!(content(&driver), "old text\n", "not before it is told");
    driver.signal(Signal::SIGHUP);
    await_content(&driver, "something new\n");
    assert_eq!(
        early.read(99).expect("read"),
        b"text\n",
        "a reader in progress keeps its version"
    );
    driver.stop();
}

pub(crate) fn a_failed_reload_keeps_the_old_text(case: &Case) {
    let file = case.file("content", b"old\n");
    let driver = echo(case, ["--file", file.to_str().expect("UTF-8")]).start();
    fs::remove_file(&file).expect("remove");
    driver.signal(Signal::SIGHUP);
    driver.await_error("ENOENT");
    assert_eq!(content(&driver), "old\n");
    case.file("content", b"back\n");
    driver.signal(Signal::SIGHUP);
    await_content(&driver, "back\n");
    driver.stop();
}

pub(crate) fn watch_reloads_by_itself(case: &Case) {
    let file = case.file("content", b"0\n");
    let driver = echo(case, ["--watch", "--file", file.to_str().expect("UTF-8")]).start();
    for round in 1..=10 {
        let text = format!("round {round}\n");
        if round % 2 == 0 {
            let new = case.file("new", text.as_bytes());
            fs::rename(new, &file).expect("rename");
        } else {
            fs::write(&file, &text).expect("write");
        }
        await_content(&driver, &text);
    }
    driver.stop();
}
