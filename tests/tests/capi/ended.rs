//! A device that ends by itself: its driver hears of all that it had for it.

use fusd_tests::client::{open, open_with};
use fusd_tests::wait::start;
use fusd_tests::{Backend, Case};
use nix::fcntl::OFlag;

use crate::helper::{PROGRAMS, lacks_compiler, node, program, start as start_driver};

#[test]
fn files_are_closed_where_a_device_ends_by_itself() {
    let name = "files_are_closed_where_a_device_ends_by_itself";
    let Some(case) = Case::begin(name, Backend::Fuse) else {
        return;
    };
    if lacks_compiler(&case) {
        return;
    }
    let source = format!("{PROGRAMS}/ended.c");
    let driver = start_driver(
        &case,
        &program(&source, "", &["-Wall", "-Wextra", "-Werror"]),
    );
    let path = node(&case);
    let (one, _other) = (open(&path).expect("open"), open(&path).expect("open"));
    let reading = one.start_read(10);
    driver.says("keeps a read");
    let appending = path.clone();
    let opening = start(move || open_with(&appending, OFlag::O_WRONLY | OFlag::O_APPEND).map(drop));
    driver.says("keeps an open");
    // Cuts the connection; that the node is busy does not matter.
    let mut umount = case.command("umount");
    umount.arg("--force").arg(&path);
    let _busy = umount.output().expect("umount can be run");
    assert!(reading.wait().is_err());
    assert!(opening.wait().is_err());
    driver.says("0 files are open");
    let (status, errors) = driver.wait();
    assert!(status.success(), "{status}:\n{errors}");
    assert!(errors.contains("the device has ended"), "{errors}");
}
