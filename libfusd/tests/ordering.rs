//! Which handlers run together and which do not, on loopback.

use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Barrier, Mutex};
use std::thread;
use std::time::Duration;

use fusd::{Device, DeviceBuilder, Errno, OpenFile, OpenRequest, Properties, ReadRequest};

const DEADLINE: Duration = Duration::from_secs(20);

/// Two reads that can only end together.
struct Meeting(Barrier);

impl Device for Meeting {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        self.0.wait();
        request.reply(b"met");
    }
}

#[test]
fn handlers_of_different_files_run_in_parallel() {
    let (client, _serving) = DeviceBuilder::new("x")
        .workers(2)
        .loopback(Meeting(Barrier::new(2)))
        .unwrap();
    let one = client.open(libc::O_RDONLY).unwrap();
    let two = client.open(libc::O_RDONLY).unwrap();
    let (a, b) = (one.start_read(3), two.start_read(3));
    assert_eq!(a.wait().unwrap(), b"met");
    assert_eq!(b.wait().unwrap(), b"met");
}

/// Notes whether two of its reads ever ran at once.
#[derive(Default)]
struct Alone {
    inside: AtomicUsize,
}

impl Device for Alone {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        let others = self.inside.fetch_add(1, Ordering::SeqCst);
        thread::yield_now();
        self.inside.fetch_sub(1, Ordering::SeqCst);
        request.reply(if others == 0 { b"ok" } else { b"no" });
    }
}

#[test]
fn handlers_of_one_file_run_one_after_the_other() {
    let (client, _serving) = DeviceBuilder::new("x").loopback(Alone::default()).unwrap();
    let file = client.open(libc::O_RDONLY).unwrap();
    let calls: Vec<_> = (0..2_000).map(|_| file.start_read(2)).collect();
    for call in calls {
        assert_eq!(call.wait().unwrap(), b"ok");
    }
}

/// Reads that keep their thread until the test lets go.
struct Stuck {
    entered: Mutex<Sender<()>>,
    go: Mutex<Receiver<()>>,
}

impl Device for Stuck {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream()
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        self.entered.lock().unwrap().send(()).unwrap();
        let _ = self.go.lock().unwrap().recv();
        request.reply(b"free");
    }
}

#[test]
fn interrupts_are_answered_while_every_worker_is_stuck() {
    let (entered, inside) = channel();
    let (go, gate) = channel();
    let device = Stuck {
        entered: Mutex::new(entered),
        go: Mutex::new(gate),
    };
    let (client, serving) = DeviceBuilder::new("x").workers(1).loopback(device).unwrap();
    let one = client.open(libc::O_RDONLY).unwrap();
    let two = client.open(libc::O_RDONLY).unwrap();

    let stuck = one.start_read(4);
    inside.recv_timeout(DEADLINE).unwrap();
    let queued_behind_the_file = one.start_read(4);
    let queued_behind_the_worker = two.start_read(4);
    for call in [queued_behind_the_file, queued_behind_the_worker, stuck] {
        call.interrupt();
        assert_eq!(Errno::from(call.wait().unwrap_err()), Errno::EINTR);
    }

    go.send(()).unwrap();
    let after = two.start_read(4);
    inside.recv_timeout(DEADLINE).unwrap();
    go.send(()).unwrap();
    assert_eq!(
        after.wait().unwrap(),
        b"free",
        "abandoned calls never reached the handler"
    );
    drop((one, two));
    serving.stop().unwrap();
}
