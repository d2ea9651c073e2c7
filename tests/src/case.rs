//! One test: a directory of its own, a token that marks all it starts, and the check at its end.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::atomic::{AtomicU32, Ordering};
use std::thread;

use nix::sys::signal::{SigSet, Signal};
use tempfile::TempDir;

use crate::backend::{self, Backend};
use crate::leftovers;
use crate::watchdog::{self, Watch};
use crate::{Ability, Launch, binaries};

/// The variable whose value marks the processes of one test.
pub const TOKEN: &str = "FUSD_TEST_TOKEN";

static NUMBER: AtomicU32 = AtomicU32::new(0);

/// One test. Dropped at its end, it fails the test if anything is left behind: declare it before
/// all else.
pub struct Case {
    name: String,
    backend: Backend,
    directory: TempDir,
    token: String,
    /// The last to go: the check at the end may hang as well.
    _watch: Watch,
}

impl Case {
    /// Begins the test `name` on `backend`; `None` where it is to be skipped.
    #[track_caller]
    pub fn begin(name: &str, backend: Backend) -> Option<Self> {
        (!backend::skips(name, backend, backend.missing())).then(|| Self::new(name, backend))
    }

    /// Begins a test that needs no backend.
    ///
    /// # Panics
    /// The directory cannot be made.
    #[track_caller]
    pub fn new(name: &str, backend: Backend) -> Self {
        // A child that ends while its thread is starting the next one, with all signals blocked, has
        // its SIGCHLD given to any other thread (kernel/signal.c, complete_signal): a call there
        // through FUSE or CUSE would end with EINTR. Children start with no signal blocked.
        SigSet::from(Signal::SIGCHLD)
            .thread_block()
            .expect("a signal can be blocked");
        let number = NUMBER.fetch_add(1, Ordering::Relaxed);
        let token = format!("fusdtest-{}-{number}-", std::process::id());
        let directory = tempfile::Builder::new()
            .prefix(&token)
            .tempdir()
            .expect("a directory for the test");
        // Ordinary users take part in some tests.
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).expect("chmod");
        let case = Self {
            name: name.to_owned(),
            backend,
            directory,
            _watch: watchdog::watch(name, &token),
            token,
        };
        for part in [case.nodes(), case.temporary()] {
            fs::create_dir(&part).expect("a directory for the test");
            fs::set_permissions(&part, fs::Permissions::from_mode(0o755)).expect("chmod");
        }
        case
    }

    /// The test's name.
    pub fn name(&self) -> &str {
        &self.name
    }

    /// The backend it runs on.
    pub fn backend(&self) -> Backend {
        self.backend
    }

    /// Whether the backend cannot do what the whole test is about; the test is then to return. Says
    /// so: the test counts as skipped.
    pub fn lacks(&self, ability: Ability) -> bool {
        self.tell("LACKS", ability)
    }

    /// Whether the backend can do what a part of the test is about; else the test is to expect less
    /// there. Says so: the test counts as passed, but not as proof of the whole row.
    pub fn can(&self, ability: Ability) -> bool {
        !self.tell("WEAKER", ability)
    }

    fn tell(&self, word: &str, ability: Ability) -> bool {
        let missing = ability.missing(self.backend);
        if let Some(reason) = missing {
            backend::say(word, &self.name, reason);
        }
        missing.is_some()
    }

    /// Says that something which the machine lacks keeps the test from running; it is then to
    /// return.
    pub fn skip(&self, reason: &str) {
        backend::say("SKIP", &self.name, reason);
    }

    /// What marks the test's processes and names.
    pub fn token(&self) -> &str {
        &self.token
    }

    /// A directory for files of the test's own.
    pub fn directory(&self) -> &Path {
        self.directory.path()
    }

    /// The directory for nodes: empty at the end.
    pub fn nodes(&self) -> PathBuf {
        self.directory().join("nodes")
    }

    /// What the programs take for the directory of temporary files: empty at the end.
    pub fn temporary(&self) -> PathBuf {
        self.directory().join("tmp")
    }

    /// Where the node `name` of this test goes: to a directory of the test's own, if the backend
    /// lets it. A path is left as it is.
    pub fn node(&self, name: &str) -> PathBuf {
        if self.backend.takes_paths() || Path::new(name).is_absolute() {
            self.nodes().join(name)
        } else {
            Path::new("/dev").join(format!("{}{name}", self.token))
        }
    }

    /// Writes a file of the test's own.
    ///
    /// # Panics
    /// It cannot be written.
    pub fn file(&self, name: &str, content: &[u8]) -> PathBuf {
        let path = self.directory().join(name);
        fs::write(&path, content).expect("a file of the test");
        path
    }

    /// A command that belongs to the test.
    pub fn mark(&self, command: &mut Command) {
        command
            .env(TOKEN, &self.token)
            .env("TMPDIR", self.temporary())
            .env_remove("FUSD_BACKEND")
            .env_remove("XDG_RUNTIME_DIR")
            .env_remove("NOTIFY_SOCKET")
            .env_remove("RUST_LOG")
            .env("LC_ALL", "C");
    }

    /// A built program of the project.
    pub fn program(&self, name: &str) -> Command {
        let mut command = Command::new(binaries::find(name));
        self.mark(&mut command);
        command
    }

    /// A program of the system.
    pub fn command(&self, name: &str) -> Command {
        let mut command = Command::new(name);
        self.mark(&mut command);
        command
    }

    /// What cat(1) prints of `node` for a user and a group, and its process id.
    ///
    /// # Panics
    /// It cannot be run.
    pub fn cat_as(&self, node: &Path, uid: u32, gid: u32) -> (u32, String) {
        let client = self
            .command("setpriv")
            .args([
                &format!("--reuid={uid}"),
                &format!("--regid={gid}"),
                "--clear-groups",
                "cat",
            ])
            .arg(node)
            .stdout(Stdio::piped())
            .spawn()
            .expect("setpriv");
        let pid = client.id();
        let output = client.wait_with_output().expect("cat");
        (pid, String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// The suite's own driver with one of its devices, at the node "node".
    pub fn device(&self, device: &str) -> Launch {
        self.device_at(device, "node")
    }

    /// The suite's own driver, at another node.
    pub fn device_at(&self, device: &str, node: &str) -> Launch {
        let node = self.node(node);
        Launch::new(self, self.program("conformance-driver"), &node)
            .arg("--device")
            .arg(device)
            .arg("--backend")
            .arg(self.backend.name())
            .arg("--path")
            .arg(node.to_str().expect("test paths are UTF-8"))
    }

    /// Checks now that nothing is left behind.
    ///
    /// # Panics
    /// Something is.
    #[track_caller]
    pub fn check(&self) {
        leftovers::check(self);
    }
}

impl Drop for Case {
    fn drop(&mut self) {
        let left = leftovers::wait_for_none(self);
        if left.is_empty() {
            return;
        }
        leftovers::remove(self);
        let report = format!("{} left behind:\n{}", self.name, left.join("\n"));
        if thread::panicking() {
            eprintln!("{report}");
        } else {
            panic!("{report}");
        }
    }
}
