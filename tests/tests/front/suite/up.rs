//! `fusd check`, `up` and `down`, as an ordinary user, who has a place of his own for what is noted.

use std::fs;
use std::os::unix::process::ExitStatusExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use fusd_tests::user::{self, World};
use fusd_tests::wait::wait_until;
use fusd_tests::{Case, leftovers};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helper::{Ended, end, fusd, listed, patience};

/// A user with a configuration file.
struct Owner<'a> {
    world: World<'a>,
    file: PathBuf,
}

impl<'a> Owner<'a> {
    fn new(case: &'a Case, text: &str) -> Option<Self> {
        if fusd_tests::backend::skips(case.name(), case.backend(), user::missing()) {
            return None;
        }
        Some(Self {
            world: World::open(case),
            file: case.file("devices.toml", text.as_bytes()),
        })
    }

    fn node(&self, name: &str) -> PathBuf {
        self.world.runtime().join("fusd").join(name)
    }

    fn up(&self, words: &[&str]) -> Ended {
        end(self
            .command("up")
            .arg("--config")
            .arg(&self.file)
            .arg(patience())
            .args(words))
    }

    fn down(&self, words: &[&str]) -> Ended {
        end(self.command("down").arg(patience()).args(words))
    }

    fn command(&self, name: &str) -> Command {
        let mut command = self.world.user("fusd");
        command.arg(name);
        command
    }

    fn read(&self, node: &Path) -> String {
        end(self.world.user("cat").arg(node)).with(0).out
    }

    fn clean(&self) {
        self.world.await_clean(&self.world.runtime());
    }
}

/// Waits until a killed driver has ended, and its watcher has removed all of the node. Its files may be
/// closed, and the node be gone, while it is still told of as alive.
fn await_gone(owner: &Owner<'_>, driver: Pid, name: &str) {
    wait_until("the driver has ended", || {
        let stat = fs::read_to_string(format!("/proc/{driver}/stat")).unwrap_or_default();
        let state = stat.rsplit_once(") ").map(|(_, state)| &state[..1]);
        matches!(state, None | Some("Z" | "X"))
    });
    wait_until("its node has gone", || {
        owner.world.mounts().is_empty() && fs::symlink_metadata(owner.node(name)).is_err()
    });
}

const TWO: &str = "[device.motd]\ntool = \"echo\"\nargs = [\"Good morning!\"]\n\
                   [device.\"bus/events\"]\ntool = \"pipe\"\nkind = \"broadcast\"\n";

pub(crate) fn devices_come_up_once_and_go_down(case: &Case) {
    let Some(owner) = Owner::new(case, TWO) else {
        return;
    };
    let (motd, events) = (owner.node("motd"), owner.node("bus/events"));
    let both = |what: &str| {
        let (motd, events) = (motd.display(), events.display());
        format!("motd is up{what}, at {motd}\nbus/events is up{what}, at {events}\n")
    };
    let up = owner.up(&[]).with(0);
    assert_eq!((up.out, up.err.as_str()), (both(""), ""));
    assert_eq!(owner.read(&motd), "Good morning!\n");
    let again = owner.up(&[]).with(0);
    assert_eq!(again.out, both(" already"));
    assert_eq!(owner.down(&["motd"]).with(0).out, "motd is down\n");
    assert_eq!(owner.world.mounts(), [events]);
    assert_eq!(owner.down(&["motd"]).with(0).out, "motd is not up\n");
    assert_eq!(owner.up(&["/dev/motd"]).with(0).out.lines().count(), 1);
    assert_eq!(
        owner.down(&[]).with(0).out,
        "bus/events is down\nmotd is down\n"
    );
    assert_eq!(owner.down(&[]).with(0).out, "nothing is up\n");
    owner.clean();
}

