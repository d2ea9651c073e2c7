//! Row 12: the driver knows who calls.

use fusd::IoctlCommand;
use fusd_tests::client::open;
use fusd_tests::{Case, sys};
use std::process;

pub(crate) fn row12_pid_uid_and_gid(case: &Case) {
    let driver = case.device("caller").start();
    for (uid, gid) in [
        (0u32, 0u32),
        (1234, 5678),
        (65534, 65534),
        (4_000_000_000, 3_999_999_999),
    ] {
        let (pid, said) = case.cat_as(driver.node(), uid, gid);
        assert_eq!(said, format!("{pid} {uid} {gid} cat\n"));
    }
}

pub(crate) fn row12_every_call_has_its_caller(case: &Case) {
    let driver = case.device("caller").start();
    let file = open(driver.node()).expect("open");
    let pid = process::id();
    let text = String::from_utf8(file.read(99).expect("read")).expect("text");
    assert!(text.starts_with(&format!("{pid} 0 0 ")), "{text}");
    let count = usize::try_from(pid % 1000).expect("small");
    assert_eq!(file.write(&[0; 1000]), Ok(count));
    let number = IoctlCommand::none(b'e', 4).raw();
    assert_eq!(
        sys::ioctl_value(&file, number, 0),
        Ok(i32::try_from(pid).expect("a pid"))
    );
    // Not who opened the file, but who calls now.
    let output = case
        .command("sh")
        .args(["-c", "exec 3<\"$0\"; setpriv --reuid=77 cat <&3"])
        .arg(driver.node())
        .output()
        .expect("sh");
    let said = String::from_utf8_lossy(&output.stdout).into_owned();
    assert_eq!(said.split(' ').nth(1), Some("77"), "{said}");
}
