//! Writes that are taken part by part, on loopback: the client waits until all is taken, and learns
//! how much was if anything ends the call before.

use std::collections::VecDeque;
use std::thread;

use fusd::loopback::{Call, Client};
use fusd::{
    Attempt, Delivery, Device, DeviceBuilder, Errno, OpenFile, OpenRequest, Properties,
    ReadRequest, Serving, WaitQueue, WriteRequest,
};

const SPACE: usize = 8;

/// A pipe of eight bytes, whose writers wait until all they wrote has gone through.
#[derive(Clone)]
struct Whole(WaitQueue<VecDeque<u8>>);

impl Device for Whole {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream()
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        self.0.serve(request, |bytes, request: ReadRequest| {
            if bytes.is_empty() {
                return Attempt::Wait(request);
            }
            let count = request.len().min(bytes.len());
            let taken: Vec<u8> = bytes.drain(..count).collect();
            assert_eq!(request.reply(&taken), Delivery::Delivered);
            Attempt::Served
        });
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        self.0.serve(request, |bytes, mut request: WriteRequest| {
            let room = SPACE - bytes.len();
            if room == 0 {
                return Attempt::Wait(request);
            }
            let part = request.data()[..room.min(request.data().len())].to_vec();
            if request.take(part.len()) == Delivery::Unwanted {
                return Attempt::Served;
            }
            bytes.extend(part);
            if request.data().is_empty() {
                request.accept();
                return Attempt::Served;
            }
            Attempt::Part(request)
        });
    }
}

fn pipe() -> (Client, Serving, Whole) {
    let pipe = Whole(WaitQueue::new(VecDeque::new()));
    let (client, serving) = DeviceBuilder::new("pipe").loopback(pipe.clone()).unwrap();
    (client, serving, pipe)
}

/// Begins a write of 20 bytes, of which eight fit.
fn begin(client: &Client, pipe: &Whole) -> Call<usize> {
    let file = client.open(libc::O_RDWR).unwrap();
    let call = file.start_write(b"abcdefghijklmnopqrst");
    wait_for(pipe, 1);
    call
}

fn wait_for(pipe: &Whole, waiting: usize) {
    while pipe.0.waiting() != waiting {
        thread::yield_now();
    }
}

#[test]
fn a_write_waits_until_all_of_it_is_taken() {
    let (client, _serving, pipe) = pipe();
    let call = begin(&client, &pipe);
    let file = client.open(libc::O_RDWR).unwrap();
    let mut all = Vec::new();
    while all.len() < 20 {
        all.extend(file.read(5).unwrap());
    }
    assert_eq!(all, b"abcdefghijklmnopqrst");
    assert_eq!(call.wait().unwrap(), 20);
}

#[test]
fn a_reader_that_waits_takes_it_through() {
    let (client, _serving, pipe) = pipe();
    let file = client.open(libc::O_RDWR).unwrap();
    let reads: Vec<_> = (1..=3)
        .map(|waiting| {
            let call = file.start_read(100);
            wait_for(&pipe, waiting);
            call
        })
        .collect();
    let writer = client.open(libc::O_RDWR).unwrap();
    assert_eq!(writer.write(b"abcdefghijklmnopqrst").unwrap(), 20);
    let all: Vec<_> = reads.into_iter().map(|read| read.wait().unwrap()).collect();
    assert_eq!(all, [&b"abcdefgh"[..], b"ijklmnop", b"qrst"]);
}

#[test]
fn an_interrupted_write_returns_what_was_taken() {
    let (client, _serving, pipe) = pipe();
    let call = begin(&client, &pipe);
    call.interrupt();
    assert_eq!(call.wait().unwrap(), SPACE);
    wait_for(&pipe, 0);
    let file = client.open(libc::O_RDWR).unwrap();
    assert_eq!(file.read(100).unwrap(), b"abcdefgh");
}

#[test]
fn so_does_one_that_fails_or_must_not_wait_or_loses_its_device() {
    let (client, serving, pipe) = pipe();
    let call = begin(&client, &pipe);
    pipe.0.fail_all(Errno::EPIPE);
    assert_eq!(call.wait().unwrap(), SPACE);
    let file = client.open(libc::O_RDWR | libc::O_NONBLOCK).unwrap();
    assert_eq!(file.read(100).unwrap().len(), SPACE);
    assert_eq!(file.write(b"0123456789").unwrap(), SPACE);
    assert_eq!(Errno::from(file.write(b"8").unwrap_err()), Errno::EAGAIN);
    assert_eq!(file.read(100).unwrap(), b"01234567");
    let call = begin(&client, &pipe);
    serving.stop().unwrap();
    assert_eq!(call.wait().unwrap(), SPACE);
}
