//! Answers that leave when their handler returns, on loopback: when they do, and when they cannot
//! wait so long.

use std::collections::VecDeque;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use fusd::loopback::{Client, File};
use fusd::{Device, DeviceBuilder, Errno, OpenFile, OpenRequest, Properties, ReadRequest, Serving};

/// Everything that must come comes within this.
const PATIENCE: Duration = Duration::from_secs(60);
/// What must not come has had its chance after this.
const CHANCE: Duration = Duration::from_millis(100);

type Handler = Box<dyn FnOnce(ReadRequest) + Send>;

/// Has each read handled as the test says, one after the other.
#[derive(Clone, Default)]
struct Scripted(Arc<Mutex<VecDeque<Handler>>>);

impl Scripted {
    fn then(&self, handler: impl FnOnce(ReadRequest) + Send + 'static) {
        self.0.lock().unwrap().push_back(Box::new(handler));
    }
}

impl Device for Scripted {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream()
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        let handler = self.0.lock().unwrap().pop_front().unwrap();
        handler(request);
    }
}

fn serve() -> (Scripted, Client, Serving) {
    let device = Scripted::default();
    let (client, serving) = DeviceBuilder::new("x").loopback(device.clone()).unwrap();
    (device, client, serving)
}

/// Reads on a thread of its own; what the client got comes by the channel.
fn read(file: &File) -> Receiver<std::io::Result<Vec<u8>>> {
    let call = file.start_read(10);
    let (sender, receiver) = channel();
    thread::spawn(move || sender.send(call.wait()));
    receiver
}

fn bytes(read: &Receiver<std::io::Result<Vec<u8>>>) -> Vec<u8> {
    read.recv_timeout(PATIENCE).unwrap().unwrap()
}

/// A handler's way to wait for the test, and the test's to let it go on.
fn gate() -> (Sender<()>, impl FnOnce() + Send) {
    let (open, opened) = channel();
    (open, move || opened.recv_timeout(PATIENCE).unwrap())
}

#[test]
fn an_answer_at_return_leaves_when_the_handler_returns() {
    let (device, client, _serving) = serve();
    let file = client.open(libc::O_RDONLY).unwrap();
    let (open, wait) = gate();
    let (inside, entered) = channel();
    device.then(move |request| {
        request.at_return().reply(b"first");
        inside.send(()).unwrap();
        wait();
    });
    let first = read(&file);
    entered.recv_timeout(PATIENCE).unwrap();
    assert!(
        first.recv_timeout(CHANCE).is_err(),
        "the handler still runs"
    );
    open.send(()).unwrap();
    assert_eq!(bytes(&first), b"first");

    // One that returns at once, with nothing else to receive: nobody waits for the next call.
    device.then(|request| request.at_return().reply_from(b"second"));
    assert_eq!(bytes(&read(&file)), b"second");
    device.then(|request| request.at_return().fail(Errno::ENXIO));
    let third = read(&file).recv_timeout(PATIENCE).unwrap();
    assert_eq!(Errno::from(&third.unwrap_err()), Errno::ENXIO);
}

#[test]
fn the_second_answer_of_a_handler_leaves_at_once() {
    let (device, client, _serving) = serve();
    let (one, two) = (
        client.open(libc::O_RDONLY).unwrap(),
        client.open(libc::O_RDONLY).unwrap(),
    );
    let (keep, kept) = channel();
    device.then(move |request| keep.send(request).unwrap());
    let first = read(&one);
    let other = kept.recv_timeout(PATIENCE).unwrap();
    let (open, wait) = gate();
    device.then(move |request| {
        request.at_return().reply(b"mine");
        other.at_return().reply(b"theirs");
        wait();
    });
    let second = read(&two);
    assert_eq!(bytes(&first), b"theirs");
    open.send(()).unwrap();
    assert_eq!(bytes(&second), b"mine");
}

#[test]
fn an_answer_of_another_thread_leaves_at_once() {
    let (device, client, _serving) = serve();
    let file = client.open(libc::O_RDONLY).unwrap();
    let (open, wait) = gate();
    device.then(move |request| {
        thread::spawn(move || request.at_return().reply(b"elsewhere"));
        wait();
    });
    let call = read(&file);
    assert_eq!(bytes(&call), b"elsewhere");
    open.send(()).unwrap();
}

#[test]
fn an_answer_does_not_wait_for_the_next_handler_of_its_file() {
    let (device, client, _serving) = serve();
    let file = client.open(libc::O_RDONLY).unwrap();
    let (open_first, wait_first) = gate();
    let (open_second, wait_second) = gate();
    let (enter, await_entered) = gate();
    device.then(move |request| {
        enter.send(()).unwrap();
        request.at_return().reply(b"first");
        wait_first();
    });
    let first = read(&file);
    await_entered();
    // This one comes into the order of the file behind the first, whose handler still runs.
    device.then(move |request| {
        wait_second();
        request.at_return().reply(b"second");
    });
    let second = read(&file);
    // It is there once a call that was made after it has been served: by another thread.
    device.then(|request| request.at_return().reply(b"third"));
    let other = client.open(libc::O_RDONLY).unwrap();
    device.0.lock().unwrap().rotate_right(1);
    assert_eq!(bytes(&read(&other)), b"third");
    open_first.send(()).unwrap();
    assert_eq!(bytes(&first), b"first");
    open_second.send(()).unwrap();
    assert_eq!(bytes(&second), b"second");
}

#[test]
fn a_panic_after_it_does_not_hold_an_answer_up() {
    let (device, client, _serving) = serve();
    let file = client.open(libc::O_RDONLY).unwrap();
    device.then(|request| {
        request.at_return().reply(b"before");
        panic!("as asked");
    });
    assert_eq!(bytes(&read(&file)), b"before");
}

#[test]
fn a_session_that_ends_sends_the_last_answer_first() {
    let (device, client, serving) = serve();
    let file = client.open(libc::O_RDONLY).unwrap();
    let stop = serving.stop_handle();
    device.then(move |request| {
        request.at_return().reply(b"the last");
        stop.stop();
    });
    assert_eq!(bytes(&read(&file)), b"the last");
    serving.join().unwrap();
}
