//! What becomes of requests, on loopback: answered, dropped, abandoned, impossible answers.

use std::io;
use std::sync::Mutex;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use fusd::{
    Area, Delivery, Device, DeviceBuilder, Errno, IoctlCommand, IoctlRequest, OpenFile,
    OpenRequest, Operations, PollEvents, Properties, ReadRequest, SyncRequest, WriteRequest,
};

/// The ioctl that asks for as many bytes of the client's memory as its argument says.
const AGAIN: u8 = 99;

/// Hands every request to the test, which answers it as it likes.
struct Manual {
    reads: Mutex<Sender<ReadRequest>>,
    properties: Properties,
}

impl Manual {
    fn new(properties: Properties) -> (Self, Receiver<ReadRequest>) {
        let (reads, taken) = channel();
        (
            Self {
                reads: Mutex::new(reads),
                properties,
            },
            taken,
        )
    }
}

impl Device for Manual {
    type File = ();

    fn properties(&self) -> Properties {
        self.properties
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        self.reads.lock().unwrap().send(request).unwrap();
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        match request.data() {
            b"drop" => drop(request),
            b"panic" => panic!("as asked"),
            b"too much" => assert_eq!(request.accept_part(9), Delivery::Unwanted),
            data => {
                let half = data.len() / 2;
                request.accept_part(half);
            }
        }
    }

    fn ioctl(&self, _: &OpenFile<()>, request: IoctlRequest) {
        if request.command().number() == AGAIN {
            let length = usize::try_from(request.argument()).unwrap();
            let area = Area { address: 1, length };
            assert_eq!(request.again_with(&[area], &[]), Delivery::Unwanted);
            return;
        }
        let reversed: Vec<u8> = request.input().iter().rev().copied().collect();
        let length = request.output_len().min(reversed.len());
        let result = i32::try_from(request.argument()).unwrap();
        request.reply(result, &reversed[..length]);
    }
}

fn errno<T: std::fmt::Debug>(result: io::Result<T>) -> Errno {
    Errno::from(result.unwrap_err())
}

#[test]
fn an_answer_may_come_from_another_thread_and_later() {
    let (device, reads) = Manual::new(Properties::stream());
    let (client, _serving) = DeviceBuilder::new("x").loopback(device).unwrap();
    let file = client.open(libc::O_RDONLY).unwrap();
    let first = file.start_read(10);
    let second = file.start_read(10);
    let (one, two) = (reads.recv().unwrap(), reads.recv().unwrap());
    assert_eq!(two.reply(b"second"), Delivery::Delivered);
    assert_eq!(second.wait().unwrap(), b"second");
    assert_eq!(one.reply(b"first"), Delivery::Delivered);
    assert_eq!(first.wait().unwrap(), b"first");
}

#[test]
fn an_abandoned_request_ends_at_once_and_its_answer_is_unwanted() {
    let (device, reads) = Manual::new(Properties::stream());
    let (client, _serving) = DeviceBuilder::new("x").loopback(device).unwrap();
    let file = client.open(libc::O_RDONLY).unwrap();
    let call = file.start_read(10);
    let request = reads.recv().unwrap();
    let (told, abandoned) = channel();
    assert!(request.on_abandoned(move || told.send(()).unwrap()));
    assert!(!request.is_abandoned());
    call.interrupt();
    assert_eq!(errno(call.wait()), Errno::EINTR);
    abandoned.recv_timeout(Duration::from_secs(60)).unwrap();
    assert!(request.is_abandoned());
    assert!(!request.on_abandoned(|| panic!("too late to be called")));
    assert_eq!(request.reply(b"late"), Delivery::Unwanted);
}

#[test]
fn a_notice_is_not_given_for_an_answered_request() {
    let (device, reads) = Manual::new(Properties::stream());
    let (client, _serving) = DeviceBuilder::new("x").loopback(device).unwrap();
    let file = client.open(libc::O_RDONLY).unwrap();
    let call = file.start_read(10);
    let request = reads.recv().unwrap();
    assert!(request.on_abandoned(|| panic!("it was answered")));
    request.reply(b"in time");
    call.interrupt();
    assert_eq!(call.wait().unwrap(), b"in time");
}

#[test]
fn a_dropped_request_a_panic_and_an_impossible_answer_are_eio_and_nothing_else_suffers() {
    let (device, reads) = Manual::new(Properties::stream());
    let (client, _serving) = DeviceBuilder::new("x").loopback(device).unwrap();
    let file = client.open(libc::O_RDWR).unwrap();
    assert_eq!(errno(file.write(b"drop")), Errno::EIO);
    assert_eq!(errno(file.write(b"panic")), Errno::EIO);
    assert_eq!(errno(file.write(b"too much")), Errno::EIO);
    let call = file.start_read(3);
    assert_eq!(reads.recv().unwrap().reply(b"four"), Delivery::Unwanted);
    assert_eq!(errno(call.wait()), Errno::EIO);
    assert_eq!(file.write(b"half").unwrap(), 2);
}

