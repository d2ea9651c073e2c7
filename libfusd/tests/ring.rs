//! Rings, on loopback: where no kernel has them, the session serves reads and writes from them.

use std::io::{ErrorKind, Read, Write};
use std::os::fd::AsFd;
use std::sync::Mutex;
use std::thread;
use std::time::{Duration, Instant};

use fusd::loopback::{Client, File};
use fusd::{
    Device, DeviceBuilder, Errno, OpenRequest, Operations, PollEvents, Position, Properties, Ring,
    Serving,
};
use nix::poll::{PollFd, PollFlags, poll};

const ALL: Operations = Operations::all().difference(Operations::ANY_IOCTL);

/// What rings the files get that are opened next: to be read from, and written to.
struct Rings {
    reads: Option<Ring>,
    writes: Option<Ring>,
    position: Position,
    operations: Operations,
    failures: std::sync::Arc<Mutex<Vec<Errno>>>,
}

impl Device for Rings {
    type File = ();

    fn properties(&self) -> Properties {
        let mut properties = Properties::stream().operations(self.operations);
        properties.position = self.position;
        properties
    }

    fn open(&self, request: OpenRequest<()>) {
        let reads = self.reads.as_ref().map(|ring| request.attach_reads(ring));
        let writes = self.writes.as_ref().map(|ring| request.attach_writes(ring));
        for error in [reads, writes]
            .into_iter()
            .flatten()
            .filter_map(Result::err)
        {
            self.failures.lock().unwrap().push(error.errno());
        }
        request.accept(());
    }
}

fn serve(reads: Option<&Ring>, writes: Option<&Ring>) -> (Client, Serving) {
    let device = Rings {
        reads: reads.cloned(),
        writes: writes.cloned(),
        position: Position::Stream,
        operations: ALL,
        failures: Default::default(),
    };
    DeviceBuilder::new("x").loopback(device).unwrap()
}

/// A ring of this many bytes, whatever a page has.
fn ring(pages: usize) -> (Ring, usize) {
    let page = Ring::new(1).unwrap().size();
    let ring = Ring::new(pages * page).unwrap();
    assert_eq!(ring.size(), pages * page);
    (ring, page)
}

fn open(client: &Client) -> File {
    client.open(libc::O_RDWR).unwrap()
}

fn errno<T: std::fmt::Debug>(result: std::io::Result<T>) -> Errno {
    Errno::from(&result.unwrap_err())
}

fn is_readable(ring: &Ring) -> bool {
    let mut descriptors = [PollFd::new(ring.as_fd(), PollFlags::POLLIN)];
    poll(&mut descriptors, 0_u8).unwrap() == 1
}

/// Waits until the driver is told: that may be after the client is.
fn await_readable(ring: &Ring) {
    let mut descriptors = [PollFd::new(ring.as_fd(), PollFlags::POLLIN)];
    assert_eq!(poll(&mut descriptors, 60_000_u16).unwrap(), 1, "not told");
}

/// Waits until the ring holds so many bytes.
fn await_filled(ring: &Ring, wanted: usize) {
    let deadline = Instant::now() + Duration::from_secs(60);
    while ring.filled() != wanted {
        assert!(
            Instant::now() < deadline,
            "{} instead of {wanted}",
            ring.filled()
        );
        thread::sleep(Duration::from_millis(1));
    }
}

#[test]
fn sizes_are_whole_pages_within_limits() {
    let page = Ring::new(1).unwrap().size();
    assert!(page >= 4096);
    assert_eq!(Ring::new(page + 1).unwrap().size(), 2 * page);
    assert_eq!(Ring::new(16 << 20).unwrap().size(), 16 << 20);
    for impossible in [0, (16 << 20) + 1, usize::MAX] {
        let error = Ring::new(impossible).unwrap_err();
        assert_eq!(error.errno(), Errno::EINVAL, "{error}");
    }
}

#[test]
fn what_is_fed_is_read_once_and_in_order() {
    let (ring, page) = ring(1);
    assert_eq!(ring.feed(b"before").unwrap(), 6);
    let (client, _serving) = serve(Some(&ring), None);
    let files = [open(&client), open(&client)];
    assert_eq!(files[0].read(0).unwrap(), b"");
    assert_eq!(files[0].read(4).unwrap(), b"befo");
    assert_eq!(files[1].read(9).unwrap(), b"re");
    let waiting = files[0].start_read(9);
    assert_eq!(
        ring.feed(&vec![b'x'; 2 * page]).unwrap(),
        page,
        "as there was room"
    );
    assert_eq!(waiting.wait().unwrap(), [b'x'; 9]);
    await_filled(&ring, page - 9);
    assert_eq!(ring.feed(&[b'y'; 10]).unwrap(), 9);
    assert_eq!(errno(ring.feed(b"z")), Errno::EAGAIN);
    assert_eq!(files[1].read(2 * page).unwrap().len(), page);
    ring.finish();
    assert_eq!(files[1].read(9).unwrap(), b"");
    ring.feed(b"more").unwrap();
    assert_eq!(files[1].read(9).unwrap(), b"more");
    files[1].set_flags(libc::O_NONBLOCK);
    assert_eq!(errno(files[1].read(9)), Errno::EAGAIN, "the end is over");
    assert_eq!(
        errno(files[0].write(b"x")),
        Errno::EINVAL,
        "is the device's"
    );
}

