//! `--exec`: a command whose output is the text, run once for each open.

use std::ffi::OsString;
use std::io::{self, Read, pipe};
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use fusd::{Errno, OpenRequest};
use fusd_tool::Program;
use nix::sys::signal::Signal;

use crate::content::Content;
use crate::device::OpenText;

/// What runs the command, `$1`.
///
/// The keeper waits for the end of standard input, which comes when this process dies, however it
/// dies; then it kills the whole group, itself included. Nothing is left running for nobody.
const SCRIPT: &str = r#"
exec 3<&0 </dev/null
{ read -r _ <&3; kill -9 0; } >/dev/null 2>&1 &
/bin/sh -c "$1" 3<&-
status=$?
{ kill -9 $!; wait $!; } 2>/dev/null
exit $status
"#;

/// How to make a text for one open.
#[derive(Debug)]
pub(crate) struct Job {
    pub(crate) command: OsString,
    /// The node, once it is known.
    pub(crate) node: Option<PathBuf>,
    /// The most that the command may say, in bytes.
    pub(crate) limit: usize,
}

/// Runs the command on a thread of its own, which then answers `request`.
pub(crate) fn open(
    job: Job,
    request: OpenRequest<OpenText>,
    accept: impl FnOnce(OpenRequest<OpenText>, Content) + Send + 'static,
) {
    // Kept here in case there is no thread to take it.
    let slot = Arc::new(Mutex::new(Some(request)));
    let theirs = Arc::clone(&slot);
    let thread = thread::Builder::new().name("exec".into()).spawn(move || {
        let Some(request) = take(&theirs) else { return };
        match job.collect(&request) {
            Ok(text) => accept(request, Content::new(text)),
            Err(errno) => {
                request.fail(errno);
            }
        }
    });
    if let Err(error) = thread {
        let error = Errno::from(error);
        tracing::warn!(%error, "no thread for the command");
        if let Some(request) = take(&slot) {
            request.fail(Errno::EAGAIN);
        }
    }
}

fn take<T>(slot: &Mutex<Option<T>>) -> Option<T> {
    slot.lock().unwrap_or_else(PoisonError::into_inner).take()
}

impl Job {
    /// What the command says.
    fn collect(&self, request: &OpenRequest<OpenText>) -> Result<Vec<u8>, Errno> {
        let command = self.command.display();
        let failed = |error: io::Error| {
            let error = Errno::from(error);
            tracing::warn!(%command, %error, "the command cannot be run");
            Errno::EIO
        };
        let (mut output, stdout) = pipe().map_err(failed)?;
        let (stdin, lifeline) = pipe().map_err(failed)?;
        let caller = request.caller();
        let mut program = Program::new(["/bin/sh", "-c", SCRIPT, "sh"])
            .arg(&self.command)
            .caller(caller.pid(), caller.uid, caller.gid)
            .env("FUSD_COMM", caller.program().unwrap_or_default())
            .stdin(stdin)
            .stdout(stdout)
            .own_group();
        if let Some(node) = &self.node {
            program = program.env("FUSD_PATH", node);
        }
        let child = Arc::new(program.spawn().map_err(|errno| failed(errno.into()))?);
        let killed = Arc::clone(&child);
        if !request.on_abandoned(move || killed.signal_group(Signal::SIGKILL)) {
            child.signal_group(Signal::SIGKILL);
        }
        let mut text = Vec::new();
        let read = (&mut output)
            .take(self.limit as u64 + 1)
            .read_to_end(&mut text);
        let too_long = text.len() > self.limit;
        if too_long || read.is_err() {
            child.signal_group(Signal::SIGKILL);
        }
        let status = child.wait();
        drop(lifeline);
        if request.is_abandoned() {
            return Err(Errno::EINTR);
        }
        read.map_err(failed)?;
        if too_long {
            let limit = self.limit;
            tracing::warn!(%command, limit, "the command says more than --max-size allows");
            return Err(Errno::EFBIG);
        }
        match status {
            Ok(status) if status.success() => Ok(text),
            Ok(status) => {
                tracing::warn!(%command, %status, "the command failed");
                Err(Errno::EIO)
            }
            Err(errno) => Err(failed(errno.into())),
        }
    }
}
