//! The example drivers in other languages: whatever can read and write can be a driver.

use std::fs;
use std::io::{BufRead, BufReader};
use std::process::{Child, Command, Stdio};
use std::sync::mpsc;
use std::thread;

use fusd_tests::client;
use fusd_tests::wait::{deadline, start, wait_until};
use nix::fcntl::OFlag;

use crate::driver::{name, node};
use crate::module::tests;

/// A running example.
pub(crate) struct Example(pub(crate) Child);

impl Drop for Example {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Starts an example, and waits until it says that it is ready.
pub(crate) fn example(program: &str, file: &str, arguments: &[&str]) -> Example {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/../libfusd/examples");
    example_at(folder, program, file, arguments)
}

/// The same with a program of another folder.
pub(crate) fn example_at(folder: &str, program: &str, file: &str, arguments: &[&str]) -> Example {
    let child = Command::new(program)
        .arg(format!("{folder}/{file}"))
        .args(arguments)
        .stdout(Stdio::piped())
        .spawn()
        .unwrap_or_else(|error| panic!("{program}: {error}"));
    let mut example = Example(child);
    let output = example.0.stdout.take().expect("piped");
    let (ready, line) = mpsc::channel();
    thread::spawn(move || {
        let mut line = String::new();
        let _ = BufReader::new(output).read_line(&mut line);
        let _ = ready.send(line);
    });
    // An interpreter takes its time to start where every access to memory is checked.
    let line = line.recv_timeout(6 * deadline());
    assert_eq!(line.as_deref(), Ok("ready\n"), "{program} {file}");
    example
}

fn says_its_text(program: &str, file: &str) {
    let name = name();
    let node = node(&name);
    let running = example(program, file, &[&name, "something else"]);
    for _ in 0..3 {
        let path = node.clone();
        let text = start(move || fs::read_to_string(path))
            .wait()
            .expect("read");
        assert_eq!(text, "something else\n");
    }
    let file = client::open_with(&node, OFlag::O_RDONLY).expect("open");
    assert_eq!(file.read_at(10, 4).expect("pread"), b"else");
    // A client that is killed does not take the driver down.
    let mut reader = Command::new("sh")
        .args([
            "-c",
            "while :; do cat \"$0\" >/dev/null; done",
            node.to_str().expect("ASCII"),
        ])
        .spawn()
        .expect("sh");
    wait_until("it is under way", || crate::status::line(&node).served > 20);
    reader.kill().expect("kill");
    reader.wait().expect("wait");
    assert_eq!(file.read(9).expect("read"), b"something");
    drop(running);
    wait_until("the node is gone", || !node.exists());
}

tests! {
    fn python() {
        says_its_text("python3", "hello.py");
    }

    fn perl() {
        says_its_text("perl", "hello.pl");
    }
}
