//! The tool as a job at a terminal: what is typed, signals, and the end of the terminal.

use std::os::unix::process::ExitStatusExt;
use std::path::PathBuf;

use fusd_tests::Case;
use fusd_tests::wait::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helper::start;
use crate::person::{Caller, Person};

pub(crate) fn nothing_typed_gets_elsewhere(case: &Case) {
    let script = "\"$0\" --backend fuse --again 0 --path \"$1\" </dev/tty; \
                  if read -t 0; then echo leaked; else echo clean; fi";
    let mut person = Person::shell(case, script);
    let first = Caller::start(case, person.node());
    person.is_asked();
    let second = Caller::start(case, person.node());
    person.sees("2 programs ask; this is number 1");
    person.terminal.press("for the first");
    person.sees("> for the first");
    // Each has its own text.
    person.terminal.press("\t");
    person.sees("this is number 2");
    person.sees_no_more("> for the first");
    person.answers("for the second");
    person.sees("> for the second");
    person.terminal.press("\x1b[Z");
    person.sees("> for the first");
    // The rest of a paste that is not marked as one is for nobody.
    person.answers("\tthe rest\r");
    person.sees("> for the second");
    person.answers("\x1b[Z");
    person.sees("> for the first");
    person.is_asked();
    // It goes while something is typed for it.
    first.kill();
    person.sees_no_more("2 programs ask");
    person.answers("\r");
    assert_eq!(second.wait(), Ok("for the second\n".to_owned()));
    person.is_left_alone();
    // What comes with an answer is for nobody.
    let first = Caller::start(case, person.node());
    person.is_asked();
    let second = Caller::start(case, person.node());
    person.sees("2 programs ask; this is number 1");
    person.terminal.press("one\rtoo early\r");
    assert_eq!(first.wait(), Ok("one\n".to_owned()));
    // Only the screen after it says so.
    person.sees("A program asks");
    person.answers("two\r");
    assert_eq!(second.wait(), Ok("two\n".to_owned()));
    person.is_left_alone();
    let third = Caller::start(case, person.node());
    person.answers("hunter2");
    person.sees("> hunter2");
    person.terminal.press("\x1c\x03rest of it\n");
    assert!(third.wait().is_err());
    person.sees("clean");
    assert!(person.terminal.wait().success());
    person.check();
}

pub(crate) fn the_terminal_is_given_back_however_it_ends(case: &Case) {
    for signal in [
        Signal::SIGTERM,
        Signal::SIGINT,
        Signal::SIGQUIT,
        Signal::SIGALRM,
        Signal::SIGABRT,
    ] {
        let mut person = Person::start(case, (80, 24), [""; 0]);
        let caller = Caller::start(case, person.node());
        person.answers("half of it");
        person.sees("> half of it");
        assert_ne!(person.terminal.settings(), person.before());
        let pid = Pid::from_raw(person.terminal.pid().cast_signed());
        kill(pid, signal).expect("kill");
        let status = person.terminal.wait();
        match signal {
            Signal::SIGTERM | Signal::SIGINT => assert!(status.success(), "{signal}: {status}"),
            _ => assert_eq!(status.signal(), Some(signal as i32), "{status}"),
        }
        assert_eq!(person.terminal.settings(), person.before(), "{signal}");
        assert!(!person.terminal.is_taken(), "{signal}");
        assert!(caller.wait().is_err());
        person.check();
    }
}

/// A shell at a terminal whose script says that it is ready, and goes on once it is `let_go`: else a
/// question might be there before anybody looks.
struct Gated(Person, PathBuf);

/// What the script has for that.
const GATE: &str = "echo Ctrl-C ends it; until test -e $GATE; do sleep 0.02; done";

impl Gated {
    fn start(case: &Case, script: &str) -> Self {
        let gate = case.directory().join("gate");
        // From the last time.
        let _none = std::fs::remove_file(&gate);
        let script = format!("export GATE='{}'; {script}", gate.display());
        Self(Person::shell(case, &script), gate)
    }

    fn let_go(self) -> Person {
        std::fs::write(self.1, "").expect("a file of the test");
        self.0
    }
}

