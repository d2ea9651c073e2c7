//! What is decided, by whom, and for how long.

use std::fs;
use std::path::Path;
use std::time::{Duration, Instant};

use fusd_tests::client::{Whence, open_with};
use fusd_tests::wait::wait_until;
use fusd_tests::{Ability, Case};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::Signal;

use crate::helper::{REFUSED, content, helped, open, prompt, quoted, start};
use crate::person::Caller;

/// A helper that counts the questions in a file, and answers with their number.
fn counting(case: &Case) -> String {
    let count = quoted(case.directory().join("count"));
    format!("echo x >>{count}; wc -l <{count} | tr -d ' '; :")
}

pub(crate) fn an_answer_is_for_one_open(case: &Case) {
    let options = ["--again", "0", "--template", "answer {} of many"];
    let driver = helped(case, &counting(case), options).start();
    let first = open(driver.node()).expect("open");
    let second = open(driver.node()).expect("open");
    assert_eq!(second.read_all(3), Ok(b"answer 2 of many\n".to_vec()));
    assert_eq!(first.read(8), Ok(b"answer 1".to_vec()));
    assert_eq!(first.read_all(4096), Ok(b" of many\n".to_vec()));
    assert_eq!(first.read(10), Ok(Vec::new()));
    if case.can(Ability::Offsets) {
        assert_eq!(first.seek(7, Whence::SeekSet), Ok(7));
        assert_eq!(first.read(1), Ok(b"1".to_vec()));
        assert_eq!(first.read_at(9, 100), Ok(b"of many\n".to_vec()));
    }
    let nonblocking = open_with(driver.node(), OFlag::O_RDONLY | OFlag::O_NONBLOCK);
    assert_eq!(nonblocking.map(drop), Err(Errno::EAGAIN));
    let writing = open_with(driver.node(), OFlag::O_WRONLY);
    assert_eq!(writing.map(drop), Err(Errno::EACCES));
    let count = fs::read_to_string(case.directory().join("count")).expect("count");
    assert_eq!(count.lines().count(), 2);
    driver.stop();
}

pub(crate) fn refusals_are_errors_of_open(case: &Case) {
    let driver = helped(case, "false", [""; 0]).start();
    assert_eq!(content(driver.node()), REFUSED, "the helper says no");
    driver.stop();
    let driver = helped(case, "sleep 1000; :", ["--timeout", "100ms"]).start();
    assert_eq!(content(driver.node()), REFUSED, "the time is over");
    driver.stop();
    let options = [
        "--timeout",
        "100ms",
        "--default",
        "d",
        "--on-timeout",
        "default",
    ];
    let driver = helped(case, "sleep 1000; :", options).start();
    assert_eq!(content(driver.node()), Ok("d\n".to_owned()));
    driver.stop();
    let driver = helped(case, "echo no", ["--deny", "uid:0"]).start();
    assert_eq!(content(driver.node()), REFUSED);
    driver.stop();
    let mut driver = prompt(case, [""; 0]).spawn();
    assert_eq!(driver.wait().code(), Some(1), "there is nobody to ask");
    let said = driver.errors();
    assert!(
        said.contains("no terminal to ask at; start it at one"),
        "{said}"
    );
}

