//! Row 16: what a driver does not do, or does wrong.

use fusd::IoctlCommand;
use fusd_tests::client::{Handle, Outcome, open};
use fusd_tests::{Case, Driver, sys};
use nix::errno::Errno;
use nix::poll::PollFlags;

pub(crate) fn row16_what_is_not_implemented_never_arrives(case: &Case) {
    let mut driver = case.device("pattern:100").start();
    let file = open(driver.node()).expect("open");
    let both = PollFlags::POLLIN | PollFlags::POLLOUT;
    for _ in 0..3 {
        assert_eq!(file.write(b"x"), Err(Errno::EINVAL));
        assert_eq!(file.write_at(7, b"x"), Err(Errno::EINVAL));
        for number in [
            IoctlCommand::none(b'e', 4),
            IoctlCommand::read_write(b'e', 1, 8),
        ] {
            assert_eq!(file.ioctl(number.raw(), &mut [0; 8]), Err(Errno::ENOTTY));
        }
        assert_eq!(file.ready(both), both, "always ready");
        assert_eq!(nix::unistd::fsync(&file), Err(Errno::EINVAL));
        assert_eq!(nix::unistd::fdatasync(&file), Err(Errno::EINVAL));
        assert_eq!(file.read_at(0, 3).map(|data| data.len()), Ok(3));
    }
    nix::unistd::close(file.duplicate().into_fd()).expect("close succeeds");
    for kind in ["writes", "ioctls", "flushes", "syncs"] {
        assert_eq!(driver.number(&format!("counts {kind}")), 0, "{kind}");
    }
    assert_eq!(driver.number("counts reads"), 3);
    driver.stop();

    let mut driver = case.device("stream:9").start();
    let file = open(driver.node()).expect("open");
    assert_eq!(
        sys::ioctl_value(&file, IoctlCommand::none(b'e', 4).raw(), 1),
        Err(Errno::ENOTTY)
    );
    assert_eq!(driver.number("counts ioctls"), 0);
}

/// A call by its name, and what it gives where nothing goes wrong.
type Call = (&'static str, fn(&Handle) -> Outcome<usize>, usize);

fn calls() -> [Call; 3] {
    let ioctl = |file: &Handle| {
        let number = IoctlCommand::read_write(b'e', 1, 8).raw();
        let result = file.ioctl(number, &mut [0; 8])?;
        Ok(usize::try_from(result).expect("positive"))
    };
    [
        ("read", |file| file.read_at(0, 5).map(|data| data.len()), 2),
        ("write", |file| file.write_at(0, b"abc"), 3),
        ("ioctl", ioctl, 5),
    ]
}

/// Has each call go wrong a few times; the next one always succeeds.
fn go_wrong(driver: &mut Driver, fault: &str) {
    let file = open(driver.node()).expect("open");
    for _ in 0..3 {
        for (name, call, good) in calls() {
            driver.ask(&format!("{fault} {name}"));
            assert_eq!(call(&file), Err(Errno::EIO), "{fault} in {name}");
            assert_eq!(call(&file), Ok(good), "{name} after {fault}");
        }
        driver.ask(&format!("{fault} open"));
        assert_eq!(
            open(driver.node()).unwrap_err(),
            Errno::EIO,
            "{fault} in open"
        );
        open(driver.node()).expect("open succeeds again");
    }
    drop(file);
    // One file and the three that were opened in between; the failed ones were never files.
    driver.await_number("counts releases", 4);
}

pub(crate) fn row16_a_panic_fails_its_own_call_only(case: &Case) {
    let mut driver = case
        .device("faulty")
        .args(["--workers", "2"])
        .noisy()
        .start();
    go_wrong(&mut driver, "panic");
    driver.await_error("handler panicked");
}

pub(crate) fn row16_a_dropped_request_fails(case: &Case) {
    let mut driver = case.device("faulty").noisy().start();
    go_wrong(&mut driver, "drop");
}

pub(crate) fn row16_impossible_answers_fail(case: &Case) {
    let mut driver = case.device("faulty").noisy().start();
    go_wrong(&mut driver, "wrong");
    driver.await_error("bug in the driver");
}