pub(crate) fn a_command_does_not_get_the_answers(case: &Case) {
    let says = format!(
        "sh -c '{GATE}; cat $FUSD_PATH; \
         if read -r line; then echo has $line; else echo has nothing; fi'"
    );
    let tool = "\"$0\" -q --backend fuse --path \"$1\"";
    // Standard input is no terminal here.
    let script = format!("{tool} -- {says} </dev/null; echo status $?");
    let mut person = Gated::start(case, &script).let_go();
    person.answers("said\r");
    person.sees("said");
    person.sees("has nothing");
    person.sees("status 0");
    assert!(person.terminal.wait().success());
    assert_eq!(person.terminal.settings(), person.before());
    // Here it is: a command that reads gets nothing of it, unless it is to.
    for (option, has) in [("", "has nothing"), ("--share-terminal", "has more")] {
        let script = format!("{tool} {option} -- {says}; echo status $?");
        let mut person = Gated::start(case, &script).let_go();
        person.answers("hunter2\r");
        person.sees("hunter2");
        if !option.is_empty() {
            person.is_left_alone();
            person.terminal.press("more\n");
        }
        person.sees(has);
        person.sees("status 0");
        assert!(person.terminal.wait().success());
    }
    // Ctrl-C at a question ends the command, and with it the tool.
    let script = format!("{tool} -- {says}; echo status $?");
    let mut person = Gated::start(case, &script).let_go();
    person.answers("half\x03");
    person.sees("status 130");
    assert!(person.terminal.wait().success());
    assert_eq!(person.terminal.settings(), person.before());
}

pub(crate) fn one_program_at_a_time_asks_at_a_terminal(case: &Case) {
    // Not to the terminal: what is said there while a question is on the screen goes with it.
    let [first, second] = ["first", "second"].map(|name| case.directory().join(name));
    let script = format!(
        "\"$0\" -q --backend fuse --path \"$1\" --message First -- \
         \"$0\" -q --backend fuse --path \"$1-2\" --message Second -- \
         sh -c '{GATE}; cat \"$0\" >\"{}\" & cat \"$0-2\" >\"{}\" & wait' \"$1\"; \
         if read -t 0; then echo leaked; else echo clean; fi",
        first.display(),
        second.display()
    );
    let mut person = Gated::start(case, &script).let_go();
    let is_first = person.terminal.find_on_screen("First or Second", |lines| {
        let has = |text: &str| lines.iter().any(|line| line == text);
        match (has("First"), has("Second")) {
            (true, false) => Some(true),
            (false, true) => Some(false),
            _ => None,
        }
    });
    let (other, answered) = match is_first {
        true => ("Second", [first, second]),
        false => ("First", [second, first]),
    };
    person.answers("for one");
    person.sees("> for one");
    person.terminal.press("\r");
    person.sees(other);
    person.sees_no_more("> for one");
    person.answers("for another\r");
    person.sees("clean");
    assert!(person.terminal.wait().success());
    assert_eq!(person.terminal.settings(), person.before());
    let said = answered.map(|file| std::fs::read_to_string(file).expect("what cat said"));
    assert_eq!(said, ["for one\n", "for another\n"]);
    person.check();
}

pub(crate) fn in_the_background_it_leaves_the_terminal_alone(case: &Case) {
    // Stopped by nothing that it would know of beforehand, while a question is on the screen.
    let script = "\"$0\" --backend fuse --path \"$1\"; printf '\\033[?1049l'; stty sane; \
                  echo paused; read line; before=$(stty -g); bg >/dev/null; read line; \
                  test \"$before\" = \"$(stty -g)\" && echo same; \
                  fg >/dev/null; echo ended";
    let mut person = Person::shell(case, script);
    let caller = start(person.node());
    person.answers("ab");
    person.sees("> ab");
    let pid = Pid::from_raw(person.terminal.foreground());
    kill(pid, Signal::SIGSTOP).expect("kill");
    person.sees("paused");
    person.terminal.press("\n");
    person.sees("waits for an answer; bring this job to the foreground with fg");
    person.terminal.press("\n");
    person.sees("same");
    person.answers("c\r");
    assert_eq!(caller.wait(), Ok("abc\n".to_owned()));
    person.is_left_alone();
    person.terminal.press("\x03");
    person.sees("ended");
    assert!(person.terminal.wait().success());
    person.check();
}

pub(crate) fn the_bell_rings_once_for_each(case: &Case) {
    let mut person = Person::start(case, (80, 24), ["--bell"]);
    assert_eq!(person.terminal.bells(), 0);
    let first = Caller::start(case, person.node());
    person.is_asked();
    assert_eq!(person.terminal.bells(), 1);
    let second = Caller::start(case, person.node());
    person.sees("2 programs ask");
    wait_until("it rings again", || person.terminal.bells() == 2);
    person.answers("\x1b");
    let said = first.wait().expect_err("it is refused");
    assert!(said.contains("Permission denied"), "{said}");
    assert!(second.wait().is_err(), "it is the same program");
    person.is_left_alone();
    assert_eq!(person.terminal.bells(), 2);
    person.ends_it();
}

