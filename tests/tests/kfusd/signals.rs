//! Signals and kills: what was not seen is taken back, what was is told, and nothing is lost.

use std::path::Path;
use std::process::{Child, Command, Stdio};

use fusd::wire::{IMPLEMENTS_READ, operation};
use fusd_tests::binaries;
use fusd_tests::wait::wait_until;
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;

use crate::driver::{ALL, Driver};
use crate::module::tests;

/// A client in a process of its own.
pub(crate) struct Client(Child);

impl Client {
    pub(crate) fn start(node: &Path, words: &[&str]) -> Self {
        let child = Command::new(binaries::find("client"))
            .arg(node)
            .args(words)
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .expect("the client can be started");
        Self(child)
    }

    pub(crate) fn signal(&self, signal: Signal) {
        let pid = i32::try_from(self.0.id()).expect("a pid");
        kill(Pid::from_raw(pid), signal).expect("the client can be signalled");
    }

    pub(crate) fn ended(&mut self) -> bool {
        self.0.try_wait().expect("wait").is_some()
    }

    #[track_caller]
    pub(crate) fn said(mut self) -> String {
        wait_until("the client ends", || self.ended());
        let mut text = String::new();
        let pipe = self.0.stdout.as_mut().expect("piped");
        std::io::Read::read_to_string(pipe, &mut text).expect("the client's output");
        text.trim_end().to_owned()
    }

    #[track_caller]
    pub(crate) fn kill(mut self) {
        self.signal(Signal::SIGKILL);
        wait_until("the killed client is gone", || self.ended());
    }
}

impl Drop for Client {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.try_wait();
    }
}

/// Starts a client and lets it open the node.
pub(crate) fn opened(driver: &Driver, node: &Path, words: &[&str]) -> Client {
    let client = Client::start(node, words);
    let request = driver.expect(operation::OPEN);
    assert_eq!(request.header.pid, client.0.id());
    driver.answer(request.id(), 0, b"").expect("answer");
    client
}

