//! The private /dev: a file system in memory, with the usual nodes of the machine bound into it.

use std::collections::BTreeSet;
use std::fs::{self, File, FileType};
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;

use fusd::Errno;
use fusd_tool::ToolError;
use nix::errno::Errno as Raw;
use nix::fcntl::{OFlag, open};
use nix::mount::{MsFlags, mount};
use nix::sys::stat::Mode;
use nix::unistd::{AccessFlags, access};

use super::namespace::refused;
use crate::driver::Wanted;

const DEV: &str = "/dev";

/// What programs expect of any /dev.
const USUAL: [&str; 14] = [
    "null", "zero", "full", "random", "urandom", "tty", "fuse", "shm", "mqueue", "fd", "stdin",
    "stdout", "stderr", "log",
];

/// Where pseudo-terminals are, and where new ones come from.
const TERMINALS: [&str; 2] = ["pts", "ptmx"];

/// Makes it, with room for these devices. `keep` are further nodes of the machine, or "all".
///
/// # Errors
/// The right to mount is missing, or a node that was named is.
pub(super) fn make(devices: &[Wanted], keep: &[String]) -> Result<(), ToolError> {
    let flags = OFlag::O_PATH | OFlag::O_DIRECTORY | OFlag::O_CLOEXEC;
    // Below the new one, it can still be reached by this.
    let old = open(DEV, flags, Mode::empty()).map_err(|errno| failed("open", DEV, errno.into()))?;
    let old = Old(old);
    let none: Option<&str> = None;
    mount(none, "/", none, MsFlags::MS_REC | MsFlags::MS_PRIVATE, none).map_err(refused)?;
    let options = Some("mode=0755");
    mount(
        Some("fusd"),
        DEV,
        Some("tmpfs"),
        MsFlags::MS_NOSUID,
        options,
    )
    .map_err(refused)?;

    let taken: BTreeSet<&str> = devices
        .iter()
        .filter_map(|device| device.name.split('/').next())
        .collect();
    let is_all = keep.iter().any(|name| name == "all");
    let all = match is_all {
        true => old.names().map_err(|errno| failed("list", DEV, errno))?,
        false => USUAL.map(str::to_owned).into(),
    };
    let is_free = |name: &&String| !taken.contains(name.as_str());
    let is_plain = |name: &&String| !TERMINALS.contains(&name.as_str());
    for name in all.iter().filter(is_free).filter(is_plain) {
        old.bring(name)
            .map_err(|errno| failed("bind", name, errno))?;
    }
    if !TERMINALS.iter().any(|name| taken.contains(name)) {
        old.bring_terminals()?;
    }
    for name in keep.iter().filter(|_| !is_all) {
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        if all.iter().any(|other| other == name) || TERMINALS.contains(&name) {
            continue;
        }
        if !old
            .bring(name)
            .map_err(|errno| failed("bind", name, errno))?
        {
            return Err(ToolError::usage(format!(
                "there is no /dev/{name} to keep; give a node of this machine's /dev"
            )));
        }
    }
    for device in devices {
        if let Some(directory) = Path::new(DEV).join(&device.name).parent() {
            fs::create_dir_all(directory)
                .map_err(|error| failed("make a directory for", &device.name, error.into()))?;
        }
    }
    Ok(())
}

/// Has /proc tell of the processes in here. Where the machine's own is hidden in part, as in many
/// containers, the kernel does not allow that: then it tells of all.
pub(super) fn renew_proc() {
    let flags = MsFlags::MS_NOSUID | MsFlags::MS_NODEV | MsFlags::MS_NOEXEC;
    let none: Option<&str> = None;
    let _as_it_was = mount(Some("proc"), "/proc", Some("proc"), flags, none);
}

/// The machine's own /dev.
struct Old(OwnedFd);

impl Old {
    fn path(&self, name: &str) -> String {
        format!("/proc/self/fd/{}/{name}", self.0.as_raw_fd())
    }

    fn names(&self) -> Result<Vec<String>, Errno> {
        let mut names = Vec::new();
        for entry in fs::read_dir(self.path("."))? {
            names.extend(entry?.file_name().into_string());
        }
        Ok(names)
    }

    /// Makes pseudo-terminals work. /dev/ptmx looks for those beside itself, in the same file system
    /// (fs/devpts/inode.c, devpts_ptmx_path): bound to another place, it finds none. So new ones come
    /// from the file that is among them. Where the machine lets nobody use that, they are others than
    /// the machine's.
    fn bring_terminals(&self) -> Result<(), ToolError> {
        let both = AccessFlags::R_OK | AccessFlags::W_OK;
        if access(self.path("pts/ptmx").as_str(), both).is_ok() {
            self.bring("pts")
                .map_err(|errno| failed("bind", "pts", errno))?;
        } else {
            let target = Path::new(DEV).join("pts");
            let flags = MsFlags::MS_NOSUID | MsFlags::MS_NOEXEC;
            let options = Some("newinstance,ptmxmode=0666,mode=0620");
            fs::create_dir(&target)
                .map_err(Errno::from)
                .and_then(|()| {
                    Ok(mount(
                        Some("devpts"),
                        &target,
                        Some("devpts"),
                        flags,
                        options,
                    )?)
                })
                .map_err(|errno| failed("mount", "/dev/pts", errno))?;
        }
        std::os::unix::fs::symlink("pts/ptmx", Path::new(DEV).join("ptmx"))
            .map_err(|error| failed("link", "/dev/ptmx", error.into()))
    }

    /// What is at `name`, by its directory: to ask for the status of a node of FUSE is to ask its
    /// driver, who may not answer.
    fn kind(&self, name: &str) -> Result<Option<FileType>, Errno> {
        let (directory, last) = name.rsplit_once('/').unwrap_or((".", name));
        for entry in fs::read_dir(self.path(directory))? {
            let entry = entry?;
            if entry.file_name() == last {
                return Ok(Some(entry.file_type()?));
            }
        }
        Ok(None)
    }

    /// Has what is at `name` there in the new one, too. False if nothing is.
    fn bring(&self, name: &str) -> Result<bool, Errno> {
        let kind = match self.kind(name) {
            Err(Errno::ENOENT) | Ok(None) => return Ok(false),
            Ok(Some(kind)) => kind,
            Err(errno) => return Err(errno),
        };
        let source = self.path(name);
        let target = Path::new(DEV).join(name);
        if let Some(directory) = target.parent() {
            fs::create_dir_all(directory)?;
        }
        if kind.is_symlink() {
            std::os::unix::fs::symlink(fs::read_link(&source)?, &target)?;
            return Ok(true);
        }
        let mut flags = MsFlags::MS_BIND;
        if kind.is_dir() {
            fs::create_dir(&target)?;
            // What is mounted below it must not be uncovered.
            flags |= MsFlags::MS_REC;
        } else {
            File::create(&target)?;
        }
        let none: Option<&str> = None;
        match mount(Some(source.as_str()), &target, none, flags, none) {
            // Nodes come and go meanwhile.
            Err(Raw::ENOENT) if !kind.is_dir() => {
                fs::remove_file(&target)?;
                Ok(false)
            }
            mounted => Ok(mounted.map(|()| true)?),
        }
    }
}

fn failed(action: &str, what: &str, errno: Errno) -> ToolError {
    ToolError::failed(format!(
        "cannot make a private /dev: cannot {action} {what}: {errno}"
    ))
}
