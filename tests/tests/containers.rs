//! The tools in containers, by podman, as root and as an ordinary user: with the options that fusd(7) names,
//! and without them. It takes no image and no network: a container's root is a folder, into which the machine's
//! own /usr is bound.

use std::env;
use std::fs;
use std::os::unix::fs::{chown, symlink};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;

use fusd_tests::user::{UID, World};
use fusd_tests::{Backend, Case, Launch, backend, binaries};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

/// What makes a node in a container: /dev/fuse and, to mount, this capability.
const SERVES: [&str; 3] = ["--device=/dev/fuse", "--cap-add=SYS_ADMIN", "--tmpfs=/run"];

/// What became of a container.
#[derive(Debug)]
struct Ended {
    code: Option<i32>,
    out: String,
    err: String,
}

/// Whose podman it is.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Who {
    Root,
    /// An ordinary user's, without subordinate users.
    User,
}

/// Podman, with all that it keeps in the test's own directory.
struct Podman<'a> {
    case: &'a Case,
    /// The ordinary user's view, if it is that one's.
    world: Option<World<'a>>,
    folder: PathBuf,
}

/// Why no container can be had here, if so: as found by the first one.
static MISSING: OnceLock<Option<String>> = OnceLock::new();

impl<'a> Podman<'a> {
    /// `None` where the test is to be skipped.
    fn new(case: &'a Case, who: Who) -> Option<Self> {
        let (world, owner) = match who {
            Who::Root => (None, None),
            Who::User => (Some(World::open(case)), Some(UID)),
        };
        let folder = case.directory().join(format!("{who:?}"));
        let make = |path: &Path| {
            fs::create_dir_all(path).expect("a directory of the test");
            chown(path, owner, owner).expect("chown");
        };
        let root = folder.join("root");
        make(&folder);
        make(&root);
        for name in ["usr", "proc", "sys", "dev", "run", "tmp", "etc", "fusd"] {
            make(&root.join(name));
        }
        for name in ["bin", "sbin", "lib", "lib64"] {
            symlink(Path::new("usr").join(name), root.join(name)).expect("a link");
        }
        let podman = Self {
            case,
            world,
            folder,
        };
        let missing = MISSING.get_or_init(|| podman.missing());
        if let Some(reason) = missing {
            case.skip(reason);
            return None;
        }
        Some(podman)
    }

    fn missing(&self) -> Option<String> {
        let path = env::var_os("PATH").unwrap_or_default();
        let has = |program| env::split_paths(&path).any(|folder| folder.join(program).is_file());
        if !has("podman") {
            return Some("podman is not installed".into());
        }
        // Its runtimes refuse some machines, such as those with control groups of both versions.
        let ended = self.run(&[], &["true"]);
        let why = ended.err.lines().last().unwrap_or_default();
        (ended.code != Some(0)).then(|| format!("podman runs nothing here: {why}"))
    }

    /// A container with these options of podman's that runs this command.
    fn container(&self, options: &[&str], words: &[&str]) -> Command {
        let (mut podman, programs) = match &self.world {
            Some(world) => (world.user("podman"), self.case.directory().join("bin")),
            None => (self.case.command("podman"), binaries::directory()),
        };
        let at = |name: &str| self.folder.join(name).display().to_string();
        podman
            .env("HOME", &self.folder)
            .args(["--root", &at("store"), "--runroot", &at("run")])
            .args(["--storage-driver=vfs", "--cgroup-manager=cgroupfs"])
            .args(["--events-backend=none", "run", "--rm", "--network=none"])
            .args(["--cgroups=disabled", "--log-driver=none"])
            // Limits that root may set everywhere.
            .args(["--ulimit=nofile=1024:1024", "--ulimit=nproc=1000:1000"])
            .arg("--volume=/usr:/usr:ro")
            .arg(format!("--volume={}:/fusd:ro", programs.display()))
            .args(options)
            .arg("--rootfs")
            .arg(at("root"))
            .args(words)
            .stdin(Stdio::null());
        podman
    }

    /// Runs a container to its end.
    #[track_caller]
    fn run(&self, options: &[&str], words: &[&str]) -> Ended {
        let child = self
            .container(options, words)
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("podman can be started");
        let ended = fusd_tests::wait::start(move || child.wait_with_output());
        let output = ended.wait().expect("podman can be waited for");
        Ended {
            code: output.status.code(),
            out: String::from_utf8_lossy(&output.stdout).into_owned(),
            err: String::from_utf8_lossy(&output.stderr).into_owned(),
        }
    }

