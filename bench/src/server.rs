//! A contender's process: started, waited for, and gone when dropped.

use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};

use anyhow::{Context, ensure};
use nix::mount::{MntFlags, umount2};

/// A contender that serves.
pub(crate) struct Server {
    child: Child,
    pub(crate) input: ChildStdin,
    pub(crate) output: BufReader<ChildStdout>,
}

impl Server {
    /// Starts this program as a contender; `announced`: it says when it is ready.
    pub(crate) fn start(arguments: &[&str], announced: bool) -> anyhow::Result<Self> {
        Self::spawn(
            Command::new(std::env::current_exe()?).args(arguments),
            announced,
        )
    }

    /// Starts `command` as a contender; `announced`: it says when it is ready.
    pub(crate) fn spawn(command: &mut Command, announced: bool) -> anyhow::Result<Self> {
        let mut child = command
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot run {}", command.get_program().display()))?;
        let input = child.stdin.take().context("no standard input")?;
        let output = BufReader::new(child.stdout.take().context("no standard output")?);
        let mut server = Self {
            child,
            input,
            output,
        };
        if announced {
            let mut line = String::new();
            server.output.read_line(&mut line)?;
            ensure!(line == "ready\n", "{command:?} did not start");
        }
        Ok(server)
    }

    /// The number of its process.
    pub(crate) fn id(&self) -> u32 {
        self.child.id()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// A program that was compiled into this one's folder.
pub(crate) fn beside(name: &str) -> anyhow::Result<PathBuf> {
    let program = std::env::current_exe()?;
    Ok(program.with_file_name(name))
}

/// Removes what the raw server leaves: it is too simple to do so itself.
pub(crate) fn clean_up(path: &Path) {
    let _ = umount2(path, MntFlags::MNT_DETACH);
    let _ = std::fs::remove_file(path);
}

/// Tells the parent that the contender serves.
pub(crate) fn ready() -> std::io::Result<()> {
    let mut out = std::io::stdout().lock();
    out.write_all(b"ready\n")?;
    out.flush()
}