pub(crate) fn it_stops_and_goes_on_like_any_job(case: &Case) {
    let script = "\"$0\" --backend fuse --again 0 --path \"$1\"; echo paused; read line; \
                  fg >/dev/null; echo ended; \
                  \"$0\" -q --backend fuse --path \"$1\" --ready-fd 3 3>&1 & \
                  read line; fg >/dev/null; echo done";
    let mut person = Person::shell(case, script);
    let caller = start(person.node());
    person.answers("ab");
    person.sees("> ab");
    person.terminal.press("\x1a");
    person.sees("paused");
    // The shell may set the terminal up for itself, but not as the tool had it.
    person.is_left_alone();
    assert!(caller.blocks());
    person.terminal.press("\n");
    person.answers("c\r");
    assert_eq!(caller.wait(), Ok("abc\n".to_owned()));
    person.is_left_alone();
    person.terminal.press("\x03");
    person.sees("ended");
    // In the background it must not touch the terminal.
    let node = person.node().display().to_string();
    let is_ready = |lines: &[String]| lines.iter().filter(|line| line.contains(&node)).count() >= 2;
    person
        .terminal
        .await_screen("the second one is ready", is_ready);
    let caller = start(person.node());
    person.sees("waits for an answer; bring this job to the foreground with fg");
    assert!(caller.blocks());
    person.terminal.press("\n");
    person.answers("later\r");
    assert_eq!(caller.wait(), Ok("later\n".to_owned()));
    person.is_left_alone();
    person.terminal.press("\x03");
    person.sees("done");
    assert!(person.terminal.wait().success());
    person.check();
}

/// How many of the readable mappings of a process have these bytes (proc_pid_mem(5)), and the flags of
/// those (`VmFlags`).
fn mappings_with(pid: u32, bytes: &[u8]) -> Vec<String> {
    use std::os::unix::fs::FileExt;
    let maps = std::fs::read_to_string(format!("/proc/{pid}/smaps")).expect("smaps");
    let memory = std::fs::File::open(format!("/proc/{pid}/mem")).expect("mem");
    let mut found = Vec::new();
    let mut has = false;
    for line in maps.lines() {
        if let Some(flags) = line.strip_prefix("VmFlags:") {
            if std::mem::take(&mut has) {
                found.push(flags.to_owned());
            }
            continue;
        }
        let range = line
            .split(' ')
            .next()
            .and_then(|range| range.split_once('-'));
        let Some((begin, end)) = range else { continue };
        let number = |text| u64::from_str_radix(text, 16);
        let (Ok(begin), Ok(end)) = (number(begin), number(end)) else {
            continue;
        };
        let mut part = vec![0; usize::try_from(end - begin).expect("a size")];
        // Some cannot be read, such as [vvar].
        if memory.read_exact_at(&mut part, begin).is_ok() {
            has = part.windows(bytes.len()).any(|window| window == bytes);
        }
    }
    found
}

pub(crate) fn no_copy_of_a_secret_stays(case: &Case) {
    let mut person = Person::start(case, (80, 24), ["-a", "secret", "--again", "0"]);
    let pid = person.terminal.pid();
    let node = person.node().to_owned();
    let opened = fusd_tests::wait::start(move || crate::helper::open(&node));
    person.answers("correct horse battery");
    person.sees("> *********************");
    person.terminal.press(" staple\r");
    let file = opened.wait().expect("open");
    assert_eq!(
        file.read(100),
        Ok(b"correct horse battery staple\n".to_vec())
    );
    person.is_left_alone();
    let there = mappings_with(pid, b"horse battery");
    assert_eq!(
        there.len(),
        1,
        "one copy, for as long as the file is open: {there:?}"
    );
    for flag in ["lo", "dd", "dc"] {
        assert!(
            there[0].split(' ').any(|one| one == flag),
            "{flag} in {there:?}"
        );
    }
    drop(file);
    wait_until("it is nowhere", || mappings_with(pid, b"horse").is_empty());
    let limits = std::fs::read_to_string(format!("/proc/{pid}/limits")).expect("limits");
    let core = limits
        .lines()
        .find(|line| line.starts_with("Max core file size"));
    let core = core.expect("a limit").split_whitespace().nth(4);
    assert_eq!(core, Some("0"));
    person.ends_it();
}