pub(crate) fn who_leaves_is_not_asked_about(case: &Case) {
    let begun = case.file("begun", b"");
    let helper = format!("echo $FUSD_PID $$ >>{}; exec sleep 1000; :", quoted(&begun));
    let driver = helped(case, &helper, [""; 0]).start();
    let lines = || {
        let text = fs::read_to_string(&begun).expect("a file of the test");
        text.lines().map(str::to_owned).collect::<Vec<_>>()
    };
    for round in 0..2 {
        let caller = Caller::start(case, driver.node());
        wait_until("the helper asks", || lines().len() == round + 1);
        let line = lines().remove(round);
        let (who, helper) = line.split_once(' ').expect("two numbers");
        assert_eq!(who, caller.pid().to_string());
        caller.kill();
        let helper = format!("/proc/{helper}/cmdline");
        wait_until("the helper has been ended", || {
            fs::read(&helper).unwrap_or_default().is_empty()
        });
    }
    // One that is ended with a question open ends the helper, and its caller.
    let waiting = start(driver.node());
    wait_until("the helper asks", || lines().len() == 3);
    driver.stop();
    assert!(waiting.wait().is_err());
    // Killed, it leaves nothing running, also where the helper is more than one process, or does not heed
    // a signal.
    for (asked, begin) in [(4, ":"), (5, "trap '' TERM")] {
        let helper = format!(
            "{begin}; echo $FUSD_PID $$ >>{}; sleep 1000; :",
            quoted(&begun)
        );
        let driver = helped(case, &helper, [""; 0]).start();
        let waiting = start(driver.node());
        wait_until("the helper asks", || lines().len() == asked);
        driver.kill();
        assert!(waiting.wait().is_err());
        case.check();
    }
}

pub(crate) fn rules_count_in_their_order(case: &Case) {
    let answer = case.file("answer", b"text\n").display().to_string();
    let options = [
        "--answer-file",
        &answer,
        "--deny",
        "uid:1234",
        "--allow",
        "gid:1234",
        "--allow",
        "uid:4711",
        "--mode",
        "666",
    ];
    let driver = prompt(case, options).start();
    let node = driver.node().to_owned();
    let said = |uid, gid| case.cat_as(&node, uid, gid).1;
    assert_eq!(said(1234, 1234), "");
    assert_eq!(said(4321, 1234), "text\n");
    assert_eq!(said(4711, 1), "text\n");
    assert_eq!(said(0, 0), "", "others are let in by name");
    driver.stop();
    let driver = prompt(case, ["--answer-file", &answer, "--ignore", "cat"]).start();
    assert_eq!(said(0, 0), "");
    assert_eq!(
        content(driver.node()),
        Ok("text\n".to_owned()),
        "it is not cat"
    );
    fs::write(&answer, "new").expect("a file of the test");
    assert_eq!(content(driver.node()), Ok("new".to_owned()));
    driver.stop();
}

pub(crate) fn a_program_is_the_file_that_its_path_means(case: &Case) {
    let cat = fs::canonicalize("/bin/cat").expect("cat");
    let cat = cat.to_str().expect("UTF-8");
    let answer = case.file("answer", b"text\n").display().to_string();
    let rule = format!("program:{cat}");
    let options = ["--answer-file", &answer, "--mode", "666"];
    let driver = prompt(case, options).args(["--allow", &rule]).start();
    let node = driver.node().to_owned();
    let read = |words: &[&str]| {
        let mut command = case.command(words[0]);
        command.args(&words[1..]).arg(&node);
        Caller::run(command).wait()
    };
    assert_eq!(read(&[cat]), Ok("text\n".to_owned()));
    // Another file of that name, which anybody can have in a mount namespace of their own.
    let copy = case.directory().join("copy").display().to_string();
    let script = "cp \"$0\" \"$1\" && mount --bind \"$1\" \"$0\" && exec \"$0\" \"$2\"";
    let said = read(&["unshare", "--mount", "sh", "-c", script, cat, &copy]);
    let said = said.expect_err("it is another file");
    assert!(said.contains("Permission denied"), "{said}");
    driver.stop();
    // Supplementary groups count.
    let driver = prompt(case, options).args(["--allow", "gid:1234"]).start();
    let member = ["setpriv", "--reuid=4321", "--regid=4321"];
    let with = |groups: &str| read(&[&member[..], &[groups, cat]].concat());
    assert_eq!(with("--groups=1,1234"), Ok("text\n".to_owned()));
    assert!(with("--clear-groups").is_err());
    driver.stop();
}

