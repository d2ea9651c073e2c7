//! The wait queue, on loopback: callers that wait, give up, do not want to wait, or poll.

use std::collections::VecDeque;
use std::thread;
use std::time::Duration;

use fusd::{
    Attempt, Delivery, Device, DeviceBuilder, Errno, OpenFile, OpenRequest, PollEvents, Properties,
    ReadRequest, WaitQueue, WriteRequest,
};

const SPACE: usize = 8;

/// A pipe of eight bytes.
#[derive(Clone)]
struct Pipe(WaitQueue<VecDeque<u8>>);

impl Device for Pipe {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream()
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept_with((), |file| {
            self.0.watch(file, |bytes| {
                let mut events = PollEvents::empty();
                events.set(PollEvents::READ, !bytes.is_empty());
                events.set(PollEvents::WRITE, bytes.len() < SPACE);
                events
            });
        });
    }

    fn release(&self, file: &OpenFile<()>) {
        self.0.unwatch(file);
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        self.0.serve(request, |bytes, request: ReadRequest| {
            if bytes.is_empty() {
                return Attempt::Wait(request);
            }
            let count = request.len().min(bytes.len());
            let taken: Vec<u8> = bytes.range(..count).copied().collect();
            if request.reply(&taken) == Delivery::Delivered {
                bytes.drain(..count);
            }
            Attempt::Served
        });
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        self.0.serve(request, |bytes, request: WriteRequest| {
            let count = request.data().len().min(SPACE - bytes.len());
            if count == 0 {
                return Attempt::Wait(request);
            }
            let taken = request.data()[..count].to_vec();
            if request.accept_part(count) == Delivery::Delivered {
                bytes.extend(taken);
            }
            Attempt::Served
        });
    }
}

fn pipe() -> (fusd::loopback::Client, fusd::Serving, Pipe) {
    let pipe = Pipe(WaitQueue::new(VecDeque::new()));
    let (client, serving) = DeviceBuilder::new("pipe").loopback(pipe.clone()).unwrap();
    (client, serving, pipe)
}

/// Waits until `count` calls wait in the queue.
fn wait_for_waiters(pipe: &Pipe, count: usize) {
    while pipe.0.waiting() != count {
        thread::yield_now();
    }
}

#[test]
fn waiting_calls_are_served_in_the_order_of_their_arrival() {
    let (client, _serving, pipe) = pipe();
    let file = client.open(libc::O_RDWR).unwrap();
    let mut calls = Vec::new();
    for waiting in 1..=3 {
        calls.push(file.start_read(2));
        wait_for_waiters(&pipe, waiting);
    }
    assert_eq!(file.write(b"aabb").unwrap(), 4);
    let third = calls.pop().unwrap();
    assert_eq!(calls.remove(0).wait().unwrap(), b"aa");
    assert_eq!(calls.remove(0).wait().unwrap(), b"bb");
    assert_eq!(pipe.0.waiting(), 1);
    pipe.0.update(|bytes| bytes.extend(b"c"));
    assert_eq!(third.wait().unwrap(), b"c");
}

#[test]
fn a_nonblocking_call_gets_eagain_also_after_a_change_of_flags() {
    let (client, _serving, _pipe) = pipe();
    let file = client.open(libc::O_RDWR | libc::O_NONBLOCK).unwrap();
    assert_eq!(Errno::from(file.read(1).unwrap_err()), Errno::EAGAIN);
    assert_eq!(file.write(&[0; 100]).unwrap(), SPACE);
    assert_eq!(Errno::from(file.write(&[0]).unwrap_err()), Errno::EAGAIN);
    file.set_flags(libc::O_RDWR);
    let call = file.start_write(b"x");
    assert_eq!(file.read(SPACE).unwrap().len(), SPACE);
    assert_eq!(call.wait().unwrap(), 1);
    file.set_flags(libc::O_RDWR | libc::O_NONBLOCK);
    assert_eq!(file.read(1).unwrap(), b"x");
    assert_eq!(Errno::from(file.read(1).unwrap_err()), Errno::EAGAIN);
}

#[test]
fn who_gives_up_leaves_the_queue_and_takes_nothing_along() {
    let (client, _serving, pipe) = pipe();
    let file = client.open(libc::O_RDWR).unwrap();
    let call = file.start_read(4);
    wait_for_waiters(&pipe, 1);
    call.interrupt();
    assert_eq!(Errno::from(call.wait().unwrap_err()), Errno::EINTR);
    wait_for_waiters(&pipe, 0);
    file.write(b"kept").unwrap();
    assert_eq!(file.read(4).unwrap(), b"kept");
}

