//! Programs of others: those that read the node, and those that ask for it.

use std::path::Path;
use std::process::Stdio;

use fusd_tests::user::{self, World};
use fusd_tests::wait::wait_until;
use fusd_tests::{Case, Launch};

use crate::helper::{REFUSED, has_program, start};
use crate::person::{Caller, Person};

/// Where python3-dotenv is.
const DOTENV: &str = "/usr/lib/python3/dist-packages/dotenv/__init__.py";

const READ: &str = r#"
import os, stat, sys, dotenv
os.chdir(sys.argv[1])
assert stat.S_ISREG(os.stat(".env").st_mode)
values = dotenv.dotenv_values(".env")
assert values == {"API_KEY": "hunter2", "NAME": "a b"}, values
dotenv.load_dotenv(".env")
print(os.environ["API_KEY"])
"#;

pub(crate) fn a_project_has_an_env_file(case: &Case) {
    if let Some(reason) = user::missing() {
        return case.skip(&reason);
    }
    if !Path::new(DOTENV).exists() {
        return case.skip("python3-dotenv is not installed");
    }
    let world = World::open(case);
    let directory = world.directory("project");
    let node = directory.join(".env");
    // A helper that answers each question by its last word.
    let helper = "case \"$1\" in *key*) echo hunter2;; *) echo a b;; esac #";
    let helper = format!("sh -c '{helper}' sh");
    let mut command = world.user("setsid");
    command.arg(case.directory().join("bin/fusd-prompt"));
    let driver = Launch::new(case, command, &node)
        .unseen()
        .args([
            "--backend",
            "fuse",
            "--helper",
            &helper,
            "--message",
            "Secrets",
        ])
        .args([
            "--template",
            "API_KEY={key:secret}",
            "--template",
            "NAME='{name}'",
        ])
        .arg("--path")
        .arg(&node)
        .start();
    let output = world
        .user("/usr/bin/python3")
        .args(["-c", READ])
        .arg(&directory)
        .stdin(Stdio::null())
        .output()
        .expect("python3");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}\n{}", driver.errors());
    assert_eq!(output.stdout, b"hunter2\n");
    driver.stop();
    world.await_clean(&directory);
}

pub(crate) fn pinentry_asks(case: &Case) {
    if !has_program(case, "pinentry-tty") {
        return;
    }
    let options = [
        "--again",
        "0",
        "--no-terminal",
        "--helper",
        "pinentry-tty",
        "--message",
        "Say it",
    ];
    let mut person = Person::start(case, (100, 24), options);
    let caller = start(person.node());
    person.sees("Say it (");
    person.sees("Answer:");
    person.terminal.press("100% hunter2\r");
    assert_eq!(caller.wait(), Ok("100% hunter2\n".to_owned()));
    person.is_left_alone();
    person.ends_it();
}

pub(crate) fn systemd_ask_password_asks(case: &Case) {
    if !has_program(case, "systemd-ask-password") {
        return;
    }
    let helper = "systemd-ask-password --timeout=0 --echo=no";
    let options = [
        "--again",
        "0",
        "--no-terminal",
        "--helper",
        helper,
        "--message",
        "Say it",
    ];
    let mut person = Person::start(case, (160, 24), options);
    let caller = start(person.node());
    person.sees("Say it (");
    person.terminal.press("hunter2\r");
    assert_eq!(caller.wait(), Ok("hunter2\n".to_owned()));
    person.is_left_alone();
    person.ends_it();
}

pub(crate) fn what_is_typed_for_a_helper_is_for_no_other(case: &Case) {
    let helpers = [
        ("pinentry-tty", "pinentry-tty"),
        (
            "systemd-ask-password",
            "systemd-ask-password --timeout=0 --echo=no",
        ),
    ];
    for (program, helper) in helpers {
        if !has_program(case, program) {
            continue;
        }
        let script = format!(
            "\"$0\" --backend fuse --path \"$1\" --again 0 --no-terminal --helper '{helper}' \
             --message 'Say it'; if read -t 0; then echo leaked; else echo clean; fi"
        );
        let mut person = Person::shell(case, &script);
        let first = Caller::start(case, person.node());
        person.sees(&format!("process {} of", first.pid()));
        // It has set the terminal up, and so reads from now on.
        wait_until("the helper reads", || {
            person.terminal.settings() != person.before()
        });
        person.terminal.press("half of it");
        let second = Caller::start(case, person.node());
        first.kill();
        person.sees(&format!("process {} of", second.pid()));
        wait_until("the next one reads", || {
            person.terminal.settings() != person.before()
        });
        person.terminal.press("other\r");
        assert_eq!(second.wait(), Ok("other\n".to_owned()), "{program}");
        person.is_left_alone();
        // Nobody is left to read the rest.
        let third = Caller::start(case, person.node());
        person.sees(&format!("process {} of", third.pid()));
        wait_until("the last one reads", || {
            person.terminal.settings() != person.before()
        });
        person.terminal.press("half of it");
        third.kill();
        person.is_left_alone();
        person.terminal.press("\x03");
        person.sees("clean");
        assert!(person.terminal.wait().success());
        person.check();
    }
}

pub(crate) fn a_helper_that_leaves_others_behind_ends_all_the_same(case: &Case) {
    // At a terminal it has no group of its own: what the shell runs has the output as well, and is ended
    // with it.
    let options = [
        "--again",
        "0",
        "--no-terminal",
        "--helper",
        "sleep 1000; :",
        "--timeout",
        "100ms",
    ];
    let person = Person::start(case, (100, 24), options);
    for _ in 0..2 {
        assert_eq!(start(person.node()).wait(), REFUSED);
    }
    person.ends_it();
}
