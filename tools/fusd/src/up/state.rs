//! Which devices are up: a file for each, with the process that serves it, in a directory that is empty
//! after a reboot. A process is known by its number and the time of its start, which together are never
//! used again. A lock on the directory keeps two of these commands apart.

use std::env;
use std::fs::{self, File};
use std::io;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};

use fusd::Errno;
use fusd_tool::{ToolError, exit};
use nix::fcntl::{Flock, FlockArg};
use serde_json::{Value, json};

/// A device that was started.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) struct Record {
    pub(super) pid: u32,
    /// When the process began, in clock ticks since the machine did; 0 where it has ended already.
    start: u64,
    /// Where its node is; empty until it is there.
    pub(super) node: String,
}

impl Record {
    /// That of a process.
    pub(super) fn of(pid: u32, node: &str) -> Self {
        Self {
            pid,
            start: start_of(pid).unwrap_or(0),
            node: node.to_owned(),
        }
    }

    /// Whether the process lives, and is the same one.
    pub(super) fn is_alive(&self) -> bool {
        start_of(self.pid) == Some(self.start)
    }

    fn parse(text: &str) -> Option<Self> {
        let value: Value = serde_json::from_str(text).ok()?;
        Some(Self {
            pid: value["pid"].as_u64()?.try_into().ok()?,
            start: value["start"].as_u64()?,
            node: value["node"].as_str()?.to_owned(),
        })
    }
}

/// When a process began, by /proc/PID/stat; `None` where there is none, or only what is left of it.
fn start_of(pid: u32) -> Option<u64> {
    let stat = fs::read_to_string(format!("/proc/{pid}/stat")).ok()?;
    let (_, after_name) = stat.rsplit_once(") ")?;
    let mut fields = after_name.split_ascii_whitespace();
    // Field 3 of proc_pid_stat(5), and then 22.
    match fields.next()? {
        "Z" | "X" => None,
        _ => fields.nth(18)?.parse().ok(),
    }
}

/// The directory, locked.
pub(super) struct State {
    directory: PathBuf,
    _lock: Flock<File>,
}

impl State {
    /// Opens the directory, and waits until no other command has it.
    ///
    /// # Errors
    /// There is no place for it, or it cannot be made.
    pub(super) fn open() -> Result<Self, ToolError> {
        let directory = place()?;
        let failed = |error: io::Error| {
            let errno = Errno::from(&error);
            let code = match error.kind() {
                io::ErrorKind::PermissionDenied => exit::PERMISSION,
                _ => exit::FAILED,
            };
            let text = format!(
                "cannot use {}, where it is noted which devices are up: {errno}",
                directory.display()
            );
            ToolError::new(code, text)
        };
        loop {
            fs::create_dir_all(&directory).map_err(failed)?;
            // Logs may tell what is nobody else's business.
            fs::set_permissions(&directory, fs::Permissions::from_mode(0o700)).map_err(failed)?;
            let file = File::open(&directory).map_err(failed)?;
            let lock = Flock::lock(file, FlockArg::LockExclusive)
                .map_err(|(_, errno)| failed(errno.into()))?;
            // A command that has just ended may have removed it.
            if directory.exists() && same(&lock, &directory) {
                return Ok(Self {
                    directory,
                    _lock: lock,
                });
            }
        }
    }

    fn record(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{}.json", file_name(name)))
    }

    /// Where a driver's messages go.
    pub(super) fn log(&self, name: &str) -> PathBuf {
        self.directory.join(format!("{}.log", file_name(name)))
    }

    /// The device of a name, if it is up.
    pub(super) fn running(&self, name: &str) -> Option<Record> {
        let text = fs::read_to_string(self.record(name)).ok()?;
        Record::parse(&text).filter(Record::is_alive)
    }

    /// The names of all that are noted.
    pub(super) fn names(&self) -> Vec<String> {
        let entries = fs::read_dir(&self.directory)
            .into_iter()
            .flatten()
            .flatten();
        let names = entries.filter_map(|entry| {
            let name = entry.file_name().into_string().ok()?;
            Some(name.strip_suffix(".json")?.replace('!', "/"))
        });
        let mut names: Vec<String> = names.collect();
        names.sort();
        names
    }

    /// Notes a device, as a whole or not at all.
    ///
    /// # Errors
    /// There is no room, or no right.
    pub(super) fn write(&self, name: &str, record: &Record) -> Result<(), ToolError> {
        let path = self.record(name);
        let new = path.with_extension("new");
        let text = json!({ "pid": record.pid, "start": record.start, "node": record.node });
        fs::write(&new, format!("{text}\n"))
            .and_then(|()| fs::rename(&new, &path))
            .map_err(|error| {
                let errno = Errno::from(error);
                ToolError::failed(format!("cannot write {}: {errno}", path.display()))
            })
    }

    /// Forgets a device, and its log.
    pub(super) fn remove(&self, name: &str) {
        for path in [self.record(name), self.log(name)] {
            if let Err(error) = fs::remove_file(&path)
                && error.kind() != io::ErrorKind::NotFound
            {
                let errno = Errno::from(error);
                fusd_tool::say(format!("fusd: cannot remove {}: {errno}\n", path.display()));
            }
        }
    }
}

impl Drop for State {
    fn drop(&mut self) {
        // It stays where something is in it, and so does the directory around it.
        if fs::remove_dir(&self.directory).is_ok()
            && let Some(parent) = self.directory.parent()
        {
            let _others_have_it = fs::remove_dir(parent);
        }
    }
}

fn same(file: &File, path: &Path) -> bool {
    use std::os::unix::fs::MetadataExt;
    let id = |status: fs::Metadata| (status.dev(), status.ino());
    match (file.metadata(), fs::metadata(path)) {
        (Ok(one), Ok(other)) => id(one) == id(other),
        _ => false,
    }
}

/// Names of devices have subdirectories, those of files do not. No device has "!" in its name.
fn file_name(name: &str) -> String {
    name.replace('/', "!")
}

fn place() -> Result<PathBuf, ToolError> {
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/run/fusd/up"));
    }
    let runtime = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    match runtime.filter(|path| path.is_absolute() && path.is_dir()) {
        // Nodes are beside it: this is a name that nobody gives one.
        Some(runtime) => Ok(runtime.join("fusd/.up")),
        None => Err(ToolError::failed(
            "cannot note which devices are up: XDG_RUNTIME_DIR names no directory; log in by a way that \
             sets it, or set it",
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_is_alive_until_its_number_means_another_or_none() {
        let own = Record::of(std::process::id(), "/dev/x");
        assert!(own.is_alive());
        let other = Record {
            start: own.start + 1,
            ..own.clone()
        };
        assert!(!other.is_alive());
        assert!(!Record::of(u32::MAX, "").is_alive());
    }

    #[test]
    fn what_is_written_is_read_again() {
        let text = r#"{"pid": 7, "start": 8, "node": "/dev/x"}"#;
        let record = Record {
            pid: 7,
            start: 8,
            node: "/dev/x".into(),
        };
        assert_eq!(Record::parse(text), Some(record));
        for bad in ["", "{}", r#"{"pid": -1, "start": 8, "node": ""}"#] {
            assert_eq!(Record::parse(bad), None, "{bad}");
        }
    }
}
