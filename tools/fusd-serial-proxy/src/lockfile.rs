//! The lock files of UUCP (`/var/lock/LCK..ttyS0`, FHS): what picocom(1), minicom(1) and cu(1) ask
//! before they open a port.

use std::fs::{self, File};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};

use fusd::Errno;
use nix::errno::Errno as Raw;
use nix::sys::signal::kill;
use nix::unistd::Pid;

use crate::watcher::{Made, Watcher};

/// Where the files are.
const FOLDER: &str = "/var/lock";

/// Why there is no lock.
#[derive(Debug)]
pub(crate) enum Refusal {
    /// The process with this id has the port, if the file tells which.
    Held(Option<i32>),
    /// The lock cannot be made: on this machine, or by this user, such locks are not used.
    Unused(io::Error),
}

/// Locks the port at `port`, until the watcher that comes back is dropped, or this process ends.
///
/// # Errors
/// Somebody else has it, or there is no way to lock it.
pub(crate) fn lock(port: &Path) -> Result<Watcher, Refusal> {
    let made = lock_in(Path::new(FOLDER), port)?;
    Watcher::start(made.clone()).map_err(|errno: Errno| {
        let _gone = made.remove();
        Refusal::Unused(errno.into())
    })
}

fn lock_in(folder: &Path, port: &Path) -> Result<Made, Refusal> {
    let content = format!("{:>10}\n", std::process::id());
    let path = path(folder, port);
    // One that is stale is removed once; whoever is faster then has the port.
    for _ in 0..2 {
        match make(&path, content.as_bytes()) {
            Ok(()) => return Ok(Made::File(path, content.into_bytes())),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(Refusal::Unused(error)),
        }
        match holder(&path) {
            Holder::Is(pid) => return Err(Refusal::Held(pid)),
            Holder::Nobody => {}
            Holder::Gone(content) => {
                tracing::info!("{} was left by a process that is gone", path.display());
                let stale = Made::File(path.clone(), content);
                stale.remove().map_err(Refusal::Unused)?;
            }
        }
    }
    Err(Refusal::Held(None))
}

/// The file's path: by the port's real name below /dev.
fn path(folder: &Path, port: &Path) -> PathBuf {
    let real = port.canonicalize().unwrap_or_else(|_| port.to_owned());
    let name = real.strip_prefix("/dev").unwrap_or(&real);
    let name = name.to_string_lossy().replace('/', "_");
    folder.join(format!("LCK..{name}"))
}

/// Makes the file with all its content at once, so that nobody sees a part.
fn make(path: &Path, content: &[u8]) -> io::Result<()> {
    let mut name = path.as_os_str().to_owned();
    name.push(format!(".{}", std::process::id()));
    let draft = PathBuf::from(name);
    let result = File::options()
        .write(true)
        .create_new(true)
        .mode(0o644)
        .open(&draft)
        .and_then(|mut file| file.write_all(content))
        .and_then(|()| fs::hard_link(&draft, path));
    let _none = fs::remove_file(&draft);
    result
}

/// Whose lock a file is.
enum Holder {
    /// A process that may run, if it can be told which.
    Is(Option<i32>),
    /// One that is gone: the file's content.
    Gone(Vec<u8>),
    /// The file is gone.
    Nobody,
}

fn holder(path: &Path) -> Holder {
    let content = match fs::read(path) {
        Ok(content) => content,
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Holder::Nobody,
        Err(_) => return Holder::Is(None),
    };
    // What tells of no process may be a lock all the same, of which this knows nothing.
    let Some(pid) = process(&content).filter(|pid| *pid > 0) else {
        return Holder::Is(None);
    };
    match kill(Pid::from_raw(pid), None) {
        Err(Raw::ESRCH) => Holder::Gone(content),
        Ok(()) | Err(_) => Holder::Is(Some(pid)),
    }
}

/// The process that a lock file names: in digits or, as older programs have it, as an int.
fn process(content: &[u8]) -> Option<i32> {
    let digits = || {
        let text = std::str::from_utf8(content).ok()?;
        text.split_whitespace().next()?.parse().ok()
    };
    digits().or_else(|| Some(i32::from_ne_bytes(content.try_into().ok()?)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_lock_is_held_by_a_process_that_lives() {
        let folder = tempfile::tempdir().unwrap();
        let port = Path::new("/dev/no-such/port");
        let made = lock_in(folder.path(), port).unwrap();
        let file = folder.path().join("LCK..no-such_port");
        let content = fs::read_to_string(&file).unwrap();
        assert_eq!(content.len(), 11);
        assert_eq!(content.trim(), std::process::id().to_string());
        let again = lock_in(folder.path(), port);
        let own = i32::try_from(std::process::id()).unwrap();
        assert!(matches!(again, Err(Refusal::Held(Some(pid))) if pid == own));
        made.remove().unwrap();
        // The highest process id is below 2^22 (proc(5)).
        fs::write(&file, "   4194305\n").unwrap();
        lock_in(folder.path(), port).unwrap();
        assert_eq!(fs::read_to_string(&file).unwrap(), content);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1);
    }

    #[test]
    fn what_cannot_be_understood_is_a_lock() {
        let folder = tempfile::tempdir().unwrap();
        let port = Path::new("/dev/port");
        let file = folder.path().join("LCK..port");
        let own = i32::try_from(std::process::id()).unwrap();
        for (content, pid) in [
            (&b""[..], None),
            (b"0\n", None),
            (b"somebody\n", None),
            (&own.to_ne_bytes(), Some(own)),
        ] {
            fs::write(&file, content).unwrap();
            let result = lock_in(folder.path(), port);
            assert!(matches!(result, Err(Refusal::Held(found)) if found == pid));
            assert_eq!(fs::read(&file).unwrap(), content, "it is left alone");
        }
        fs::write(&file, 4_194_305_i32.to_ne_bytes()).unwrap();
        lock_in(folder.path(), port).unwrap();
        assert_eq!(process(&fs::read(&file).unwrap()), Some(own));
    }

    #[test]
    fn a_folder_that_is_not_there_is_no_lock() {
        let refusal = lock_in(Path::new("/no/such/folder"), Path::new("/dev/null"));
        assert!(matches!(refusal, Err(Refusal::Unused(_))));
    }
}
