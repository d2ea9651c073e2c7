//! The end of the tool: asked for, or by SIGKILL, whatever the clients do.

use fusd_tests::Case;
use fusd_tests::client::{open, open_with};
use fusd_tests::leftovers::processes;
use fusd_tests::wait::{start, starts, wait_until};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helper::{content, echo};

pub(crate) fn ctrl_c_and_sigterm_end_it_with_0(case: &Case) {
    for signal in [Signal::SIGINT, Signal::SIGTERM] {
        let mut driver = echo(case, ["text"]).start();
        let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
        driver.stop_by(signal);
        assert_eq!(open(driver.node()).unwrap_err(), Errno::ENOENT);
        assert!(file.read(1).is_err());
        drop(file);
        case.check();
    }
}

pub(crate) fn killed_200_times_it_comes_back_at_once(case: &Case) {
    for round in 0..starts(200) {
        let driver = echo(case, ["--repeat", "text"]).start();
        let reader = (round % 2 == 0).then(|| {
            let file = open_with(driver.node(), OFlag::O_RDONLY).expect("open");
            start(move || while file.read(999).is_ok() {})
        });
        if round % 3 == 0 {
            assert_eq!(
                open_with(driver.node(), OFlag::O_RDONLY)
                    .expect("open")
                    .read(4)
                    .expect("read"),
                b"text"
            );
        }
        driver.kill();
        // The next one takes the same place without waiting for anything.
        if let Some(reader) = reader {
            reader.wait();
        }
    }
    case.check();
}

pub(crate) fn a_dead_mount_is_taken_over(case: &Case) {
    for _ in 0..5 {
        let driver = echo(case, ["old"]).start();
        let node = driver.node().to_owned();
        // First the watcher, so that nobody is left to clean up.
        let own = i32::try_from(driver.pid()).expect("a pid");
        let watchers: Vec<_> = processes(case.token())
            .filter(|(pid, _)| *pid != own)
            .collect();
        assert!(!watchers.is_empty(), "a watcher is there");
        for (pid, _) in watchers {
            kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill");
        }
        driver.kill();
        wait_until("the mount is dead", || {
            open(&node).err() == Some(Errno::ENOTCONN)
        });
        let driver = echo(case, ["new"]).start();
        assert_eq!(content(&driver), "new\n");
        driver.stop();
        case.check();
    }
}

pub(crate) fn a_live_node_is_refused(case: &Case) {
    let driver = echo(case, ["first"]).start();
    let mut second = echo(case, ["second"]).spawn();
    assert_eq!(second.wait().code(), Some(73), "{}", second.errors());
    let errors = second.errors();
    assert_eq!(errors.trim_end().lines().count(), 1, "{errors}");
    assert!(
        errors.contains(driver.node().to_str().expect("UTF-8")),
        "{errors}"
    );
    assert_eq!(content(&driver), "first\n");
    driver.stop();
}

pub(crate) fn readiness_comes_when_the_node_is_there_and_not_before(case: &Case) {
    for _ in 0..20 {
        let mut driver = echo(case, ["text"]).spawn();
        driver.await_ready();
        assert_eq!(driver.node(), case.node("node"));
        assert_eq!(content(&driver), "text\n");
        driver.stop();
    }
}