pub(crate) fn answers_are_remembered(case: &Case) {
    let helper = counting(case);
    for (options, answers) in [
        (&["--again", "0"][..], ["1", "2", "3"]),
        (&["--again", "1h"], ["4", "4", "4"]),
        (&["--again", "0", "--per", "once"], ["5", "5", "5"]),
        (&["--again", "0", "--remember", "1h"], ["6", "6", "6"]),
        (
            &["--again", "0", "--remember", "1h", "--remember-by", "pid"],
            ["7", "8", "9"],
        ),
        (
            &["--again", "0", "--remember", "1h", "--remember-by", "user"],
            ["10", "10", "10"],
        ),
    ] {
        let mut driver = helped(case, &helper, options).start();
        for answer in answers {
            let caller = Caller::start(case, driver.node());
            assert_eq!(caller.wait(), Ok(format!("{answer}\n")), "{options:?}");
        }
        if options.contains(&"once") {
            driver.signal(Signal::SIGHUP);
            let asked_again = || {
                let said = Caller::start(case, driver.node()).wait();
                said != Ok("5\n".to_owned())
            };
            wait_until("it has forgotten", asked_again);
            // The counter goes on from there.
            fs::write(case.directory().join("count"), "x\n".repeat(5)).expect("write");
        }
        driver.stop_by(Signal::SIGTERM);
    }
}

pub(crate) fn answers_are_forgotten_in_time(case: &Case) {
    let options = ["--again", "0", "--remember", "100ms"];
    let driver = helped(case, &counting(case), options).start();
    let read = || {
        Caller::start(case, driver.node())
            .wait()
            .expect("an answer")
    };
    let first = read();
    wait_until("it is asked again", || read() != first);
    driver.stop();
    // Within a second, a program that comes again is not asked about again.
    let driver = helped(case, &counting(case), [""; 0]).start();
    let read = || {
        Caller::start(case, driver.node())
            .wait()
            .expect("an answer")
    };
    let mut last = None;
    wait_until("two come within a second", || {
        let begin = Instant::now();
        let answers = [read(), read()];
        let is_quick = begin.elapsed() < Duration::from_secs(1);
        // The time of one that was there before may be over in between.
        let is_new = last.as_ref() != Some(&answers[0]);
        let counts = is_quick && is_new;
        assert!(!counts || answers[0] == answers[1], "{answers:?}");
        last = Some(answers[1].clone());
        counts
    });
    driver.stop();
}

pub(crate) fn decisions_are_noted(case: &Case) {
    let log = case.directory().join("log");
    let helper = "test \"$FUSD_UID\" = 0 && echo hunter2; :";
    let helper = helper.replace("; :", " #");
    let options = ["--audit", log.to_str().expect("UTF-8"), "--mode", "666"];
    let driver = helped(case, &helper, options).start();
    let (pid, said) = case.cat_as(driver.node(), 0, 0);
    assert_eq!(said, "hunter2\n");
    assert_eq!(case.cat_as(driver.node(), 1234, 1234).1, "");
    driver.stop();
    let text = fs::read_to_string(&log).expect("the log");
    assert!(!text.contains("hunter2"), "{text}");
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    let has = |line: &str, parts: &[&str]| {
        for part in parts {
            assert!(line.contains(part), "{part} in {line}");
        }
    };
    let pid = format!("\"pid\":{pid},");
    has(
        lines[0],
        &[
            "\"decision\":\"answered\"",
            "\"by\":\"helper\"",
            &pid,
            "/cat\"",
        ],
    );
    has(
        lines[1],
        &[
            "\"decision\":\"denied\"",
            "\"uid\":1234,",
            "\"command\":[\"cat\"",
        ],
    );
    let driver = prompt(case, ["--helper", "echo x", "--audit", "/dev/full"]).start();
    assert_eq!(content(driver.node()), Err(Errno::EIO));
    driver.stop();
    // What an option decides for all is noted as well, and what cannot be done.
    let (log, answer) = (case.directory().join("log-2"), case.file("answer", b"text"));
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let options = ["--audit", &text(&log), "--answer-file", &text(&answer)];
    let driver = prompt(case, options).start();
    let writing = open_with(driver.node(), OFlag::O_WRONLY);
    assert_eq!(writing.map(drop), Err(Errno::EACCES));
    fs::remove_file(&answer).expect("a file of the test");
    assert_eq!(content(driver.node()), Err(Errno::EIO));
    driver.stop();
    let said = fs::read_to_string(&log).expect("the log");
    let lines: Vec<_> = said.lines().collect();
    assert_eq!(lines.len(), 2, "{said}");
    has(
        lines[0],
        &["\"decision\":\"denied\"", "\"by\":\"on-write\""],
    );
    has(lines[1], &["\"decision\":\"failed\"", "\"by\":\"file\""]);
}