#[test]
fn an_interrupted_read_has_taken_nothing() {
    let (ring, _) = ring(1);
    let (client, _serving) = serve(Some(&ring), None);
    let file = open(&client);
    for round in 0..200 {
        let waiting = file.start_read(9);
        thread::scope(|scope| {
            scope.spawn(|| waiting.interrupt());
            ring.feed(b"data").unwrap();
        });
        match waiting.wait() {
            Ok(data) => assert_eq!(data, b"data", "round {round}"),
            Err(error) => {
                assert_eq!(Errno::from(&error), Errno::EINTR);
                assert_eq!(file.read(9).unwrap(), b"data", "round {round}");
            }
        }
    }
}

#[test]
fn what_is_small_goes_in_together_and_what_is_large_in_parts() {
    let (ring, page) = ring(2);
    let (client, _serving) = serve(None, Some(&ring));
    let file = open(&client);
    assert_eq!(file.write(b"").unwrap(), 0);
    assert_eq!(file.write(&vec![1; 2 * page - 10]).unwrap(), 2 * page - 10);
    let small = file.start_write(&[2; 11]);
    let nonblocking = open(&client);
    nonblocking.set_flags(libc::O_NONBLOCK);
    assert_eq!(errno(nonblocking.write(&[3; 11])), Errno::EAGAIN);
    assert_eq!(nonblocking.write(&vec![3; 4097]).unwrap(), 10);
    let mut out = vec![0; 3 * page];
    assert_eq!(ring.take(&mut out).unwrap(), 2 * page);
    assert_eq!(out[2 * page - 10..2 * page], [3; 10]);
    assert_eq!(small.wait().unwrap(), 11);
    let large = file.start_write(&vec![4; 3 * page]);
    await_filled(&ring, 2 * page);
    large.interrupt();
    assert_eq!(large.wait().unwrap(), 2 * page - 11, "how far it came");
    assert_eq!(ring.take(&mut out).unwrap(), 2 * page);
    assert_eq!(errno(ring.take(&mut out)), Errno::EAGAIN);
}

#[test]
fn polls_find_what_the_rings_say_and_the_driver_what_the_marks_say() {
    let ((output, page), (input, _)) = (ring(1), ring(1));
    let (client, _serving) = serve(Some(&output), Some(&input));
    let file = open(&client);
    let (read, write) = (PollEvents::READ, PollEvents::WRITE);
    assert_eq!(file.poll().unwrap(), write);
    output.feed(b"x").unwrap();
    assert_eq!(
        file.wait_ready(read, Duration::from_secs(60)).unwrap(),
        read | write
    );
    file.write(&vec![b'y'; page - 4095]).unwrap();
    assert_eq!(file.poll().unwrap(), read, "there is no room for 4096");
    await_readable(&input);
    assert!(!is_readable(&output));
    assert_eq!(input.take(&mut vec![0; page]).unwrap(), page - 4095);
    assert_eq!(errno(input.take(&mut [0; 9])), Errno::EAGAIN);
    assert!(!is_readable(&input));
    assert_eq!(file.poll().unwrap(), read | write);
    output.finish();
    assert_eq!(file.poll().unwrap(), read | write);
    assert_eq!(file.read(9).unwrap(), b"x");
    assert_eq!(file.poll().unwrap(), read | write | PollEvents::HANG_UP);
    input.shut();
    assert!(file.poll().unwrap().contains(PollEvents::ERROR));
    assert_eq!(errno(file.write(b"x")), Errno::EPIPE);
    input.reopen();
    input.set_fill_mark(3);
    file.write(b"ab").unwrap();
    assert!(!is_readable(&input));
    file.write(b"c").unwrap();
    await_readable(&input);
    output.feed(&vec![0; page]).unwrap();
    assert_eq!(errno(output.feed(b"x")), Errno::EAGAIN);
    output.set_room_mark(100);
    file.read(99).unwrap();
    assert!(!is_readable(&output));
    file.read(1).unwrap();
    await_readable(&output);
}

