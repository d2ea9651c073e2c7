//! What the end of a session leaves behind, on loopback: nothing, whatever still runs.

use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use fusd::{
    Delivery, Device, DeviceBuilder, Errno, OpenFile, OpenRequest, Properties, ReadRequest,
};

const DEADLINE: Duration = Duration::from_secs(20);

/// Reads that keep their thread until the test lets go; tells which files are released.
struct Stuck {
    entered: Sender<u64>,
    go: Mutex<Receiver<()>>,
    released: Sender<u64>,
}

struct Ends {
    entered: Receiver<u64>,
    go: Sender<()>,
    released: Receiver<u64>,
}

fn stuck() -> (Stuck, Ends) {
    let (entered, inside) = channel();
    let (go, gate) = channel();
    let (released, ended) = channel();
    let device = Stuck {
        entered,
        go: Mutex::new(gate),
        released,
    };
    let ends = Ends {
        entered: inside,
        go,
        released: ended,
    };
    (device, ends)
}

impl Device for Stuck {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream()
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn release(&self, file: &OpenFile<()>) {
        self.released.send(file.number()).unwrap();
    }

    fn read(&self, file: &OpenFile<()>, request: ReadRequest) {
        self.entered.send(file.number()).unwrap();
        let _ = self.go.lock().unwrap().recv();
        assert_eq!(request.reply(b"late"), Delivery::Unwanted);
    }
}

#[test]
fn each_file_is_released_once_no_handler_of_it_runs_however_late_that_is() {
    let (device, ends) = stuck();
    let (client, serving) = DeviceBuilder::new("x").workers(1).loopback(device).unwrap();
    let stuck = client.open(libc::O_RDONLY).unwrap();
    let queued = client.open(libc::O_RDONLY).unwrap();
    let idle = client.open(libc::O_RDONLY).unwrap();
    let read = stuck.start_read(4);
    let busy = ends.entered.recv_timeout(DEADLINE).unwrap();
    let waiting = [queued.start_read(4), stuck.start_read(4)];
    // The waiting calls have been taken in once a later one has been.
    let last = idle.start_read(4);
    last.interrupt();
    assert_eq!(Errno::from(last.wait().unwrap_err()), Errno::EINTR);

    serving.stop().unwrap();
    for call in waiting.into_iter().chain([read]) {
        assert_eq!(Errno::from(call.wait().unwrap_err()), Errno::EPIPE);
    }
    let mut others: Vec<u64> = ends.released.try_iter().collect();
    others.sort_unstable();
    assert_eq!(others.len(), 2, "no handler of theirs runs: {others:?}");
    assert!(!others.contains(&busy));

    ends.go.send(()).unwrap();
    let late = ends.released.recv_timeout(DEADLINE);
    assert_eq!(late, Ok(busy), "its handler has returned");
    assert!(ends.released.recv_timeout(DEADLINE).is_err(), "only once");
    assert!(ends.entered.try_recv().is_err(), "no call after the end");
}

/// Accepts its file when the test lets go, whatever has come in between.
struct Doorman(Stuck);

impl Device for Doorman {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        self.0.entered.send(0).unwrap();
        let _ = self.0.go.lock().unwrap().recv();
        assert_eq!(request.accept(()), Delivery::Unwanted);
    }

    fn release(&self, file: &OpenFile<()>) {
        self.0.release(file);
    }
}

#[test]
fn a_file_accepted_after_the_end_is_released_as_well() {
    let (device, ends) = stuck();
    let (client, serving) = DeviceBuilder::new("x").loopback(Doorman(device)).unwrap();
    let opening = thread::spawn(move || client.open(libc::O_RDONLY).map(drop));
    ends.entered.recv_timeout(DEADLINE).unwrap();
    serving.stop().unwrap();
    assert_eq!(
        Errno::from(opening.join().unwrap().unwrap_err()),
        Errno::EPIPE
    );
    ends.go.send(()).unwrap();
    ends.released.recv_timeout(DEADLINE).unwrap();
    assert!(ends.released.recv_timeout(DEADLINE).is_err(), "only once");
}

/// Keeps its opens and never answers them.
struct Hoarder {
    opens: Mutex<Vec<OpenRequest<()>>>,
    entered: Sender<()>,
    dropped: Sender<()>,
}

impl Device for Hoarder {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        self.opens.lock().unwrap().push(request);
        self.entered.send(()).unwrap();
    }
}

impl Drop for Hoarder {
    fn drop(&mut self) {
        let _ = self.dropped.send(());
    }
}

#[test]
fn a_device_that_keeps_its_opens_ends_with_its_session() {
    let (entered, inside) = channel();
    let (dropped, gone) = channel();
    let device = Hoarder {
        opens: Mutex::default(),
        entered,
        dropped,
    };
    let (client, serving) = DeviceBuilder::new("x").loopback(device).unwrap();
    let opening = thread::spawn(move || client.open(libc::O_RDONLY).map(drop));
    inside.recv_timeout(DEADLINE).unwrap();
    serving.stop().unwrap();
    assert_eq!(
        Errno::from(opening.join().unwrap().unwrap_err()),
        Errno::EPIPE
    );
    assert!(gone.recv_timeout(Duration::from_secs(2)).is_ok());
}

/// Stops its own session from a handler, which then goes on for a while.
struct Suicidal(Mutex<Option<fusd::StopHandle>>);

impl Device for Suicidal {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        self.0.lock().unwrap().as_ref().unwrap().stop();
        while !request.is_abandoned() {
            thread::yield_now();
        }
        assert_eq!(request.reply(b"late"), Delivery::Unwanted);
    }
}

#[test]
fn a_handler_that_stops_its_session_returns_before_it_ends() {
    // Not by sitting out the time that handlers get, each time.
    let at_once = Duration::from_secs(2);
    assert!((0..3).any(|_| end_by_a_handler() < at_once));
}

/// How long it takes.
fn end_by_a_handler() -> Duration {
    let device = Arc::new(Suicidal(Mutex::default()));
    let (client, serving) = DeviceBuilder::new("x")
        .loopback(Shared(Arc::clone(&device)))
        .unwrap();
    *device.0.lock().unwrap() = Some(serving.stop_handle());
    let file = client.open(libc::O_RDONLY).unwrap();
    let read = file.start_read(4);
    let start = Instant::now();
    serving.join().unwrap();
    let taken = start.elapsed();
    assert_eq!(Errno::from(read.wait().unwrap_err()), Errno::EPIPE);
    assert_eq!(Arc::strong_count(&device), 1, "nothing holds the device");
    taken
}

struct Shared(Arc<Suicidal>);

impl Device for Shared {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        self.0.open(request);
    }

    fn read(&self, file: &OpenFile<()>, request: ReadRequest) {
        self.0.read(file, request);
    }
}

/// Tells which thread it is dropped on.
struct Dropped(Sender<Option<String>>);

impl Device for Dropped {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }
}

impl Drop for Dropped {
    fn drop(&mut self) {
        let name = thread::current().name().map(str::to_owned);
        self.0.send(name).unwrap();
    }
}

#[test]
fn the_device_is_dropped_before_its_session_has_ended() {
    for _ in 0..200 {
        let (dropped, gone) = channel();
        let (client, serving) = DeviceBuilder::new("x").loopback(Dropped(dropped)).unwrap();
        let file = client.open(libc::O_RDONLY).unwrap();
        serving.stop().unwrap();
        assert_eq!(gone.try_recv(), Ok(Some("fusd-session".to_owned())));
        drop(file);
    }
}