pub(crate) fn writes_are_shown_or_approved(case: &Case) {
    let write = |driver: &fusd_tests::Driver, data: &[u8]| {
        let file = open_with(driver.node(), OFlag::O_WRONLY).expect("open");
        file.start_write(data).wait()
    };
    let driver = prompt(case, ["--helper", "false", "--on-write", "show"]).start();
    assert_eq!(write(&driver, b"one\n\x1b[2Jtwo\n"), Ok(12));
    driver.await_error("(root): one\n");
    driver.await_error("(root): \\e[2Jtwo\n");
    driver.stop();
    // What is written is in the question.
    let helper = "case \"$1\" in *please*) exit 0;; esac; exit 1";
    let helper = format!("sh -c '{}' sh", helper);
    let driver = prompt(case, ["--helper", &helper, "--on-write", "approve"]).start();
    assert_eq!(write(&driver, b"please\n"), Ok(7));
    assert_eq!(write(&driver, b"now\n"), Err(Errno::EACCES));
    driver.stop();
}

pub(crate) fn the_person_is_told(case: &Case) {
    let told = case.directory().join("told");
    let notify = format!(
        "printf '%s\\n' \"$FUSD_UID $FUSD_OPERATION $FUSD_MESSAGE\" >>{}",
        quoted(&told)
    );
    let options = ["--notify", &notify, "--message", "Key?\n"];
    let driver = helped(case, "echo x; :", options).start();
    assert_eq!(content(driver.node()), Ok("x\n".to_owned()));
    wait_until("the command has run", || {
        fs::read_to_string(&told).is_ok_and(|text| text == "0 open Key?\\n\n")
    });
    driver.stop();
    // What it says is said once more, whoever has the terminal.
    let options = ["--notify", "echo no such thing >&2; exit 1"];
    let driver = helped(case, "echo x; :", options).start();
    assert_eq!(content(driver.node()), Ok("x\n".to_owned()));
    driver.await_error("no such thing");
    driver.await_error("the command of --notify failed");
    driver.stop();
}

pub(crate) fn nobody_waits_for_itself(case: &Case) {
    let said = case.directory().join("said");
    let helper = format!("cat $FUSD_PATH 2>{}; echo answer; :", quoted(&said));
    let told = case.directory().join("told");
    let notify = format!("cat $FUSD_PATH 2>{}", quoted(&told));
    let driver = helped(case, &helper, ["--notify", &notify]).start();
    assert_eq!(content(driver.node()), Ok("answer\n".to_owned()));
    wait_until("the command of --notify has been refused", || {
        fs::read_to_string(&told).is_ok_and(|text| text.contains("deadlock"))
    });
    let said = fs::read_to_string(&said).expect("what cat has said");
    assert!(said.contains("deadlock"), "{said}");
    driver.stop();
}

pub(crate) fn reads_are_asked_about(case: &Case) {
    let driver = helped(case, &counting(case), ["--per", "read"]).start();
    let file = open(driver.node()).expect("open");
    assert_eq!(file.start_read(10).wait(), Ok(b"1\n".to_vec()));
    assert_eq!(file.start_read(1).wait(), Ok(b"2".to_vec()));
    assert_eq!(file.start_read(10).wait(), Ok(b"\n".to_vec()));
    assert_eq!(file.start_read(10).wait(), Ok(b"3\n".to_vec()));
    assert_eq!(file.seek(0, Whence::SeekSet), Err(Errno::ESPIPE));
    driver.stop();
}