#[test]
fn threads_of_the_driver_wait_for_each_other_and_for_clients() {
    const TOTAL: usize = 1 << 20;
    let (ring, page) = ring(1);
    let (client, _serving) = serve(Some(&ring), Some(&ring));
    let file = open(&client);
    thread::scope(|scope| {
        // Two of each kind, and a client of each.
        let feeds = [(); 2].map(|()| scope.spawn(|| (&ring).write_all(&vec![1; TOTAL]).unwrap()));
        let writes = scope.spawn(|| {
            let mut left = TOTAL;
            while left > 0 {
                left -= file.write(&vec![1; left.min(2 * page)]).unwrap();
            }
        });
        let takes = [(); 2].map(|()| {
            scope.spawn(|| {
                let mut buffer = vec![0; page / 2 + 1];
                (0..)
                    .map_while(|_| match (&ring).read(&mut buffer).unwrap() {
                        0 => None,
                        count => Some(count),
                    })
                    .sum::<usize>()
            })
        });
        let reads = scope.spawn(|| {
            let reader = open(&client);
            (0..)
                .map_while(|_| reader.read(page).ok().map(|data| data.len()))
                .take_while(|count| *count > 0)
                .sum::<usize>()
        });
        for feed in feeds {
            feed.join().unwrap();
        }
        writes.join().unwrap();
        await_filled(&ring, 0);
        ring.finish();
        _serving.stop_handle().stop();
        let taken: usize = takes.into_iter().map(|take| take.join().unwrap()).sum();
        assert_eq!(taken + reads.join().unwrap(), 3 * TOTAL);
    });
}

#[test]
fn what_was_written_can_be_taken_when_the_session_has_ended() {
    let (ring, page) = ring(1);
    let (client, serving) = serve(None, Some(&ring));
    let file = open(&client);
    assert_eq!(file.write(b"last words").unwrap(), 10);
    let waiting = file.start_write(&vec![0; 3 * page]);
    await_filled(&ring, page);
    let full = thread::spawn({
        let ring = ring.clone();
        move || (&ring).write_all(b"x")
    });
    serving.stop().unwrap();
    assert_eq!(waiting.wait().unwrap(), page - 10, "how far it came");
    let error = full.join().unwrap().unwrap_err();
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    assert_eq!(errno(ring.feed(b"x")), Errno::EPIPE);
    let mut all = Vec::new();
    (&ring).read_to_end(&mut all).unwrap();
    assert_eq!((&all[..10], all.len()), (&b"last words"[..], page));
    assert_eq!(ring.take(&mut [0]).unwrap(), 0);
}

#[test]
fn a_ring_that_nobody_feeds_any_more_ends() {
    let (ring, _) = ring(1);
    let writes = ring.clone();
    let device = Rings {
        reads: Some(ring),
        writes: Some(writes),
        position: Position::Stream,
        operations: ALL,
        failures: Default::default(),
    };
    /// Drops its rings when a file is released.
    struct Once(Mutex<Option<Rings>>);
    impl Device for Once {
        type File = ();

        fn properties(&self) -> Properties {
            Properties::stream()
        }

        fn open(&self, request: OpenRequest<()>) {
            match self.0.lock().unwrap().take() {
                Some(rings) => rings.open(request),
                None => drop(request.fail(Errno::EBUSY)),
            }
        }
    }
    device.reads.as_ref().unwrap().feed(b"left").unwrap();
    let once = Once(Mutex::new(Some(device)));
    let (client, _serving) = DeviceBuilder::new("x").loopback(once).unwrap();
    let file = open(&client);
    assert_eq!(file.read(9).unwrap(), b"left");
    assert_eq!(file.read(9).unwrap(), b"");
    assert_eq!(errno(file.write(b"x")), Errno::EPIPE);
}

#[test]
fn a_ring_is_one_sessions_and_a_streams() {
    let (one, _) = ring(1);
    let (client, serving) = serve(Some(&one), None);
    drop(open(&client));
    let refused = |position, operations, ring: &Ring, twice: bool| {
        let failures = std::sync::Arc::<Mutex<Vec<Errno>>>::default();
        let device = Rings {
            reads: Some(ring.clone()),
            writes: twice.then(|| ring.clone()),
            position,
            operations,
            failures: failures.clone(),
        };
        let (client, _serving) = DeviceBuilder::new("y").loopback(device).unwrap();
        drop(open(&client));
        let failures = failures.lock().unwrap();
        failures.clone()
    };
    assert_eq!(
        refused(Position::Stream, ALL, &one, true),
        [Errno::EBUSY; 2]
    );
    let (other, _) = ring(1);
    assert_eq!(
        refused(Position::Seekable, ALL, &other, false),
        [Errno::EINVAL]
    );
    let lacking = ALL - Operations::WRITE;
    assert_eq!(
        refused(Position::Stream, lacking, &other, true),
        [Errno::EINVAL]
    );
    let (other, _) = ring(1);
    assert_eq!(refused(Position::Stream, ALL, &other, true), []);
    serving.stop().unwrap();
    assert_eq!(refused(Position::Stream, ALL, &one, false), [Errno::EBUSY]);
}
