//! The live view: on a real terminal, with real keys.

use std::fs::{self, File};
use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::process::{Child, Command, Stdio};

use crate::helper::{open, stty};
use fusd_tests::Case;
use fusd_tests::terminal::Terminal;
use fusd_tests::wait::{start, wait_until};
use nix::poll::{PollFd, PollFlags, PollTimeout, poll};
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{LocalModes, tcgetattr};

/// A proxy of `loop` with a monitor, about to be started.
fn monitored(case: &Case) -> Command {
    let mut command = case.program("fusd-serial-proxy");
    command
        .args(["loop", "--pty", "--monitor"])
        .arg(case.node("node"));
    command
}

#[track_caller]
fn given_back(terminal: &Terminal) {
    assert!(!terminal.is_taken(), "{}", terminal.rows().join("\n"));
    let cooked = LocalModes::ICANON | LocalModes::ECHO;
    assert!(terminal.termios().local_modes.contains(cooked));
}

pub(crate) fn it_shows_what_goes_through(case: &Case) {
    let mut terminal = Terminal::start(&monitored(case), 24, 100);
    terminal.await_row(|row| row == "q quit  h hex  p pause  c clear");
    assert!(terminal.is_taken());
    let node = case.node("node");
    let file = open(&node);
    stty(case, &node, &["57600", "raw", "-echo"]);
    terminal.await_row(|row| row == "loop 57600 8N1");
    file.write(b"AT\r\xff").expect("write");
    terminal.await_row(|row| row.ends_with(" > AT\\r\\xff"));
    terminal.await_row(|row| row.ends_with(" < AT\\r\\xff"));
    terminal.await_row(|row| row.starts_with("DTR RTS CTS DSR DCD ri in=4 "));
    let name = format!("({})", std::process::id());
    terminal.await_row(|row| row.contains(&name));
    terminal.press("h");
    terminal.await_row(|row| row.contains(" < 41 54 0d ff "));
    terminal.press("p");
    terminal.await_row(|row| row == "loop 57600 8N1 paused");
    file.write(b"unseen").expect("write");
    terminal.await_row(|row| row.contains(" in=10 "));
    assert!(!terminal.rows().iter().any(|row| row.contains("unseen")));
    terminal.press("ph");
    terminal.await_row(|row| row.ends_with(" < unseen"));
    // A window of any size, and back.
    for (rows, columns) in [(5, 20), (60, 200), (1, 1), (24, 100)] {
        terminal.resize(rows, columns);
        let title = "loop 57600 8N1".get(..usize::from(columns).min(14));
        terminal.await_row(|row| Some(row) == title.map(str::trim_end));
    }
    terminal.await_row(|row| row == "q quit  h hex  p pause  c clear");
    terminal.press("c");
    wait_until("it is forgotten", || {
        !terminal.rows().iter().any(|row| row.contains("unseen"))
    });
    terminal.press("q");
    assert_eq!(terminal.wait().code(), Some(0));
    given_back(&terminal);
    // What was said while it was there.
    terminal.await_row(|row| row.ends_with("is ready (pty); Ctrl-C ends it"));
    assert!(fs::symlink_metadata(&node).is_err());
}

pub(crate) fn the_terminal_is_given_back(case: &Case) {
    let pid = || {
        let wanted = case.node("node");
        let all = fs::read_dir("/proc").expect("/proc").flatten();
        let found = all.into_iter().find(|process| {
            let line = fs::read(process.path().join("cmdline")).unwrap_or_default();
            let line = String::from_utf8_lossy(&line).into_owned();
            line.contains("--monitor\0") && line.contains(&*wanted.to_string_lossy())
        });
        let name = found.expect("the proxy runs").file_name();
        Pid::from_raw(name.to_string_lossy().parse().expect("a number"))
    };
    for signal in [Signal::SIGTERM, Signal::SIGHUP] {
        let mut terminal = Terminal::start(&monitored(case), 24, 100);
        terminal.await_row(|row| row.starts_with("q quit"));
        kill(pid(), signal).expect("kill");
        assert_eq!(terminal.wait().code(), Some(0), "{signal}");
        given_back(&terminal);
    }
    // As a shell's job, suspended.
    let mut shell = case.command("bash");
    shell.args(["--norc", "-i"]).env("PS1", "$ ");
    let mut terminal = Terminal::start(&shell, 24, 100);
    terminal.await_row(|row| row == "$");
    let command = monitored(case);
    let words = std::iter::once(command.get_program()).chain(command.get_args());
    let words: Vec<_> = words.map(|word| word.to_string_lossy()).collect();
    terminal.press(&format!("{}\r", words.join(" ")));
    terminal.await_row(|row| row.starts_with("q quit"));
    terminal.press("\x1a");
    terminal.await_row(|row| row.contains("Stopped"));
    assert!(!terminal.is_taken());
    terminal.press("fg\r");
    wait_until("it is there again", || terminal.is_taken());
    terminal.await_row(|row| row.starts_with("q quit"));
    // Stopped by somebody else, who can be asked to stop, or not.
    let is_there = |terminal: &Terminal| {
        // Neither the shell nor its line editor takes that away.
        let modes = terminal.termios().local_modes;
        terminal.is_taken() && !modes.contains(LocalModes::ISIG)
    };
    for signal in [Signal::SIGTSTP, Signal::SIGSTOP] {
        wait_until("it is there", || is_there(&terminal));
        kill(pid(), signal).expect("kill");
        wait_until("the shell has the terminal", || !is_there(&terminal));
        terminal.await_row(|row| row.contains("Stopped"));
        assert_eq!(terminal.is_taken(), signal == Signal::SIGSTOP);
        terminal.press("fg\r");
        wait_until("it is there again", || is_there(&terminal));
        terminal.await_row(|row| row.starts_with("q quit"));
    }
    // Ctrl-C is a key like others.
    terminal.press("\x03");
    wait_until("it has ended", || !terminal.is_taken());
    // One that ends in the background leaves the terminal to the shell, and does not wait for it.
    terminal.press(&format!("{}\r", words.join(" ")));
    wait_until("it is there", || is_there(&terminal));
    kill(pid(), Signal::SIGSTOP).expect("kill");
    wait_until("the shell has the terminal", || !is_there(&terminal));
    let job = pid();
    terminal.press("bg\r");
    wait_until("it goes on", || {
        let stat = fs::read_to_string(format!("/proc/{job}/stat"));
        stat.is_ok_and(|stat| !stat.contains(") T "))
    });
    kill(job, Signal::SIGTERM).expect("kill");
    wait_until("it has ended", || kill(job, None).is_err());
    assert!(fs::symlink_metadata(case.node("node")).is_err());
    terminal.press("exit 7\r");
    assert_eq!(terminal.wait().code(), Some(7));
}

