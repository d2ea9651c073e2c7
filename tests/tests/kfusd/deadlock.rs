//! Drivers that wait for themselves, and drivers that only look like it.

mod plans;

use std::path::Path;
use std::sync::Arc;

use fusd::wire::{
    self, FEATURE_WORKERS, Hello, IMPLEMENTS_ALL, IMPLEMENTS_READ, IMPLEMENTS_WRITE,
    REGISTER_STREAM, Workers, operation,
};
use fusd_tests::client::{self, Handle, Outcome, Whence};
use fusd_tests::wait::{Started, deadline, holds_within, rounds, start, wait_until};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::sys::signal::{Signal, kill};
use nix::unistd::Pid;
use std::os::fd::AsFd;
use std::time::Duration;

use crate::driver::{ALL, Driver, Message, answer, message, name, node};
use crate::languages::{Example, example_at};
use crate::module::tests;
use crate::raw;

/// The errno that the driver in Python tells.
const EDEADLK: &[u8] = b"35";

/// Says that so many threads serve at a time.
fn limit(driver: &Driver, limit: u32) {
    say(driver, Workers { limit, flags: 0 }).expect("workers");
}

fn say(driver: &Driver, workers: Workers) -> Outcome<()> {
    driver.say(&message(operation::WORKERS, 0, 0, &[&workers.to_bytes()]))
}

/// How many calls on the device have failed.
#[track_caller]
fn deadlocks(node: &Path) -> u32 {
    crate::status::line(node).deadlocks
}

/// What the status node says of the last one.
fn last() -> Option<String> {
    let text = std::fs::read_to_string("/dev/fusd/status").expect("the status node");
    let line = text.lines().find(|line| line.starts_with("# deadlocks="));
    line.map(str::to_owned)
}

/// A thread that serves by the fast path until it is nudged. `act` makes the answer.
fn worker(
    driver: &Arc<Driver>,
    act: impl Fn(&Driver, &Message) -> Vec<u8> + Send + 'static,
) -> Started<()> {
    let driver = Arc::clone(driver);
    start(move || {
        let mut buffer = vec![0; 8192];
        let mut command = Vec::new();
        loop {
            let length = match raw::exchange(&*driver, &command, &mut buffer) {
                Ok(length) => length,
                // The client was killed, or there was a signal, which has left nothing to hand in.
                Err(Errno::ENOENT | Errno::EINTR) => {
                    command.clear();
                    continue;
                }
                Err(errno) => panic!("exchange: {errno}"),
            };
            let message = Message::parse(&buffer[..length]);
            command = match message.header.operation {
                operation::NUDGED => return,
                operation::OPEN => answer(message.id(), 0, 0, b""),
                _ if message.id() == 0 || message.header.operation == operation::INTERRUPT => {
                    Vec::new()
                }
                _ => act(&driver, &message),
            };
        }
    })
}

/// Ends the threads of a driver.
fn dismiss(driver: &Driver, workers: Vec<Started<()>>) {
    for _ in &workers {
        driver
            .say(&message(operation::NUDGE, 0, 0, &[]))
            .expect("a nudge");
    }
    workers.into_iter().for_each(Started::wait);
}

/// Opens a node and reads a byte.
fn look(node: &Path) -> Outcome<Vec<u8>> {
    client::open_with(node, OFlag::O_RDONLY)?.read(1)
}

/// The answer with what a call has come to.
fn pass_on(request: &Message, result: Outcome<Vec<u8>>) -> Vec<u8> {
    match result {
        Ok(data) => answer(request.id(), 0, 0, &data),
        Err(errno) => answer(request.id(), errno as i32, 0, b""),
    }
}

/// Drivers in a circle, each of one thread, which reads the next one's device. What a read of the
/// first one gives.
fn around(count: usize) {
    let drivers: Vec<_> = (0..count)
        .map(|_| {
            let (driver, node) = Driver::with_device(IMPLEMENTS_READ, REGISTER_STREAM);
            limit(&driver, 1);
            (Arc::new(driver), node)
        })
        .collect();
    let workers: Vec<_> = (0..count)
        .map(|index| {
            let next = drivers[(index + 1) % count].1.clone();
            worker(&drivers[index].0, move |_, request| {
                pass_on(request, look(&next))
            })
        })
        .collect();
    for (_, first) in &drivers {
        let before = deadlocks(first);
        let first_node = first.clone();
        let result = start(move || look(&first_node)).wait();
        assert_eq!(result, Err(Errno::EDEADLK), "{count} drivers");
        // It is the last one's call that closes the circle.
        assert_eq!(deadlocks(first), before + 1);
    }
    for ((driver, _), worker) in drivers.iter().zip(workers) {
        dismiss(driver, vec![worker]);
    }
}

