//! A driver under test: started, waited for until its node is there, told, stopped or killed.

use std::ffi::{OsStr, OsString};
use std::io::{BufRead, BufReader, PipeReader, PipeWriter, Read, Write};
use std::os::fd::AsRawFd;
use std::os::unix::ffi::OsStringExt;
use std::path::{Path, PathBuf};
use std::process::{Command, ExitStatus};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Instant;

use nix::sys::signal::{Signal, kill, killpg};
use nix::unistd::Pid;

use crate::wait::{deadline, holds_within};
use crate::{Backend, Case, spawn};

/// A driver about to be started.
pub struct Launch {
    command: Command,
    node: PathBuf,
    backend: Option<Backend>,
    ready: PipeReader,
    /// The driver's end of it: kept, it would hide the driver's end.
    theirs: PipeWriter,
    own_group: bool,
    noise: bool,
}

impl Launch {
    /// A driver whose node will be at `node`; `command` takes the option `--ready-fd`.
    ///
    /// # Panics
    /// No pipe can be made.
    pub fn new(case: &Case, mut command: Command, node: &Path) -> Self {
        let (ready, theirs) = std::io::pipe().expect("a pipe");
        command
            .arg("--ready-fd")
            .arg(theirs.as_raw_fd().to_string());
        Self {
            command,
            node: node.to_owned(),
            backend: Some(case.backend()),
            ready,
            theirs,
            own_group: false,
            noise: false,
        }
    }

    /// Adds an argument.
    pub fn arg(mut self, argument: impl AsRef<OsStr>) -> Self {
        self.command.arg(argument);
        self
    }

    /// Adds arguments.
    pub fn args<I: IntoIterator<Item: AsRef<OsStr>>>(mut self, arguments: I) -> Self {
        self.command.args(arguments);
        self
    }

    /// Sets a variable of the environment.
    pub fn env(mut self, name: &str, value: impl AsRef<OsStr>) -> Self {
        self.command.env(name, value);
        self
    }

    /// The driver is meant to do wrong: what it says of bugs does not fail the test.
    pub fn noisy(mut self) -> Self {
        self.noise = true;
        self
    }

    /// Gives the driver a process group of its own, as a shell does.
    pub fn in_own_group(mut self) -> Self {
        self.own_group = true;
        self
    }

    /// The node is in a place that this process does not see: which backend serves is not proved.
    pub fn unseen(mut self) -> Self {
        self.backend = None;
        self
    }

    /// Starts the driver and waits until it is ready.
    ///
    /// # Panics
    /// It is not ready within the deadline, or another backend serves it.
    #[track_caller]
    pub fn start(self) -> Driver {
        let (node, backend) = (self.node.clone(), self.backend);
        let mut driver = self.spawn();
        driver.await_ready();
        assert_eq!(driver.node, node, "the driver says where its node is");
        if let Some(backend) = backend {
            backend.prove(&node);
        }
        driver
    }

    /// Starts the driver without waiting for it.
    ///
    /// # Panics
    /// The program cannot be started.
    #[track_caller]
    pub fn spawn(self) -> Driver {
        let started = spawn::spawn(&self.command, &self.theirs, self.own_group);
        let started = started.expect("the driver can be started");
        Driver {
            pid: started.pid,
            node: self.node,
            ready: Some(self.ready),
            input: Some(started.stdin),
            answers: lines(started.stdout),
            errors: collect(started.stderr),
            ended: None,
            noise: self.noise,
        }
    }
}

/// A running driver. Dropped, it is stopped.
pub struct Driver {
    pid: Pid,
    node: PathBuf,
    ready: Option<PipeReader>,
    input: Option<PipeWriter>,
    answers: Receiver<String>,
    errors: Collected,
    ended: Option<ExitStatus>,
    noise: bool,
}

impl Driver {
    /// Where its node is.
    pub fn node(&self) -> &Path {
        &self.node
    }

    /// Its process.
    pub fn pid(&self) -> u32 {
        self.pid.as_raw().unsigned_abs()
    }