/// A monitor at a terminal that nobody reads from but this: both sides of it.
#[track_caller]
fn at_a_terminal(case: &Case) -> (Child, File, OwnedFd) {
    // Nobody else must have it, as a program that another test starts just now.
    let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
    let master = openpt(flags).expect("a pseudo-terminal");
    unlockpt(&master).expect("unlockpt");
    let slave = ioctl_tiocgptpeer(&master, flags).expect("its other side");
    let theirs = || Stdio::from(slave.try_clone().expect("a descriptor"));
    let command = monitored(case);
    let child = case
        .command("setsid")
        .arg("--ctty")
        .arg(command.get_program())
        .args(command.get_args())
        .stdin(theirs())
        .stdout(theirs())
        .stderr(theirs())
        .spawn()
        .expect("setsid can be started");
    let mut master = File::from(master);
    let shown = start(move || {
        let (mut all, mut part) = (Vec::new(), [0; 4096]);
        while !String::from_utf8_lossy(&all).contains("q quit") {
            let count = master.read(&mut part).expect("read");
            all.extend(&part[..count]);
        }
        master
    });
    (child, shown.wait(), slave)
}

pub(crate) fn a_terminal_that_goes_ends_it(case: &Case) {
    let (mut child, master, slave) = at_a_terminal(case);
    drop((master, slave));
    wait_until("it has ended", || child.try_wait().expect("wait").is_some());
    let link = fs::symlink_metadata(case.node("node"));
    assert!(link.is_err(), "the link is gone");
}

pub(crate) fn a_terminal_that_takes_nothing_holds_up_nothing(case: &Case) {
    let (mut child, mut master, slave) = at_a_terminal(case);
    let lines = b"as many lines as the screen has rows, and long ones\n".repeat(30);
    open(&case.node("node")).write(&lines).expect("write");
    wait_until("the terminal is full", || {
        // They are drawn anew each time.
        master.write_all(b"h").expect("write");
        let mut ready = [PollFd::new(slave.as_fd(), PollFlags::POLLOUT)];
        poll(&mut ready, PollTimeout::ZERO).expect("poll") == 0
    });
    let pid = Pid::from_raw(i32::try_from(child.id()).expect("a process's number"));
    kill(pid, Signal::SIGTERM).expect("kill");
    wait_until("it has ended", || child.try_wait().expect("wait").is_some());
    assert_eq!(child.wait().expect("its status").code(), Some(0));
    let modes = tcgetattr(&master).expect("tcgetattr").local_modes;
    assert!(modes.contains(LocalModes::ICANON | LocalModes::ECHO));
}

pub(crate) fn it_needs_a_terminal_of_its_own(case: &Case) {
    let output = monitored(case).stdin(Stdio::null()).output();
    let output = output.expect("it can be started");
    assert_eq!(output.status.code(), Some(2));
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(said.contains("--log FILE"), "{said}");
    for name in ["/dev/stderr", "/dev/tty"] {
        let mut command = monitored(case);
        command.args(["--log", name]);
        let mut terminal = Terminal::start(&command, 24, 100);
        assert_eq!(terminal.wait().code(), Some(2), "{name}");
        terminal.await_row(|row| row.contains("the monitor has the terminal for itself"));
    }
}