    /// Runs a container that has to print this and nothing else.
    #[track_caller]
    fn prints(&self, options: &[&str], words: &[&str], wanted: &str) {
        let ended = self.run(options, words);
        assert!(
            ended.code == Some(0) && ended.out == wanted,
            "{options:?}: {ended:?}"
        );
    }
}

impl Drop for Podman<'_> {
    fn drop(&mut self) {
        // What keeps an ordinary user's namespaces for the next container.
        let Some(world) = &self.world else { return };
        let file = world.runtime().join("libpod/tmp/pause.pid");
        let pid = fs::read_to_string(file)
            .ok()
            .and_then(|text| text.trim().parse().ok());
        if let Some(pid) = pid {
            let _ = kill(Pid::from_raw(pid), Signal::SIGKILL);
        }
    }
}

#[test]
fn root_serves_inside() {
    let Some(case) = Case::begin("root_serves_inside", Backend::Fuse) else {
        return;
    };
    let Some(podman) = Podman::new(&case, Who::Root) else {
        return;
    };
    serves_inside(&podman);
    // Without one of the options, what is missing is said in a line.
    for (left_out, code, says) in [(1, 77, "EPERM"), (0, 69, "--device /dev/fuse")] {
        let mut options = SERVES.to_vec();
        options.remove(left_out);
        let ended = podman.run(&options, &ECHO);
        let line = ended.err.trim_end();
        assert!(
            ended.code == Some(code) && line.contains(says) && !line.contains('\n'),
            "{options:?}: {ended:?}"
        );
    }
}

#[test]
fn a_user_serves_inside() {
    let Some(case) = Case::begin("a_user_serves_inside", Backend::Fuse) else {
        return;
    };
    if let Some(podman) = Podman::new(&case, Who::User) {
        serves_inside(&podman);
    }
}

/// A tool that serves, and looks at what it serves.
const ECHO: [&str; 7] = [
    "/fusd/fusd-echo",
    "--path",
    "/run/node",
    "hello",
    "--",
    "cat",
    "/run/node",
];

fn serves_inside(podman: &Podman<'_>) {
    podman.prints(&SERVES, &ECHO, "hello\n");
    // As the first process of the container, with a tool that has to be found.
    let run = [
        "/fusd/fusd",
        "run",
        "-d",
        "motd=echo hi",
        "--",
        "cat",
        "/dev/motd",
    ];
    podman.prints(&SERVES, &run, "hi\n");
}

#[test]
fn a_node_of_the_machine_is_given_to_a_container() {
    for (backend, who) in [
        (Backend::Fuse, Who::Root),
        (Backend::Cuse, Who::Root),
        (Backend::Kfusd, Who::Root),
        (Backend::Fuse, Who::User),
        (Backend::Cuse, Who::User),
        (Backend::Kfusd, Who::User),
    ] {
        let name = "a_node_of_the_machine_is_given_to_a_container";
        if backend.missing().is_some() {
            backend::weaker(name, &format!("not tried with {}", backend.name()));
            continue;
        }
        let case = Case::new(name, backend);
        let node = case.node("node");
        // Before the user's view is made, which has what there is by then.
        let driver = Launch::new(&case, case.program("fusd-echo"), &node)
            .args(["--mode=666", "--backend", backend.name(), "--path"])
            .arg(&node)
            .arg("hello")
            .start();
        let Some(podman) = Podman::new(&case, who) else {
            return;
        };
        let nodes = case.nodes().display().to_string();
        let path = node.display().to_string();
        let given = match backend {
            // With the directory comes what is mounted there.
            Backend::Fuse => format!("--volume={nodes}:{nodes}"),
            Backend::Cuse | Backend::Kfusd => format!("--device={path}"),
        };
        podman.prints(&[&given], &["cat", &path], "hello\n");
        driver.stop();
    }
}

#[test]
fn a_driver_inside_makes_a_device_of_the_machine() {
    for (backend, device) in [
        (Backend::Cuse, "--device=/dev/cuse"),
        (Backend::Kfusd, "--device=/dev/fusd/control"),
    ] {
        let name = "a_driver_inside_makes_a_device_of_the_machine";
        let Some(case) = Case::begin(name, backend) else {
            return;
        };
        let Some(podman) = Podman::new(&case, Who::Root) else {
            return;
        };
        let node = case.node("node").display().to_string();
        let words = [
            "/fusd/fusd-echo",
            "--backend",
            backend.name(),
            "--path",
            &node,
            "hello",
            "--",
            "cat",
            &node,
        ];
        podman.prints(&[device, "--volume=/dev:/dev"], &words, "hello\n");
        let ended = podman.run(&[device], &words);
        assert!(
            ended.code == Some(69) && ended.err.contains("/dev is not the kernel's own"),
            "{ended:?}"
        );
    }
}
