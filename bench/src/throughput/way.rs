//! Who is compared: ways from a writer to readers.

use std::os::unix::fs::FileTypeExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};

use anyhow::Context;
use nix::sys::stat::Mode;
use nix::unistd::mkfifo;
use tempfile::TempDir;

use crate::server::{Server, beside};

/// The contender whose time the others' are divided by.
pub(crate) const FIFO: &str = "FIFO";
/// And the other.
pub(crate) const SOCAT: &str = "socat";

/// A contender.
pub(crate) struct Way {
    pub(crate) name: &'static str,
    /// Makes it anew, for one turn.
    pub(crate) start: fn() -> anyhow::Result<Started>,
}

/// A way that is there. Dropped, it is gone.
pub(crate) struct Started {
    /// Where to write.
    pub(crate) input: PathBuf,
    /// Where to read.
    pub(crate) output: PathBuf,
    _server: Option<Box<dyn Send>>,
    _directory: TempDir,
}

/// All that can run here; says which cannot.
pub(crate) fn ways() -> Vec<Way> {
    let all = [
        (FIFO, fifo as fn() -> anyhow::Result<Started>, None),
        (SOCAT, socat, (!has_socat()).then_some("the package socat")),
        ("fusd-pipe, fuse", || tool("fuse"), lacks("/dev/fuse")),
        ("fusd-pipe, cuse", || tool("cuse"), lacks("/dev/cuse")),
        (
            "fusd-pipe, kfusd",
            || tool("kfusd"),
            lacks("/dev/fusd/control"),
        ),
    ];
    let usable = |(name, start, needs): (_, _, Option<&str>)| match needs {
        Some(needs) => {
            eprintln!("{name} is left out: it needs {needs}");
            None
        }
        None => Some(Way { name, start }),
    };
    all.into_iter().filter_map(usable).collect()
}

/// What is missing: the device at `path`, if it is no device.
fn lacks(path: &'static str) -> Option<&'static str> {
    let there = std::fs::metadata(path).is_ok_and(|file| file.file_type().is_char_device());
    (!there).then_some(path)
}

fn has_socat() -> bool {
    Command::new("socat")
        .arg("-V")
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .status()
        .is_ok()
}

fn make_fifo(directory: &Path, name: &str) -> anyhow::Result<PathBuf> {
    let path = directory.join(name);
    mkfifo(&path, Mode::from_bits_truncate(0o600)).context("cannot make a FIFO")?;
    Ok(path)
}

fn fifo() -> anyhow::Result<Started> {
    let directory = tempfile::tempdir()?;
    let path = make_fifo(directory.path(), "fifo")?;
    Ok(Started {
        input: path.clone(),
        output: path,
        _server: None,
        _directory: directory,
    })
}

/// A process that is killed when dropped.
struct Killed(Child);

impl Drop for Killed {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// A process that copies from one FIFO to another, with a buffer as large as a FIFO.
fn socat() -> anyhow::Result<Started> {
    let directory = tempfile::tempdir()?;
    let input = make_fifo(directory.path(), "input")?;
    let output = make_fifo(directory.path(), "output")?;
    let child = Command::new("socat")
        .args(["-u", "-b", "65536"])
        .arg(format!("OPEN:{},rdonly", input.display()))
        .arg(format!("OPEN:{},wronly", output.display()))
        .spawn()
        .context("cannot run socat")?;
    Ok(Started {
        input,
        output,
        _server: Some(Box::new(Killed(child))),
        _directory: directory,
    })
}

/// fusd-pipe as it is without options: its size is that of a FIFO.
fn tool(backend: &str) -> anyhow::Result<Started> {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let directory = tempfile::tempdir()?;
    let node = match backend {
        "fuse" => directory.path().join("node"),
        _ => {
            let number = NUMBER.fetch_add(1, Ordering::Relaxed);
            format!("/dev/fusd-bench-{}-{number}", std::process::id()).into()
        }
    };
    // What it runs beside the node says that the node is there, and ends with its input.
    let server = Server::spawn(
        Command::new(beside("fusd-pipe")?)
            .args(["--quiet", "--backend", backend])
            .arg(&node)
            .args(["--", "/bin/sh", "-c", "echo ready; read line"]),
        true,
    )?;
    Ok(Started {
        input: node.clone(),
        output: node,
        _server: Some(Box::new(server)),
        _directory: directory,
    })
}
