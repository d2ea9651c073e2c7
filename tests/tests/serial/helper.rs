//! What all tests of the tool share.

use std::ffi::OsStr;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use fusd_tests::client::{Handle, Outcome, open_with};
use fusd_tests::wait::wait_until;
use fusd_tests::{Backend, Case, Launch, sys};
use nix::fcntl::OFlag;

/// The tool with this port, and a node of the test's own.
pub(crate) fn proxy<I: IntoIterator<Item: AsRef<OsStr>>>(
    case: &Case,
    port: impl AsRef<OsStr>,
    arguments: I,
) -> Launch {
    proxy_at(case, "node", port, arguments)
}

/// Likewise, with a node of this name.
pub(crate) fn proxy_at<I: IntoIterator<Item: AsRef<OsStr>>>(
    case: &Case,
    name: &str,
    port: impl AsRef<OsStr>,
    arguments: I,
) -> Launch {
    let node = case.node(name);
    let launch = Launch::new(case, case.program("fusd-serial-proxy"), &node)
        .args(["--backend", case.backend().name()])
        .arg(port)
        .arg(&node)
        .args(arguments);
    // There, the node is a link to a pseudo-terminal.
    match case.backend() {
        Backend::Fuse => launch.unseen(),
        Backend::Cuse | Backend::Kfusd => launch,
    }
}

/// Opens a terminal, which must not become this process's own.
///
/// # Errors
/// The call's errno.
pub(crate) fn try_open(node: &Path) -> Outcome<Handle> {
    open_with(node, OFlag::O_RDWR | OFlag::O_NOCTTY)
}

#[track_caller]
pub(crate) fn open(node: &Path) -> Handle {
    try_open(node).unwrap_or_else(|errno| panic!("open {}: {errno}", node.display()))
}

/// Reads until there are so many bytes.
#[track_caller]
pub(crate) fn read(file: &Handle, count: usize) -> Vec<u8> {
    let mut all = Vec::new();
    while all.len() < count {
        let piece = file.start_read(count - all.len()).wait();
        all.extend(piece.expect("read"));
    }
    all
}

/// Bytes as text.
#[track_caller]
pub(crate) fn text(file: &Handle, count: usize) -> String {
    String::from_utf8_lossy(&read(file, count)).into_owned()
}

/// An int that an ioctl of this number tells.
#[track_caller]
pub(crate) fn int(file: &Handle, number: u64) -> i32 {
    let mut argument = [0; 4];
    sys::ioctl(file, number as u32, &mut argument).expect("the ioctl");
    i32::from_ne_bytes(argument)
}

/// Hands an int to the ioctl of this number.
#[track_caller]
pub(crate) fn set_int(file: &Handle, number: u64, value: i32) {
    let mut argument = value.to_ne_bytes();
    sys::ioctl(file, number as u32, &mut argument).expect("the ioctl");
}

/// Changes settings as a person does, by stty(1).
#[track_caller]
pub(crate) fn stty(case: &Case, node: &Path, words: &[&str]) -> String {
    run(case.command("stty").arg("-F").arg(node).args(words))
}

/// Runs a program that is to succeed; gives what it has printed and then what it has said of errors.
#[track_caller]
pub(crate) fn run(command: &mut Command) -> String {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{command:?}: {error}"));
    let ended = fusd_tests::wait::start(move || child.wait_with_output());
    let output = ended.wait().expect("it can be waited for");
    let said = [output.stdout, output.stderr].concat();
    let said = String::from_utf8_lossy(&said).into_owned();
    assert!(output.status.success(), "{command:?}: {said}");
    said
}

/// Whether the machine has a program of a package that has its name; else the test is to return.
#[track_caller]
pub(crate) fn has_program(case: &Case, name: &str) -> bool {
    let path = std::env::var_os("PATH").unwrap_or_default();
    // An ordinary user may not have that one.
    let found = std::env::split_paths(&path)
        .chain(["/usr/sbin".into()])
        .any(|folder| folder.join(name).is_file());
    if !found {
        case.skip(&format!(
            "there is no {name}; the package of that name has it"
        ));
    }
    found
}

/// How many files of `/var/lock` tell that this process has locked a port.
pub(crate) fn locks_of(pid: u32) -> usize {
    let pid = pid.to_string();
    let files = fs::read_dir("/var/lock").into_iter().flatten().flatten();
    let content = files.map(|file| fs::read_to_string(file.path()).unwrap_or_default());
    content.filter(|content| content.trim() == pid).count()
}

/// A stand-in for hardware: two pseudo-terminals that socat joins. One is the port, the other is what
/// is connected to it.
pub(crate) struct Cable<'a> {
    case: &'a Case,
    socat: Child,
}

impl<'a> Cable<'a> {
    /// `None` where there is no socat: the test is then to return.
    #[track_caller]
    pub(crate) fn new(case: &'a Case) -> Option<Self> {
        if !has_program(case, "socat") {
            return None;
        }
        let socat = Self::start(case);
        Some(Self { case, socat })
    }

    #[track_caller]
    fn start(case: &Case) -> Child {
        // It makes a link first, and then reads and writes that end's settings: whoever waits for the port
        // is to find it when that is over, or his own settings would be lost.
        let ends = ["new-port", "new-far"].map(|name| case.directory().join(name));
        let [port, far] = ends
            .each_ref()
            .map(|end| format!("pty,rawer,link={}", end.display()));
        let socat = case
            .command("socat")
            .args([port, far])
            .stdin(Stdio::null())
            .spawn()
            .expect("socat can be started");
        wait_until("socat has made both ends", || {
            ends.iter().all(|end| end.exists())
        });
        let [port, far] = ends.each_ref().map(|end| open(end));
        far.write(b"x").expect("write");
        assert_eq!(read(&port, 1), b"x", "socat relays");
        drop((port, far));
        for (end, name) in ends.iter().zip(["port", "far"]) {
            fs::rename(end, case.directory().join(name)).expect("rename");
        }
        socat
    }

    pub(crate) fn port(&self) -> PathBuf {
        self.case.directory().join("port")
    }

    /// What is connected to the port.
    #[track_caller]
    pub(crate) fn far(&self) -> Handle {
        open(&self.case.directory().join("far"))
    }

    /// The port goes, as a USB adapter does that is unplugged.
    pub(crate) fn unplug(&mut self) {
        self.socat.kill().expect("socat can be killed");
        self.socat.wait().expect("socat can be waited for");
        let _none = fs::remove_file(self.port());
    }

    /// It is there again.
    #[track_caller]
    pub(crate) fn plug_in(&mut self) {
        self.socat = Self::start(self.case);
    }
}

impl Drop for Cable<'_> {
    fn drop(&mut self) {
        let _ended = self.socat.kill();
        let _ended = self.socat.wait();
    }
}
