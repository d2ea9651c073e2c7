//! A person at a terminal at which the tool runs.

use std::ffi::OsStr;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fusd_tests::Case;
use fusd_tests::terminal::Terminal;
use fusd_tests::wait::{deadline, wait_until};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// The person, and what they see.
pub(crate) struct Person {
    pub(crate) terminal: Terminal,
    node: PathBuf,
    /// The settings of the terminal before the tool was there.
    before: String,
}

/// How the last line begins when what is typed counts.
const READY: [&str; 4] = ["y/n", "Enter", "Ctrl-D", "!"];

impl Person {
    /// Starts the tool at a terminal of this size, with a node of the test's own.
    #[track_caller]
    pub(crate) fn start<I: IntoIterator<Item: AsRef<OsStr>>>(
        case: &Case,
        size: (u16, u16),
        arguments: I,
    ) -> Self {
        let node = case.node("node");
        let mut command = case.program("fusd-prompt");
        command
            .args(["--backend", case.backend().name(), "--path"])
            .arg(&node)
            .args(arguments);
        Self::run(&command, size, node)
    }

    /// Starts a shell at the terminal, which runs `script` with job control, the tool as `$0`, and the
    /// node as `$1`.
    #[track_caller]
    pub(crate) fn shell(case: &Case, script: &str) -> Self {
        let node = case.node("node");
        let mut bash = case.command("bash");
        bash.args(["-m", "-c", script])
            .arg(case.program("fusd-prompt").get_program())
            .arg(&node);
        Self::run(&bash, (200, 40), node)
    }

    fn run(command: &Command, size: (u16, u16), node: PathBuf) -> Self {
        let terminal = Terminal::start(command, size.1, size.0);
        let before = terminal.settings();
        let person = Self {
            terminal,
            node,
            before,
        };
        // In a narrow window the message goes over several lines.
        let said = |lines: &[String]| lines.concat().replace(' ', "");
        person
            .terminal
            .await_screen("it is ready", |lines| said(lines).ends_with("Ctrl-Cendsit"));
        person
    }

    /// Where the node is.
    pub(crate) fn node(&self) -> &Path {
        &self.node
    }

    /// Waits until a line has this text.
    #[track_caller]
    pub(crate) fn sees(&self, text: &str) {
        self.terminal
            .await_screen(text, |lines| lines.iter().any(|line| line.contains(text)));
    }

    /// Waits until no line has this text.
    #[track_caller]
    pub(crate) fn sees_no_more(&self, text: &str) {
        let what = format!("no {text}");
        self.terminal
            .await_screen(&what, |lines| !lines.iter().any(|line| line.contains(text)));
    }

    /// Waits until there is a question, and what is typed counts.
    #[track_caller]
    pub(crate) fn is_asked(&self) {
        self.terminal
            .await_screen("a question that can be answered", is_question);
    }

    /// Types when there is a question.
    #[track_caller]
    pub(crate) fn answers(&mut self, keys: &str) {
        self.is_asked();
        self.terminal.press(keys);
    }

    /// Waits until there is no question any more, and the terminal is as it was.
    #[track_caller]
    pub(crate) fn is_left_alone(&self) {
        wait_until("the terminal is as it was", || {
            self.terminal.settings() == self.before
        });
        self.terminal
            .await_screen("no question", |lines| !is_question(lines));
    }

    /// Ends the tool by Ctrl-C.
    #[track_caller]
    pub(crate) fn ends_it(mut self) {
        self.terminal.press("\x03");
        let status = self.terminal.wait();
        assert!(
            status.success(),
            "{status}\n{}",
            self.terminal.lines().join("\n")
        );
        assert_eq!(self.terminal.settings(), self.before);
        self.check();
    }

    /// Nothing that was said points at a fault.
    #[track_caller]
    pub(crate) fn check(&self) {
        let said = self.terminal.lines().join("\n");
        for bad in ["panicked", "bug in", "left behind", "handlers still run"] {
            assert!(!said.contains(bad), "{said}");
        }
    }

    /// The settings that the terminal had.
    pub(crate) fn before(&self) -> &str {
        &self.before
    }
}

/// Whether there is a question on the screen, and what is typed counts.
fn is_question(lines: &[String]) -> bool {
    let last = lines.iter().rev().find(|line| !line.is_empty());
    last.is_some_and(|line| READY.iter().any(|begin| line.starts_with(begin)))
}

/// A program that reads a node, and says how that ended.
pub(crate) struct Caller(Child);

impl Caller {
    /// Starts cat(1).
    pub(crate) fn start(case: &Case, node: &Path) -> Self {
        let mut cat = case.command("cat");
        cat.arg(node);
        Self::run(cat)
    }

    /// Starts a program.
    pub(crate) fn run(mut program: Command) -> Self {
        let child = program
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn();
        Self(child.expect("the program can be started"))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.0.id()
    }

    pub(crate) fn kill(mut self) {
        kill(Pid::from_raw(self.0.id().cast_signed()), Signal::SIGKILL).expect("kill");
        wait_until("the killed caller is gone", || {
            self.0.try_wait().expect("wait").is_some()
        });
    }

    /// Whether it still waits.
    pub(crate) fn waits(&mut self) -> bool {
        self.0.try_wait().expect("wait").is_none()
    }

    /// What it has printed, or what it said was wrong.
    #[track_caller]
    pub(crate) fn wait(self) -> Result<String, String> {
        let output = fusd_tests::wait::start(move || self.0.wait_with_output());
        let output = output.wait_or_give_up();
        let output = output.unwrap_or_else(|| panic!("it waits for more than {:?}", deadline()));
        let output = output.expect("wait");
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        match output.status.success() {
            true => Ok(text(&output.stdout)),
            false => Err(text(&output.stderr)),
        }
    }
}
