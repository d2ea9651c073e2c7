//! Very many devices, and devices that come while somebody opens them.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};

use fusd::wire::operation;
use fusd_tests::client;
use fusd_tests::wait::{Started, rounds, start, wait_until};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::{PollFd, PollFlags, PollTimeout};
use std::os::fd::AsFd;

use crate::driver::{ALL, Driver, Message, answer, message, name, node};
use crate::module::tests;
use crate::raw::{self, Uevents};

/// Makes `per` devices on each of so many connections; each has to be there, and to lead to its own
/// driver under its own number; all have to go.
fn a_thousand(connections: usize, per: usize) {
    let folder = name();
    let name = |connection: usize, device: usize| format!("{folder}/{connection}-{device}");
    let mut drivers = Vec::new();
    for connection in 0..connections {
        let driver = Driver::connect();
        for device in 0..per {
            driver
                .register(&name(connection, device), device as u64, ALL, 0)
                .unwrap_or_else(|errno| panic!("device {device}: {errno}"));
        }
        drivers.push(driver);
    }
    let nodes = || fs::read_dir(node(&folder)).map_or(0, Iterator::count);
    assert_eq!(nodes(), connections * per);
    assert_eq!(told(&folder), connections * per);
    for (connection, driver) in drivers.iter().enumerate() {
        for device in (0..per).step_by(37) {
            let opening = crate::driver::open(&node(&name(connection, device)), OFlag::O_RDWR);
            let request = driver.expect(operation::OPEN);
            assert_eq!(request.header.device, device as u64);
            driver.answer(request.id(), 0, b"").expect("answer");
            drop(opening.wait().expect("open"));
            driver.expect(operation::RELEASE);
        }
        for device in (0..per).step_by(2) {
            driver.unregister(device as u64).expect("unregister");
        }
        for device in (0..per).step_by(50) {
            assert!(!node(&name(connection, device)).exists());
        }
    }
    let left = connections * (per - per.div_ceil(2));
    assert_eq!((nodes(), told(&folder)), (left, left));
    drop(drivers);
    wait_until("all nodes are gone", || nodes() == 0);
    assert_eq!(told(&folder), 0);
    assert!(!node(&folder).exists());
}

/// How many devices in this folder the status node tells of.
fn told(folder: &str) -> usize {
    let text = fs::read_to_string("/dev/fusd/status").expect("the status node");
    let begin = format!("{folder}/");
    text.lines().filter(|line| line.starts_with(&begin)).count()
}

tests! {
    fn a_thousand_devices_on_one_connection() {
        a_thousand(1, 1000);
    }

    fn a_thousand_devices_on_ten_connections() {
        a_thousand(10, 100);
    }

    fn a_device_may_be_opened_while_it_comes_and_goes() {
        let race = Race::start();
        for _ in 0..rounds(400) {
            // When the call returns, the old node is gone, and the name free: every time.
            race.driver.register(&race.name, 1, ALL, 0).expect("register");
            let before = race.opened.load(Ordering::Relaxed);
            wait_until("somebody has opened it", || {
                race.check();
                race.opened.load(Ordering::Relaxed) > before
            });
            race.driver.unregister(1).expect("unregister");
            assert!(!node(&race.name).exists());
        }
        race.end();
    }
}

/// A driver whose device comes and goes, and those who open it the moment it is there: as udev does,
/// on the kernel's message, and by trying all the time.
struct Race {
    driver: Arc<Driver>,
    name: String,
    stop: Arc<AtomicBool>,
    opened: Arc<AtomicUsize>,
    serving: Started<()>,
    openers: Vec<Started<usize>>,
}

impl Race {
    fn start() -> Self {
        let driver = Arc::new(Driver::connect());
        let name = name();
        let stop = Arc::new(AtomicBool::new(false));
        let opened = Arc::new(AtomicUsize::new(0));
        let events = Uevents::listen().expect("netlink");
        let serving = start({
            let driver = Arc::clone(&driver);
            move || serve(&driver)
        });
        let mut openers: Vec<_> = (0..2)
            .map(|_| {
                let (node, stop, opened) = (node(&name), Arc::clone(&stop), Arc::clone(&opened));
                start(move || {
                    let mut count = 0;
                    while !stop.load(Ordering::Relaxed) {
                        count += usize::from(look(&node));
                        opened.fetch_add(1, Ordering::Relaxed);
                    }
                    count
                })
            })
            .collect();
        openers.push(start({
            let (name, stop) = (name.clone(), Arc::clone(&stop));
            move || like_udev(&events, &name, &stop)
        }));
        Self {
            driver,
            name,
            stop,
            opened,
            serving,
            openers,
        }
    }

    /// All are still at it.
    fn check(&self) {
        let works = self.serving.blocks() && self.openers.iter().all(Started::blocks);
        assert!(works, "a driver or a client has failed: see above");
    }

    fn end(self) {
        self.stop.store(true, Ordering::Relaxed);
        let counts: Vec<_> = self.openers.into_iter().map(Started::wait).collect();
        let nudge = message(operation::NUDGE, 0, 0, &[]);
        self.driver.say(&nudge).expect("a nudge");
        self.serving.wait();
        println!("opened {counts:?} times");
        assert!(counts.iter().all(|count| *count > 0), "{counts:?}");
    }
}

/// Opens the node on each message that it is there. How often that worked.
fn like_udev(events: &Uevents, name: &str, stop: &AtomicBool) -> usize {
    let mut count = 0;
    while !stop.load(Ordering::Relaxed) {
        let mut fds = [PollFd::new(events.as_fd(), PollFlags::POLLIN)];
        if nix::poll::poll(&mut fds, PollTimeout::from(10u8)) == Ok(0) {
            continue;
        }
        let event = events.next().expect("an event");
        if event["ACTION"] == "add" && event.get("DEVNAME").is_some_and(|it| it == name) {
            count += usize::from(look(&node(name)));
        }
    }
    count
}

/// Opens the node and reads. Whether it was there.
fn look(node: &Path) -> bool {
    let file = match client::open_with(node, OFlag::O_RDONLY) {
        Ok(file) => file,
        // No node, or one whose device has gone, or goes just now.
        Err(Errno::ENOENT | Errno::ENXIO | Errno::EPIPE) => return false,
        Err(errno) => panic!("open: {errno}"),
    };
    match file.read(4) {
        Ok(data) => assert_eq!(data, b"data"),
        Err(errno) => assert_eq!(errno, Errno::EPIPE),
    }
    true
}

/// Answers, until it is nudged. What belongs to a device that has gone is refused.
fn serve(driver: &Driver) {
    let mut buffer = vec![0; 4096];
    let mut command = Vec::new();
    loop {
        let received = raw::exchange(driver, &command, &mut buffer);
        let length = match received {
            Err(Errno::ENOENT) => raw::exchange(driver, b"", &mut buffer).expect("a message"),
            other => other.expect("a message"),
        };
        let request = Message::parse(&buffer[..length]);
        command = match request.header.operation {
            operation::NUDGED => return,
            operation::READ => answer(request.id(), 0, 0, b"data"),
            _ if request.id() == 0 => Vec::new(),
            operation::OPEN => answer(request.id(), 0, 0, b""),
            other => panic!("nobody asked for {other}"),
        };
    }
}
