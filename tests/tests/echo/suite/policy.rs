//! What becomes of writes.

use crate::helper::{content, echo, shell};
use fusd_tests::Case;
use fusd_tests::client::{open, open_with};
use nix::errno::Errno;
use nix::fcntl::OFlag;

pub(crate) fn writes_are_denied_by_default(case: &Case) {
    for options in [
        &["text"][..],
        &["--on-write", "deny", "text"],
        &["-w", "deny", "text"],
    ] {
        let driver = echo(case, options).start();
        for flags in [
            OFlag::O_WRONLY,
            OFlag::O_RDWR,
            OFlag::O_WRONLY | OFlag::O_TRUNC,
        ] {
            assert_eq!(open_with(driver.node(), flags).unwrap_err(), Errno::EACCES);
        }
        let (code, _, errors) = shell(case, driver.node(), "echo x > \"$0\"");
        assert_ne!(code, Some(0));
        assert!(errors.contains("Permission denied"), "{errors}");
        assert_eq!(content(&driver), "text\n");
        driver.stop();
    }
}

pub(crate) fn writes_can_be_discarded(case: &Case) {
    let driver = echo(case, ["--on-write", "discard", "text"]).start();
    let (code, _, errors) = shell(case, driver.node(), "echo x > \"$0\" && echo y >> \"$0\"");
    assert_eq!(code, Some(0), "{errors}");
    let file = open(driver.node()).expect("open");
    assert_eq!(file.write(&[7; 100_000]), Ok(100_000));
    assert_eq!(content(&driver), "text\n");
}

pub(crate) fn the_last_writer_replaces_the_text(case: &Case) {
    let driver = echo(case, ["--on-write", "replace", "first"]).start();
    let early = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    assert_eq!(early.read(3).expect("read"), b"fir");
    for text in ["second", "the third is longer", "4"] {
        let script = format!("echo '{text}' > \"$0\"");
        let (code, _, errors) = shell(case, driver.node(), &script);
        assert_eq!(code, Some(0), "{errors}");
        assert_eq!(content(&driver), format!("{text}\n"));
    }
    assert_eq!(
        early.read(99).expect("read"),
        b"st\n",
        "a reader in progress keeps its version"
    );
    // In several writes, by one writer.
    let (_, _, errors) = shell(case, driver.node(), "(echo one; echo two) > \"$0\"");
    assert_eq!(errors, "");
    assert_eq!(content(&driver), "one\ntwo\n");
}

pub(crate) fn writes_can_be_appended(case: &Case) {
    let driver = echo(case, ["-w", "append", "first"]).start();
    let early = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    assert_eq!(early.read(1).expect("read"), b"f");
    for text in ["second", "third"] {
        let script = format!("echo {text} >> \"$0\"");
        let (code, _, errors) = shell(case, driver.node(), &script);
        assert_eq!(code, Some(0), "{errors}");
    }
    assert_eq!(content(&driver), "first\nsecond\nthird\n");
    driver.stop();
}

pub(crate) fn max_size_is_a_limit(case: &Case) {
    let driver = echo(case, ["-w", "replace", "--max-size", "10", "x"]).start();
    let file = open_with(driver.node(), OFlag::O_WRONLY | OFlag::O_TRUNC).expect("open");
    assert_eq!(file.write(b"0123456789"), Ok(10));
    assert_eq!(file.write(b"a"), Err(Errno::EFBIG));
    drop(file);
    fusd_tests::wait::wait_until("the new text is there", || content(&driver) == "0123456789");
    driver.stop();
}
