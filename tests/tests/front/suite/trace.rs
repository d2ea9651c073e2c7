//! `fusd trace`.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread;

use fusd_tests::user::World;
use fusd_tests::wait::{deadline, start};
use fusd_tests::{Case, client};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::helper::{echo, end};

/// `fusd trace`, running.
struct Tracer {
    child: Child,
    lines: Receiver<String>,
    said: Receiver<String>,
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

impl Tracer {
    /// Starts it, and waits until it traces.
    #[track_caller]
    fn start(mut command: Command, node: &str) -> Self {
        let mut child = command
            .args(["trace", node])
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .spawn()
            .expect("fusd can be started");
        let output = child.stdout.take().expect("piped");
        let errors = child.stderr.take().expect("piped");
        let tracer = Self {
            child,
            lines: lines(output),
            said: lines(errors),
        };
        let first = tracer.said();
        assert!(
            first.starts_with(&format!("fusd: tracing {node}")),
            "{first}"
        );
        tracer
    }

    /// What it says next.
    #[track_caller]
    fn said(&self) -> String {
        self.said
            .recv_timeout(deadline())
            .expect("it says something")
    }

    /// The next call whose name is `name`.
    #[track_caller]
    fn next(&self, name: &str) -> String {
        loop {
            let call = self.lines.recv_timeout(deadline());
            let call = call.expect("a call is shown");
            if call.contains(&format!(") {name}(")) {
                return call;
            }
        }
    }

    /// Sends it a signal, and waits for its end.
    #[track_caller]
    fn end(self, signal: Signal) -> Option<i32> {
        let pid = Pid::from_raw(i32::try_from(self.child.id()).expect("a pid"));
        kill(pid, signal).expect("kill");
        self.wait()
    }

    /// Waits for its end.
    #[track_caller]
    fn wait(mut self) -> Option<i32> {
        let status = start(move || self.child.wait()).wait();
        status.expect("it can be waited for").code()
    }
}

pub(crate) fn calls_are_shown_while_somebody_traces(case: &Case) {
    let driver = echo(case).start();
    let node = driver.node().to_str().expect("UTF-8").to_owned();
    let tracer = Tracer::start(case.program("fusd"), &node);
    let file = client::open_with(driver.node(), OFlag::O_RDONLY).expect("open");
    assert_eq!(file.read(5).expect("read"), b"Hello");
    assert_eq!(file.read(100).expect("read"), b", world!\n");
    let open = tracer.next("open");
    let who = format!("({}) open(", std::process::id());
    assert!(open.contains(&who) && open.contains(" = file "), "{open}");
    let number = open.split(" = file ").nth(1).expect("a file");
    let number = number.split(' ').next().expect("its number");
    let first = tracer.next("read");
    let arguments = format!(" read({number}, ");
    assert!(first.contains(&arguments), "{first}");
    assert!(first.contains(" = 5 \"Hello\" <0."), "{first}");
    let second = tracer.next("read");
    assert!(second.contains(" = 9 \", world!\\n\" <"), "{second}");
    let refused = client::open_with(driver.node(), OFlag::O_WRONLY);
    assert_eq!(refused.expect_err("it denies writing"), Errno::EACCES);
    let open = tracer.next("open");
    assert!(open.contains("O_WRONLY"), "{open}");
    assert!(open.contains(" = EACCES <"), "{open}");
    drop(file);
    assert_eq!(tracer.end(Signal::SIGINT), Some(0));
    let content = std::fs::read(&node).expect("it is served on");
    assert_eq!(content, b"Hello, world!\n");
    driver.stop();
}

pub(crate) fn another_takes_over_and_a_killed_one_leaves_nothing(case: &Case) {
    let driver = echo(case).start();
    let node = driver.node().to_str().expect("UTF-8").to_owned();
    let read = || {
        let content = std::fs::read(&node).expect("it is served");
        assert_eq!(content, b"Hello, world!\n");
    };
    let first = Tracer::start(case.program("fusd"), &node);
    read();
    first.next("open");
    let second = Tracer::start(case.program("fusd"), &node);
    read();
    second.next("open");
    let said = first.said();
    assert!(said.contains("another one traces"), "{said}");
    assert_eq!(first.wait(), Some(0));
    assert_eq!(second.end(Signal::SIGKILL), None);
    // Nobody is there to be told: the device does not mind.
    for _ in 0..3 {
        read();
    }
    let third = Tracer::start(case.program("fusd"), &node);
    read();
    third.next("open");
    driver.stop();
    let said = third.said();
    assert!(said.contains("the driver has ended"), "{said}");
    assert_eq!(third.wait(), Some(0));
}

pub(crate) fn it_takes_the_right_to_look_into_the_driver(case: &Case) {
    let driver = echo(case).start();
    let node = driver.node().to_str().expect("UTF-8").to_owned();
    let world = World::open(case);
    let refused = end(world.user("fusd").args(["trace", &node])).with(77);
    assert!(refused.err.contains("run as root"), "{}", refused.err);
    let refused = end(case.program("fusd").args(["trace", "/dev/null"])).with(1);
    assert!(refused.err.contains("no device of fusd"), "{}", refused.err);
    driver.stop();
}
