//! Drivers that panic where they should not: only the call at hand suffers, on loopback.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fusd::{
    Attempt, Device, DeviceBuilder, Errno, OpenFile, OpenRequest, Properties, ReadRequest,
    WaitQueue, WriteRequest,
};

const DEADLINE: Duration = Duration::from_secs(20);

/// Keeps each read, with a notice that panics; takes each write.
struct BadNotice(Mutex<Sender<ReadRequest>>);

impl Device for BadNotice {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream()
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        request.on_abandoned(|| panic!("as asked"));
        self.0.lock().unwrap().send(request).unwrap();
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        request.accept();
    }
}

/// Runs `test` on a thread of its own: it is to end, one way or the other.
fn in_time(test: impl FnOnce() + Send + 'static) {
    let (done, ended) = channel();
    thread::spawn(move || {
        test();
        done.send(()).unwrap();
    });
    ended.recv_timeout(DEADLINE).expect("it hangs or panicked");
}

#[test]
fn a_notice_that_panics_does_not_end_the_service() {
    in_time(|| {
        let (reads, kept) = channel();
        let (client, serving) = DeviceBuilder::new("x")
            .loopback(BadNotice(Mutex::new(reads)))
            .unwrap();
        let file = client.open(libc::O_RDWR).unwrap();
        let call = file.start_read(1);
        let request = kept.recv_timeout(DEADLINE).unwrap();
        call.interrupt();
        assert_eq!(Errno::from(call.wait().unwrap_err()), Errno::EINTR);
        assert_eq!(file.write(b"on").unwrap(), 2);
        drop(request);

        let calls = [file.start_read(1), file.start_read(1)];
        let requests = [kept.recv().unwrap(), kept.recv().unwrap()];
        serving.stop().unwrap();
        for call in calls {
            assert_eq!(Errno::from(call.wait().unwrap_err()), Errno::EPIPE);
        }
        drop(requests);
    });
}

/// Its first file is accepted with a panic; counts releases.
struct BadSetup {
    opened: AtomicUsize,
    released: Arc<AtomicUsize>,
}

impl Device for BadSetup {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        let before = self.opened.fetch_add(1, Ordering::SeqCst);
        request.accept_with((), |_| assert_ne!(before, 0, "as asked"));
    }

    fn release(&self, _: &OpenFile<()>) {
        self.released.fetch_add(1, Ordering::SeqCst);
    }
}

#[test]
fn an_open_that_panics_after_it_was_accepted_is_released() {
    let released = Arc::new(AtomicUsize::new(0));
    let device = BadSetup {
        opened: AtomicUsize::new(0),
        released: Arc::clone(&released),
    };
    let (client, _serving) = DeviceBuilder::new("x")
        .max_open(1)
        .loopback(device)
        .unwrap();
    let refused = client.open(libc::O_RDONLY).map(drop).unwrap_err();
    assert_eq!(Errno::from(refused), Errno::EIO);
    // Its release is on the way.
    let end = Instant::now() + DEADLINE;
    let file = loop {
        match client.open(libc::O_RDONLY) {
            Ok(file) => break file,
            Err(error) => assert!(Instant::now() < end, "its place is not free: {error}"),
        }
    };
    assert_eq!(released.load(Ordering::SeqCst), 1);
    drop(file);
    assert_eq!(released.load(Ordering::SeqCst), 2);
}

/// Files whose state panics as it is dropped.
struct BadFiles;

struct BadFile;

impl Drop for BadFile {
    fn drop(&mut self) {
        panic!("as asked");
    }
}

impl Device for BadFiles {
    type File = BadFile;

    fn open(&self, request: OpenRequest<BadFile>) {
        request.accept(BadFile);
    }
}

#[test]
fn a_file_that_panics_when_dropped_does_not_end_the_service() {
    in_time(|| {
        let (client, serving) = DeviceBuilder::new("x").loopback(BadFiles).unwrap();
        for _ in 0..3 {
            drop(client.open(libc::O_RDONLY).unwrap());
        }
        let open = client.open(libc::O_RDONLY).unwrap();
        serving.stop().unwrap();
        drop(open);
    });
}

/// Reads wait for bytes; one of zero length panics when it is tried again.
#[derive(Clone)]
struct BadAttempt(WaitQueue<Vec<u8>>);

impl Device for BadAttempt {
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
            assert_ne!(request.len(), 0, "as asked");
            request.reply(&[bytes.remove(0)]);
            Attempt::Served
        });
    }
}

#[test]
fn an_attempt_that_panics_fails_its_own_call_and_keeps_nobody_waiting() {
    let queue = WaitQueue::new(Vec::new());
    let (client, _serving) = DeviceBuilder::new("x")
        .loopback(BadAttempt(queue.clone()))
        .unwrap();
    let file = client.open(libc::O_RDONLY).unwrap();
    let bad = file.start_read(0);
    while queue.waiting() != 1 {
        thread::yield_now();
    }
    let good = file.start_read(1);
    while queue.waiting() != 2 {
        thread::yield_now();
    }
    let updated = catch_unwind(AssertUnwindSafe(|| queue.update(|bytes| bytes.push(7))));
    assert!(updated.is_ok(), "whoever brings the data is not to blame");
    assert_eq!(Errno::from(bad.wait().unwrap_err()), Errno::EIO);
    assert_eq!(queue.waiting(), 0, "the second one was served at once");
    assert_eq!(good.wait().unwrap(), [7]);
}
