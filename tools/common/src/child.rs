//! Programs that a tool runs, with the signals as any program expects them.
//!
//! A tool blocks signals in all its threads, and the standard library hands that on to what it
//! starts: such a program could not be interrupted. Here it starts with no signal blocked and
//! with SIGPIPE as by default.

use std::ffi::{CString, OsStr, OsString};
use std::os::fd::{AsRawFd, OwnedFd, RawFd};
use std::os::unix::ffi::OsStrExt;
use std::os::unix::process::ExitStatusExt;
use std::process::ExitStatus;
use std::sync::{Mutex, MutexGuard, PoisonError};

use fusd::Errno;
use nix::errno::Errno as Raw;
use nix::spawn::{PosixSpawnAttr, PosixSpawnFileActions, PosixSpawnFlags, posix_spawnp};
use nix::sys::signal::{SigSet, Signal, kill, killpg};
use nix::sys::wait::{Id, WaitPidFlag, WaitStatus, waitid, waitpid};
use nix::unistd::Pid;

/// Variables that are meant for the tool alone.
const OURS: [&str; 1] = ["NOTIFY_SOCKET"];

/// A program to run: its words, its environment, where it reads and writes.
#[derive(Debug)]
#[must_use]
pub struct Program {
    words: Vec<OsString>,
    environment: Vec<(OsString, OsString)>,
    stdin: Option<OwnedFd>,
    stdout: Option<OwnedFd>,
    stderr: Option<OwnedFd>,
    descriptors: Vec<(OwnedFd, RawFd)>,
    own_group: bool,
    own_session: bool,
}

