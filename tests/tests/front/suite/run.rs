//! `fusd run`: a /dev of the command's own.

use std::fs;
use std::path::Path;
use std::process::{Command, Stdio};

use fusd_tests::user::{UID, World};
use fusd_tests::wait::{start, wait_until};
use fusd_tests::{Case, binaries, leftovers};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helper::{end, fusd};

/// Why ordinary users can have no namespaces here, if so.
fn missing() -> Option<String> {
    let number = |path| fs::read_to_string(path).ok()?.trim().parse::<u64>().ok();
    let most = number("/proc/sys/user/max_user_namespaces");
    let clone = number("/proc/sys/kernel/unprivileged_userns_clone");
    let restricted = number("/proc/sys/kernel/apparmor_restrict_unprivileged_userns");
    let permitted = most.unwrap_or(0) > 0 && clone != Some(0) && restricted.unwrap_or(0) == 0;
    (!permitted).then(|| "user namespaces are not permitted".to_owned())
}

/// Runs a test as the ordinary user and as root: `start` makes `fusd` with the user's rights.
fn as_both(case: &Case, test: impl Fn(&dyn Fn() -> Command, u32)) {
    test(&|| case.program("fusd"), 0);
    if let Some(why) = missing() {
        case.skip(&why);
        return;
    }
    let world = World::open(case);
    test(&|| world.user("fusd"), UID);
}

/// A name for a device that no other test has.
fn name(case: &Case) -> String {
    format!("{}run", case.token())
}

pub(crate) fn a_device_is_there_for_the_command_alone(case: &Case) {
    let name = name(case);
    let device = format!("{name}=echo 'Hello, inside!'");
    let script = format!("test ! -e /dev/{name} || exit 9; cat \"$0\"; ls /dev");
    as_both(case, |fusd, _| {
        let node = format!("/dev/{name}");
        let mut command = fusd();
        let words = ["run", "--device", &device, "--", "cat", &node];
        let ended = end(command.args(words)).with(0);
        assert_eq!(
            (ended.out.as_str(), ended.err.as_str()),
            ("Hello, inside!\n", "")
        );
        assert!(!Path::new(&node).exists(), "nothing is outside");
        let sub = format!("{name}/sub/node");
        let device = format!("{sub}=fusd-echo below");
        let words = ["run", "-d", &device, "--", "cat", &format!("/dev/{sub}")];
        assert_eq!(end(fusd().args(words)).with(0).out, "below\n");
    });
    // One of another run is not seen.
    let mut command = case.program("fusd");
    let file = case.file("file", b"text\n");
    command.args(["run", "--", "sh", "-c", &script]).arg(file);
    let ended = end(&mut command).with(0);
    assert!(ended.out.starts_with("text\n"), "{}", ended.out);
    for usual in ["null", "zero", "urandom", "tty", "fd", "stdin"] {
        assert!(ended.out.lines().any(|line| line == usual), "{}", ended.out);
    }
}

pub(crate) fn the_exit_status_is_the_commands(case: &Case) {
    let device = format!("{}=echo x", name(case));
    as_both(case, |fusd, _| {
        for (script, code) in [
            ("exit 42", 42),
            ("kill -TERM $$", 143),
            ("kill -KILL $$", 137),
        ] {
            let words = ["run", "-d", &device, "--", "sh", "-c", script];
            end(fusd().args(words)).with(code);
        }
        let ended = end(fusd().args(["run", "--", "/no/such/program"])).with(127);
        assert!(ended.err.contains("/no/such/program"), "{}", ended.err);
        end(fusd().args(["run", "--", "/etc/passwd"])).with(126);
    });
}

