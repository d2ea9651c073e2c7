//! Another view of the machine for some processes of a test: a mount namespace of their own, in
//! which /dev/fuse is open to everybody, or missing, without a change to the machine.

use std::fs;
use std::io::{BufRead, BufReader, Read};
use std::os::unix::fs::{PermissionsExt, chown};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use crate::wait::wait_until;
use crate::{Case, binaries};

/// The ordinary user of the tests: "nobody".
pub const UID: u32 = 65534;

/// Why an ordinary user cannot mount on this machine, if so.
pub fn missing() -> Option<String> {
    let there = ["/usr/bin", "/bin", "/usr/local/bin"]
        .iter()
        .any(|directory| Path::new(directory).join("fusermount3").exists());
    (!there).then(|| "fusermount3 is not installed".to_owned())
}

/// /dev/fuse with rights for everybody.
const OPEN: &str = "mknod \"$D/fuse\" c 10 229; chmod 666 \"$D/fuse\"; \
                    mount --bind \"$D/fuse\" /dev/fuse";

/// A /dev that has the usual nodes, and none for FUSE.
const NO_FUSE: &str = "for n in null:3 zero:5 full:7 random:8 urandom:9; do \
                       mknod -m 666 \"$D/${n%:*}\" c 1 ${n#*:}; done; \
                       ln -s /proc/self/fd \"$D/fd\"; mount --bind \"$D\" /dev";

/// A mount namespace. A process holds it for as long as this lives.
pub struct World<'a> {
    case: &'a Case,
    holder: Child,
}

impl<'a> World<'a> {
    /// One in which everybody may use /dev/fuse.
    pub fn open(case: &'a Case) -> Self {
        Self::make(case, OPEN)
    }

    /// One without /dev/fuse.
    pub fn without_fuse(case: &'a Case) -> Self {
        Self::make(case, NO_FUSE)
    }

    /// One that is as the machine is: /dev/fuse for root alone.
    pub fn plain(case: &'a Case) -> Self {
        Self::make(
            case,
            "mknod -m 600 \"$D/fuse\" c 10 229; mount --bind \"$D/fuse\" /dev/fuse",
        )
    }

    fn make(case: &'a Case, setup: &str) -> Self {
        for part in ["world", "bin", "run"] {
            // A test may have several namespaces.
            fs::create_dir_all(case.directory().join(part)).expect("a directory for the test");
        }
        let run = case.directory().join("run");
        fs::set_permissions(&run, fs::Permissions::from_mode(0o700)).expect("chmod");
        chown(&run, Some(UID), Some(UID)).expect("chown");
        // The holder itself is no leftover, hence the empty environment.
        // The programs are bound to a place that everybody can reach, wherever they were built.
        let script = format!(
            "set -e; mount -t tmpfs -o mode=755 tmpfs \"$D\"; mount --bind \"$BIN\" \"$D/../bin\"; \
             {setup}; exec env -i sh -c 'echo made; exec cat'"
        );
        let mut command = case.command("unshare");
        let mut holder = command
            .args(["--mount", "sh", "-c", &script])
            .env("D", case.directory().join("world"))
            .env("BIN", binaries::directory())
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("unshare can be started");
        let mut line = String::new();
        let mut output = BufReader::new(holder.stdout.take().expect("piped"));
        output
            .read_line(&mut line)
            .expect("the namespace's holder speaks");
        if line != "made\n" {
            let mut errors = String::new();
            let _ = holder
                .stderr
                .take()
                .expect("piped")
                .read_to_string(&mut errors);
            panic!("no mount namespace: {errors}");
        }
        Self { case, holder }
    }

    /// The directory that `XDG_RUNTIME_DIR` names for the user.
    pub fn runtime(&self) -> PathBuf {
        self.case.directory().join("run")
    }

    /// A command of root in the namespace.
    pub fn root(&self, program: &str) -> Command {
        let mut command = self.case.command("nsenter");
        command
            .arg(format!("--mount=/proc/{}/ns/mnt", self.holder.id()))
            .arg("--")
            .arg(self.resolve(program));
        command
    }

    /// A command of the ordinary user in the namespace.
    pub fn user(&self, program: &str) -> Command {
        let mut command = self.root("setpriv");
        command
            .args([
                &format!("--reuid={UID}"),
                &format!("--regid={UID}"),
                "--clear-groups",
                "--",
            ])
            .arg(self.resolve(program))
            .env("XDG_RUNTIME_DIR", self.runtime());
        command
    }

    /// A program of the project by its place in the namespace, any other by its name.
    fn resolve(&self, program: &str) -> PathBuf {
        match binaries::directory().join(program).is_file() {
            true => self.case.directory().join("bin").join(program),
            false => program.into(),
        }
    }

    /// A directory in which the user may make nodes.
    pub fn directory(&self, name: &str) -> PathBuf {
        let path = self.case.directory().join(name);
        fs::create_dir(&path).expect("a directory for the test");
        chown(&path, Some(UID), Some(UID)).expect("chown");
        path
    }

    /// Mounts of fusd that the test made in the namespace, by their place.
    pub fn mounts(&self) -> Vec<PathBuf> {
        let table = format!("/proc/{}/mountinfo", self.holder.id());
        fs::read_to_string(table)
            .expect("the mount table can be read")
            .lines()
            .filter(|line| line.contains(" - fuse.fusd ") && line.contains(self.case.token()))
            .filter_map(|line| line.split(' ').nth(4))
            .map(PathBuf::from)
            .collect()
    }

    /// Waits until no mount of fusd is left, and nothing is in `directory`.
    pub fn await_clean(&self, directory: &Path) {
        wait_until("the namespace has no mounts of fusd", || {
            self.mounts().is_empty()
        });
        wait_until("the user's directory is empty", || {
            fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
        });
    }
}

impl Drop for World<'_> {
    fn drop(&mut self) {
        // It reads its standard input to the end.
        self.holder.stdin = None;
        let _ = self.holder.wait();
    }
}
