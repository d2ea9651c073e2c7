//! A long step: a program whose output goes to a log, with something to look at meanwhile.
//!
//! Ctrl-C reaches this program and the step alike. This one waits for the step, which tidies up, and
//! ends then.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, IsTerminal, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use indicatif::{ProgressBar, ProgressStyle};
use nix::sys::signal::{SigSet, Signal};

use super::console::tail;

/// How many of the log's last lines a failure shows.
const SHOWN: usize = 30;

/// Where the output of the steps goes, and what may not appear in it.
pub(crate) struct Log<'a> {
    pub(crate) path: &'a Path,
    /// Replaced wherever it occurs, with what stands for it.
    pub(crate) hidden: Vec<(String, &'static str)>,
    /// A file that is there while a step runs, and after one that had no time to tidy up.
    pub(crate) busy: Option<PathBuf>,
}

impl<'a> Log<'a> {
    pub(crate) fn new(path: &'a Path) -> Self {
        Self {
            path,
            hidden: Vec::new(),
            busy: None,
        }
    }

    /// Runs `command` to its end, which the person at the terminal knows as `title`.
    ///
    /// # Errors
    ///
    /// The command cannot be started or fails; the end of the log is then on standard error.
    pub(crate) fn run(&self, title: &str, command: &mut Command) -> Result<()> {
        let status = self.run_to_its_end(title, command).with_context(|| {
            let program = command.get_program().to_string_lossy();
            format!("{title}: cannot run {program}")
        })?;
        if status.success() {
            return Ok(());
        }
        let text = fs::read(self.path).unwrap_or_default();
        for line in tail(&String::from_utf8_lossy(&text), SHOWN) {
            eprintln!("    {line}");
        }
        bail!("{title}: {status}; the whole log: {}", self.path.display())
    }

    fn run_to_its_end(&self, title: &str, command: &mut Command) -> io::Result<ExitStatus> {
        let mut log = File::options().append(true).create(true).open(self.path)?;
        if let Some(busy) = &self.busy {
            fs::write(busy, "")?;
        }
        let (output, input) = io::pipe()?;
        let mut child = command
            .stdin(Stdio::null())
            .stdout(input.try_clone()?)
            .stderr(input)
            .spawn()?;
        // The command holds the writing ends too; without this the output would never end.
        command.stdout(Stdio::null()).stderr(Stdio::null());
        // Only now, as the child would inherit it; and before the progress has a thread.
        let _patience = Patience::begin();
        let progress = Progress::start(title);
        let status = self.copy(output, &mut log, &progress, &mut child);
        progress.end(matches!(&status, Ok(status) if status.success()));
        let status = status?;
        if let Some(busy) = &self.busy
            && has_tidied_up(status)
        {
            fs::remove_file(busy)?;
        }
        Ok(status)
    }

    fn copy(
        &self,
        output: impl io::Read,
        log: &mut File,
        progress: &Progress,
        child: &mut Child,
    ) -> io::Result<ExitStatus> {
        for line in BufReader::new(output).split(b'\n') {
            let line = self.hide(&String::from_utf8_lossy(&line?));
            writeln!(log, "{line}")?;
            progress.show(&line);
        }
        child.wait()
    }

    fn hide(&self, line: &str) -> String {
        self.hidden
            .iter()
            .fold(line.trim_end().to_owned(), |line, (text, instead)| {
                line.replace(text, instead)
            })
    }
}

/// Whether a program that ended so could remove what it had made by half: make(1) does so after a
/// failure and at an interrupt.
fn has_tidied_up(status: ExitStatus) -> bool {
    status
        .signal()
        .is_none_or(|signal| signal == Signal::SIGINT as i32)
}

/// While it lives, an interrupt of this program waits.
struct Patience(SigSet);

impl Patience {
    fn begin() -> Self {
        let signals = SigSet::from(Signal::SIGINT);
        // If not, the interrupt comes at once, and what is left is taken for a ruin.
        let _ = signals.thread_block();
        Self(signals)
    }
}

impl Drop for Patience {
    fn drop(&mut self) {
        let _ = self.0.thread_unblock();
    }
}

/// What is shown while a step lasts: a line that changes at a terminal, one line elsewhere.
struct Progress {
    title: String,
    begin: Instant,
    bar: Option<ProgressBar>,
}

impl Progress {
    fn start(title: &str) -> Self {
        let bar = io::stderr().is_terminal().then(|| {
            let style =
                ProgressStyle::with_template("{spinner} {prefix} {elapsed} {wide_msg:.dim}")
                    .expect("the template is a fixed text that indicatif knows");
            let bar = ProgressBar::new_spinner().with_style(style);
            bar.set_prefix(title.to_owned());
            bar.enable_steady_tick(Duration::from_millis(120));
            bar
        });
        if bar.is_none() {
            eprintln!("{title} ...");
        }
        Self {
            title: title.to_owned(),
            begin: Instant::now(),
            bar,
        }
    }

    fn show(&self, line: &str) {
        if let Some(bar) = &self.bar {
            bar.set_message(line.trim().to_owned());
        }
    }

    fn end(&self, success: bool) {
        if let Some(bar) = &self.bar {
            bar.finish_and_clear();
        }
        let word = if success { "done" } else { "FAILED" };
        let seconds = self.begin.elapsed().as_secs();
        eprintln!("{} ... {word} ({seconds} s)", self.title);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_hidden_is_neither_shown_nor_logged() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let log = Log {
            hidden: vec![("secret".to_owned(), "ARCHIVE")],
            ..Log::new(&path)
        };
        let mut command = Command::new("sh");
        command.args(["-c", "echo a secret place; echo b >&2"]);
        log.run("say", &mut command).unwrap();
        assert_eq!(fs::read_to_string(&path).unwrap(), "a ARCHIVE place\nb\n");
    }

    #[test]
    fn a_failure_names_the_step_and_the_log() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let error = Log::new(&path)
            .run("fail", Command::new("sh").args(["-c", "exit 3"]))
            .unwrap_err()
            .to_string();
        assert!(error.starts_with("fail: exit status: 3; the whole log: "));
        assert!(error.ends_with(path.to_str().unwrap()), "{error}");
    }

    #[test]
    fn what_was_killed_is_known_by_a_file() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("log");
        let busy = folder.path().join("busy");
        let log = Log {
            busy: Some(busy.clone()),
            ..Log::new(&path)
        };
        // Whoever started the tests may have them ignore interrupts.
        let run = |script: &str| {
            let mut command = Command::new("env");
            command.args(["--default-signal=INT", "sh", "-c", script]);
            log.run("try", command.arg(&busy))
        };
        run("[ -e $0 ]").unwrap();
        assert!(!busy.exists());
        run("exit 3").unwrap_err();
        assert!(!busy.exists());
        run("kill -INT $$").unwrap_err();
        assert!(!busy.exists());
        run("kill -KILL $$").unwrap_err();
        assert!(busy.exists());
    }
}
