//! This process: kept from being looked into, and known together with what it has started.

use std::fs;
use std::sync::{Arc, Mutex, PoisonError};

use fusd::Errno;
use fusd_tool::{Child, Program};
use nix::sys::prctl::set_dumpable;
use nix::sys::resource::{Resource, getrlimit, setrlimit};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::who::Stat;

/// How far up the processes a caller's ancestors are looked at: more than anybody has, and an end.
const DEPTH: usize = 64;

/// Keeps what is typed from core dumps, and from other processes of the same user that would look into
/// this one by ptrace(2) or /proc/PID/mem (proc_pid_mem(5)).
pub(crate) fn protect() {
    if let Err(errno) = set_dumpable(false) {
        tracing::warn!(error = %Errno::from(errno), "this process can be looked into");
    }
    // The soft limit alone: a command beside the device may raise its own again.
    let limited = getrlimit(Resource::RLIMIT_CORE)
        .and_then(|(_, hard)| setrlimit(Resource::RLIMIT_CORE, 0, hard));
    if let Err(errno) = limited {
        tracing::warn!(error = %Errno::from(errno), "this process may dump core");
    }
}

/// A process that is no child of this one: known by its number and its start, as the number may be
/// another's later.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pid: u32,
    started: u64,
}

impl Process {
    fn of(pid: u32) -> Option<Self> {
        let started = Stat::of(pid)?.started;
        Some(Self { pid, started })
    }

    /// Sends it a signal, if it is still there.
    pub(crate) fn signal(self, signal: Signal) {
        if Self::of(self.pid) == Some(self) {
            let _gone = kill(Pid::from_raw(self.pid.cast_signed()), signal);
        }
    }
}

/// All that a process has started, and what those have, as far as their parents are still there.
pub(crate) fn family(pid: u32) -> Vec<Process> {
    let entries = fs::read_dir("/proc").into_iter().flatten().flatten();
    let pids = entries.filter_map(|entry| entry.file_name().to_str()?.parse::<u32>().ok());
    let processes: Vec<(u32, Stat)> = pids.filter_map(|pid| Some((pid, Stat::of(pid)?))).collect();
    let mut all = Vec::new();
    let mut next = vec![pid];
    while let Some(parent) = next.pop() {
        let children = processes.iter().filter(|(_, stat)| stat.parent == parent);
        for (pid, stat) in children {
            let (pid, started) = (*pid, stat.started);
            all.push(Process { pid, started });
            next.push(pid);
        }
    }
    all
}

/// What a process does at this moment, of `/proc/PID/status`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Moment {
    Runs,
    /// It is stopped; whether it blocks SIGTERM, as shells do while they start a command.
    Stopped {
        blocks: bool,
    },
    Ended,
}

impl Moment {
    pub(crate) fn of(pid: u32) -> Self {
        fs::read_to_string(format!("/proc/{pid}/status")).map_or(Self::Ended, |it| Self::parse(&it))
    }

    fn parse(status: &str) -> Self {
        let field = |name| status.lines().find_map(|line| line.strip_prefix(name));
        let state = field("State:").unwrap_or_default().trim_start();
        let blocked = field("SigBlk:").unwrap_or_default().trim();
        let blocked = u64::from_str_radix(blocked, 16).unwrap_or_default();
        match state.chars().next() {
            Some('T') => Self::Stopped {
                blocks: blocked >> (Signal::SIGTERM as u32 - 1) & 1 == 1,
            },
            None | Some('Z' | 'X') => Self::Ended,
            Some(_) => Self::Runs,
        }
    }
}

/// Processes that this program runs while somebody waits: an editor, a helper. If one of them opened the
/// node, it would wait for itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct OwnProcesses(Arc<Mutex<Vec<u32>>>);

impl OwnProcesses {
    /// Adds a process for as long as the result lives.
    #[cfg(test)]
    fn add(&self, pid: u32) -> OwnProcess {
        self.lock().push(pid);
        OwnProcess(self.clone(), pid)
    }

    /// Starts a program and adds it, before it can be asked whether it is one of these.
    ///
    /// # Errors
    /// It cannot be started ([`Program::spawn`]).
    pub(crate) fn spawn(&self, program: Program) -> Result<(Child, OwnProcess), Errno> {
        let mut own = self.lock();
        let child = program.spawn()?;
        let pid = child.pid();
        own.push(pid);
        Ok((child, OwnProcess(self.clone(), pid)))
    }

    /// Whether a process is this one, or one that was added, or was started by such a one.
    pub(crate) fn holds(&self, pid: u32) -> bool {
        if pid == std::process::id() {
            return true;
        }
        let own = self.lock().clone();
        if own.is_empty() || pid == 0 {
            return false;
        }
        let is_own = |pid: u32| own.contains(&pid);
        let mut next = pid;
        for _ in 0..DEPTH {
            let Some(stat) = Stat::of(next) else {
                return is_own(next);
            };
            let group = u32::try_from(stat.group).unwrap_or(0);
            let session = u32::try_from(stat.session).unwrap_or(0);
            if is_own(next) || is_own(group) || is_own(session) {
                return true;
            }
            if stat.parent <= 1 {
                return false;
            }
            next = stat.parent;
        }
        false
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Vec<u32>> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// A process that was added.
#[must_use]
pub(crate) struct OwnProcess(OwnProcesses, u32);

impl Drop for OwnProcess {
    fn drop(&mut self) {
        let mut own = self.0.lock();
        if let Some(place) = own.iter().position(|pid| *pid == self.1) {
            own.remove(place);
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{BufRead, BufReader};
    use std::process::{Command, Stdio};

    use super::*;

    #[test]
    fn a_moment_is_that_of_its_status() {
        let of = |state: &str, blocked: &str| {
            let text = format!("Name:\tsh\nState:\t{state}\nSigQ:\t0/1\nSigBlk:\t{blocked}\n");
            Moment::parse(&text)
        };
        let (none, term) = ("0000000000000000", "0000000000004000");
        let stopped = |blocks| Moment::Stopped { blocks };
        assert_eq!(of("T (stopped)", none), stopped(false));
        assert_eq!(of("T (stopped)", term), stopped(true));
        assert_eq!(of("S (sleeping)", none), Moment::Runs);
        assert_eq!(of("Z (zombie)", none), Moment::Ended);
        assert_eq!(Moment::of(std::process::id()), Moment::Runs);
        assert_eq!(Moment::of(u32::MAX), Moment::Ended);
    }

    #[test]
    fn what_a_helper_starts_is_known_with_it() {
        let own = OwnProcesses::default();
        assert!(own.holds(std::process::id()));
        let mut child = Command::new("sh")
            .args(["-c", "sleep 1000 & echo $!; wait"])
            .stdout(Stdio::piped())
            .spawn()
            .unwrap();
        let mut line = String::new();
        BufReader::new(child.stdout.take().unwrap())
            .read_line(&mut line)
            .unwrap();
        let grandchild: u32 = line.trim().parse().unwrap();
        assert!(
            !own.holds(grandchild),
            "the command beside the device is no helper"
        );
        let added = own.add(child.id());
        assert!(own.holds(child.id()));
        assert!(own.holds(grandchild));
        assert!(!own.holds(1));
        drop(added);
        assert!(!own.holds(grandchild));
        let family = family(child.id());
        assert_eq!(family, [Process::of(grandchild).unwrap()]);
        let other = Process {
            started: 0,
            ..family[0]
        };
        other.signal(Signal::SIGKILL);
        assert!(child.try_wait().unwrap().is_none(), "it is another one");
        family[0].signal(Signal::SIGKILL);
        child.wait().unwrap();
    }
}
