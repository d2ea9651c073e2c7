//! Who is compared in the lab, and how one operation with each of them goes: a read that a client
//! makes and that somebody answers.

use std::fs::File;
use std::io::{Read, Write};
use std::os::fd::AsFd;
use std::os::unix::fs::FileExt;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Context;
use tempfile::TempDir;

use crate::server::{Server, beside, clean_up};

/// The sizes that are read, in bytes, smallest first.
pub(crate) const SIZES: [usize; 3] = [1, 4096, 65536];

/// The program that `bench/c/cuse.c` is compiled to.
pub(crate) const RAW_CUSE_PROGRAM: &str = "fusd-bench-cuse";

/// The program that `bench/c/kfusd.c` is compiled to.
pub(crate) const RAW_KFUSD_PROGRAM: &str = "fusd-bench-kfusd";

/// The contender whose figure the others are divided by.
pub(crate) const YARDSTICK: &str = "CUSE, raw C server";
/// What an exchange between two processes costs at least, and so the other divisor.
pub(crate) const FLOOR: &str = "pipe";

/// What a read costs that no process answers.
pub(crate) const NO_DRIVER: &str = "/dev/zero";
/// A driver that need not answer, as it has published what is read.
pub(crate) const PUBLISHED: &str = "kfusd, published";

/// What the library makes of a CUSE server.
pub(crate) const CUSE: &str = "CUSE, libfusd";

/// The least that a driver has to do.
pub(crate) const RAW_KFUSD: &str = "kfusd, raw C driver";
/// The same by the library.
pub(crate) const KFUSD: &str = "kfusd, libfusd";

/// Of whom it is counted as well what an operation takes where many clients read at the same time, a
/// byte each.
pub(crate) const CROWDED: [&str; 2] = [RAW_KFUSD, KFUSD];
/// How many, beside the one that all are counted with.
pub(crate) const CROWDS: [usize; 3] = [4, 16, 64];

/// A contender.
pub(crate) struct Contender {
    pub(crate) name: &'static str,
    /// Starts it for reads of so many bytes.
    pub(crate) start: fn(usize) -> anyhow::Result<Running>,
}

/// All of them, in the order of the tables.
pub(crate) const CONTENDERS: [Contender; 9] = [
    Contender {
        name: NO_DRIVER,
        start: |size| Running::new(reads(Path::new("/dev/zero"), size)?, None, None),
    },
    Contender {
        name: FLOOR,
        start: pipe,
    },
    Contender {
        name: YARDSTICK,
        start: raw_cuse,
    },
    Contender {
        name: CUSE,
        start: cuse,
    },
    Contender {
        name: RAW_KFUSD,
        start: raw_kfusd,
    },
    Contender {
        name: KFUSD,
        start: kfusd,
    },
    Contender {
        name: PUBLISHED,
        start: published,
    },
    Contender {
        name: "FUSE, raw server",
        start: raw_fuse,
    },
    Contender {
        name: "FUSE, libfusd",
        start: fuse,
    },
];

/// The node of whoever serves a character device.
pub(crate) const NODE: &str = "/dev/fusd-bench";

/// One operation: a read of the size that the contender was started for.
pub(crate) type Call = Box<dyn FnMut() -> anyhow::Result<()>>;

/// A contender that is ready. Dropped in this order: the file is closed, the server ended, what it
/// leaves removed.
pub(crate) struct Running {
    pub(crate) call: Call,
    _server: Option<Server>,
    _mount: Option<Mount>,
}

impl Running {
    fn new(call: Call, server: Option<Server>, mount: Option<Mount>) -> anyhow::Result<Self> {
        Ok(Self {
            call,
            _server: server,
            _mount: mount,
        })
    }
}

/// The place of a node of FUSE. Dropped when its server has been killed.
struct Mount(TempDir);

impl Mount {
    fn new() -> anyhow::Result<Self> {
        Ok(Self(tempfile::tempdir()?))
    }

    fn node(&self) -> PathBuf {
        self.0.path().join("node")
    }
}

impl Drop for Mount {
    fn drop(&mut self) {
        clean_up(&self.node());
    }
}

/// One byte to a process, `size` bytes back.
fn pipe(size: usize) -> anyhow::Result<Running> {
    let server = Server::start(&["serve-pipe", &size.to_string()], false)?;
    let mut input = File::from(server.input.as_fd().try_clone_to_owned()?);
    let mut output = File::from(server.output.get_ref().as_fd().try_clone_to_owned()?);
    let mut buffer = vec![0; size];
    let call = Box::new(move || {
        input.write_all(&[0])?;
        Ok(output.read_exact(&mut buffer)?)
    });
    Running::new(call, Some(server), None)
}

/// A character device that a program of `bench/c` serves.
fn raw(program: &str, size: usize) -> anyhow::Result<Running> {
    let node = Path::new(NODE);
    let name = node.file_name().unwrap_or_default();
    let server = Server::spawn(Command::new(beside(program)?).arg(name), true)?;
    Running::new(reads(node, size)?, Some(server), None)
}

/// A character device that the library serves.
fn library(backend: &str, options: &[&str], size: usize) -> anyhow::Result<Running> {
    let arguments = [
        &["serve-library", "--backend", backend][..],
        options,
        &[NODE],
    ]
    .concat();
    let server = Server::start(&arguments, true)?;
    Running::new(reads(Path::new(NODE), size)?, Some(server), None)
}

fn raw_cuse(size: usize) -> anyhow::Result<Running> {
    raw(RAW_CUSE_PROGRAM, size)
}

fn cuse(size: usize) -> anyhow::Result<Running> {
    library("cuse", &[], size)
}

fn raw_kfusd(size: usize) -> anyhow::Result<Running> {
    raw(RAW_KFUSD_PROGRAM, size)
}

fn kfusd(size: usize) -> anyhow::Result<Running> {
    library("kfusd", &[], size)
}

fn published(size: usize) -> anyhow::Result<Running> {
    library("kfusd", &["--publish"], size)
}

fn raw_fuse(size: usize) -> anyhow::Result<Running> {
    let mount = Mount::new()?;
    let node = mount.node();
    let server = Server::start(&["serve-raw", &node.to_string_lossy()], true)?;
    Running::new(reads(&node, size)?, Some(server), Some(mount))
}

fn fuse(size: usize) -> anyhow::Result<Running> {
    let mount = Mount::new()?;
    let node = mount.node();
    let path = node.to_string_lossy();
    let server = Server::start(&["serve-library", "--backend", "fuse", &path], true)?;
    Running::new(reads(&node, size)?, Some(server), Some(mount))
}

/// Reads from the start of the file at `path`.
fn reads(path: &Path, size: usize) -> anyhow::Result<Call> {
    let file = File::open(path).with_context(|| format!("cannot open {}", path.display()))?;
    let mut buffer = vec![0; size];
    Ok(Box::new(move || Ok(file.read_exact_at(&mut buffer, 0)?)))
}
