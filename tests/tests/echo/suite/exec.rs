//! --exec: a command's output for each open.

use crate::helper::{content, echo, run, shell};
use fusd_tests::Case;
use fusd_tests::wait::wait_until;

pub(crate) fn the_command_knows_who_opened(case: &Case) {
    let command = "echo \"$FUSD_PID $FUSD_UID $FUSD_GID $FUSD_COMM\"";
    let driver = echo(case, ["--exec", command]).start();
    for (uid, gid) in [(0, 0), (4711, 815)] {
        let (pid, said) = case.cat_as(driver.node(), uid, gid);
        assert_eq!(said, format!("{pid} {uid} {gid} cat\n"));
    }
    driver.stop();
}

pub(crate) fn it_runs_once_per_open(case: &Case) {
    let log = case.file("log", b"");
    let command = format!("echo run >> '{0}'; wc -l < '{0}'", log.display());
    let driver = echo(case, ["-x", &command]).start();
    for count in 1..=5 {
        assert_eq!(content(&driver).trim(), count.to_string());
    }
    let (_, out, _) = shell(case, driver.node(), "dd if=\"$0\" bs=1 status=none");
    assert_eq!(out.trim(), "6", "read byte by byte");
    driver.stop();
}

pub(crate) fn a_client_who_leaves_ends_the_command(case: &Case) {
    let begun = case.file("begun", b"");
    let command = format!(
        "echo $$ >> '{}'; while :; do sleep 1; done",
        begun.display()
    );
    let driver = echo(case, ["--exec", &command]).start();
    let mut client = case.command("cat").arg(driver.node()).spawn().expect("cat");
    let pid = || {
        std::fs::read_to_string(&begun)
            .expect("read")
            .trim()
            .to_owned()
    };
    wait_until("the command has begun", || !pid().is_empty());
    client.kill().expect("kill");
    client.wait().expect("wait");
    let process = std::path::PathBuf::from(format!("/proc/{}/cmdline", pid()));
    // Empty for one that has ended and only waits to be reaped.
    wait_until("the command has ended", || {
        std::fs::read(&process).unwrap_or_default().is_empty()
    });
    driver.stop();
}

pub(crate) fn a_command_without_end_is_stopped_at_the_limit(case: &Case) {
    let words = [
        "--max-size",
        "10000",
        "--exec",
        "while :; do echo more; done",
    ];
    let driver = echo(case, words).start();
    let (code, _, errors) = shell(case, driver.node(), "cat \"$0\"");
    assert_ne!(code, Some(0));
    assert!(errors.contains("File too large"), "{errors}");
    driver.stop();
}

pub(crate) fn commands_of_many_readers_run_side_by_side(case: &Case) {
    // Each waits until all have begun, so none may wait for another to end.
    let directory = case.directory().join("begun");
    std::fs::create_dir(&directory).expect("mkdir");
    let command = format!(
        "cd '{}' && : > $FUSD_PID && until [ $(ls | wc -l) -ge 4 ]; do sleep 0.01; done; echo all",
        directory.display()
    );
    let driver = echo(case, ["--exec", &command]).start();
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let mut command = case.command("cat");
            command.arg(driver.node());
            fusd_tests::wait::start(move || run(&mut command))
        })
        .collect();
    for client in clients {
        assert_eq!(String::from_utf8_lossy(&client.wait().stdout), "all\n");
    }
    driver.stop();
}
