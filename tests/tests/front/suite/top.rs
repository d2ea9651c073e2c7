//! `fusd top`, at a terminal.

use std::process::Stdio;

use fusd_tests::terminal::Terminal;
use fusd_tests::wait::wait_until;
use fusd_tests::{Backend, Case, client};
use nix::fcntl::OFlag;
use rustix::termios::LocalModes;

use crate::helper::{echo, end};

/// Columns: enough for a path of a test's own, and all that follows.
const COLUMNS: u16 = 200;

pub(crate) fn devices_come_and_go_on_the_screen(case: &Case) {
    let driver = echo(case).start();
    let node = driver.node().to_str().expect("UTF-8").to_owned();
    let mut command = case.program("fusd");
    command.args(["top", "--interval", "50ms"]);
    let mut terminal = Terminal::start(&command, 24, COLUMNS);
    let title = format!("fusd-echo({})", driver.pid());
    terminal.await_row(|row| row.starts_with(&node) && row.contains(&title));
    assert!(terminal.is_taken());
    if case.backend() == Backend::Kfusd {
        // Some of what goes through must be seen between two looks.
        let file = client::open_with(driver.node(), OFlag::O_RDONLY).expect("open");
        wait_until("a rate is on the screen", || {
            file.read_at(0, 5).expect("read");
            let rows = terminal.rows();
            let row = rows.iter().find(|row| row.starts_with(&node));
            let cells = row.map(|row| row.split_whitespace().collect::<Vec<_>>());
            // NODE BACKEND DRIVER FILES WAITING OLDEST REQ/S ...
            cells.is_some_and(|cells| {
                let rate = cells.get(6).and_then(|rate| rate.parse::<f64>().ok());
                cells.get(3) == Some(&"1") && rate.is_some_and(|rate| rate > 0.0)
            })
        });
    }
    terminal.press("s");
    terminal.await_row(|row| row.contains("by requests"));
    driver.stop();
    wait_until("the device is not on the screen any more", || {
        !terminal.rows().iter().any(|row| row.starts_with(&node))
    });
    terminal.press("q");
    let status = terminal.wait();
    assert!(status.success(), "{status}");
    assert!(!terminal.is_taken(), "the terminal is as it was");
}

pub(crate) fn the_terminal_is_given_back_to_who_interrupts(case: &Case) {
    let mut command = case.program("fusd");
    command.arg("top");
    let mut terminal = Terminal::start(&command, 24, COLUMNS);
    terminal.await_row(|row| row.starts_with("NODE"));
    terminal.press("\x03");
    assert!(terminal.wait().success());
    assert!(!terminal.is_taken());
    let modes = terminal.termios().local_modes;
    assert!(
        modes.contains(LocalModes::ICANON | LocalModes::ECHO),
        "{modes:?}"
    );
    let mut command = case.program("fusd");
    let refused = end(command.arg("top").stdin(Stdio::null())).with(2);
    assert!(refused.err.contains("fusd list"), "{}", refused.err);
}
