//! A terminal: a program at a real pseudo-terminal, and what a person would see there.

use std::fs::File;
use std::io::{Read, Write};
use std::num::NonZeroU16;
use std::os::fd::OwnedFd;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::thread;

use rustix::pty::{OpenptFlags, ioctl_tiocgptpeer, openpt, unlockpt};
use rustix::termios::{Winsize, tcsetwinsize};

use crate::wait::{deadline, holds_within, wait_until};

/// Lines that are kept of what has scrolled off.
const SCROLLED: usize = 1000;

/// How often the bell has rung.
#[derive(Default)]
struct Bells(usize);

impl vt100::Callbacks for Bells {
    fn audible_bell(&mut self, _: &mut vt100::Screen) {
        self.0 += 1;
    }
}

/// A terminal whose foreground job is one program, in a session of its own.
pub struct Terminal {
    keys: File,
    screen: Arc<Mutex<vt100::Parser<Bells>>>,
    program: Child,
}

impl Terminal {
    /// Starts `command` at a terminal of this size, which is its standard files and controls it.
    ///
    /// # Panics
    /// There is no pseudo-terminal to be had, or the program cannot be started (setsid(1)).
    #[track_caller]
    pub fn start(command: &Command, rows: u16, columns: u16) -> Self {
        // Close-on-exec: what other tests start at this moment must not keep it open.
        let flags = OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC;
        let pty = openpt(flags).expect("a pseudo-terminal");
        unlockpt(&pty).expect("a pseudo-terminal of this user");
        let slave = ioctl_tiocgptpeer(&pty, flags).expect("its other side");
        tcsetwinsize(&pty, winsize(rows, columns)).expect("the window's size");
        let theirs = || Stdio::from(slave.try_clone().expect("a descriptor"));
        let mut session = Command::new("setsid");
        session
            .arg("--ctty")
            .arg(command.get_program())
            .args(command.get_args())
            .env("TERM", "xterm")
            .stdin(theirs())
            .stdout(theirs())
            .stderr(theirs());
        for (name, value) in command.get_envs() {
            match value {
                Some(value) => session.env(name, value),
                None => session.env_remove(name),
            };
        }
        let program = session.spawn().expect("setsid can be started");
        let screen = Arc::new(Mutex::new(parser(rows, columns)));
        let shared = Arc::clone(&screen);
        let master = pty.try_clone().expect("a descriptor");
        thread::spawn(move || draw(master, &shared));
        Self {
            keys: pty.into(),
            screen,
            program,
        }
    }

    /// Types something: `"\x03"` is Ctrl-C.
    ///
    /// # Panics
    /// The terminal does not take it.
    #[track_caller]
    pub fn press(&mut self, keys: &str) {
        let pressed = self.keys.write_all(keys.as_bytes());
        pressed.expect("the terminal takes what is typed");
    }

    /// Makes the window another size.
    ///
    /// # Panics
    /// It cannot be.
    #[track_caller]
    pub fn resize(&self, rows: u16, columns: u16) {
        let (lines, width) = (count(rows), count(columns));
        self.lock().screen_mut().set_size(lines, width);
        tcsetwinsize(&self.keys, winsize(rows, columns)).expect("the window's size");
    }

    /// The lines on the screen, down to that of the cursor, without blanks at their ends.
    pub fn lines(&self) -> Vec<String> {
        let parser = self.lock();
        let screen = parser.screen();
        let (_, columns) = screen.size();
        let (row, _) = screen.cursor_position();
        screen
            .rows(0, columns.get())
            .take(usize::from(row) + 1)
            .map(|line| line.trim_end().to_owned())
            .collect()
    }

    /// All lines of the screen, without blanks at their ends.
    pub fn rows(&self) -> Vec<String> {
        rows(self.lock().screen())
    }

    /// Likewise; none while the cursor is hidden.
    fn screen(&self) -> Vec<String> {
        let parser = self.lock();
        let screen = parser.screen();
        match screen.hide_cursor() {
            true => Vec::new(),
            false => rows(screen),
        }
    }

    /// Whether a program has the screen for itself, so that what was there before comes back.
    pub fn is_taken(&self) -> bool {
        self.lock().screen().alternate_screen()
    }

    /// Waits until a line of the screen is one that `wanted` takes.
    ///
    /// # Panics
    /// None is within the deadline.
    #[track_caller]
    pub fn await_row(&self, wanted: impl Fn(&str) -> bool) {
        let there = holds_within(deadline(), || self.rows().iter().any(|row| wanted(row)));
        assert!(there, "the screen is:\n{}", self.rows().join("\n"));
    }