    /// Waits until the driver says that its node is there, and where.
    ///
    /// # Panics
    /// It does not within the deadline, or ends before.
    #[track_caller]
    pub fn await_ready(&mut self) {
        let ready = self.ready.take().expect("readiness is waited for once");
        let line = crate::wait::start(move || {
            let mut line = Vec::new();
            BufReader::new(ready)
                .read_until(b'\n', &mut line)
                .map(|_| line)
        });
        let mut line = line.wait().expect("the readiness pipe can be read");
        if line.pop() != Some(b'\n') {
            let status = self.wait();
            panic!(
                "the driver ended before it was ready: {status}\n{}",
                self.errors()
            );
        }
        self.node = PathBuf::from(OsString::from_vec(line));
    }

    /// Tells the suite's own driver something; gives its answer.
    ///
    /// # Panics
    /// It does not answer, or says that it does not understand.
    #[track_caller]
    pub fn ask(&mut self, line: &str) -> String {
        let input = self.input.as_mut().expect("the driver's standard input");
        let sent = writeln!(input, "{line}");
        let answer = self.answers.recv_timeout(deadline());
        match (sent, answer) {
            (Ok(()), Ok(answer)) if !answer.starts_with('?') => answer,
            other => panic!(
                "told {line:?}, the driver says {other:?}\n{}",
                self.errors()
            ),
        }
    }

    /// A number that the suite's own driver tells, such as a count.
    ///
    /// # Panics
    /// It is no number.
    #[track_caller]
    pub fn number(&mut self, line: &str) -> u64 {
        let answer = self.ask(line);
        answer
            .parse()
            .unwrap_or_else(|_| panic!("{line}: {answer:?} is no number"))
    }

    /// Waits until a number that the driver tells is `wanted`.
    ///
    /// # Panics
    /// It is another one for as long as the deadline.
    #[track_caller]
    pub fn await_number(&mut self, line: &str, wanted: u64) {
        let mut last = 0;
        let reached = holds_within(deadline(), || {
            last = self.number(line);
            last == wanted
        });
        assert!(reached, "{line} stays {last} instead of {wanted}");
    }

    /// Waits until the suite's own driver has had as many releases as opens; tells how many.
    ///
    /// # Panics
    /// They stay different for as long as the deadline.
    #[track_caller]
    pub fn balance(&mut self) -> u64 {
        let mut counts = (0, 0);
        let balanced = holds_within(deadline(), || {
            counts = (self.number("counts opens"), self.number("counts releases"));
            counts.0 == counts.1
        });
        assert!(balanced, "{} opens, but {} releases", counts.0, counts.1);
        counts.0
    }

