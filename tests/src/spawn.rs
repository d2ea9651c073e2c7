//! Starts a program that inherits one descriptor, by posix_spawn(3).
//!
//! The standard library can have a descriptor inherited only by way of fork(2), which copies what
//! the test program has mapped: in User-Mode Linux that takes longer than all else about a start.

use std::ffi::{CString, OsString};
use std::io::{self, PipeReader, PipeWriter};
use std::os::fd::{AsFd, AsRawFd};
use std::os::unix::ffi::OsStringExt;
use std::os::unix::process::ExitStatusExt;
use std::process::{Command, ExitStatus};

use nix::errno::Errno;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::wait::{WaitPidFlag, WaitStatus, waitpid};
use nix::unistd::Pid;

/// A program that was started, and our ends of its standard streams.
pub(crate) struct Spawned {
    pub(crate) pid: Pid,
    pub(crate) stdin: PipeWriter,
    pub(crate) stdout: PipeReader,
    pub(crate) stderr: PipeReader,
}

/// Starts the program of `command`, with its arguments and its environment, in this directory;
/// whatever else the command may say does not count. It has `inherited` under the same number, and
/// is in a process group of its own if that is wanted.
///
/// # Errors
/// The program cannot be started.
pub(crate) fn spawn(
    command: &Command,
    inherited: &impl AsFd,
    in_own_group: bool,
) -> io::Result<Spawned> {
    let (theirs_in, stdin) = io::pipe()?;
    let (stdout, theirs_out) = io::pipe()?;
    let (stderr, theirs_err) = io::pipe()?;
    let mut actions = PosixSpawnFileActions::init()?;
    let inherited = inherited.as_fd().as_raw_fd();
    // To its own number: that is how it stays open.
    actions.add_dup2(inherited, inherited)?;
    actions.add_dup2(theirs_in.as_raw_fd(), 0)?;
    actions.add_dup2(theirs_out.as_raw_fd(), 1)?;
    actions.add_dup2(theirs_err.as_raw_fd(), 2)?;

    let mut attributes = PosixSpawnAttr::init()?;
    let mut flags =
        PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF | PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK;
    // As the standard library has it: a Rust program ignores SIGPIPE, and others would inherit that.
    attributes.set_sigdefault(&SigSet::from(Signal::SIGPIPE))?;
    attributes.set_sigmask(&SigSet::empty())?;
    if in_own_group {
        flags |= PosixSpawnFlags::POSIX_SPAWN_SETPGROUP;
        attributes.set_pgroup(Pid::from_raw(0))?;
    }
    attributes.set_flags(flags)?;

    let program = c_string(command.get_program().to_owned())?;
    let arguments = std::iter::once(command.get_program())
        .chain(command.get_args())
        .map(|argument| c_string(argument.to_owned()))
        .collect::<io::Result<Vec<_>>>()?;
    let environment = environment(command)?;
    let pid = posix_spawnp(&program, &actions, &attributes, &arguments, &environment)?;
    Ok(Spawned {
        pid,
        stdin,
        stdout,
        stderr,
    })
}

/// The environment of this process, with what the command changes.
fn environment(command: &Command) -> io::Result<Vec<CString>> {
    let is_changed = |name: &OsString| command.get_envs().any(|(changed, _)| changed == name);
    let kept = std::env::vars_os().filter(|(name, _)| !is_changed(name));
    let set = command
        .get_envs()
        .filter_map(|(name, value)| Some((name.to_owned(), value?.to_owned())));
    kept.chain(set)
        .map(|(mut variable, value)| {
            variable.push("=");
            variable.push(value);
            c_string(variable)
        })
        .collect()
}

fn c_string(text: OsString) -> io::Result<CString> {
    CString::new(text.into_vec()).map_err(io::Error::from)
}

/// How the process has ended, if it has; to be asked until then, and not again. Waits for that if
/// `block` says so.
///
/// # Errors
/// It is no child of this process, or somebody else has asked.
pub(crate) fn ended(pid: Pid, block: bool) -> Result<Option<ExitStatus>, Errno> {
    let flags = if block {
        WaitPidFlag::empty()
    } else {
        WaitPidFlag::WNOHANG
    };
    loop {
        return match waitpid(pid, Some(flags)) {
            Err(Errno::EINTR) => continue,
            Err(errno) => Err(errno),
            Ok(WaitStatus::Exited(_, code)) => Ok(Some(ExitStatus::from_raw(code << 8))),
            Ok(WaitStatus::Signaled(_, signal, dumped)) => {
                let dumped = if dumped { 0x80 } else { 0 };
                Ok(Some(ExitStatus::from_raw(signal as i32 | dumped)))
            }
            Ok(_) => Ok(None),
        };
    }
}