tests! {
    fn what_the_driver_has_not_seen_is_taken_back() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, 0);
        let client = opened(&driver, &node, &["read", "1"]);
        wait_until("the read is queued", || driver.queued() == 1);
        client.signal(Signal::SIGUSR1);
        assert_eq!(client.said(), "EINTR");
        // Only the end of the file arrives: no read, no interrupt.
        driver.expect(operation::RELEASE);
        driver.expect_nothing();
    }

    fn of_what_it_has_it_is_told_and_its_answer_counts() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, 0);
        // The driver gives in.
        let client = opened(&driver, &node, &["read", "1"]);
        let request = driver.expect(operation::READ);
        client.signal(Signal::SIGUSR1);
        let interrupt = driver.expect(operation::INTERRUPT);
        assert_eq!(interrupt.id(), request.id());
        assert_eq!(interrupt.header.file, request.header.file);
        driver.expect_nothing();
        driver.refuse(request.id(), Errno::EINTR).expect("answer");
        assert_eq!(client.said(), "EINTR");
        driver.expect(operation::RELEASE);
        // The driver has bytes all the same: they are not lost.
        let client = opened(&driver, &node, &["read", "1"]);
        let request = driver.expect(operation::READ);
        client.signal(Signal::SIGUSR1);
        driver.expect(operation::INTERRUPT);
        driver.answer(request.id(), 0, b"k").expect("answer");
        assert_eq!(client.said(), "ok k");
    }

    fn it_is_told_once_and_not_after_its_answer() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, 0);
        let client = opened(&driver, &node, &["read", "1"]);
        let request = driver.expect(operation::READ);
        client.signal(Signal::SIGUSR1);
        driver.expect(operation::INTERRUPT);
        for _ in 0..3 {
            client.signal(Signal::SIGUSR1);
        }
        driver.answer(request.id(), 0, b"x").expect("answer");
        assert_eq!(client.said(), "ok x");
        driver.expect(operation::RELEASE);
        driver.expect_nothing();
    }

    fn a_kill_ends_the_wait_whatever_the_driver_does() {
        for call in [["read", "1"], ["write", "1"], ["ioctl", "1"]] {
            let (driver, node) = Driver::with_device(ALL, 0);
            let client = opened(&driver, &node, &call);
            let request = driver.next();
            client.kill();
            // The driver is told, first of that, then of the end of the file.
            let interrupt = driver.expect(operation::INTERRUPT);
            assert_eq!(interrupt.id(), request.id());
            driver.expect(operation::RELEASE);
            assert_eq!(driver.answer(request.id(), 0, b""), Err(Errno::ENOENT), "too late");
        }
    }

    fn a_kill_takes_back_what_is_queued() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, 0);
        let client = opened(&driver, &node, &["read", "1"]);
        wait_until("the read is queued", || driver.queued() == 1);
        client.kill();
        driver.expect(operation::RELEASE);
        driver.expect_nothing();
    }

    fn a_killed_open_was_none() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, 0);
        let client = Client::start(&node, &["open"]);
        let request = driver.expect(operation::OPEN);
        client.kill();
        let interrupt = driver.expect(operation::INTERRUPT);
        assert_eq!(interrupt.id(), request.id());
        assert_eq!(driver.answer(request.id(), 0, b""), Err(Errno::ENOENT), "too late");
        driver.expect_nothing();
        // The number of files is as before: the next one is served.
        drop(driver.open(&node));
        driver.expect(operation::RELEASE);
    }

    fn a_process_that_ends_does_not_wait_for_a_flush() {
        let (driver, node) = Driver::with_device(fusd::wire::IMPLEMENTS_ALL, 0);
        let client = opened(&driver, &node, &["read", "1"]);
        let request = driver.expect(operation::READ);
        client.kill();
        assert_eq!(driver.expect(operation::INTERRUPT).id(), request.id());
        // No signal could end a wait of a process that is on its way out: none waits.
        let flush = driver.expect(operation::FLUSH);
        assert_eq!(flush.id(), 0, "nobody waits for an answer");
        driver.expect(operation::RELEASE);
        driver.expect_nothing();
    }

    fn the_queue_does_not_grow_by_interrupted_calls() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, 0);
        let (file, _) = driver.open_with(&node, OFlag::O_RDONLY);
        for _ in 0..100 {
            let client = opened(&driver, &node, &["read", "1000000"]);
            wait_until("the read is queued", || driver.queued() == 1);
            client.kill();
            driver.expect(operation::RELEASE);
            assert_eq!(driver.queued(), 0);
        }
        // And the file that stayed open is served.
        let reading = file.start_read(1);
        let request = driver.expect(operation::READ);
        driver.answer(request.id(), 0, b"!").expect("answer");
        assert_eq!(reading.wait().expect("read"), b"!");
    }

    fn interrupted_writes_are_sent_again_and_not_taken_for_done() {
        // The first FUSD remembered an interrupted write: the next one of the same size was
        // "done" without being sent, and the next read returned what it had left.
        let (driver, node) = Driver::with_device(ALL, 0);
        let client = opened(&driver, &node, &["write", "5"]);
        let request = driver.expect(operation::WRITE);
        client.signal(Signal::SIGUSR1);
        driver.expect(operation::INTERRUPT);
        driver.refuse(request.id(), Errno::EINTR).expect("answer");
        assert_eq!(client.said(), "EINTR");
        driver.expect(operation::RELEASE);
        let (file, _) = driver.open(&node);
        let writing = file.start_write(b"fresh");
        let request = driver.expect(operation::WRITE);
        assert_eq!(request.written(), b"fresh");
        driver.answer(request.id(), 5, b"").expect("answer");
        assert_eq!(writing.wait(), Ok(5));
        let reading = file.start_read(5);
        let request = driver.expect(operation::READ);
        driver.answer(request.id(), 0, b"new").expect("answer");
        assert_eq!(reading.wait().expect("read"), b"new");
    }
}
