//! Terminal programs, as people use them: each with its own keys.

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::Command;

use crate::helper::{has_program, int, open, proxy, stty, text};
use fusd_tests::client::Handle;
use fusd_tests::terminal::Terminal;
use fusd_tests::wait::wait_until;
use fusd_tests::{Backend, Case, Driver};

/// A program at one side of a null modem.
struct Session<'a> {
    case: &'a Case,
    terminal: Terminal,
    /// The other side.
    far: Handle,
    driver: Driver,
}

impl<'a> Session<'a> {
    /// Has `describe` give the program `name` its arguments, with the node's path among them, and starts
    /// it. `None` where it is not there: the test is then to return.
    #[track_caller]
    fn start(
        case: &'a Case,
        name: &str,
        describe: impl FnOnce(&mut Command, PathBuf),
    ) -> Option<Self> {
        if !has_program(case, name) {
            return None;
        }
        let other = case.node("other");
        // cu(1) is another user's.
        let driver = proxy(case, "pair", [&other])
            .args(["--mode", "666"])
            .start();
        let far = open(&other);
        let mut command = case.command(name);
        describe(&mut command, driver.node().to_owned());
        let terminal = Terminal::start(&command, 24, 80);
        Some(Self {
            case,
            terminal,
            far,
            driver,
        })
    }

    /// Waits until the program has set the speed.
    #[track_caller]
    fn await_speed(&self, speed: u32) {
        wait_until("the port has its speed", || {
            stty(self.case, self.driver.node(), &[]).contains(&format!("speed {speed} baud"))
        });
    }

    /// What comes from the line is seen, and what is typed goes there.
    #[track_caller]
    fn talk(&mut self) {
        // The program may drop once what has come, when it has set the port.
        wait_until("it is seen", || {
            self.far.write(b"login:\r\n").expect("write");
            self.terminal.rows().iter().any(|row| row == "login:")
        });
        self.terminal.press("root\r");
        assert_eq!(text(&self.far, 5), "root\r");
    }

    /// Whether the modem lines lead to the other side.
    fn has_lines(&self) -> bool {
        self.case.backend() != Backend::Fuse
    }
}

pub(crate) fn a_person_uses_picocom(case: &Case) {
    let session = Session::start(case, "picocom", |command, node| {
        command.args(["-b", "230400"]).arg(node);
    });
    let Some(mut session) = session else { return };
    session.terminal.await_row(|row| row == "Terminal ready");
    session.await_speed(230_400);
    session.talk();
    if session.has_lines() {
        // Ctrl-a Ctrl-t toggles DTR.
        session.terminal.press("\x01\x14");
        let far = &session.far;
        let dtr = || int(far, libc::TIOCMGET) & libc::TIOCM_DSR == 0;
        wait_until("DTR is low", dtr);
    }
    // Ctrl-a Ctrl-x ends it.
    session.terminal.press("\x01\x18");
    assert!(session.terminal.wait().success());
}

pub(crate) fn a_person_uses_minicom(case: &Case) {
    let session = Session::start(case, "minicom", |command, node| {
        command.args(["-o", "-b", "57600", "-D"]).arg(node);
    });
    let Some(mut session) = session else { return };
    let ready = |row: &str| row.starts_with("Press CTRL-A Z for help");
    session.terminal.await_row(ready);
    session.await_speed(57_600);
    session.talk();
    // Ctrl-a q ends it; it asks first.
    session.terminal.press("\x01q");
    let asks = |row: &str| row.contains("Leave without reset?");
    session.terminal.await_row(asks);
    session.terminal.press("\r");
    assert!(session.terminal.wait().success());
}

pub(crate) fn a_person_uses_tio(case: &Case) {
    let session = Session::start(case, "tio", |command, node| {
        command.args(["-b", "38400"]).arg(node);
    });
    let Some(mut session) = session else { return };
    session.await_speed(38_400);
    session.talk();
    // Ctrl-t q ends it.
    session.terminal.press("\x14q");
    session.terminal.wait();
}

pub(crate) fn a_person_uses_screen(case: &Case) {
    let settings = case.file("screenrc", b"startup_message off\n");
    let folder = case.directory().join("screens");
    fs::create_dir(&folder).expect("a folder");
    fs::set_permissions(&folder, fs::Permissions::from_mode(0o700)).expect("chmod");
    let session = Session::start(case, "screen", |command, node| {
        command.env("SCREENDIR", &folder).arg("-c").arg(settings);
        command.arg(node).arg("57600");
    });
    let Some(mut session) = session else { return };
    session.await_speed(57_600);
    session.talk();
    // Ctrl-a k closes the window, and with the last one the program; it asks first.
    session.terminal.press("\x01k");
    let asks = |row: &str| row.contains("Really kill this window");
    session.terminal.await_row(asks);
    session.terminal.press("y");
    assert!(session.terminal.wait().success());
}

pub(crate) fn a_person_uses_cu(case: &Case) {
    let session = Session::start(case, "cu", |command, node| {
        command.arg("-l").arg(node).args(["-s", "19200"]);
    });
    let Some(mut session) = session else { return };
    session.terminal.await_row(|row| row.contains("Connected."));
    session.await_speed(19_200);
    session.talk();
    // At the beginning of a line, "~." ends it.
    session.terminal.press("~.");
    assert!(session.terminal.wait().success());
}
