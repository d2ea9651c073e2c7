//! `--audit`: a line of JSON for each decision: who, when, which; never the answer.

use std::fs::{File, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::Mutex;
use std::time::{Duration, SystemTime};

use fusd::{Errno, Error, ErrorKind};
use fusd_tool::ToolError;
use nix::fcntl::OFlag;
use serde_json::json;

use crate::desk::{Asked, Closed, Verdict};
use crate::who::Who;

/// The file that decisions are noted in. Where it takes nothing at the moment, as a pipe that is full,
/// nothing waits for it: then it cannot be noted.
pub(crate) struct Audit(Mutex<Log>);

struct Log {
    file: File,
    /// Only a part of the last line is there.
    is_torn: bool,
}

impl Audit {
    /// Opens the file, or makes it for this user alone.
    ///
    /// # Errors
    /// It cannot be written to.
    pub(crate) fn open(path: &Path) -> Result<Self, ToolError> {
        let file = OpenOptions::new()
            .append(true)
            .create(true)
            .mode(0o600)
            .custom_flags(OFlag::O_NONBLOCK.bits())
            .open(path);
        let file = file.map_err(|error| {
            Error::system(ErrorKind::Runtime, error, "open the audit log")
                .on(path)
                .hint("give --audit a file that this user may write")
        })?;
        Ok(Self(Mutex::new(Log {
            file,
            is_torn: false,
        })))
    }

    /// Notes a decision; that it cannot be done, where that is so.
    ///
    /// # Errors
    /// It cannot be noted, and so must not be done: `EIO`.
    pub(crate) fn note<W>(&self, closed: &Closed<W>, can_be_done: bool) -> Result<(), Errno> {
        let what = match closed.decision.verdict {
            Verdict::Deny => "denied",
            _ if !can_be_done => "failed",
            Verdict::Answer(_) => "answered",
            Verdict::Approve => "approved",
        };
        let by = closed.decision.by.word();
        let line = line(
            &closed.who,
            closed.operation.word(),
            what,
            by,
            closed.waited,
        );
        self.write(&line).map_err(|error| {
            let error = Errno::from(error);
            tracing::error!(%error, "the audit log cannot be written to: the call fails with EIO");
            Errno::EIO
        })
    }

    /// Notes that a caller has gone before there was a decision.
    pub(crate) fn withdrawn(&self, asked: &Asked) {
        let line = line(
            &asked.who,
            asked.operation.word(),
            "withdrawn",
            "caller",
            asked.since.elapsed(),
        );
        if let Err(error) = self.write(&line) {
            let error = Errno::from(error);
            tracing::error!(%error, "the audit log cannot be written to");
        }
    }

    /// One write, so that lines of several tools do not mix.
    fn write(&self, line: &str) -> io::Result<()> {
        let mut log = self
            .0
            .lock()
            .unwrap_or_else(std::sync::PoisonError::into_inner);
        let begin = if log.is_torn { "\n" } else { "" };
        let line = format!("{begin}{line}");
        let written = loop {
            match log.file.write(line.as_bytes()) {
                Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
                written => break written?,
            }
        };
        log.is_torn = written < line.len();
        match log.is_torn {
            false => Ok(()),
            true => Err(io::ErrorKind::WriteZero.into()),
        }
    }
}

fn line(who: &Who, operation: &str, what: &str, by: &str, waited: Duration) -> String {
    let time = humantime::format_rfc3339_millis(SystemTime::now()).to_string();
    let command: Vec<_> = who
        .command
        .iter()
        .map(|word| word.to_string_lossy())
        .collect();
    let program = who.program.as_ref().map(|path| path.to_string_lossy());
    let directory = who.directory.as_ref().map(|path| path.to_string_lossy());
    let mut line = json!({
        "time": time,
        "decision": what,
        "by": by,
        "operation": operation,
        "pid": who.pid,
        "uid": who.uid,
        "gid": who.gid,
        "user": who.user,
        "program": program,
        "command": command,
        "directory": directory,
        "waited_ms": u64::try_from(waited.as_millis()).unwrap_or(u64::MAX),
    })
    .to_string();
    line.push('\n');
    line
}

#[cfg(test)]
mod tests {
    use std::fs;
    use std::io::Read;
    use std::sync::Arc;

    use super::*;
    use crate::desk::{By, Decision, Operation};
    use crate::secret::Secret;
    use crate::who::tests::process;

    #[test]
    fn a_line_says_who_and_what_but_not_the_answer() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("log");
        let audit = Audit::open(&path).unwrap();
        let mut who = process(7, 3, "/bin/a");
        who.command = vec!["a\n".into(), "\"b".into()];
        let closed = Closed::<()> {
            waiters: Vec::new(),
            who: Arc::new(who),
            operation: Operation::Open,
            decision: Decision {
                verdict: Verdict::Answer(Arc::new(Secret::of(b"hunter2"))),
                by: By::Terminal,
            },
            waited: Duration::from_millis(1500),
        };
        audit.note(&closed, true).unwrap();
        audit.note(&closed, false).unwrap();
        let text = fs::read_to_string(&path).unwrap();
        assert_eq!(text.lines().count(), 2);
        assert!(text.lines().nth(1).unwrap().contains("\"failed\""));
        assert!(!text.contains("hunter2"));
        let value: serde_json::Value = serde_json::from_str(text.lines().next().unwrap()).unwrap();
        assert_eq!(value["decision"], "answered");
        assert_eq!(value["by"], "terminal");
        assert_eq!(value["pid"], 7);
        assert_eq!(value["command"][0], "a\n");
        assert_eq!(value["waited_ms"], 1500);
    }

    #[test]
    fn what_cannot_be_noted_fails() {
        let audit = Audit::open(Path::new("/dev/full")).unwrap();
        let closed = Closed::<()> {
            waiters: Vec::new(),
            who: Arc::new(process(7, 3, "/bin/a")),
            operation: Operation::Open,
            decision: Decision {
                verdict: Verdict::Deny,
                by: By::Rule,
            },
            waited: Duration::ZERO,
        };
        assert_eq!(audit.note(&closed, true), Err(Errno::EIO));
        let error = Audit::open(Path::new("/no/such/file"))
            .map(drop)
            .unwrap_err();
        assert!(
            error.to_string().contains("audit log /no/such/file"),
            "{error}"
        );
    }

    #[test]
    fn a_pipe_that_is_full_keeps_nobody_waiting() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("pipe");
        nix::unistd::mkfifo(&path, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(Audit::open(&path).is_err(), "nobody reads it");
        let mut options = OpenOptions::new();
        let options = options.read(true).custom_flags(OFlag::O_NONBLOCK.bits());
        let mut reader = options.open(&path).unwrap();
        let audit = Audit::open(&path).unwrap();
        let mut who = process(7, 3, "/bin/a");
        who.command = vec!["x".repeat(3000).into()];
        let asked = Closed::<()> {
            waiters: Vec::new(),
            who: Arc::new(who),
            operation: Operation::Open,
            decision: Decision {
                verdict: Verdict::Deny,
                by: By::Rule,
            },
            waited: Duration::ZERO,
        };
        while audit.note(&asked, true).is_ok() {}
        // What was torn is a line of its own.
        let mut text = Vec::new();
        let _would_wait = reader.read_to_end(&mut text);
        audit.note(&asked, true).unwrap();
        let _would_wait = reader.read_to_end(&mut text);
        let text = String::from_utf8(text).unwrap();
        assert!(text.lines().last().unwrap().starts_with("{"), "{text}");
    }
}
