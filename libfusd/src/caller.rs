//! Who made a call: the ids the kernel gives with every request, and what /proc tells about them.

use std::ffi::OsString;
use std::fs;
use std::os::unix::ffi::OsStringExt;
use std::path::PathBuf;

/// The process that made a call, as seen from the driver's namespaces.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash)]
pub struct Caller {
    /// Id of the thread that called; see [`pid`](Self::pid) for its process. 0 where the kernel
    /// names none: a process outside the driver's pid namespace, or the last close of a file that
    /// nobody holds any more.
    pub thread: u32,
    /// User id the call was made with (the file-system user id on FUSE).
    pub uid: u32,
    /// Group id, likewise.
    pub gid: u32,
}

impl Caller {
    /// The process that called. (`/proc/TID/status`: the kernel names the thread.)
    ///
    /// The id of the thread where it is gone; 0 where the kernel named none.
    pub fn pid(&self) -> u32 {
        let status = match self.thread {
            0 => None,
            thread => fs::read_to_string(format!("/proc/{thread}/status")).ok(),
        };
        let group = status.and_then(|status| {
            let line = status.lines().find_map(|line| line.strip_prefix("Tgid:"))?;
            line.trim().parse().ok()
        });
        group.unwrap_or(self.thread)
    }

    /// The command name of the caller, at most 15 bytes (`/proc/PID/comm`).
    ///
    /// `None` where there is no such process any more. A process can set this name itself: it is
    /// for people to read, not for deciding about rights.
    pub fn program(&self) -> Option<String> {
        let name = fs::read(self.proc("comm")?).ok()?;
        Some(String::from_utf8_lossy(&name).trim_end().to_owned())
    }

    /// The caller's executable (`/proc/PID/exe`).
    ///
    /// `None` where it is gone, or where this process has no right to look.
    pub fn executable(&self) -> Option<PathBuf> {
        fs::read_link(self.thread_proc("exe")?).ok()
    }

    /// The caller's command line, an item per argument (`/proc/PID/cmdline`).
    pub fn command_line(&self) -> Option<Vec<OsString>> {
        let line = fs::read(self.thread_proc("cmdline")?).ok()?;
        let line = line.strip_suffix(b"\0").unwrap_or(&line);
        Some(
            line.split(|byte| *byte == 0)
                .map(|word| OsString::from_vec(word.to_vec()))
                .collect(),
        )
    }

    /// The caller's working directory (`/proc/PID/cwd`).
    pub fn working_directory(&self) -> Option<PathBuf> {
        fs::read_link(self.thread_proc("cwd")?).ok()
    }

    /// By the thread: where the first one of a process has ended, which it may bring about itself,
    /// the process has no executable any more, but its other threads have.
    fn thread_proc(&self, entry: &str) -> Option<PathBuf> {
        match self.thread {
            0 => None,
            thread => Some(PathBuf::from(format!("/proc/{thread}/{entry}"))),
        }
    }

    fn proc(&self, entry: &str) -> Option<PathBuf> {
        match self.pid() {
            0 => None,
            pid => Some(PathBuf::from(format!("/proc/{pid}/{entry}"))),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::thread;

    use nix::unistd::gettid;

    use super::*;

    fn me() -> Caller {
        let thread = u32::try_from(gettid().as_raw()).unwrap();
        Caller {
            thread,
            uid: 0,
            gid: 0,
        }
    }

    #[test]
    fn the_own_process_is_described() {
        assert!(!me().program().unwrap().is_empty());
        assert_eq!(me().executable().unwrap(), std::env::current_exe().unwrap());
        assert_eq!(
            me().working_directory().unwrap(),
            std::env::current_dir().unwrap()
        );
        assert_eq!(
            me().command_line().unwrap()[0],
            std::env::args_os().next().unwrap()
        );
    }

    #[test]
    fn any_thread_calls_for_its_process() {
        let other = thread::spawn(|| {
            let caller = me();
            assert_ne!(caller.thread, std::process::id());
            caller.pid()
        });
        assert_eq!(other.join().unwrap(), std::process::id());
    }

    #[test]
    fn a_process_that_nobody_names_has_no_description() {
        let nobody = Caller {
            thread: 0,
            uid: 0,
            gid: 0,
        };
        assert_eq!(nobody.pid(), 0);
        assert_eq!(nobody.program(), None);
        assert_eq!(nobody.command_line(), None);
    }
}
