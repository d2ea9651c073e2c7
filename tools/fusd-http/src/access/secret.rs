//! A secret, and where it is: not on the command line.

use std::ffi::OsString;
use std::fs::File;
use std::io::{self, Read, pipe};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use fusd::Errno;
use fusd_tool::Program;
use nix::sys::signal::Signal;
use tokio::time::timeout;

use crate::failure::Failure;
use crate::template::{Escape, fill};
use crate::who::Who;

/// The longest one, in bytes: what servers take for a header.
const LONGEST: u64 = 64 << 10;

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
            Self::File(path) => path.contains("{uid}"),
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
                let path = match as_caller {
                    true => PathBuf::from(fill(&path, who, None, Escape::None)),
                    false => path.into(),
                };
                let mut bytes = Vec::new();
                let read =
                    File::open(&path).and_then(|file| file.take(LONGEST).read_to_end(&mut bytes));
                read.map_err(|error| {
                    failure(&format!(
                        "cannot read the secret in {}: {error}",
                        path.display()
                    ))
                })?;
                bytes
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
        program = program
            .env("FUSD_UID", who.uid.to_string())
            .env("FUSD_GID", who.gid.to_string())
            .env("FUSD_PID", who.pid.to_string());
    }
    let child = Arc::new(program.spawn().map_err(|errno| cannot(errno.into()))?);
    // Whoever stops waiting, or waits too long, ends it.
    let killer = Killer(Arc::clone(&child));
    let work = tokio::task::spawn_blocking(move || {
        let mut said = Vec::new();
        let read = output.take(LONGEST).read_to_end(&mut said);
        (read.map(|_| said), child.wait())
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
}