pub(crate) fn the_user_stays_the_same(case: &Case) {
    as_both(case, |fusd, uid| {
        let script = "id -u; id -g; echo \"$FUSD_WORD\"; pwd; cat; echo oops >&2; \
                      grep CapEff /proc/self/status";
        let mut command = fusd();
        command
            .args(["run", "--", "sh", "-c", script])
            .env("FUSD_WORD", "a word")
            .current_dir(case.directory());
        let ended = end(&mut command).with(0);
        // nsenter(1) begins at the root.
        let place = match uid {
            0 => case.directory(),
            _ => Path::new("/"),
        };
        let expected = format!("{uid}\n{uid}\na word\n{}\n", place.display());
        assert!(ended.out.starts_with(&expected), "{}", ended.out);
        assert_eq!(ended.err, "oops\n");
        let has_none = ended.out.contains("CapEff:\t0000000000000000");
        assert_eq!(has_none, uid != 0, "{}", ended.out);
    });
}

pub(crate) fn what_is_left_running_ends_with_the_command(case: &Case) {
    let device = format!("{}=echo x", name(case));
    as_both(case, |fusd, _| {
        let script = "setsid sleep 1000 & sleep 1000 & echo started";
        let words = ["run", "-d", &device, "--", "sh", "-c", script];
        // The standard files are closed with them: else this would not return.
        assert_eq!(end(fusd().args(words)).with(0).out, "started\n");
        case.check();
    });
}

