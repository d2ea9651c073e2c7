//! The tool as a job at a terminal: what is typed, signals, and the end of the terminal.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use fusd_tests::Case;
use fusd_tests::wait::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helper::{has_program, quoted, start};
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
    for signal in [Signal::SIGTERM, Signal::SIGINT] {
        let mut person = Person::start(case, (80, 24), [""; 0]);
        let caller = Caller::start(case, person.node());
        person.answers("half of it");
        person.sees("> half of it");
        assert_ne!(person.terminal.settings(), person.before());
        let pid = Pid::from_raw(person.terminal.pid().cast_signed());
        kill(pid, signal).expect("kill");
        assert!(person.terminal.wait().success(), "{signal}");
        assert_eq!(person.terminal.settings(), person.before());
        assert!(caller.wait().is_err());
        person.check();
    }
    // With a command beside the device, its end is the end. Standard input is no terminal here.
    let script = "\"$0\" -q --backend fuse --path \"$1\" -- \
                  sh -c 'echo Ctrl-C ends it; read line </dev/tty; cat $FUSD_PATH' </dev/null; echo status $?";
    let mut person = Person::shell(case, script);
    person.terminal.press("\n");
    person.answers("said\r");
    person.sees("said");
    person.sees("status 0");
    assert!(person.terminal.wait().success());
    assert_eq!(person.terminal.settings(), person.before());
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
    wait_until("the second one is ready", || {
        let lines = person.terminal.screen();
        lines.iter().filter(|line| line.contains(&node)).count() >= 2
    });
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

/// A tmux server of the test's own.
struct Tmux<'a> {
    case: &'a Case,
    socket: PathBuf,
}

impl<'a> Tmux<'a> {
    /// Starts a shell command in a window of 80 columns and 24 rows.
    fn start(case: &'a Case, command: &str) -> Self {
        // One that ends may still have its socket.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let socket = case.directory().join(format!("tmux-{number}"));
        let tmux = Self { case, socket };
        let words = [
            "-f",
            "/dev/null",
            "new-session",
            "-d",
            "-x",
            "80",
            "-y",
            "24",
            command,
        ];
        tmux.run(&words);
        tmux
    }

    fn run(&self, words: &[&str]) -> String {
        let output = self
            .case
            .command("tmux")
            .arg("-S")
            .arg(&self.socket)
            .args(words)
            .env_remove("TMUX")
            .env("LC_ALL", "C.UTF-8")
            .stdin(Stdio::null())
            .output()
            .expect("tmux");
        let said = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "tmux {words:?}: {said}");
        String::from_utf8_lossy(&output.stdout).into_owned()
    }

    #[track_caller]
    fn sees(&self, text: &str) {
        let mut last = String::new();
        let there = fusd_tests::wait::holds_within(fusd_tests::wait::deadline(), || {
            last = self.run(&["capture-pane", "-p"]);
            last.contains(text)
        });
        assert!(there, "{text:?} is not on the screen:\n{last}");
    }

    /// Waits for a question, and types keys by tmux's names.
    #[track_caller]
    fn answers(&self, keys: &[&str]) {
        self.sees("Esc denies");
        self.run(&[&["send-keys"], keys].concat());
    }

    fn hang_up(self) {
        drop(self);
    }
}

impl Drop for Tmux<'_> {
    fn drop(&mut self) {
        let _ended = self
            .case
            .command("tmux")
            .arg("-S")
            .arg(&self.socket)
            .arg("kill-server")
            .stderr(Stdio::null())
            .status();
    }
}

fn command(case: &Case, node: &Path, options: &str) -> String {
    let program = case.program("fusd-prompt");
    let program = quoted(Path::new(program.get_program()));
    format!(
        "{program} --backend fuse --again 0 --path {} {options}",
        quoted(node)
    )
}

pub(crate) fn a_terminal_that_goes_leaves_nothing(case: &Case) {
    if !has_program(case, "tmux") {
        return;
    }
    let node = case.node("node");
    let tmux = Tmux::start(case, &format!("exec {}", command(case, &node, "")));
    tmux.sees("is ready (");
    let caller = Caller::start(case, &node);
    tmux.answers(&["half"]);
    tmux.sees("> half");
    tmux.hang_up();
    assert!(caller.wait().is_err());
    wait_until("the node is gone", || !node.exists());
    // With a helper, and no signal that ends it, the helper has the question.
    let options = "--helper 'echo by the helper; :'";
    let script = format!("trap '' HUP; exec {}", command(case, &node, options));
    let tmux = Tmux::start(case, &script);
    tmux.sees("is ready (");
    let caller = Caller::start(case, &node);
    tmux.sees("Esc denies");
    tmux.hang_up();
    assert_eq!(caller.wait(), Ok("by the helper\n".to_owned()));
    assert_eq!(start(&node).wait(), Ok("by the helper\n".to_owned()));
    let pid = std::fs::read_dir("/proc")
        .expect("/proc")
        .flatten()
        .find_map(|entry| {
            let line = std::fs::read(entry.path().join("cmdline")).ok()?;
            let line = String::from_utf8_lossy(&line).into_owned();
            let is_it = line.contains("fusd-prompt\0") && line.contains(&*node.to_string_lossy());
            is_it.then(|| entry.file_name().to_string_lossy().parse().ok())?
        });
    kill(Pid::from_raw(pid.expect("the tool runs")), Signal::SIGTERM).expect("kill");
    wait_until("the node is gone", || !node.exists());
}

pub(crate) fn it_works_in_tmux(case: &Case) {
    if !has_program(case, "tmux") {
        return;
    }
    let node = case.node("node");
    let script = format!(
        "stty -g >{0}/before; {1}; stty -g >{0}/after; exec sleep 1000",
        quoted(case.directory()),
        command(case, &node, "-a secret")
    );
    let tmux = Tmux::start(case, &script);
    tmux.sees("is ready (");
    let caller = start(&node);
    tmux.answers(&["-l", "pässword"]);
    tmux.sees("> ********");
    tmux.run(&["resize-window", "-x", "40", "-y", "8"]);
    tmux.sees("> ********");
    tmux.run(&["send-keys", "BSpace", "Home", "Delete", "Enter"]);
    assert_eq!(caller.wait(), Ok("ässwor\n".to_owned()));
    // The question has gone: the next one is not taken for it.
    tmux.sees("is ready (");
    let caller = start(&node);
    tmux.sees("Esc denies");
    tmux.run(&["set-buffer", "from the clipboard\n"]);
    // Marked as a paste, as the tool has asked for.
    tmux.run(&["paste-buffer", "-p"]);
    tmux.sees("> ******************");
    tmux.run(&["send-keys", "Enter"]);
    assert_eq!(caller.wait(), Ok("from the clipboard\n".to_owned()));
    tmux.sees("is ready (");
    let caller = start(&node);
    tmux.answers(&["Escape"]);
    assert!(caller.wait().is_err());
    tmux.run(&["send-keys", "C-c"]);
    let read = |name| std::fs::read_to_string(case.directory().join(name)).unwrap_or_default();
    wait_until("the tool has ended", || !read("after").is_empty());
    assert_eq!(read("after"), read("before"));
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