pub(crate) fn a_device_that_fails_is_told_and_the_others_are_up(case: &Case) {
    let text = "[device.bad]\ntool = \"echo\"\nargs = [\"x\"]\npath = \"/no/such/directory/x\"\n\
                [device.good]\ntool = \"echo\"\nargs = [\"y\"]\n";
    let Some(owner) = Owner::new(case, text) else {
        return;
    };
    let up = owner.up(&[]).with(73);
    for part in ["cannot start bad", "/no/such/directory", "ENOENT"] {
        assert!(up.err.contains(part), "{part}: {}", up.err);
    }
    assert_eq!(up.err.lines().count(), 1, "{}", up.err);
    assert_eq!(owner.read(&owner.node("good")), "y\n");
    assert_eq!(owner.down(&[]).with(0).out, "good is down\n");
    owner.clean();
    let refused = owner.up(&["other"]).with(2);
    assert!(
        refused.err.contains("other") && refused.err.contains("bad, good"),
        "{}",
        refused.err
    );
}

pub(crate) fn a_driver_that_was_killed_is_started_again(case: &Case) {
    let Some(owner) = Owner::new(case, TWO) else {
        return;
    };
    owner.up(&["motd"]).with(0);
    let driver = || {
        let list = end(owner.world.user("fusd").args(["list", "--json"])).with(0);
        let device = listed(&list.out, &owner.node("motd")).expect("it is listed");
        let pid = device["driver"]["pid"].as_i64().expect("a pid");
        Pid::from_raw(i32::try_from(pid).expect("a pid"))
    };
    let first = driver();
    kill(first, Signal::SIGKILL).expect("kill");
    await_gone(&owner, first, "motd");
    let up = owner.up(&["motd"]).with(0);
    assert!(up.out.starts_with("motd is up, at"), "{}", up.out);
    let second = driver();
    assert_ne!(second, first);
    kill(second, Signal::SIGKILL).expect("kill");
    await_gone(&owner, second, "motd");
    assert_eq!(owner.down(&["motd"]).with(0).out, "motd is not up\n");
    owner.clean();
}

pub(crate) fn in_the_foreground_it_is_the_driver(case: &Case) {
    let Some(owner) = Owner::new(case, TWO) else {
        return;
    };
    let refused = owner.up(&["--foreground"]).with(2);
    assert!(refused.err.contains("one device"), "{}", refused.err);
    let mut child = owner
        .command("up")
        .arg("--config")
        .arg(&owner.file)
        .args(["--foreground", "motd"])
        .stdin(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .expect("fusd can be started");
    wait_until("its node is there", || !owner.world.mounts().is_empty());
    assert_eq!(owner.read(&owner.node("motd")), "Good morning!\n");
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let comm = fs::read_to_string(format!("/proc/{pid}/comm")).expect("it lives");
    assert_eq!(comm, "fusd-echo\n");
    kill(pid, Signal::SIGTERM).expect("kill");
    let status = fusd_tests::wait::start(move || child.wait()).wait();
    let status = status.expect("it can be waited for");
    assert_eq!((status.code(), status.signal()), (Some(0), None));
    owner.clean();
}

pub(crate) fn faults_have_file_line_and_key(case: &Case) {
    let text = "[device.x]\ntool = \"echo\"\nargs = [\"a\"]\nmodus = \"644\"\nlines = 1\n";
    let file = case.file("devices.toml", text.as_bytes());
    let path = file.to_str().expect("UTF-8");
    for words in [
        &["check", path][..],
        &["up", "--config", path],
        &["run", "--config", path, "--", "true"],
    ] {
        let refused = fusd(case, words).with(2);
        let lines: Vec<&str> = refused.err.lines().collect();
        assert_eq!(lines.len(), 3, "{}", refused.err);
        assert!(
            lines[0].starts_with(&format!("{path}:4: modus: ")),
            "{}",
            lines[0]
        );
        assert!(
            lines[1].starts_with(&format!("{path}:5: lines: ")),
            "{}",
            lines[1]
        );
        assert!(lines[2].contains("2 faults"), "{}", lines[2]);
    }
    let missing = fusd(case, &["check", "/no/such/file"]).with(1);
    assert!(missing.err.contains("ENOENT"), "{}", missing.err);
    let good = case.file("good.toml", TWO.as_bytes());
    let checked = fusd(case, &["check", good.to_str().expect("UTF-8")]).with(0);
    assert!(
        checked.out.ends_with("good.toml: 2 devices, no fault\n"),
        "{}",
        checked.out
    );
    assert_eq!(leftovers::find(case), Vec::<String>::new());
}