#[test]
fn ioctl_carries_its_argument_both_ways() {
    let (device, _reads) = Manual::new(Properties::stream());
    let (client, _serving) = DeviceBuilder::new("x").loopback(device).unwrap();
    let file = client.open(libc::O_RDWR).unwrap();
    let both = IoctlCommand::read_write(b'x', 1, 4);
    assert_eq!(file.ioctl(both, 7, b"abcd").unwrap(), (7, b"dcba".to_vec()));
    let out = IoctlCommand::write(b'x', 2, 4);
    assert_eq!(file.ioctl(out, 0, b"abcd").unwrap(), (0, Vec::new()));
}

#[test]
fn an_ioctl_whose_memory_cannot_be_had_does_not_reach_the_device() {
    let (device, _reads) = Manual::new(Properties::stream().operations(Operations::all()));
    let (client, _serving) = DeviceBuilder::new("x").loopback(device).unwrap();
    let file = client.open(libc::O_RDWR).unwrap();
    let old = IoctlCommand::from_raw(u32::try_from(libc::FIONREAD).unwrap());
    assert_eq!(errno(file.ioctl(old, 0, b"")), Errno::ENOTTY);
    let encoded = IoctlCommand::read_write(b'x', 1, 4);
    let answer = file.ioctl(encoded, 7, b"abcd").unwrap();
    assert_eq!(answer, (7, b"dcba".to_vec()), "its size says it all");
    let more = IoctlCommand::none(b'x', AGAIN);
    assert_eq!(errno(file.ioctl(more, 8, b"")), Errno::ENOTTY, "no memory");
    assert_eq!(errno(file.ioctl(more, 0, b"")), Errno::EIO, "a bug");
}

#[test]
fn what_a_device_does_not_implement_never_reaches_it() {
    let (device, reads) = Manual::new(Properties::stream().operations(Operations::empty()));
    let (client, _serving) = DeviceBuilder::new("x").loopback(device).unwrap();
    let file = client.open(libc::O_RDWR).unwrap();
    assert_eq!(errno(file.read(1)), Errno::EINVAL);
    assert_eq!(errno(file.write(b"panic")), Errno::EINVAL);
    assert_eq!(
        errno(file.ioctl(IoctlCommand::none(b'x', 0), 0, b"")),
        Errno::ENOTTY
    );
    assert_eq!(errno(file.sync()), Errno::EINVAL);
    assert_eq!(errno(file.poll()), Errno::ENOSYS);
    assert!(reads.try_recv().is_err());
}

#[test]
fn stopping_ends_waiting_calls_with_epipe_and_tells_the_driver() {
    let (device, reads) = Manual::new(Properties::stream());
    let (client, serving) = DeviceBuilder::new("x").loopback(device).unwrap();
    let file = client.open(libc::O_RDONLY).unwrap();
    let call = file.start_read(10);
    let request = reads.recv().unwrap();
    serving.stop().unwrap();
    assert_eq!(errno(call.wait()), Errno::EPIPE);
    assert!(request.is_abandoned());
    assert_eq!(errno(file.read(1)), Errno::ENODEV);
    assert_eq!(errno(client.open(libc::O_RDONLY).map(drop)), Errno::ENODEV);
}

/// Counts the lives of its files.
struct Counting<'a> {
    opened: &'a AtomicUsize,
    released: &'a AtomicUsize,
}

impl Device for Counting<'static> {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        if request.flags().writable() {
            request.fail(Errno::EROFS);
        } else {
            self.opened.fetch_add(1, Ordering::SeqCst);
            request.accept_with((), |file| file.set_ready(PollEvents::PRIORITY));
        }
    }

    fn release(&self, _: &OpenFile<()>) {
        self.released.fetch_add(1, Ordering::SeqCst);
    }

    fn sync(&self, _: &OpenFile<()>, request: SyncRequest) {
        request.done();
    }
}

#[test]
fn every_accepted_open_is_released_once_also_at_the_end_of_the_session() {
    static OPENED: AtomicUsize = AtomicUsize::new(0);
    static RELEASED: AtomicUsize = AtomicUsize::new(0);
    let device = Counting {
        opened: &OPENED,
        released: &RELEASED,
    };
    let (client, serving) = DeviceBuilder::new("x")
        .max_open(2)
        .loopback(device)
        .unwrap();
    assert_eq!(errno(client.open(libc::O_WRONLY).map(drop)), Errno::EROFS);
    let first = client.open(libc::O_RDONLY).unwrap();
    assert_eq!(first.poll().unwrap(), PollEvents::PRIORITY);
    first.sync().unwrap();
    let second = client.open(libc::O_RDONLY).unwrap();
    assert_eq!(errno(client.open(libc::O_RDONLY).map(drop)), Errno::EBUSY);
    drop(first);
    let third = client.open(libc::O_RDONLY).unwrap();
    drop(second);
    serving.stop().unwrap();
    assert_eq!(OPENED.load(Ordering::SeqCst), 3);
    assert_eq!(
        RELEASED.load(Ordering::SeqCst),
        3,
        "the third file was still open"
    );
    drop(third);
}