pub(crate) fn nothing_is_left_when_it_is_killed(case: &Case) {
    let name = name(case);
    let device = format!("{name}=echo x");
    as_both(case, |fusd, _| {
        let script = format!("cat /dev/{name}; exec sleep 1000");
        let mut child = fusd()
            .args(["run", "-d", &device, "--", "sh", "-c", &script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("fusd can be started");
        let mut output = child.stdout.take().expect("piped");
        let first = start(move || {
            let mut text = [0; 2];
            std::io::Read::read_exact(&mut output, &mut text).map(|()| (text, output))
        });
        let (text, _output) = first.wait().expect("the device is read");
        assert_eq!(&text, b"x\n");
        // World runs it by other programs, each of which becomes the next.
        child.kill().expect("kill");
        child.wait().expect("wait");
        case.check();
    });
}

pub(crate) fn signals_are_handed_on(case: &Case) {
    let script = "trap 'echo told; exit 7' TERM; echo ready; while :; do sleep 0.01; done";
    as_both(case, |fusd, _| {
        let mut child = fusd()
            .args(["run", "--", "sh", "-c", script])
            .stdout(Stdio::piped())
            .spawn()
            .expect("fusd can be started");
        let mut output = child.stdout.take().expect("piped");
        let first = start(move || {
            let mut text = [0; 6];
            std::io::Read::read_exact(&mut output, &mut text).map(|()| output)
        });
        let mut output = first.wait().expect("the command is ready");
        let pid = Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
        kill(pid, Signal::SIGTERM).expect("kill");
        let rest = start(move || std::io::read_to_string(&mut output));
        assert_eq!(rest.wait().expect("text"), "told\n");
        let status = start(move || child.wait()).wait().expect("wait");
        assert_eq!(status.code(), Some(7));
    });
}

pub(crate) fn a_usual_node_can_be_replaced_and_others_kept(case: &Case) {
    as_both(case, |fusd, _| {
        let words = ["run", "-d", "zero=echo one", "--", "cat", "/dev/zero"];
        assert_eq!(end(fusd().args(words)).with(0).out, "one\n");
        let there = |words: &[&str]| {
            let mut command = fusd();
            command.arg("run").args(words);
            end(command.args(["--", "test", "-e", "/dev/kmsg"])).code
        };
        assert_eq!(there(&[]), Some(1));
        assert_eq!(there(&["--keep", "kmsg"]), Some(0));
        assert_eq!(there(&["--keep", "all"]), Some(0));
        let refused = end(fusd().args(["run", "--keep", "no-such", "--", "true"])).with(2);
        assert!(refused.err.contains("/dev/no-such"), "{}", refused.err);
    });
}

pub(crate) fn what_cannot_be_started_is_told(case: &Case) {
    for (device, code, says) in [
        (
            "x=echo --mode 999 y",
            2,
            &["999", "octal", "cannot start the device x"][..],
        ),
        (
            "x=echo --file /no/such",
            1,
            &["/no/such", "ENOENT", "device x"],
        ),
        ("x=no-such-tool", 127, &["no-such-tool", "fusd-pipe"]),
        ("x=true", 1, &["cannot start the device x", "true ended"]),
        ("x", 2, &["NAME=TOOL"]),
        ("a b=echo y", 2, &["a b", "letters"]),
    ] {
        let words = ["run", "-d", device, "--", "touch", "made"];
        let mut command = case.program("fusd");
        let refused = end(command.args(words).current_dir(case.directory())).with(code);
        for part in says {
            assert!(
                refused.err.contains(part),
                "{device}: {part}: {}",
                refused.err
            );
        }
        assert!(
            !case.directory().join("made").exists(),
            "the command was run"
        );
    }
    let twice = ["run", "-d", "x=echo y", "-d", "/dev/x=echo z", "--", "true"];
    let refused = fusd(case, &twice).with(2);
    assert!(
        refused.err.contains("two devices are called x"),
        "{}",
        refused.err
    );
    case.check();
}

pub(crate) fn a_driver_that_ends_before_the_command_is_told_of(case: &Case) {
    let name = name(case);
    let device = format!("{name}=echo x");
    // A process that has been waited for is in /proc no more.
    let script = "for it in /proc/[0-9]*; do read -r comm <$it/comm; \
                  if test \"$comm\" = fusd-echo; then kill -KILL \"${it#/proc/}\"; \
                  while test -e $it; do sleep 0.01; done; fi; done; exit 5";
    let words = ["run", "-d", &device, "--", "sh", "-c", script];
    let ended = fusd(case, &words).with(5);
    assert!(
        ended.err.contains(&format!("the device {name} has gone")),
        "{}",
        ended.err
    );
}

pub(crate) fn devices_of_a_file_are_there_too(case: &Case) {
    let name = name(case);
    let text = format!(
        "[device.{name}]\ntool = \"echo\"\nargs = [\"from a file\"]\nbackend = \"kfusd\"\n\
         [device.other]\ntool = \"echo\"\nargs = [\"elsewhere\"]\npath = \"/dev/{name}2\"\n"
    );
    let file = case.file("devices.toml", text.as_bytes());
    let file = file.to_str().expect("UTF-8");
    as_both(case, |fusd, _| {
        let (one, two) = (format!("/dev/{name}"), format!("/dev/{name}2"));
        let words = ["run", "--config", file, "--", "cat", &one, &two];
        let ended = end(fusd().args(words)).with(0);
        assert_eq!(ended.out, "from a file\nelsewhere\n");
    });
}

pub(crate) fn where_namespaces_are_not_permitted_it_says_what_to_do(case: &Case) {
    if let Some(why) = missing() {
        case.skip(&why);
        return;
    }
    // Root in a user namespace of its own, in which none is permitted, without the right to do without.
    let script = "echo 0 >/proc/sys/user/max_user_namespaces && \
                  exec setpriv --bounding-set=-sys_admin --inh-caps=-sys_admin -- \"$0\" run -- true";
    let mut command = case.command("unshare");
    command
        .args(["--user", "--map-root-user", "sh", "-c", script])
        .arg(binaries::find("fusd"));
    let refused = end(&mut command).with(77);
    for part in [
        "not permitted",
        "user.max_user_namespaces is 0",
        "sysctl -w",
    ] {
        assert!(refused.err.contains(part), "{part}: {}", refused.err);
    }
    assert_eq!(refused.err.lines().count(), 1, "{}", refused.err);
}

pub(crate) fn pseudo_terminals_work(case: &Case) {
    let script = "import os, pty\nm, s = pty.openpty()\nos.write(s, b'x')\n\
                  print(os.read(m, 1), os.ttyname(s).startswith('/dev/pts/'))";
    as_both(case, |fusd, _| {
        let words = ["run", "--", "python3", "-c", script];
        let ended = end(fusd().args(words));
        assert_eq!(ended.out, "b'x' True\n", "{}", ended.err);
    });
    wait_until("nothing is left", || leftovers::find(case).is_empty());
}
