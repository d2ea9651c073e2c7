//! Each kind of question, in windows of each size.

use std::ffi::OsString;
use std::path::{Path, PathBuf};

use fusd_tests::Case;
use fusd_tests::client::open_with;
use fusd_tests::wait::wait_until;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helper::start;
use crate::person::{Caller, Person};

/// A question, and how a person answers it.
struct Kind {
    options: &'static [&'static str],
    /// What they type first, and what is to be seen then.
    half: String,
    seen: &'static str,
    /// What they type to the end.
    rest: &'static str,
    answer: String,
}

fn kinds() -> Vec<Kind> {
    let long = "0123456789".repeat(30);
    let kind = |options, half: &str, seen, rest, answer: &str| Kind {
        options,
        half: half.to_owned(),
        seen,
        rest,
        answer: answer.to_owned(),
    };
    vec![
        kind(
            &[],
            &long,
            "456789",
            "\x01\x04x\r",
            &format!("x{}\n", &long[1..]),
        ),
        kind(
            &["-a", "secret"],
            "pa\x1b[Dss",
            "> ****",
            "\x05!\r",
            "pssa!\n",
        ),
        kind(
            &["-a", "secret", "--echo", "off", "-n"],
            "qz",
            ">",
            "qz\r",
            "qzqz",
        ),
        kind(
            &["-a", "multiline"],
            "one\rtwo",
            "> two",
            "\x1b[A!\r\x1b[F?\x1b[B\x1b[F\x04",
            "one!\n?\ntwo\n",
        ),
        kind(
            &["--choices", "red,green,blue", "--default", "green"],
            "\x1b[B",
            "> blue",
            "\r",
            "blue\n",
        ),
        kind(&["-a", "confirm"], "", "> yes (y)", "y", "yes\n"),
        kind(&["--default", "as ever"], "", ">", "\r", "as ever\n"),
    ]
}

/// The number of the row that has the keys there are.
fn last_row(lines: &[String]) -> Option<usize> {
    lines.iter().rposition(|line| !line.is_empty())
}

pub(crate) fn each_kind_is_answered_in_each_window(case: &Case) {
    let small = (20, 5);
    for (number, kind) in kinds().into_iter().enumerate() {
        // What is in a small window is elsewhere in a large one.
        let large = [(80, 24), (200, 60)][number % 2];
        let sizes = [(small, large), (large, small)][number / 2 % 2];
        let options = [&["--again", "0"], kind.options].concat();
        let mut person = Person::start(case, sizes.0, options);
        // Once in its own window, and once with another size while it is typed.
        for size in [None, Some(sizes.1)] {
            let caller = start(person.node());
            person.is_asked();
            person.terminal.press(&kind.half);
            person.sees(kind.seen);
            if let Some((columns, rows)) = size {
                let before = person.terminal.find_on_screen("a row", last_row);
                person.terminal.resize(rows, columns);
                let is_new = |lines: &[String]| {
                    last_row(lines) != Some(before)
                        && lines.iter().any(|line| line.contains(kind.seen))
                };
                person.terminal.await_screen("it fits the window", is_new);
                person.is_asked();
            }
            if kind.options.contains(&"secret") {
                let lines = person
                    .terminal
                    .find_on_screen("all of it", |lines| Some(lines.concat()));
                assert!(!lines.contains("pssa") && !lines.contains("qz"), "{lines}");
            }
            person.terminal.press(kind.rest);
            let said = caller.wait().expect("an answer");
            assert_eq!(said, kind.answer, "{:?} at {sizes:?}", kind.options);
            person.is_left_alone();
        }
        person.ends_it();
    }
}

pub(crate) fn a_small_window_has_all_about_the_caller(case: &Case) {
    let mut person = Person::start(case, (20, 5), ["--again", "0"]);
    let caller = start(person.node());
    person.is_asked();
    let all = ["Program: ", "Command: ", "Process: ", "(uid 0", "Waiting: "];
    for part in all {
        // Each key has the screen drawn anew, with another row.
        for _ in 0..100 {
            let all = |lines: &[String]| Some(lines.to_vec());
            let before = person.terminal.find_on_screen("a row", all);
            if before.iter().any(|line| line.contains(part)) {
                break;
            }
            person.terminal.press("\x1b[6~");
            // The first one has the time.
            let is_another = |lines: &[String]| lines.get(1) != before.get(1);
            person.terminal.await_screen("another row", is_another);
        }
        person.sees(part);
    }
    person.answers("ok\r");
    assert_eq!(caller.wait(), Ok("ok\n".to_owned()));
    person.ends_it();
}