impl Program {
    /// The program `words[0]`, looked up in `$PATH`, with the arguments that follow. It inherits
    /// the environment and the standard files unless told otherwise.
    pub fn new(words: impl IntoIterator<Item = impl Into<OsString>>) -> Self {
        Self {
            words: words.into_iter().map(Into::into).collect(),
            environment: Vec::new(),
            stdin: None,
            stdout: None,
            stderr: None,
            descriptors: Vec::new(),
            own_group: false,
            own_session: false,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, word: impl Into<OsString>) -> Self {
        self.words.push(word.into());
        self
    }

    /// Adds a variable to its environment, or replaces it.
    pub fn env(mut self, name: impl Into<OsString>, value: impl Into<OsString>) -> Self {
        self.environment.push((name.into(), value.into()));
        self
    }

    /// Tells it who makes the call that it is run for.
    pub fn caller(self, pid: u32, uid: u32, gid: u32) -> Self {
        self.env("FUSD_PID", pid.to_string())
            .env("FUSD_UID", uid.to_string())
            .env("FUSD_GID", gid.to_string())
    }

    /// What it reads.
    pub fn stdin(mut self, file: impl Into<OwnedFd>) -> Self {
        self.stdin = Some(file.into());
        self
    }

    /// Where it writes.
    pub fn stdout(mut self, file: impl Into<OwnedFd>) -> Self {
        self.stdout = Some(file.into());
        self
    }

    /// Where it says what is wrong.
    pub fn stderr(mut self, file: impl Into<OwnedFd>) -> Self {
        self.stderr = Some(file.into());
        self
    }

    /// Gives it an open file under `number`, at least 3.
    pub fn descriptor(mut self, file: impl Into<OwnedFd>, number: RawFd) -> Self {
        self.descriptors.push((file.into(), number));
        self
    }

    /// Runs it in a session of its own, without a terminal, as a service: it goes on when the terminal
    /// goes, and when the program does that has started it.
    pub fn own_session(mut self) -> Self {
        self.own_session = true;
        self
    }

    /// Runs it in a process group of its own: the terminal's signals do not reach it, and
    /// [`Child::signal_group`] reaches all that it starts. What is left of the group when the
    /// program ends is killed.
    pub fn own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// Starts it.
    ///
    /// # Errors
    /// There is no such program (`ENOENT`), it cannot be executed (`EACCES`, `ENOEXEC`), a word
    /// contains a NUL byte (`EINVAL`), or the system has no room for a process.
    pub fn spawn(self) -> Result<Child, Errno> {
        let words = self.words.iter().map(|word| c_string(word.as_bytes()));
        let words = words.collect::<Result<Vec<_>, _>>()?;
        let Some(program) = words.first() else {
            return Err(Errno::EINVAL);
        };
        let mut attributes = PosixSpawnAttr::init()?;
        let mut flags =
            PosixSpawnFlags::POSIX_SPAWN_SETSIGMASK | PosixSpawnFlags::POSIX_SPAWN_SETSIGDEF;
        attributes.set_sigmask(&SigSet::empty())?;
        let mut default = SigSet::empty();
        default.add(Signal::SIGPIPE);
        attributes.set_sigdefault(&default)?;
        if self.own_group {
            flags |= PosixSpawnFlags::POSIX_SPAWN_SETPGROUP;
            attributes.set_pgroup(Pid::from_raw(0))?;
        }
        if self.own_session {
            flags |= PosixSpawnFlags::from_bits_retain(libc::POSIX_SPAWN_SETSID.into());
        }
        attributes.set_flags(flags)?;
        let mut files = PosixSpawnFileActions::init()?;
        let standard = [(&self.stdin, 0), (&self.stdout, 1), (&self.stderr, 2)];
        let standard = standard
            .into_iter()
            .filter_map(|(file, number)| Some((file.as_ref()?, number)));
        let others = self
            .descriptors
            .iter()
            .map(|(file, number)| (file, *number));
        for (file, number) in standard.chain(others) {
            files.add_dup2(file.as_raw_fd(), number)?;
        }
        let environment = self.merged_environment()?;
        let pid = posix_spawnp(program, &files, &attributes, &words, &environment)?;
        Ok(Child {
            pid,
            group: self.own_group,
            reaped: Mutex::new(false),
        })
    }

    fn merged_environment(&self) -> Result<Vec<CString>, Errno> {
        let replaced = |name: &OsStr| {
            OURS.iter().any(|ours| name == *ours)
                || self.environment.iter().any(|(added, _)| added == name)
        };
        let kept = std::env::vars_os().filter(|(name, _)| !replaced(name));
        kept.chain(self.environment.iter().cloned())
            .map(|(name, value)| c_string(&[name.as_bytes(), b"=", value.as_bytes()].concat()))
            .collect()
    }
}

fn c_string(bytes: &[u8]) -> Result<CString, Errno> {
    CString::new(bytes).map_err(|_| Errno::EINVAL)
}

/// A program that was started.
#[derive(Debug)]
pub struct Child {
    pid: Pid,
    group: bool,
    /// Once it is reaped, its number may be another program's.
    reaped: Mutex<bool>,
}

impl Child {
    /// Its process number, which stays its own until it has been waited for.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Waits for its end. To be called once.
    ///
    /// # Errors
    /// It has been waited for already.
    pub fn wait(&self) -> Result<ExitStatus, Errno> {
        let flags = WaitPidFlag::WEXITED | WaitPidFlag::WNOWAIT;
        while let Err(errno) = waitid(Id::Pid(self.pid), flags) {
            if errno != Raw::EINTR {
                return Err(errno.into());
            }
        }
        let mut reaped = self.lock();
        if self.group {
            // The program is not reaped yet: the number is still its group's.
            let _gone = killpg(self.pid, Signal::SIGKILL);
        }
        let status = waitpid(self.pid, None)?;
        *reaped = true;
        // The encoding of wait(2).
        Ok(ExitStatus::from_raw(match status {
            WaitStatus::Exited(_, code) => (code & 0xff) << 8,
            WaitStatus::Signaled(_, signal, _) => signal as i32,
            _ => 0,
        }))
    }

    /// Sends it a signal, unless it has been waited for.
    pub fn signal(&self, signal: Signal) {
        if !*self.lock() {
            let _gone = kill(self.pid, signal);
        }
    }

    /// Whether it has a process group of its own.
    pub fn has_group(&self) -> bool {
        self.group
    }

    /// Sends a signal to its process group, which must be its own, unless it has been waited for.
    pub fn signal_group(&self, signal: Signal) {
        if self.group && !*self.lock() {
            let _gone = killpg(self.pid, signal);
        }
    }

