//! Who is compared: a serial line from hardware to a program.

use std::fs::File;
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};
use nix::fcntl::OFlag;
use nix::pty::openpty;
use nix::sys::termios::{BaudRate, SetArg, cfmakeraw, cfsetspeed, tcgetattr, tcsetattr};
use nix::unistd::ttyname;
use tempfile::TempDir;

use crate::server::{Server, beside};

/// The contender whose time the others' are compared with: nobody is between.
pub(super) const DIRECT: &str = "the port itself";
/// The contender whose processor time the others' is divided by.
pub(super) const SOCAT: &str = "socat";

/// How long a contender may take to be there.
const PATIENCE: Duration = Duration::from_secs(10);

/// A contender.
pub(super) struct Way {
    pub(super) name: &'static str,
    start: Start,
}

type Start = fn(&Path, &Path) -> anyhow::Result<(Option<Server>, PathBuf)>;

/// A line that is there. Dropped, it is gone.
pub(super) struct Line {
    /// What a serial port's hardware has in its place.
    pub(super) hardware: File,
    /// What a program has open.
    pub(super) client: File,
    /// The process between.
    pub(super) server: Option<Server>,
    /// The port stays one that somebody has open.
    _port: File,
    _directory: TempDir,
}

/// All that can run here; says which cannot.
pub(super) fn ways() -> Vec<Way> {
    let proxies: [(_, Start, _); 2] = [
        (
            "fusd-serial-proxy, cuse",
            |port, _| proxy(port, "cuse"),
            lacks("/dev/cuse"),
        ),
        (
            "fusd-serial-proxy, kfusd",
            |port, _| proxy(port, "kfusd"),
            lacks("/dev/fusd/control"),
        ),
    ];
    let direct: Start = |port, _| Ok((None, port.to_owned()));
    let has_socat = Command::new("socat").arg("-V").output().is_ok();
    let all = [
        (DIRECT, direct, None),
        (SOCAT, socat, (!has_socat).then_some("the package socat")),
        ("fusd-serial-proxy, --pty", pseudo, None),
    ];
    let usable = |(name, start, needs): (_, _, Option<&str>)| match needs {
        Some(needs) => {
            eprintln!("{name} is left out: it needs {needs}");
            None
        }
        None => Some(Way { name, start }),
    };
    all.into_iter().chain(proxies).filter_map(usable).collect()
}

/// What is missing: the device at `path`.
fn lacks(path: &'static str) -> Option<&'static str> {
    (!Path::new(path).exists()).then_some(path)
}

impl Way {
    /// Makes it anew, for one turn.
    ///
    /// # Errors
    /// It cannot run.
    pub(super) fn start(&self) -> anyhow::Result<Line> {
        let pair = openpty(None, None).context("there is no pseudo-terminal")?;
        let port = File::from(pair.slave);
        make_raw(&port)?;
        let path = ttyname(&port).context("it has no name")?;
        let directory = tempfile::tempdir()?;
        let (server, node) = (self.start)(&path, directory.path())?;
        let client = File::options()
            .read(true)
            .write(true)
            .custom_flags(OFlag::O_NOCTTY.bits())
            .open(&node)
            .with_context(|| format!("cannot open {}", node.display()))?;
        make_raw(&client)?;
        Ok(Line {
            hardware: pair.master.into(),
            client,
            server,
            _port: port,
            _directory: directory,
        })
    }
}

/// Bytes as they are, at 3 Mbaud: as fast as the codes of termios(3) go that all ports know.
fn make_raw(terminal: &File) -> anyhow::Result<()> {
    let mut settings = tcgetattr(terminal)?;
    cfmakeraw(&mut settings);
    cfsetspeed(&mut settings, BaudRate::B3000000)?;
    tcsetattr(terminal, SetArg::TCSANOW, &settings).context("the settings are not taken")
}

fn socat(port: &Path, directory: &Path) -> anyhow::Result<(Option<Server>, PathBuf)> {
    let node = directory.join("node");
    let mut command = Command::new("socat");
    command
        .arg(format!("pty,rawer,link={}", node.display()))
        .arg(format!("open:{},rawer,noctty", port.display()));
    let server = Server::spawn(&mut command, false)?;
    let deadline = Instant::now() + PATIENCE;
    while !node.exists() {
        ensure!(Instant::now() < deadline, "socat makes no terminal");
        thread::sleep(Duration::from_millis(1));
    }
    Ok((Some(server), node))
}

fn pseudo(port: &Path, directory: &Path) -> anyhow::Result<(Option<Server>, PathBuf)> {
    serve(port, directory.join("node"), &["--pty"])
}

fn proxy(port: &Path, backend: &str) -> anyhow::Result<(Option<Server>, PathBuf)> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let node = format!("/dev/fusd-bench-{}-{number}", std::process::id());
    serve(port, node.into(), &["--backend", backend])
}

fn serve(
    port: &Path,
    node: PathBuf,
    options: &[&str],
) -> anyhow::Result<(Option<Server>, PathBuf)> {
    // What it runs beside the node says that the node is there, and ends with its input.
    let server = Server::spawn(
        Command::new(beside("fusd-serial-proxy")?)
            .arg("--quiet")
            .args(options)
            .arg(port)
            .arg(&node)
            .args(["--", "/bin/sh", "-c", "echo ready; read line"]),
        true,
    )?;
    Ok((Some(server), node))
}
