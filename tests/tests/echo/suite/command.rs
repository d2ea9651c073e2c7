//! `-- COMMAND`: a command beside the device.

use crate::helper::echo;
use fusd_tests::Case;
use fusd_tests::wait::wait_until;
use nix::sys::signal::Signal;

pub(crate) fn its_exit_status_is_the_tools(case: &Case) {
    let script = |script: &'static str| vec!["text", "--", "sh", "-c", script];
    for (words, code) in [
        (script("exit 0"), 0),
        (script("exit 3"), 3),
        (script("test \"$(cat \"$FUSD_PATH\")\" = text"), 0),
        (script("kill -TERM $$"), 143),
        (script("kill -KILL $$"), 137),
        (vec!["text", "--", "/no/such/program"], 127),
        (vec!["text", "--", "no-such-program"], 127),
        (vec!["text", "--", "/etc/passwd"], 126),
    ] {
        let mut driver = echo(case, &words).spawn();
        let status = driver.wait();
        assert_eq!(status.code(), Some(code), "{words:?}: {}", driver.errors());
        if (126..128).contains(&code) {
            let errors = driver.errors();
            assert!(
                errors.contains(words[2]) && errors.trim().lines().count() == 1,
                "{errors}"
            );
        }
        case.check();
    }
}

pub(crate) fn it_finds_the_node_and_its_own_standard_files(case: &Case) {
    let node = case.node("node");
    let words = [
        "Hello, world!",
        "--",
        "cat",
        "-",
        node.to_str().expect("UTF-8"),
    ];
    let mut driver = echo(case, words).spawn();
    driver.feed(b"from the input\n");
    assert!(driver.wait().success());
    assert_eq!(
        [driver.line(), driver.line()],
        ["from the input", "Hello, world!"]
    );
}

pub(crate) fn signals_end_both(case: &Case) {
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        // Whoever started the tests may have all they start ignore interrupts.
        let sleep = "echo begun; exec sleep 1000";
        let mut driver = echo(
            case,
            [
                "text",
                "--",
                "env",
                "--default-signal=INT",
                "sh",
                "-c",
                sleep,
            ],
        )
        .spawn();
        driver.await_ready();
        assert_eq!(driver.line(), "begun");
        driver.signal(signal);
        let status = driver.wait();
        assert_eq!(
            status.code(),
            Some(128 + signal as i32),
            "{}",
            driver.errors()
        );
        wait_until("the node is gone", || !driver.node().exists());
        case.check();
    }
}