pub(crate) fn pastes_and_wide_characters_are_taken(case: &Case) {
    let mut person = Person::start(case, (30, 8), ["--again", "0"]);
    let mut asks = |keys: &str, seen: &str| {
        let caller = start(person.node());
        person.is_asked();
        person.terminal.press(keys);
        person.sees(seen);
        person.terminal.press("\r");
        let said = caller.wait().expect("an answer");
        person.is_left_alone();
        said
    };
    assert_eq!(asks("größe 漢字 👍", "> größe 漢字 👍"), "größe 漢字 👍\n");
    // A cursor between wide characters, and one of them deleted.
    assert_eq!(asks("漢字漢\x1b[D\x7f", "> 漢漢"), "漢漢\n");
    let paste = "\x1b[200~pasted\tline\r\x1b[201~";
    assert_eq!(asks(paste, "> pasted"), "pasted\tline\n");
    // What would be keys for the job, or for the queue.
    let keys = "\x1b[200~a\x03b\x1ac\x1b[Zd\x1b[201~";
    assert_eq!(asks(keys, "> abcd"), "abcd\n");
    let lines = "a\x1b[200~one\rtwo\x1b[201~";
    assert_eq!(asks(lines, "! several lines were"), "a\n");
    person.ends_it();
}

pub(crate) fn several_answers_make_one_content(case: &Case) {
    let options = [
        "--template",
        "USER={user}",
        "--template",
        "PASSWORD={password:secret}",
        "--message",
        "Log in",
    ];
    let mut person = Person::start(case, (80, 24), options);
    let caller = start(person.node());
    person.is_asked();
    person.sees("Log in: user (1/2)");
    person.terminal.press("me\r");
    person.sees("Log in: password (2/2)");
    person.terminal.press("hunter2");
    person.sees("> *******");
    person.terminal.press("\r");
    assert_eq!(caller.wait(), Ok("USER=me\nPASSWORD=hunter2\n".to_owned()));
    person.ends_it();
}

pub(crate) fn writes_are_seen_before_they_are_approved(case: &Case) {
    let mut person = Person::start(case, (80, 24), ["-w", "approve"]);
    let write = |node: &Path, data: &str| {
        let file = open_with(node, OFlag::O_WRONLY).expect("open");
        file.start_write(data.as_bytes())
    };
    let lines: String = (0..40).map(|line| format!("line {line}.\x07\n")).collect();
    let writer = write(person.node(), &lines);
    person.is_asked();
    person.sees("| line 0.\\u{7}");
    person.sees("rows more: Down");
    assert!(writer.blocks());
    person.terminal.press(&"\x1b[B".repeat(40));
    person.sees("| line 39.");
    person.terminal.press("y");
    assert_eq!(writer.wait(), Ok(lines.len()));
    person.is_left_alone();
    let writer = write(person.node(), "no");
    person.answers("n");
    assert_eq!(writer.wait(), Err(Errno::EACCES));
    person.is_left_alone();
    person.ends_it();
}

pub(crate) fn who_writes_waits_beside_others(case: &Case) {
    let mut person = Person::start(case, (80, 24), ["-w", "approve"]);
    let write = |text: &str| {
        // What truncates waits in the kernel, over FUSE.
        let file = case.file(text, format!("{text}\n").as_bytes());
        let mut dd = case.command("dd");
        dd.args(["conv=notrunc", "status=none"])
            .arg(format!("if={}", file.display()))
            .arg(format!("of={}", person.node().display()));
        Caller::run(dd)
    };
    let first = write("first");
    person.is_asked();
    person.sees("| first");
    let second = write("second");
    person.sees("2 programs ask; this is number 1");
    let third = write("third");
    person.sees("3 programs ask; this is number 1");
    // Neither is held up by the first one.
    third.kill();
    person.sees("2 programs ask; this is number 1");
    person.terminal.press("\t");
    person.sees("| second");
    person.answers("y");
    assert_eq!(second.wait(), Ok(String::new()));
    person.sees("A program asks");
    person.sees("| first");
    person.answers("n");
    let said = first.wait().expect_err("it is refused");
    assert!(said.contains("Permission denied"), "{said}");
    person.is_left_alone();
    person.ends_it();
}