/// The driver in Python.
fn python(how: &str, of: Option<&Path>) -> (Example, std::path::PathBuf) {
    let name = name();
    let own = node(&name);
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/kfusd");
    let target = of.unwrap_or(&own).to_str().expect("ASCII").to_owned();
    let program = example_at(folder, "python3", "deadlock.py", &[&name, how, &target]);
    (program, own)
}

fn read_of(node: &Path) -> Outcome<Vec<u8>> {
    let node = node.to_owned();
    start(move || client::open(&node)?.read(10)).wait()
}

fn a_child_that_is_waited_for() {
    let (program, own) = python("fork", None);
    assert_eq!(read_of(&own).as_deref(), Ok(EDEADLK));
    assert_eq!(deadlocks(&own), 1);
    drop(program);
}

fn a_child_whose_output_is_waited_for() {
    let (program, own) = python("pipe", None);
    assert_eq!(read_of(&own).as_deref(), Ok(EDEADLK));
    assert_eq!(deadlocks(&own), 1);
    drop(program);
}

fn a_thread_that_is_waited_for() {
    let (driver, node) = Driver::with_device(ALL, 0);
    let (file, _) = driver.open(&node);
    // This thread serves, and sleeps until the other one is done.
    assert_eq!(file.start_read(1).wait(), Err(Errno::EDEADLK));
    assert_eq!(deadlocks(&node), 1);
    driver.expect_nothing();
}

fn a_close_by_a_thread_that_is_waited_for_does_not_fail() {
    let (driver, node) = Driver::with_device(IMPLEMENTS_ALL, 0);
    let (file, _) = driver.open(&node);
    let copy = file.duplicate();
    start(move || nix::unistd::close(copy.into_fd()))
        .wait()
        .expect("close");
    // The driver is told.
    assert_eq!(driver.expect(operation::FLUSH).id(), 0);
    assert_eq!(deadlocks(&node), 1);
    limit(&driver, 1);
    drop(file);
}

fn who_may_be_served_by_a_stranger_waits_for_a_while() {
    let (driver, node) = Driver::with_device(IMPLEMENTS_READ, 0);
    let (file, _) = driver.open_with(&node, OFlag::O_RDONLY);
    // This process has many threads, and each of them might come to serve.
    assert_eq!(file.read(1), Err(Errno::EDEADLK));
    assert_eq!(deadlocks(&node), 1);
    let copy = driver.duplicate();
    let serving = start(move || {
        let request = copy.expect(operation::READ);
        copy.answer(request.id(), 0, b"s").expect("answer");
    });
    assert_eq!(file.read(1).expect("read"), b"s");
    serving.wait();
}

fn a_driver_that_is_busy_is_waited_for() {
    let (driver, node) = Driver::with_device(IMPLEMENTS_READ, 0);
    let (file, _) = driver.open_with(&node, OFlag::O_RDONLY);
    let reading = file.start_read(1);
    // For longer than a driver that sleeps would be given. It does other things meanwhile.
    let ended = holds_within(Duration::from_secs(7).min(deadline()), || !reading.blocks());
    assert!(!ended, "{:?}", reading.wait());
    let request = driver.expect(operation::READ);
    driver.answer(request.id(), 0, b"b").expect("answer");
    assert_eq!(reading.wait().expect("read"), b"b");
    assert_eq!(deadlocks(&node), 0);
}

