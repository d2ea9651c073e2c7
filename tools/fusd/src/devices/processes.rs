//! The machine's processes, as far as this user may look into them: what they have open of fusd's.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::os::unix::ffi::{OsStrExt, OsStringExt};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

use nix::unistd::{Uid, User};

use crate::table::printable;

/// How the command line of a process begins that watches over a FUSE node; the node's path follows.
const WATCHER: &[u8] = b"fusd-watch: ";

/// The flag of a descriptor that stands for a file without having it open (`O_PATH`), in octal as in
/// /proc/PID/fdinfo. (All architectures that Rust knows but two have it so.)
const O_PATH: u64 = 0o10_000_000;

/// A process, to be named to people.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Process {
    pub(crate) pid: u32,
    /// What it is called; it chose that itself.
    pub(crate) program: String,
    /// Who runs it.
    pub(crate) uid: u32,
}

impl Process {
    /// The process `pid`, if there is one.
    pub(crate) fn of(pid: u32) -> Option<Self> {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let uid = fs::metadata(&folder).ok()?.uid();
        let program = fs::read(folder.join("comm")).ok()?;
        let program = String::from_utf8_lossy(program.trim_ascii_end());
        Some(Self {
            pid,
            program: printable(&program),
            uid,
        })
    }

    /// The user who runs it, by name if there is one.
    pub(crate) fn user(&self) -> String {
        match User::from_uid(Uid::from_raw(self.uid)) {
            Ok(Some(user)) => printable(&user.name),
            _ => self.uid.to_string(),
        }
    }

    /// As `cat(123)`.
    pub(crate) fn title(&self) -> String {
        format!("{}({})", self.program, self.pid)
    }
}

/// Who has what open.
#[derive(Default)]
pub(super) struct Processes {
    /// By the path of what is open: who has it, and under which descriptor.
    open: BTreeMap<PathBuf, Vec<(u32, u32)>>,
    /// Who watches over the node of a path.
    watchers: BTreeMap<PathBuf, u32>,
}

/// What drivers have open.
const CONTROLS: [&str; 3] = ["/dev/fuse", "/dev/cuse", "/dev/fusd/control"];

impl Processes {
    /// Looks at all processes, for those that have one of these nodes open, or what drivers do.
    pub(super) fn look<'a>(nodes: impl Iterator<Item = &'a Path>) -> Self {
        let mut wanted: BTreeSet<PathBuf> = nodes.map(Path::to_owned).collect();
        let mut found = Self::default();
        if wanted.is_empty() {
            return found;
        }
        wanted.extend(CONTROLS.map(PathBuf::from));
        for pid in pids() {
            found.look_at(pid, &wanted);
        }
        found
    }

    fn look_at(&mut self, pid: u32, wanted: &BTreeSet<PathBuf>) {
        let folder = PathBuf::from(format!("/proc/{pid}"));
        let line = fs::read(folder.join("cmdline")).unwrap_or_default();
        if let Some(path) = line.strip_prefix(WATCHER) {
            let end = path.iter().position(|byte| *byte == 0);
            let path = &path[..end.unwrap_or(path.len())];
            let path = PathBuf::from(std::ffi::OsStr::from_bytes(path));
            self.watchers.insert(real(&path), pid);
        }
        // Of other users' processes, only root may see this.
        for entry in fs::read_dir(folder.join("fd"))
            .into_iter()
            .flatten()
            .flatten()
        {
            let Ok(target) = fs::read_link(entry.path()) else {
                continue;
            };
            let number = entry
                .file_name()
                .to_str()
                .and_then(|name| name.parse().ok());
            if let (true, Some(number)) = (wanted.contains(&target), number) {
                self.open.entry(target).or_default().push((pid, number));
            }
        }
    }

    /// The process that watches over the node at `path`.
    pub(super) fn watcher(&self, path: &Path) -> Option<u32> {
        self.watchers.get(path).copied()
    }

    /// Whether a process has the file at `path` open, and not only its name.
    pub(super) fn has_open(&self, pid: u32, path: &Path) -> bool {
        self.of(path)
            .any(|(holder, fd)| holder == pid && !is_name_only(pid, fd))
    }

    /// Those who hold the name of the file at `path`, without having it open.
    pub(super) fn name_holders(&self, path: &Path) -> impl Iterator<Item = u32> {
        self.of(path)
            .filter(|(pid, fd)| is_name_only(*pid, *fd))
            .map(|(pid, _)| pid)
    }

    /// Who has the node at `path` open, each once, but for the driver.
    pub(super) fn clients(&self, path: &Path, driver: Option<u32>) -> Vec<Process> {
        let holders = self.of(path).filter(|(pid, fd)| !is_name_only(*pid, *fd));
        let pids: BTreeSet<u32> = holders
            .map(|(pid, _)| pid)
            .filter(|pid| Some(*pid) != driver)
            .collect();
        pids.into_iter().filter_map(Process::of).collect()
    }

    fn of(&self, path: &Path) -> impl Iterator<Item = (u32, u32)> {
        self.open.get(path).into_iter().flatten().copied()
    }
}

