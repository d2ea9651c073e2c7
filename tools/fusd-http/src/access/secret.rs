//! A secret, and where it is: not on the command line.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, pipe};
use std::os::unix::fs::MetadataExt;
use std::sync::Arc;
use std::time::Duration;

use fusd::Errno;
use fusd_tool::Program;
use nix::fcntl::{OFlag, OpenHow, ResolveFlag, openat2};
use nix::sys::signal::Signal;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::who::Who;

/// The longest one, in bytes: what servers take for a header.
const LONGEST: u64 = 64 << 10;

/// What of a path is the caller's uid.
const PLACE: &str = "{uid}";

/// Where a secret is.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Secret {
    /// All of a file.
    File(String),
    /// A variable of the environment.
    Variable(OsString),
    /// What a command says to /bin/sh -c.
    Command(String),
}

impl Secret {
    /// Reads where it is.
    pub(super) fn parse(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("file", path)) if !path.is_empty() => Ok(Self::File(path.to_owned())),
            Some(("env", name)) if !name.is_empty() => Ok(Self::Variable(name.into())),
            Some(("cmd", command)) if !command.is_empty() => Ok(Self::Command(command.to_owned())),
            _ => Err(
                "give file:PATH, env:VARIABLE or cmd:COMMAND; a secret itself is not for the \
                 command line, where everybody can see it"
                    .to_owned(),
            ),
        }
    }

    pub(super) fn depends_on_caller(&self) -> bool {
        match self {
            Self::File(path) => path.contains(PLACE),
            Self::Variable(_) => false,
            Self::Command(_) => true,
        }
    }

    /// The secret, for `who` if it depends on the caller; without the newline at its end.
    ///
    /// # Errors
    /// It cannot be had (`EACCES`).
    pub(super) async fn get(
        self,
        who: &Who,
        as_caller: bool,
        patience: Duration,
    ) -> Result<Vec<u8>, Failure> {
        let mut secret = match self {
            Self::File(path) => {
                let caller = Some(who.uid).filter(|_| as_caller && path.contains(PLACE));
                let shown = caller.map(|uid| path.replace(PLACE, &uid.to_string()));
                let shown = shown.unwrap_or_else(|| path.clone());
                // It may be on a disk that is slow, or a pipe.
                let work = tokio::task::spawn_blocking(move || read(&path, caller));
                let read = match timeout(patience, work).await {
                    Ok(Ok(read)) => read,
                    Ok(Err(error)) => return Err(failure(&error.to_string())),
                    Err(_) => return Err(Failure::late("the secret's file has no end", patience)),
                };
                read.map_err(|error| {
                    failure(&format!("cannot read the secret in {shown}: {error}"))
                })?
            }
            Self::Variable(name) => {
                let value = std::env::var_os(&name)
                    .ok_or_else(|| failure(&format!("there is no variable {}", name.display())))?;
                value.into_encoded_bytes()
            }
            Self::Command(command) => ask(command, as_caller.then_some(who), patience).await?,
        };
        while matches!(secret.last(), Some(b'\n' | b'\r')) {
            secret.pop();
        }
        match secret.is_empty() {
            true => Err(failure("a secret is empty")),
            false => Ok(secret),
        }
    }
}

/// All of the file at `path`; `caller`: of this user, in a folder that may be the user's own.
fn read(path: &str, caller: Option<u32>) -> io::Result<Vec<u8>> {
    let file = match caller {
        Some(uid) => open_of(path, uid)?,
        None => File::open(path)?,
    };
    all(file)
}

/// The whole, unless it is too long: a part of a secret is another one.
fn all(source: impl Read) -> io::Result<Vec<u8>> {
    let mut bytes = Vec::new();
    source.take(LONGEST + 1).read_to_end(&mut bytes)?;
    match bytes.len() as u64 > LONGEST {
        true => Err(io::Error::other(format!(
            "it is longer than {LONGEST} bytes"
        ))),
        false => Ok(bytes),
    }
}

/// A file of the caller's own, or one that root has made for the caller: not another's, to which the
/// caller has made a link, nor anything that would have us wait.
fn open_of(path: &str, uid: u32) -> io::Result<File> {
    // Up to the caller's place, links are those of whoever gave the option.
    let place = path.find(PLACE).unwrap_or(path.len());
    let (ours, theirs) = match path[..place].rfind('/') {
        Some(slash) => path.split_at(slash + 1),
        None => ("./", path),
    };
    let folder = File::open(ours)?;
    let how = OpenHow::new()
        .flags(OFlag::O_RDONLY | OFlag::O_NONBLOCK | OFlag::O_CLOEXEC | OFlag::O_NOCTTY)
        .resolve(ResolveFlag::RESOLVE_NO_SYMLINKS | ResolveFlag::RESOLVE_NO_MAGICLINKS);
    let theirs = theirs.replace(PLACE, &uid.to_string());
    let file = File::from(openat2(folder, theirs.as_str(), how)?);
    let about = file.metadata()?;
    let given = about.uid() == 0 && about.nlink() == 1;
    if !about.is_file() || about.uid() != uid && !given {
        return Err(io::Error::other("it is not the caller's own file"));
    }
    Ok(file)
}