/// A directory for editors' files, in memory if there is such a place, as a user's `XDG_RUNTIME_DIR` is.
struct Runtime<'a> {
    case: &'a Case,
    directory: PathBuf,
}

impl<'a> Runtime<'a> {
    fn new(case: &'a Case) -> Self {
        let directory = Path::new("/dev/shm").join(case.token());
        std::fs::create_dir_all(&directory).expect("a directory");
        Self { case, directory }
    }

    /// How many editors' files there are, there or where temporary files are.
    fn files(&self) -> usize {
        let places = [&self.directory, &self.case.temporary()];
        let entries = places.map(|place| std::fs::read_dir(place).expect("a directory"));
        let names = entries.into_iter().flatten().flatten();
        let is_ours = |name: OsString| name.to_string_lossy().starts_with("fusd-prompt-");
        names.filter(|entry| is_ours(entry.file_name())).count()
    }
}

impl Drop for Runtime<'_> {
    fn drop(&mut self) {
        let _gone = std::fs::remove_dir_all(&self.directory);
    }
}

pub(crate) fn an_editor_writes_long_answers(case: &Case) {
    let runtime = Runtime::new(case);
    let seen = case.directory().join("seen");
    let editor = case.file(
        "editor",
        format!(
            "stat -c %a \"$1\" >{}; printf 'more\\n' >>\"$1\"; cat \"$FUSD_TEST_NODE\" 2>>{}; true\n",
            crate::helper::quoted(&seen),
            crate::helper::quoted(&seen)
        )
        .as_bytes(),
    );
    let script = format!(
        "export XDG_RUNTIME_DIR={} EDITOR='sh {}' FUSD_TEST_NODE=\"$1\" VISUAL=; \
         exec \"$0\" --backend fuse -a multiline --path \"$1\"",
        runtime.directory.display(),
        editor.display()
    );
    let mut person = Person::shell(case, &script);
    let caller = start(person.node());
    person.answers("begin\r\x18");
    person.sees("> more");
    person.answers("end\x1b\r");
    assert_eq!(caller.wait(), Ok("begin\nmore\nend\n".to_owned()));
    let said = std::fs::read_to_string(&seen).expect("what the editor saw");
    assert!(
        said.starts_with("600\n") && said.contains("deadlock"),
        "{said}"
    );
    wait_until("the file is gone", || runtime.files() == 0);
    person.ends_it();
}

pub(crate) fn an_editor_is_stopped_with_the_job(case: &Case) {
    let editor = case.file(
        "editor",
        b"echo it edits; kill -TSTP 0; printf 'more\\n' >>\"$1\"\n",
    );
    let script = format!(
        "export EDITOR='sh {}' VISUAL=; \"$0\" --backend fuse --path \"$1\"; \
         echo paused; read line; fg >/dev/null; echo ended",
        editor.display()
    );
    let mut person = Person::shell(case, &script);
    let caller = start(person.node());
    person.answers("some\x18");
    person.sees("it edits");
    person.sees("paused");
    assert!(caller.blocks());
    person.terminal.press("\n");
    person.sees("> somemore");
    person.answers("!\r");
    assert_eq!(caller.wait(), Ok("somemore!\n".to_owned()));
    person.is_left_alone();
    person.terminal.press("\x03");
    person.sees("ended");
    assert!(person.terminal.wait().success());
    person.check();
}

pub(crate) fn a_killed_tool_leaves_no_editor_and_no_file(case: &Case) {
    let runtime = Runtime::new(case);
    let script = format!(
        "export XDG_RUNTIME_DIR={} EDITOR='sleep 1000 #' VISUAL=; \
         exec \"$0\" --backend fuse --path \"$1\"",
        runtime.directory.display()
    );
    let mut person = Person::shell(case, &script);
    let caller = start(person.node());
    person.answers("half of it\x18");
    wait_until("the file is there", || runtime.files() == 1);
    let pid = Pid::from_raw(person.terminal.pid().cast_signed());
    kill(pid, Signal::SIGKILL).expect("kill");
    assert!(caller.wait().is_err());
    wait_until("the file is gone", || runtime.files() == 0);
    drop(runtime);
    case.check();
}
