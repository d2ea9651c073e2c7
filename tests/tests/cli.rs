//! Every refusal of the command line: the exit code, one line that says what, where, why and what
//! to do, and nothing made.

use std::ffi::OsStr;
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::Path;
use std::process::{Command, Stdio};

use fusd_tests::user::World;
use fusd_tests::{Backend, Case, leftovers, module};

/// A command line that must be refused.
struct Refusal<'a> {
    arguments: &'a [&'a str],
    code: i32,
    /// What the message must contain, in this order.
    says: &'a [&'a str],
}

/// Runs the command and checks its refusal.
#[track_caller]
fn refuses(case: &Case, command: Command, refusal: &Refusal<'_>) {
    let faults = faults(case, command, refusal);
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

/// What is wrong with a refusal, one text each.
fn faults(case: &Case, mut command: Command, refusal: &Refusal<'_>) -> Vec<String> {
    let Refusal {
        arguments,
        code,
        says,
    } = refusal;
    let before = listing(case.directory());
    let child = command
        .args(*arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tool can be started");
    let pid = nix::unistd::Pid::from_raw(i32::try_from(child.id()).expect("a pid"));
    let ended = fusd_tests::wait::start(move || child.wait_with_output());
    let Some(output) = ended.wait_or_give_up() else {
        nix::sys::signal::kill(pid, nix::sys::signal::Signal::SIGKILL).expect("kill");
        return vec![format!("{arguments:?} is not refused: the tool runs")];
    };
    let output = output.expect("the tool can be waited for");
    let errors = String::from_utf8_lossy(&output.stderr).into_owned();
    let mut faults = Vec::new();
    let mut check = |right: bool, what: &str| {
        if !right {
            faults.push(format!("{arguments:?}: {what}:\n    {}", errors.trim_end()));
        }
    };
    let found = output.status.code();
    check(
        found == Some(*code),
        &format!("ends with {found:?} instead of {code}"),
    );
    let mut rest = errors.as_str();
    for part in *says {
        let place = rest.find(part);
        check(place.is_some(), &format!("{part:?} is not in its place"));
        rest = place.map_or(rest, |place| &rest[place + part.len()..]);
    }
    let lines = errors.trim_end().lines().count();
    check(lines == 1, &format!("says {lines} lines instead of one"));
    check(output.stdout.is_empty(), "writes to the standard output");
    check(listing(case.directory()) == before, "makes something");
    check(leftovers::find(case).is_empty(), "leaves something behind");
    faults
}

/// All names below `directory`.
fn listing(directory: &Path) -> Vec<String> {
    let mut names = Vec::new();
    let mut open = vec![directory.to_owned()];
    while let Some(directory) = open.pop() {
        for entry in fs::read_dir(directory).into_iter().flatten().flatten() {
            names.push(entry.path().display().to_string());
            if entry.file_type().is_ok_and(|kind| kind.is_dir()) {
                open.push(entry.path());
            }
        }
    }
    names.sort();
    names
}

/// Checks refusals of the tool as it is started by whoever runs the tests.
#[track_caller]
fn all_refused(case: &Case, refusals: &[Refusal<'_>]) {
    let faults: Vec<_> = refusals
        .iter()
        .flat_map(|refusal| faults(case, case.program("fusd-echo"), refusal))
        .collect();
    assert!(faults.is_empty(), "{}", faults.join("\n"));
}

fn refusal<'a>(arguments: &'a [&'a str], code: i32, says: &'a [&'a str]) -> Refusal<'a> {
    Refusal {
        arguments,
        code,
        says,
    }
}

#[test]
fn names() {
    let case = Case::new("names", Backend::Fuse);
    let long = "x".repeat(256);
    let hint = "; ";
    all_refused(
        &case,
        &[
            refusal(&["text"], 2, &["name", hint, "--name"]),
            refusal(
                &["--name", "", "text"],
                2,
                &["name", "empty", "EINVAL", hint],
            ),
            refusal(&["--name", "..", "text"], 2, &["\"..\"", "EINVAL", hint]),
            refusal(
                &["--name", "a/../b", "text"],
                2,
                &["a/../b", "\"..\"", "EINVAL", hint],
            ),
            refusal(
                &["--name", "a//b", "text"],
                2,
                &["a//b", "empty", "EINVAL", hint],
            ),
            refusal(
                &["--name", "/etc/x", "text"],
                2,
                &["/etc/x", "EINVAL", hint],
            ),
            refusal(
                &["--name", "a b", "text"],
                2,
                &["a b", "' '", "EINVAL", hint],
            ),
            refusal(
                &["--name", "%s%n", "text"],
                2,
                &["%s%n", "'%'", "EINVAL", hint],
            ),
            refusal(&["--name", "a\nb", "text"], 2, &["a\\nb", "EINVAL", hint]),
            refusal(
                &["--name", &long, "text"],
                2,
                &["longer than 255", "ENAMETOOLONG"],
            ),
            refusal(&["--path", "", "text"], 2, &["--path"]),
            refusal(
                &["--path", "/", "text"],
                2,
                &["path", "directory", "EINVAL", hint],
            ),
            refusal(
                &["--path", "/tmp/.", "text"],
                2,
                &["/tmp/.", "directory", "EINVAL", hint],
            ),
        ],
    );
}

#[test]
fn places() {
    let Some(case) = Case::begin("places", Backend::Fuse) else {
        return;
    };
    let file = case.file("file", b"precious");
    let directory = case.directory().join("directory");
    fs::create_dir(&directory).expect("mkdir");
    let link = case.directory().join("link");
    std::os::unix::fs::symlink("nowhere", &link).expect("symlink");
    let circle = case.directory().join("circle");
    std::os::unix::fs::symlink("circle", &circle).expect("symlink");
    let text = |path: &Path| path.to_str().expect("UTF-8").to_owned();
    let (file, directory, link) = (text(&file), text(&directory), text(&link));
    let circle = text(&circle);
    let missing = format!("{directory}/missing/node");
    let under = format!("{file}/node");
    let endless = format!("{circle}/node");
    let long = format!("{directory}/{}", "x".repeat(256));
    let (hint, code) = ("; ", 73);
    all_refused(
        &case,
        &[
            refusal(&["--path", &file, "x"], code, &[&file, "EEXIST", hint]),
            refusal(
                &["--path", &directory, "x"],
                code,
                &[&directory, "EEXIST", hint],
            ),
            refusal(&["--path", &link, "x"], code, &[&link, "EEXIST", hint]),
            refusal(
                &["--path", &missing, "x"],
                code,
                &["missing", "ENOENT", hint],
            ),
            refusal(&["--path", &under, "x"], code, &[&file, "ENOTDIR"]),
            refusal(
                &["--name", "null", "x"],
                code,
                &["/dev/null", "EEXIST", hint],
            ),
            refusal(
                &["--path", "/proc/node", "x"],
                code,
                &["/proc", "ENOENT", hint],
            ),
            refusal(&["--path", &endless, "x"], code, &["ELOOP", hint]),
            refusal(&["--path", &long, "x"], code, &["ENAMETOOLONG", hint]),
        ],
    );
    assert_eq!(fs::read(&file).expect("read"), b"precious");
}

#[test]
fn character_devices_say_what_they_take() {
    let name = "character_devices_say_what_they_take";
    let case = Case::new(name, Backend::Fuse);
    let place = case.directory().join("node");
    let path = place.to_str().expect("UTF-8");
    for (backend, device, load) in [
        ("cuse", "/dev/cuse", "modprobe cuse"),
        ("kfusd", module::CONTROL, "modprobe kfusd"),
    ] {
        let opened = fs::File::options().read(true).write(true).open(device);
        let (code, says): (i32, &[&str]) = match opened.map_err(|error| error.kind()) {
            Ok(_) => (2, &["/dev only", "EINVAL", "; "]),
            Err(std::io::ErrorKind::PermissionDenied) => (77, &[device, "as root"]),
            Err(_) => (69, &[device, load]),
        };
        let arguments = ["--backend", backend, "--path", path, "text"];
        all_refused(&case, &[refusal(&arguments, code, says)]);
    }
}

#[test]
fn values() {
    let case = Case::new("values", Backend::Fuse);
    let node = case.node("node");
    let path = node.to_str().expect("UTF-8");
    let list: &[(&[&str], i32, &[&str])] = &[
        (&["--mode", "999"], 2, &["999", "--mode", "octal"]),
        (&["--mode", "10000"], 2, &["10000", "--mode", "octal"]),
        (&["--mode", "u+r"], 2, &["u+r", "--mode", "octal"]),
        (
            &["--owner", "no-such-user"],
            2,
            &["no-such-user", "--owner", "no user"],
        ),
        (&["--owner", "4294967295"], 2, &["4294967295", "--owner"]),
        (
            &["--group", "no-such-group"],
            2,
            &["no-such-group", "--group", "no group"],
        ),
        (
            &["--backend", "floppy"],
            2,
            &["floppy", "--backend", "fuse"],
        ),
        (&["--max-open", "0"], 2, &["0", "--max-open", "at least 1"]),
        (&["--max-open", "many"], 2, &["many", "--max-open"]),
        (&["--max-size", "-5"], 2, &["-5", "--max-size"]),
        (&["--group", "-1"], 2, &["-1", "--group"]),
        (&["--max-size", "much"], 2, &["much", "--max-size"]),
        (&["--ready-fd", "x"], 2, &["x", "--ready-fd"]),
        (&["--ready-fd", "1"], 2, &["1", "--ready-fd"]),
        (&["--ready-fd", "987"], 2, &["987", "--ready-fd", "EBADF"]),
        (&["--ready-fd", "-1"], 2, &["-1"]),
        (
            &["--log-format", "xml"],
            2,
            &["xml", "--log-format", "json"],
        ),
        (&["--on-write", "burn"], 2, &["burn", "--on-write", "deny"]),
        (&["-e", "bad\\q"], 2, &["\\q"]),
        (&["--no-such-option"], 2, &["--no-such-option"]),
    ];
    let list: Vec<_> = list
        .iter()
        .map(|(arguments, code, says)| {
            (
                [&["--path", path], *arguments, &["text"]].concat(),
                *code,
                *says,
            )
        })
        .collect();
    let list: Vec<_> = list
        .iter()
        .map(|(arguments, code, says)| refusal(arguments, *code, says))
        .collect();
    all_refused(&case, &list);
    let mut command = case.program("fusd-echo");
    command.env("FUSD_BACKEND", "floppy");
    let arguments = ["--path", path, "x"];
    refuses(
        &case,
        command,
        &refusal(&arguments, 2, &["floppy", "FUSD_BACKEND"]),
    );
    let mut command = case.program("fusd-echo");
    command.env("FUSD_BACKEND", OsStr::from_bytes(b"\xff"));
    refuses(
        &case,
        command,
        &refusal(&arguments, 2, &["FUSD_BACKEND", "EINVAL", "; "]),
    );
}

#[test]
fn texts_and_files() {
    let case = Case::new("texts_and_files", Backend::Fuse);
    let node = case.node("node");
    let path = node.to_str().expect("UTF-8");
    let missing = case.directory().join("missing");
    let missing = missing.to_str().expect("UTF-8");
    let directory = case.directory().to_str().expect("UTF-8").to_owned();
    let list: &[(&[&str], i32, &[&str])] = &[
        (&[], 2, &["no text to say", "--file"]),
        (&["--file", missing], 1, &[missing, "ENOENT"]),
        (&["--file", &directory], 1, &[&directory, "EISDIR"]),
        (&["--file", missing, "text"], 2, &["--file"]),
        (&["--file", missing, "--exec", "x"], 2, &["--file"]),
        (&["--exec", "x", "text"], 2, &["--exec"]),
        (&["--watch", "text"], 2, &["--watch"]),
        (&["--max-size", "5", "text"], 2, &["--max-size"]),
        (&["--name", "x", "text"], 2, &["--name"]),
    ];
    let list: Vec<_> = list
        .iter()
        .map(|(arguments, code, says)| ([&["--path", path], *arguments].concat(), *code, *says))
        .collect();
    let list: Vec<_> = list
        .iter()
        .map(|(arguments, code, says)| refusal(arguments, *code, says))
        .collect();
    all_refused(&case, &list);
}

#[test]
fn rights_of_an_ordinary_user() {
    let Some(case) = Case::begin("rights_of_an_ordinary_user", Backend::Fuse) else {
        return;
    };
    let secret = case.file("secret", b"x");
    let mode = std::os::unix::fs::PermissionsExt::from_mode(0o600);
    fs::set_permissions(&secret, mode).expect("chmod");
    let secret = secret.to_str().expect("UTF-8");
    let world = World::open(&case);
    let mine = world.directory("mine");
    let node = mine.join("node");
    let node = node.to_str().expect("UTF-8");
    let foreign = case.nodes().join("node");
    let foreign = foreign.to_str().expect("UTF-8");
    for (arguments, code, says) in [
        (&["--path", foreign, "x"][..], 77, &[foreign, "EACCES"][..]),
        (&["--path", node, "--file", secret], 77, &[secret, "EACCES"]),
        (
            &["--path", node, "--owner", "root", "x"],
            77,
            &["owner", "EPERM", "; "],
        ),
        (
            &["--path", node, "--group", "root", "x"],
            77,
            &["group", "EPERM", "; "],
        ),
    ] {
        refuses(
            &case,
            world.user("fusd-echo"),
            &refusal(arguments, code, says),
        );
    }
    let mut command = world.user("fusd-echo");
    command.env_remove("XDG_RUNTIME_DIR");
    let says = ["XDG_RUNTIME_DIR", "ENOENT", "; "];
    refuses(
        &case,
        command,
        &refusal(&["--name", "x", "text"], 73, &says),
    );
    let mut command = world.user("fusd-echo");
    command.env("XDG_RUNTIME_DIR", "/no/such/directory");
    refuses(
        &case,
        command,
        &refusal(&["--name", "x", "text"], 73, &says),
    );
}

#[test]
fn no_right_to_use_fuse() {
    let Some(case) = Case::begin("no_right_to_use_fuse", Backend::Fuse) else {
        return;
    };
    let world = World::plain(&case);
    let node = world.directory("mine").join("node");
    let node = node.to_str().expect("UTF-8");
    let says = ["/dev/fuse", "EACCES", "; "];
    refuses(
        &case,
        world.user("fusd-echo"),
        &refusal(&["--path", node, "x"], 77, &says),
    );
}

#[test]
fn no_fuse_on_the_machine() {
    let Some(case) = Case::begin("no_fuse_on_the_machine", Backend::Fuse) else {
        return;
    };
    let world = World::without_fuse(&case);
    let node = world.directory("mine").join("node");
    let node = node.to_str().expect("UTF-8");
    let says = ["/dev/fuse", "ENOENT", "; ", "modprobe fuse"];
    for arguments in [
        &["--path", node, "x"][..],
        &["--path", node, "--backend", "fuse", "x"],
    ] {
        refuses(
            &case,
            world.user("fusd-echo"),
            &refusal(arguments, 69, &says),
        );
        refuses(
            &case,
            world.root("fusd-echo"),
            &refusal(arguments, 69, &says),
        );
    }
}

#[test]
fn help_and_version_are_no_errors() {
    let case = Case::new("help_and_version_are_no_errors", Backend::Fuse);
    for (option, part) in [
        ("--help", "--on-write"),
        ("-h", "--name"),
        ("--version", "fusd-echo"),
    ] {
        let output = case
            .program("fusd-echo")
            .arg(option)
            .output()
            .expect("the tool");
        assert_eq!(output.status.code(), Some(0), "{option}");
        assert!(
            String::from_utf8_lossy(&output.stdout).contains(part),
            "{option}"
        );
        assert_eq!(String::from_utf8_lossy(&output.stderr), "", "{option}");
    }
}