/// What `command` says.
async fn ask(command: String, who: Option<&Who>, patience: Duration) -> Result<Vec<u8>, Failure> {
    let cannot =
        |error: io::Error| failure(&format!("the secret's command cannot be run: {error}"));
    let (output, stdout) = pipe().map_err(cannot)?;
    let null = File::open("/dev/null").map_err(cannot)?;
    let mut program = Program::new(["/bin/sh", "-c", &command])
        .stdin(null)
        .stdout(stdout)
        .own_group();
    if let Some(who) = who {
        program = program.caller(who.pid, who.uid, who.gid);
    }
    let child = Arc::new(program.spawn().map_err(|errno| cannot(errno.into()))?);
    // Whoever stops waiting, or waits too long, ends it.
    let killer = Killer(Arc::clone(&child));
    let work = tokio::task::spawn_blocking(move || {
        let said = all(&output);
        // Or else it would wait to say the rest.
        drop(output);
        (said, child.wait())
    });
    let (said, status) = match timeout(patience, work).await {
        Ok(Ok(done)) => done,
        Ok(Err(error)) => return Err(failure(&error.to_string())),
        Err(_) => {
            return Err(Failure::late(
                "the secret's command has not ended",
                patience,
            ));
        }
    };
    drop(killer);
    match status {
        Ok(status) if status.success() => said.map_err(cannot),
        Ok(status) => Err(failure(&format!(
            "the secret's command has failed: {status}"
        ))),
        Err(errno) => Err(cannot(errno.into())),
    }
}

/// Kills a command when dropped, unless it has ended.
struct Killer(Arc<fusd_tool::Child>);

impl Drop for Killer {
    fn drop(&mut self) {
        self.0.signal_group(Signal::SIGKILL);
    }
}

/// Without its secret, nobody gets in.
pub(super) fn failure(text: &str) -> Failure {
    Failure::new(Errno::EACCES, text)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_secret_itself_is_refused() {
        assert!(Secret::parse("hunter2").unwrap_err().contains("everybody"));
        assert!(Secret::parse("file:").is_err());
        let command = Secret::Command("pass show x:y".to_owned());
        assert_eq!(Secret::parse("cmd:pass show x:y"), Ok(command));
    }

    #[test]
    fn a_caller_gets_no_file_of_another_and_has_nobody_wait() {
        use std::fs;
        let folder = tempfile::tempdir().unwrap();
        let me = nix::unistd::geteuid().as_raw();
        let mine = folder.path().join(me.to_string());
        fs::create_dir(&mine).unwrap();
        let path = |name: &str| format!("{}/{PLACE}/{name}", folder.path().display());
        fs::write(mine.join("token"), "mine").unwrap();
        assert_eq!(read(&path("token"), Some(me)).unwrap(), b"mine");
        std::os::unix::fs::symlink("token", mine.join("link")).unwrap();
        assert!(read(&path("link"), Some(me)).is_err());
        let pipe = mine.join("pipe");
        nix::unistd::mkfifo(&pipe, nix::sys::stat::Mode::S_IRWXU).unwrap();
        assert!(read(&path("pipe"), Some(me)).is_err());
        // Another user's place that leads to ours.
        let other = folder.path().join((me + 1).to_string());
        std::os::unix::fs::symlink(&mine, &other).unwrap();
        assert!(read(&path("token"), Some(me + 1)).is_err());
        fs::remove_file(&other).unwrap();
        fs::create_dir(&other).unwrap();
        fs::hard_link(mine.join("token"), other.join("token")).unwrap();
        assert!(read(&path("token"), Some(me + 1)).is_err());
    }

    #[test]
    fn a_secret_is_whole() {
        let file = tempfile::NamedTempFile::new().unwrap();
        let path = file.path().to_str().unwrap();
        std::fs::write(path, vec![b'x'; LONGEST as usize]).unwrap();
        assert!(read(path, None).is_ok());
        std::fs::write(path, vec![b'x'; LONGEST as usize + 1]).unwrap();
        assert!(read(path, None).is_err());
    }
}