    fn lock(&self) -> MutexGuard<'_, bool> {
        self.reaped.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Read, pipe};

    use super::*;

    fn output(program: Program) -> (String, ExitStatus) {
        let (mut reader, writer) = pipe().unwrap();
        let child = program.stdout(writer).spawn().unwrap();
        let mut text = String::new();
        reader.read_to_string(&mut text).unwrap();
        (text, child.wait().unwrap())
    }

    #[test]
    fn no_signal_is_blocked_and_sigpipe_is_not_ignored() {
        let mut set = SigSet::empty();
        set.add(Signal::SIGTERM);
        set.add(Signal::SIGINT);
        // Only this test's thread, and with it the child, is concerned.
        set.thread_block().unwrap();
        let (status, _) = output(Program::new(["cat", "/proc/self/status"]));
        let mask = |name: &str| {
            let line = status.lines().find_map(|line| line.strip_prefix(name));
            u64::from_str_radix(line.unwrap().trim(), 16).unwrap()
        };
        assert_eq!(mask("SigBlk:"), 0);
        assert_eq!(mask("SigIgn:") & (1 << (Signal::SIGPIPE as u32 - 1)), 0);
    }

    #[test]
    fn variables_are_added_and_replaced() {
        let program = Program::new(["/bin/sh", "-c", "echo $A $PATH"])
            .env("A", "1 2")
            .env("PATH", "/x");
        assert_eq!(output(program).0, "1 2 /x\n");
    }

    #[test]
    fn the_status_is_that_of_the_program() {
        for (script, code, signal) in [
            ("exit 42", Some(42), None),
            ("kill -KILL $$", None, Some(9)),
        ] {
            let (_, status) = output(Program::new(["/bin/sh", "-c", script]));
            assert_eq!((status.code(), status.signal()), (code, signal));
        }
    }

    #[test]
    fn a_group_is_killed_as_a_whole() {
        let (mut reader, writer) = pipe().unwrap();
        let child = Program::new(["/bin/sh", "-c", "sleep 1000 & echo; wait"])
            .stdout(writer)
            .own_group()
            .spawn()
            .unwrap();
        reader.read_exact(&mut [0]).unwrap();
        child.signal_group(Signal::SIGKILL);
        // This ends only because nobody has the pipe open any more.
        reader.read_to_end(&mut Vec::new()).unwrap();
        assert_eq!(child.wait().unwrap().signal(), Some(9));
        child.signal_group(Signal::SIGKILL);
        child.signal(Signal::SIGKILL);
    }

    #[test]
    fn a_service_has_its_own_session_and_the_files_it_is_given() {
        let (mut reader, writer) = pipe().unwrap();
        let (mut errors, error_writer) = pipe().unwrap();
        let script = "echo given >&7; echo wrong >&2; cut -d' ' -f1,6 /proc/self/stat";
        let (mut own, own_writer) = pipe().unwrap();
        let child = Program::new(["/bin/sh", "-c", script])
            .descriptor(writer, 7)
            .stderr(error_writer)
            .stdout(own_writer)
            .own_session()
            .spawn()
            .unwrap();
        let read = |pipe: &mut dyn Read| {
            let mut text = String::new();
            pipe.read_to_string(&mut text).unwrap();
            text
        };
        assert_eq!(read(&mut reader), "given\n");
        assert_eq!(read(&mut errors), "wrong\n");
        let pids = read(&mut own);
        let (_, session) = pids.trim().split_once(' ').unwrap();
        assert_eq!(session, child.pid().to_string());
        assert!(child.wait().unwrap().success());
    }

    #[test]
    fn what_cannot_be_started_says_why() {
        for (word, errno) in [
            ("/no/such/program", Errno::ENOENT),
            ("no-such-program", Errno::ENOENT),
            ("/etc/passwd", Errno::EACCES),
            ("/", Errno::EACCES),
            ("a\0b", Errno::EINVAL),
        ] {
            assert_eq!(Program::new([word]).spawn().unwrap_err(), errno, "{word:?}");
        }
    }
}
