//! The tool in tmux, with real keys; and what becomes of it when tmux goes.

use std::path::{Path, PathBuf};
use std::process::Stdio;
use std::sync::atomic::{AtomicU32, Ordering};

use fusd_tests::Case;
use fusd_tests::wait::wait_until;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helper::{has_program, quoted, start};
use crate::person::Caller;

/// A tmux server of the test's own.
struct Tmux<'a> {
    case: &'a Case,
    socket: PathBuf,
}

impl<'a> Tmux<'a> {
    /// Starts a shell command in a window of this many columns and rows.
    fn start(case: &'a Case, size: (u16, u16), command: &str) -> Self {
        // One that ends may still have its socket.
        static NUMBER: AtomicU32 = AtomicU32::new(0);
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let socket = case.directory().join(format!("tmux-{number}"));
        let tmux = Self { case, socket };
        let (columns, rows) = (size.0.to_string(), size.1.to_string());
        let begin = ["-f", "/dev/null", "new-session", "-d"];
        let window = ["-x", &columns, "-y", &rows, command];
        tmux.run(&[&begin[..], &window[..]].concat());
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

    /// Waits until the tool is ready, in however many lines it says so.
    #[track_caller]
    fn is_ready(&self) {
        wait_until("it is ready", || {
            let screen = self.run(&["capture-pane", "-p"]);
            let text: String = screen.split_whitespace().collect();
            text.contains("Ctrl-Cendsit")
        });
    }

    /// Waits for a question, and types keys by tmux's names.
    #[track_caller]
    fn answers(&self, keys: &[&str]) {
        // In a small window, not all of the last row is seen.
        self.sees(", Esc");
        if !keys.is_empty() {
            self.run(&[&["send-keys"], keys].concat());
        }
    }

    /// Waits until the question is drawn for a window of this size.
    #[track_caller]
    fn fits(&self, size: (u16, u16)) {
        let is_roomy = size.0 > 20;
        let fits = fusd_tests::wait::holds_within(fusd_tests::wait::deadline(), || {
            let screen = self.run(&["capture-pane", "-p"]);
            screen.contains(", Esc") && screen.contains("Directory  ") == is_roomy
        });
        assert!(fits, "it is not drawn for {size:?}");
    }

    /// Waits until the question has gone.
    #[track_caller]
    fn is_left_alone(&self) {
        wait_until("the question is gone", || {
            self.run(&["display-message", "-p", "#{alternate_on}"]) == "0\n"
        });
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

/// The process that serves a node.
fn tool_of(node: &Path) -> Pid {
    let entries = std::fs::read_dir("/proc").expect("/proc").flatten();
    let mut pids = entries.filter_map(|entry| {
        let line = std::fs::read(entry.path().join("cmdline")).ok()?;
        let line = String::from_utf8_lossy(&line).into_owned();
        let is_it = line.contains("fusd-prompt\0") && line.contains(&*node.to_string_lossy());
        is_it.then(|| entry.file_name().to_string_lossy().parse().ok())?
    });
    Pid::from_raw(pids.next().expect("the tool runs"))
}

pub(crate) fn a_terminal_that_goes_leaves_nothing(case: &Case) {
    if !has_program(case, "tmux") {
        return;
    }
    let node = case.node("node");
    let script = format!("exec {}", command(case, &node, ""));
    let tmux = Tmux::start(case, (80, 24), &script);
    tmux.sees("is ready (");
    let caller = Caller::start(case, &node);
    tmux.answers(&["half"]);
    tmux.sees("> half");
    tmux.hang_up();
    assert!(caller.wait().is_err());
    wait_until("the node is gone", || !node.exists());
    // A helper has the question then, and all that come after it.
    let options = "--helper 'echo by the helper; :'";
    let script = format!("exec {}", command(case, &node, options));
    let tmux = Tmux::start(case, (80, 24), &script);
    tmux.sees("is ready (");
    let caller = Caller::start(case, &node);
    tmux.sees("Esc denies");
    tmux.hang_up();
    assert_eq!(caller.wait(), Ok("by the helper\n".to_owned()));
    assert_eq!(start(&node).wait(), Ok("by the helper\n".to_owned()));
    kill(tool_of(&node), Signal::SIGTERM).expect("kill");
    wait_until("the node is gone", || !node.exists());
}

/// A question, the keys of its answer by tmux's names, and the answer.
struct Kind {
    options: &'static str,
    /// The first ones, and what is to be seen then.
    half: &'static [&'static str],
    seen: &'static str,
    rest: &'static [&'static str],
    answer: &'static str,
}

const KINDS: [Kind; 5] = [
    Kind {
        options: "-a text",
        half: &["größe", "Space", "漢字"],
        seen: "> größe 漢字",
        rest: &["Left", "BSpace", "Enter"],
        answer: "größe 字\n",
    },
    Kind {
        options: "-a secret",
        half: &["pässword"],
        seen: "> ********",
        rest: &["BSpace", "Home", "Delete", "Enter"],
        answer: "ässwor\n",
    },
    Kind {
        options: "-a multiline",
        half: &["one", "Enter", "two"],
        seen: "> two",
        rest: &["Up", "C-e", "!", "C-M-d", "Down", "C-e", "C-d"],
        answer: "one!\ntwo\n",
    },
    Kind {
        options: "--choices red,green,blue",
        half: &["Down"],
        seen: "> green",
        rest: &["End", "Up", "Enter"],
        answer: "green\n",
    },
    Kind {
        options: "-a confirm",
        half: &[],
        seen: "> yes (y)",
        rest: &["y"],
        answer: "yes\n",
    },
];

pub(crate) fn it_works_in_tmux(case: &Case) {
    if !has_program(case, "tmux") {
        return;
    }
    let node = case.node("node");
    let read =
        |name: &str| std::fs::read_to_string(case.directory().join(name)).unwrap_or_default();
    for (number, kind) in KINDS.iter().enumerate() {
        let script = format!(
            "stty -g >{0}/before; {1}; stty -g >{0}/after{number}; exec sleep 1000",
            quoted(case.directory()),
            command(case, &node, kind.options)
        );
        let sizes = [(20, 5), (200, 60)];
        let (size, other) = match number % 2 {
            0 => (sizes[0], sizes[1]),
            _ => (sizes[1], sizes[0]),
        };
        let tmux = Tmux::start(case, size, &script);
        tmux.is_ready();
        let caller = start(&node);
        tmux.answers(kind.half);
        tmux.sees(kind.seen);
        let (columns, rows) = (other.0.to_string(), other.1.to_string());
        tmux.run(&["resize-window", "-x", &columns, "-y", &rows]);
        tmux.fits(other);
        tmux.sees(kind.seen);
        tmux.run(&[&["send-keys"], kind.rest].concat());
        assert_eq!(
            caller.wait(),
            Ok(kind.answer.to_owned()),
            "{}",
            kind.options
        );
        tmux.is_left_alone();
        let caller = start(&node);
        if kind.options == "-a secret" {
            tmux.answers(&[]);
            tmux.run(&["set-buffer", "from the clipboard\n"]);
            // Marked as a paste, as the tool has asked for.
            tmux.run(&["paste-buffer", "-p"]);
            tmux.sees("> ****************");
            tmux.run(&["send-keys", "Enter"]);
            assert_eq!(caller.wait(), Ok("from the clipboard\n".to_owned()));
        } else {
            tmux.answers(&["Escape"]);
            assert!(caller.wait().is_err());
        }
        tmux.is_left_alone();
        tmux.run(&["send-keys", "C-c"]);
        let after = format!("after{number}");
        wait_until("the tool has ended", || !read(&after).is_empty());
        assert_eq!(read(&after), read("before"), "{}", kind.options);
    }
}