    /// Waits until all lines of the screen are such that `wanted` takes them, while the cursor is not
    /// hidden: programs hide it until all is drawn.
    ///
    /// # Panics
    /// They are not within the deadline; `what` says what is missing.
    #[track_caller]
    pub fn await_screen(&self, what: &str, wanted: impl Fn(&[String]) -> bool) {
        self.find_on_screen(what, |lines| wanted(lines).then_some(()));
    }

    /// Waits likewise until `find` finds something there.
    ///
    /// # Panics
    /// It does not within the deadline; `what` says what is missing.
    #[track_caller]
    pub fn find_on_screen<T>(&self, what: &str, find: impl Fn(&[String]) -> Option<T>) -> T {
        let mut lines = Vec::new();
        let mut found = None;
        holds_within(deadline(), || {
            lines = self.screen();
            if !lines.is_empty() {
                found = find(&lines);
            }
            found.is_some()
        });
        let Some(found) = found else {
            let text = lines.join("\n");
            panic!("not on the screen: {what}; it is:\n{}", text.trim_end());
        };
        found
    }

    /// Its settings (tcgetattr(3)).
    ///
    /// # Panics
    /// They cannot be had.
    #[track_caller]
    pub fn termios(&self) -> rustix::termios::Termios {
        rustix::termios::tcgetattr(&self.keys).expect("the terminal's settings")
    }

    /// All of its settings, to be compared.
    ///
    /// # Panics
    /// They cannot be had.
    #[track_caller]
    pub fn settings(&self) -> String {
        format!("{:?}", self.termios())
    }

    /// The process group of its foreground job (tcgetpgrp(3)).
    ///
    /// # Panics
    /// There is none.
    #[track_caller]
    pub fn foreground(&self) -> i32 {
        let group = rustix::termios::tcgetpgrp(&self.keys).expect("a foreground job");
        group.as_raw_nonzero().get()
    }

    /// How often its bell has rung.
    pub fn bells(&self) -> usize {
        self.lock().callbacks().0
    }

    /// The program's process number.
    pub fn pid(&self) -> u32 {
        self.program.id()
    }

    /// The column of the cursor, from 0.
    pub fn column(&self) -> u16 {
        self.lock().screen().cursor_position().1
    }

    /// Waits until the line of the cursor is one that `wanted` takes.
    ///
    /// # Panics
    /// It is not within the deadline.
    #[track_caller]
    pub fn await_line(&self, wanted: impl Fn(&str) -> bool) {
        let last = || self.lines().pop().unwrap_or_default();
        let there = holds_within(deadline(), || wanted(&last()));
        assert!(there, "the screen is:\n{}", self.lines().join("\n"));
    }

    /// Waits until the program has ended and all that it said is on the screen.
    ///
    /// # Panics
    /// It does not end within the deadline.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        let mut status = None;
        wait_until("the program at the terminal ends", || {
            status = self.program.try_wait().expect("it can be waited for");
            status.is_some()
        });
        // The reader ends when nobody has the other side open any more.
        wait_until("the screen is complete", || {
            Arc::strong_count(&self.screen) == 1
        });
        status.expect("it has ended")
    }

    fn lock(&self) -> MutexGuard<'_, vt100::Parser<Bells>> {
        self.screen.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.program.kill();
        let _ = self.program.wait();
    }
}

/// All lines, without blanks at their ends.
fn rows(screen: &vt100::Screen) -> Vec<String> {
    let (_, columns) = screen.size();
    let rows = screen.rows(0, columns.get());
    rows.map(|line| line.trim_end().to_owned()).collect()
}

fn count(number: u16) -> NonZeroU16 {
    NonZeroU16::new(number).expect("a window has lines and columns")
}

fn parser(rows: u16, columns: u16) -> vt100::Parser<Bells> {
    vt100::Parser::new_with_callbacks(count(rows), count(columns), SCROLLED, Bells::default())
}

fn winsize(rows: u16, columns: u16) -> Winsize {
    Winsize {
        ws_row: rows,
        ws_col: columns,
        ws_xpixel: 0,
        ws_ypixel: 0,
    }
}

/// Puts on the screen what is said, until nobody is left to say anything (`EIO`).
fn draw(master: OwnedFd, screen: &Mutex<vt100::Parser<Bells>>) {
    let mut master = File::from(master);
    let mut part = [0; 4096];
    while let Ok(length @ 1..) = master.read(&mut part) {
        let mut parser = screen.lock().unwrap_or_else(PoisonError::into_inner);
        parser.process(&part[..length]);
    }
}