#[test]
fn readiness_follows_the_state_and_wakes() {
    let (client, _serving, pipe) = pipe();
    let file = client.open(libc::O_RDWR).unwrap();
    assert_eq!(file.poll().unwrap(), PollEvents::WRITE);
    assert!(
        file.wait_ready(PollEvents::READ, Duration::ZERO)
            .unwrap()
            .is_empty()
    );
    let other = client.open(libc::O_RDWR).unwrap();
    thread::scope(|scope| {
        let waiter = scope.spawn(|| file.wait_ready(PollEvents::READ, Duration::from_secs(20)));
        other.write(&[1; SPACE]).unwrap();
        assert_eq!(waiter.join().unwrap().unwrap(), PollEvents::READ);
    });
    assert_eq!(other.poll().unwrap(), PollEvents::READ);
    pipe.0.update(VecDeque::clear);
    assert_eq!(other.poll().unwrap(), PollEvents::WRITE);
}

#[test]
fn all_waiting_calls_can_be_ended() {
    let (client, _serving, pipe) = pipe();
    let file = client.open(libc::O_RDWR).unwrap();
    let call = file.start_read(1);
    wait_for_waiters(&pipe, 1);
    pipe.0.fail_all(Errno::ENXIO);
    assert_eq!(Errno::from(call.wait().unwrap_err()), Errno::ENXIO);
}

#[test]
fn no_byte_is_lost_or_doubled_among_many_callers_who_are_interrupted() {
    const WRITERS: u32 = 4;
    const NUMBERS: u32 = 5_000;
    let (client, _serving, _pipe) = pipe();
    let received: Vec<u8> = thread::scope(|scope| {
        for writer in 0..WRITERS {
            let client = client.clone();
            scope.spawn(move || {
                let file = client.open(libc::O_WRONLY).unwrap();
                let mut number = 0;
                while number < NUMBERS {
                    let call = file.start_write(&[u8::try_from(writer).unwrap()]);
                    if number % 3 == 0 {
                        call.interrupt();
                    }
                    match call.wait() {
                        Ok(count) => number += u32::try_from(count).unwrap(),
                        Err(error) => assert_eq!(Errno::from(error), Errno::EINTR),
                    }
                }
            });
        }
        let reader = scope.spawn(|| {
            let file = client.open(libc::O_RDONLY).unwrap();
            let mut bytes = Vec::new();
            let mut calls = 0;
            while bytes.len() < (WRITERS * NUMBERS) as usize {
                let call = file.start_read(3);
                calls += 1;
                if calls % 5 == 0 {
                    call.interrupt();
                }
                match call.wait() {
                    Ok(data) => bytes.extend(data),
                    Err(error) => assert_eq!(Errno::from(error), Errno::EINTR),
                }
            }
            bytes
        });
        reader.join().unwrap()
    });
    for writer in 0..WRITERS {
        let count = received
            .iter()
            .filter(|byte| u32::from(**byte) == writer)
            .count();
        assert_eq!(count, NUMBERS as usize, "writer {writer}");
    }
}

/// What a waiting call owns may use the queue when it is dropped.
struct Guard(WaitQueue<VecDeque<u8>>);

impl Drop for Guard {
    fn drop(&mut self) {
        self.0.update(|bytes| bytes.push_back(b'!'));
    }
}

/// A write that is interrupted between its attempt and its place in the queue.
struct Late(WaitQueue<VecDeque<u8>>);

impl Device for Late {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream()
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        let guard = Guard(self.0.clone());
        self.0.serve(request, move |_, request: WriteRequest| {
            let _owned = &guard;
            while !request.is_abandoned() {
                thread::yield_now();
            }
            Attempt::Wait(request)
        });
    }
}

#[test]
fn what_is_too_late_to_be_kept_is_dropped_without_the_lock() {
    let queue = WaitQueue::new(VecDeque::new());
    let late = Late(queue.clone());
    let (client, _serving) = DeviceBuilder::new("late").loopback(late).unwrap();
    let file = client.open(libc::O_WRONLY).unwrap();
    let call = file.start_write(b"x");
    call.interrupt();
    let error = call.wait().unwrap_err();
    assert_eq!(error.raw_os_error(), Some(libc::EINTR));
    let (tell, told) = std::sync::mpsc::channel();
    // On a thread of its own: a queue that is locked for good lets nobody look, and says so first.
    thread::spawn(move || {
        while queue.look(VecDeque::is_empty) {
            thread::yield_now();
        }
        tell.send(())
    });
    let result = told.recv_timeout(Duration::from_secs(60));
    assert_eq!(result, Ok(()), "the queue is locked for good");
}
