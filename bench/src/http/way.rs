//! Who is compared: ways to read a page.

use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::mount::{MntFlags, umount2};
use tempfile::TempDir;

use super::page::Page;
use crate::server::beside;

/// The contender that reads without a file system.
pub(crate) const CURL: &str = "curl";

/// How long a file system may take to be there.
const PATIENCE: Duration = Duration::from_secs(30);

/// A contender.
#[derive(Clone, Copy)]
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// It is compared with the others.
    pub(crate) is_own: bool,
    pub(crate) means: Means,
}

/// How it is read.
#[derive(Clone, Copy)]
pub(crate) enum Means {
    /// By a program that reads it all and says how long that took.
    Program,
    /// As a file, which is made anew for each turn.
    File(fn(&Page) -> anyhow::Result<Served>),
}

/// A file that is there. Dropped, it is gone, with all who serve it.
pub(crate) struct Served {
    directory: TempDir,
    /// Below that.
    file: PathBuf,
    /// What is mounted, below that.
    mounted: Option<PathBuf>,
    servers: Vec<Child>,
}

/// All that can run here; says which cannot.
pub(crate) fn ways() -> Vec<Way> {
    let all = [
        (CURL, Means::Program, &["curl"][..], "curl"),
        ("fusd-http", Means::File(fusd_http), &[], ""),
        (
            "httpdirfs",
            Means::File(httpdirfs),
            &["httpdirfs"],
            "httpdirfs",
        ),
        (
            "nbdkit curl",
            Means::File(nbdkit),
            &["nbdkit", "nbdfuse"],
            "nbdkit and libnbd-bin",
        ),
    ];
    let usable = |(name, means, programs, packages): (_, _, &[&str], _)| {
        let is_there = programs.iter().all(|program| runs(program));
        if !is_there {
            eprintln!("{name} is left out: it needs {packages}");
        }
        is_there.then_some(Way {
            name,
            is_own: programs.is_empty(),
            means,
        })
    };
    all.into_iter().filter_map(usable).collect()
}

fn runs(program: &str) -> bool {
    let mut command = Command::new(program);
    command.arg("--version").stdin(Stdio::null());
    command
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

/// fusd-http as it is without options.
fn fusd_http(page: &Page) -> anyhow::Result<Served> {
    let mut served = Served::new("node")?;
    let mut command = Command::new(beside("fusd-http")?);
    command
        .args(["--quiet", "--backend", "fuse"])
        .arg(page.url());
    served.start(command.arg(served.path()))?;
    served.await_file()
}

/// httpdirfs without its check for ranges, which looks for a header that parts of pages from nginx do not
/// have.
fn httpdirfs(page: &Page) -> anyhow::Result<Served> {
    let mut served = Served::mounted("mount", "mount/page")?;
    let mut command = Command::new("httpdirfs");
    command.args(["-f", "--no-range-check"]).arg(page.folder());
    served.start(command.arg(served.below("mount")))?;
    served.await_file()
}

/// nbdkit with its plugin curl, and nbdfuse, which makes a file of it, with as many connections as it
/// likes.
fn nbdkit(page: &Page) -> anyhow::Result<Served> {
    let mut served = Served::mounted("mount", "mount/page")?;
    let socket = served.below("socket");
    let mut command = Command::new("nbdkit");
    command
        .args(["--foreground", "--readonly", "--unix"])
        .arg(&socket);
    served.start(command.arg("curl").arg(page.url()))?;
    wait_until("nbdkit is there", || Ok(socket.exists()))?;
    let mut command = Command::new("nbdfuse");
    command.arg("-r").arg(served.path());
    let uri = format!("nbd+unix:///?socket={}", socket.display());
    served.start(command.arg(uri))?;
    served.await_file()
}

impl Served {
    /// A file that is a mount by itself, whose server cleans up.
    fn new(file: &str) -> anyhow::Result<Self> {
        let directory = tempfile::tempdir()?;
        Ok(Self {
            file: directory.path().join(file),
            directory,
            mounted: None,
            servers: Vec::new(),
        })
    }

    /// A file in what is mounted at `mount`.
    fn mounted(mount: &str, file: &str) -> anyhow::Result<Self> {
        let mut served = Self::new(file)?;
        let mount = served.below(mount);
        std::fs::create_dir(&mount)?;
        served.mounted = Some(mount);
        Ok(served)
    }

    fn below(&self, name: &str) -> PathBuf {
        self.directory.path().join(name)
    }

    /// Where the file is.
    pub(crate) fn path(&self) -> &Path {
        &self.file
    }

    fn start(&mut self, command: &mut Command) -> anyhow::Result<()> {
        command
            .stdin(Stdio::null())
            .stdout(Stdio::null())
            .stderr(Stdio::null());
        command.env("NO_PROXY", "*");
        let child = command.spawn();
        self.servers
            .push(child.with_context(|| format!("cannot run {command:?}"))?);
        Ok(())
    }

    fn await_file(mut self) -> anyhow::Result<Self> {
        let (file, servers) = (&self.file, &mut self.servers);
        wait_until("the file is there", || {
            for server in servers.iter_mut() {
                let ended = server.try_wait()?;
                ensure!(ended.is_none(), "it has ended: {ended:?}");
            }
            Ok(std::fs::metadata(file).is_ok_and(|file| file.is_file()))
        })?;
        Ok(self)
    }

    /// The most memory that the servers had so far, in KiB.
    pub(crate) fn memory(&self) -> anyhow::Result<u64> {
        let peak = |server: &Child| {
            let status = std::fs::read_to_string(format!("/proc/{}/status", server.id()))?;
            let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
            let number = line.and_then(|line| line.split_whitespace().next()?.parse::<u64>().ok());
            number.context("/proc does not tell how much memory a process has")
        };
        self.servers.iter().map(peak).sum()
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        if let Some(mounted) = &self.mounted {
            let _ = umount2(mounted, MntFlags::MNT_DETACH);
        }
        for server in self.servers.iter_mut().rev() {
            let _ = server.kill();
            let _ = server.wait();
        }
        if self.mounted.is_none() {
            // Its watcher may not have come to it yet.
            let _ = umount2(&self.file, MntFlags::MNT_DETACH);
        }
    }
}

/// Waits until `condition` holds.
pub(crate) fn wait_until(
    what: &str,
    mut condition: impl FnMut() -> anyhow::Result<bool>,
) -> anyhow::Result<()> {
    let begin = Instant::now();
    while !condition()? {
        ensure!(begin.elapsed() < PATIENCE, "waited in vain until {what}");
        thread::sleep(Duration::from_millis(2));
    }
    Ok(())
}