/// A path whose directories are no symbolic links, as the kernel shows a mount's.
fn real(path: &Path) -> PathBuf {
    let real = path
        .parent()
        .and_then(|parent| fs::canonicalize(parent).ok());
    match (real, path.file_name()) {
        (Some(parent), Some(name)) => parent.join(name),
        _ => path.to_owned(),
    }
}

fn pids() -> impl Iterator<Item = u32> {
    fs::read_dir("/proc")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| String::from_utf8(entry.file_name().into_vec()).ok())
        .filter_map(|name| name.parse().ok())
}

/// A number in a line of /proc/PID/fdinfo/FD.
pub(super) fn fdinfo<T: std::str::FromStr>(pid: u32, fd: &str, key: &str) -> Option<T> {
    let text = fs::read_to_string(format!("/proc/{pid}/fdinfo/{fd}")).ok()?;
    let line = text.lines().find_map(|line| line.strip_prefix(key))?;
    line.trim().parse().ok()
}

fn is_name_only(pid: u32, fd: u32) -> bool {
    let flags = fdinfo::<String>(pid, &fd.to_string(), "flags:");
    let flags = flags.and_then(|flags| u64::from_str_radix(&flags, 8).ok());
    flags.is_some_and(|flags| flags & O_PATH != 0)
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::os::unix::fs::OpenOptionsExt;

    use super::*;

    #[test]
    fn who_has_a_file_open_is_found_and_who_only_names_it_is_not() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = fs::canonicalize(file.path()).unwrap();
        let other = tempfile::NamedTempFile::new().unwrap();
        let named = fs::canonicalize(other.path()).unwrap();
        // Only the name: the file itself is closed.
        let (_file, other) = (file, other.into_temp_path());
        let _name = File::options()
            .read(true)
            .custom_flags(libc::O_PATH)
            .open(&other)
            .unwrap();
        let own = std::process::id();
        let processes = Processes::look([path.as_path(), named.as_path()].into_iter());
        let clients = processes.clients(&path, None);
        assert!(
            clients.iter().any(|client| client.pid == own),
            "{clients:?}"
        );
        assert!(processes.clients(&path, Some(own)).is_empty());
        assert!(processes.has_open(own, &path));
        assert!(processes.clients(&named, None).is_empty());
        assert_eq!(processes.name_holders(&named).collect::<Vec<_>>(), [own]);
    }

    #[test]
    fn a_process_has_a_title_and_a_user() {
        let own = Process::of(std::process::id()).unwrap();
        assert!(own.title().ends_with(&format!("({})", std::process::id())));
        assert!(!own.user().is_empty());
        assert_eq!(Process::of(u32::MAX), None);
    }
}