tests! {
    fn each_call_of_the_only_server_on_its_own_device_fails() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_ALL, 0);
        limit(&driver, 1);
        // The calling thread has received this open: it serves.
        let (file, _) = driver.open(&node);
        let failed = Errno::EDEADLK;
        assert_eq!(client::open(&node).err(), Some(failed));
        assert_eq!(file.read(1), Err(failed));
        assert_eq!(file.write(b"x"), Err(failed));
        assert_eq!(file.ioctl(0xc008_6b01, &mut [0; 8]), Err(failed));
        assert_eq!(file.seek(0, Whence::SeekEnd), Err(failed));
        assert_eq!(nix::unistd::fsync(file.as_fd()), Err(failed));
        assert_eq!(deadlocks(&node), 6);
        driver.expect_nothing_own();
        // A close does not fail: the driver is told, and nobody waits.
        nix::unistd::close(file.duplicate().into_fd()).expect("close");
        let flush = driver.expect_own(operation::FLUSH);
        assert_eq!(flush.id(), 0);
        assert_eq!(deadlocks(&node), 7);
        // Others are served as before.
        let copy = file.duplicate();
        let reading = start(move || (copy.read(1), copy));
        let request = driver.expect_own(operation::READ);
        driver.answer(request.id(), 0, b"r").expect("answer");
        let (read, copy) = reading.wait();
        assert_eq!(read.expect("read"), b"r");
        drop((file, copy));
        assert_eq!(driver.expect_own(operation::FLUSH).id(), 0);
        driver.expect_own(operation::RELEASE);
        let device = node.strip_prefix("/dev").expect("a node").display().to_string();
        let said = last().expect("a line");
        // Other tests have had others since, perhaps.
        assert!(said.contains(" last=fusd-test/") && said.contains(" pid="), "{said} {device}");
    }

    fn a_message_that_was_not_agreed_on_is_refused() {
        let driver = Driver::silent();
        driver.expect(operation::GREETING);
        let hello = Hello {
            version: wire::VERSION,
            reserved: 0,
            features: wire::FEATURES & !FEATURE_WORKERS,
        };
        driver.say(&message(operation::HELLO, 0, 0, &[&hello.to_bytes()])).expect("hello");
        let workers = Workers { limit: 1, flags: 0 };
        assert_eq!(say(&driver, workers), Err(Errno::EOPNOTSUPP));
    }

    fn a_thread_that_never_reads_can_join() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, 0);
        limit(&driver, 1);
        let opening = crate::driver::open(&node, OFlag::O_RDONLY);
        let driver = Arc::new(driver);
        let serving = worker(&driver, |_, request| answer(request.id(), 0, 0, b"s"));
        let file = opening.wait().expect("open");
        // It serves nobody: it is served.
        assert_eq!(file.read(1).expect("read"), b"s");
        say(&driver, Workers { limit: 0, flags: wire::WORKERS_JOIN }).expect("workers");
        assert_eq!(file.read(1), Err(Errno::EDEADLK));
        limit(&driver, 2);
        assert_eq!(file.read(1).expect("read"), b"s");
        dismiss(&driver, vec![serving]);
    }

    fn of_two_servers_the_second_is_told() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, REGISTER_STREAM);
        limit(&driver, 2);
        let driver = Arc::new(driver);
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let own = node.clone();
                worker(&driver, move |_, request| pass_on(request, look(&own)))
            })
            .collect();
        for round in 1..=20 {
            assert_eq!(read_of(&node), Err(Errno::EDEADLK));
            assert_eq!(deadlocks(&node), round, "one of them");
        }
        dismiss(&driver, workers);
    }

    fn circles_of_drivers() {
        for count in [2, 3, 10] {
            around(count);
        }
    }

    fn a_free_server_serves_the_drivers_second_device() {
        let driver = Driver::connect();
        let names = [name(), name()];
        for (number, name) in names.iter().enumerate() {
            driver.register(name, number as u64, IMPLEMENTS_READ, REGISTER_STREAM).expect("register");
        }
        limit(&driver, 2);
        let second = node(&names[1]);
        let driver = Arc::new(driver);
        let workers: Vec<_> = (0..2)
            .map(|_| {
                let second = second.clone();
                worker(&driver, move |_, request| match request.header.device {
                    0 => pass_on(request, look(&second)),
                    _ => answer(request.id(), 0, 0, b"2"),
                })
            })
            .collect();
        let first = node(&names[0]);
        for _ in 0..rounds(200) {
            assert_eq!(read_of(&first).expect("no false alarm"), b"2");
        }
        assert_eq!((deadlocks(&first), deadlocks(&second)), (0, 0));
        dismiss(&driver, workers);
    }

    fn who_has_its_answer_is_free() {
        // The one driver's only thread answers a call of the other one's, and calls that one at once:
        // that has its answer, though it may not have gone on yet.
        let (back, back_node) = Driver::with_device(IMPLEMENTS_READ | IMPLEMENTS_WRITE, REGISTER_STREAM);
        let (front, front_node) = Driver::with_device(IMPLEMENTS_READ | IMPLEMENTS_WRITE, REGISTER_STREAM);
        limit(&back, 1);
        limit(&front, 1);
        let (back, front) = (Arc::new(back), Arc::new(front));
        let to_front = std::sync::OnceLock::new();
        let (told, done) = std::sync::mpsc::channel();
        let node = front_node.clone();
        let of_back = worker(&back, move |driver, request| {
            driver.answer(request.id(), 0, b"b").expect("answer");
            let front: &Handle = to_front.get_or_init(|| client::open(&node).expect("open"));
            assert_eq!(front.write(b"news"), Ok(4), "no false alarm");
            told.send(()).expect("somebody waits");
            Vec::new()
        });
        let node = back_node.clone();
        let of_front = worker(&front, move |_, request| match request.header.operation {
            operation::WRITE => answer(request.id(), 0, 4, b""),
            _ => pass_on(request, look(&node)),
        });
        let file = client::open(&front_node).expect("open");
        for _ in 0..rounds(200) {
            assert_eq!(file.read(1).expect("read"), b"b");
            // Else the next read could be first, and there would be a circle.
            done.recv_timeout(deadline()).expect("the news have arrived");
        }
        assert_eq!((deadlocks(&front_node), deadlocks(&back_node)), (0, 0));
        dismiss(&back, vec![of_back]);
        dismiss(&front, vec![of_front]);
    }

    fn a_driver_of_one_thread_need_not_say_so() {
        let (program, own) = python("self", None);
        for _ in 0..3 {
            assert_eq!(read_of(&own).as_deref(), Ok(EDEADLK));
        }
        assert_eq!(deadlocks(&own), 3);
        assert!(last().is_some());
        drop(program);
    }

    fn two_drivers_of_one_thread_each() {
        let (driver, first) = Driver::with_device(IMPLEMENTS_READ, REGISTER_STREAM);
        limit(&driver, 1);
        let (mut program, second) = python("self", Some(&first));
        let node = second.clone();
        let reading = start(move || look(&node));
        // The program opens our device, then reads it.
        let open = driver.expect(operation::OPEN);
        assert_eq!(open.header.pid, program.0.id());
        assert_eq!(client::open(&second).err(), Some(Errno::EDEADLK));
        driver.answer(open.id(), 0, b"").expect("answer");
        let read = driver.expect(operation::READ);
        assert_eq!(client::open(&second).err(), Some(Errno::EDEADLK));
        // Killed, it is part of nothing any more.
        let pid = i32::try_from(program.0.id()).expect("a pid");
        kill(Pid::from_raw(pid), Signal::SIGKILL).expect("kill");
        program.0.wait().expect("wait");
        assert_eq!(reading.wait(), Err(Errno::EPIPE));
        wait_until("its node is gone", || !second.exists());
        assert_eq!(driver.expect(operation::INTERRUPT).id(), read.id());
        driver.expect(operation::RELEASE);
        assert_eq!(client::open(&second).err(), Some(Errno::ENOENT));
        // The thread that serves may call others.
        let (other, node) = Driver::with_device(IMPLEMENTS_READ, REGISTER_STREAM);
        let other = Arc::new(other);
        let serving = worker(&other, |_, request| answer(request.id(), 0, 0, b"o"));
        assert_eq!(look(&node).expect("read"), b"o");
        dismiss(&other, vec![serving]);
    }

    fn what_only_time_shows() {
        // Each takes seconds, in which nothing is done: all at once.
        let scenes = [
            a_child_that_is_waited_for as fn(),
            a_child_whose_output_is_waited_for,
            a_thread_that_is_waited_for,
            a_close_by_a_thread_that_is_waited_for_does_not_fail,
            who_may_be_served_by_a_stranger_waits_for_a_while,
            a_driver_that_is_busy_is_waited_for,
        ];
        let scenes: Vec<_> = scenes.into_iter().map(start).collect();
        scenes.into_iter().for_each(Started::wait);
    }

    fn servers_that_have_ended_do_not_count() {
        let (driver, node) = Driver::with_device(IMPLEMENTS_READ, 0);
        limit(&driver, 1);
        let driver = Arc::new(driver);
        for _ in 0..50 {
            let opening = crate::driver::open(&node, OFlag::O_RDONLY);
            let copy = driver.duplicate();
            start(move || {
                let request = copy.expect(operation::OPEN);
                copy.answer(request.id(), 0, b"").expect("answer");
            })
            .wait();
            drop(opening.wait().expect("open"));
            let copy = driver.duplicate();
            start(move || drop(copy.expect(operation::RELEASE))).wait();
        }
        let (file, _) = driver.open_with(&node, OFlag::O_RDONLY);
        assert_eq!(file.read(1), Err(Errno::EDEADLK));
    }
}