    /// What it has written to its standard error so far; after its end, all of it.
    pub fn errors(&self) -> String {
        if self.ended.is_some() {
            holds_within(deadline(), || self.errors.reader.is_finished());
        }
        self.errors
            .text
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    /// Writes to its standard input, and then gives it the end of file; in the background, as the
    /// driver may not read.
    ///
    /// # Panics
    /// It takes no input.
    pub fn feed(&mut self, input: &[u8]) {
        let mut pipe = self.input.take().expect("the driver's standard input");
        let input = input.to_vec();
        // Where it fails, the driver has not read all: its content tells.
        thread::spawn(move || pipe.write_all(&input).unwrap_or_default());
    }

    /// Waits until its standard error contains `text`.
    ///
    /// # Panics
    /// It does not within the deadline.
    #[track_caller]
    pub fn await_error(&self, text: &str) {
        let there = holds_within(deadline(), || self.errors().contains(text));
        assert!(there, "{text:?} is not in:\n{}", self.errors());
    }

    /// A line of its standard output.
    ///
    /// # Panics
    /// None comes within the deadline.
    #[track_caller]
    pub fn line(&self) -> String {
        self.answers
            .recv_timeout(deadline())
            .expect("a line of output")
    }

    /// Sends it a signal.
    pub fn signal(&self, signal: Signal) {
        if self.ended.is_none() {
            kill(self.pid, signal).expect("the driver can be signalled");
        }
    }

    /// Stops it for a while (`SIGSTOP`), until it gets `SIGCONT`.
    ///
    /// # Panics
    /// One of its threads goes on for as long as the deadline.
    #[track_caller]
    pub fn suspend(&self) {
        self.signal(Signal::SIGSTOP);
        let threads = format!("/proc/{}/task", self.pid);
        crate::wait::wait_until("all threads of the driver are stopped", || {
            std::fs::read_dir(&threads)
                .expect("the driver lives")
                .flatten()
                .all(|thread| is_stopped(&thread.path()))
        });
    }

    /// Sends its process group a signal, as a terminal does. It must have one of its own.
    pub fn signal_group(&self, signal: Signal) {
        killpg(self.pid, signal).expect("the group can be signalled");
    }

    /// Waits for its end.
    ///
    /// # Panics
    /// It does not end within the deadline; it is killed then.
    #[track_caller]
    pub fn wait(&mut self) -> ExitStatus {
        if let Some(status) = self.ended {
            return status;
        }
        let started = Instant::now();
        let ended = holds_within(deadline(), || {
            self.ended = spawn::ended(self.pid, false).expect("the driver can be waited for");
            self.ended.is_some()
        });
        if !ended {
            self.end_by_force();
            panic!(
                "the driver lived on for {:?}\n{}",
                started.elapsed(),
                self.errors()
            );
        }
        self.ended.expect("it has ended")
    }

    /// Stops it as a service manager does, by SIGTERM.
    ///
    /// # Panics
    /// It does not end with the status 0, or speaks of a bug.
    #[track_caller]
    pub fn stop(mut self) {
        self.stop_by(Signal::SIGTERM);
    }

    /// Stops it by a signal that asks it to end.
    ///
    /// # Panics
    /// It does not end with the status 0, or speaks of a bug.
    #[track_caller]
    pub fn stop_by(&mut self, signal: Signal) {
        self.signal(signal);
        let status = self.wait();
        assert!(
            status.success(),
            "stopped, it ends with {status}\n{}",
            self.errors()
        );
        self.check_errors();
    }

    /// Kills it: it gets no chance to tidy up.
    pub fn kill(mut self) {
        self.end_by_force();
    }

    fn end_by_force(&mut self) {
        if self.ended.is_none() {
            self.signal(Signal::SIGKILL);
            self.ended = spawn::ended(self.pid, true).ok().flatten();
        }
    }

    /// Nothing it said points at a fault that a client may not have noticed.
    #[track_caller]
    fn check_errors(&self) {
        let errors = self.errors();
        let bad = ["panicked", "bug in", "left behind", "handlers still run"];
        if let (false, Some(word)) = (self.noise, bad.iter().find(|word| errors.contains(**word))) {
            panic!("the driver's log has {word:?}:\n{errors}");
        }
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        if thread::panicking() {
            self.end_by_force();
            let name = self.node.display();
            eprintln!("--- the driver of {name} said:\n{}---", self.errors());
        } else if self.ended.is_none() {
            self.stop_by(Signal::SIGTERM);
        }
    }
}

/// Whether the thread of this folder in /proc is stopped.
fn is_stopped(thread: &Path) -> bool {
    // After the name, which is in parentheses and may hold anything, comes the state.
    std::fs::read_to_string(thread.join("stat")).is_ok_and(|text| {
        text.rsplit(") ")
            .next()
            .is_some_and(|rest| rest.starts_with('T'))
    })
}

/// What a thread reads from a pipe.
struct Collected {
    text: Arc<Mutex<String>>,
    reader: thread::JoinHandle<()>,
}

fn collect(mut pipe: impl Read + Send + 'static) -> Collected {
    let text = Arc::new(Mutex::new(String::new()));
    let shared = Arc::clone(&text);
    let reader = thread::spawn(move || {
        let mut part = [0; 4096];
        while let Ok(length @ 1..) = pipe.read(&mut part) {
            shared
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .push_str(&String::from_utf8_lossy(&part[..length]));
        }
    });
    Collected { text, reader }
}

fn lines(pipe: impl Read + Send + 'static) -> Receiver<String> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        for line in BufReader::new(pipe).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    receiver
}
