//! Everything at once: drivers that answer rightly, wrongly, late or never and end at any moment,
//! clients that do all they can, are interrupted and killed. At the end nothing may be left, and
//! the kernel must have nothing to say. `FUSD_KFUSD_ROUNDS` sets how long (6).

use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use fusd::wire::{
    self, CopyIn, CopyOut, IMPLEMENTS_ALL, REGISTER_RAW_IOCTL, REGISTER_STREAM, operation,
};
use fusd_tests::binaries;
use fusd_tests::client::{self, Whence};
use fusd_tests::wait::{Started, start, wait_until};
use nix::errno::Errno;
use nix::fcntl::OFlag;
use nix::poll::PollFlags;

use crate::driver::{Driver, Message, answer, message, name, node};
use crate::fuzz::honest;
use crate::{module, raw};

/// Pseudo-random numbers (xorshift).
#[derive(Clone)]
pub(crate) struct Random(u64);

impl Random {
    pub(crate) fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1)
    }

    pub(crate) fn next(&mut self) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0
    }

    pub(crate) fn below(&mut self, limit: usize) -> usize {
        (self.next() % limit as u64) as usize
    }
}

/// What all workers of a driver share.
struct Shared {
    driver: Driver,
    names: [String; 2],
    served: AtomicUsize,
    /// Requests to be answered later.
    kept: Mutex<Vec<Message>>,
    /// Whether devices may be replaced: not any more when the clients are to end.
    replacing: Mutex<bool>,
    /// So many requests are enough.
    limit: usize,
    /// The driver is to end. Not before no program is being started any more: who starts one
    /// waits until it has closed its copies of our files, and so for the answers to that.
    stop: AtomicBool,
}

impl Shared {
    fn done(&self) -> bool {
        self.served.load(Ordering::Relaxed) >= self.limit
    }
}

/// One worker, until the driver is to end.
fn work(shared: &Shared, seed: u64) {
    let mut random = Random::new(seed);
    let mut buffer = vec![0; 2 << 20];
    let mut command = Vec::new();
    while !shared.stop.load(Ordering::Relaxed) {
        shared.served.fetch_add(1, Ordering::Relaxed);
        // The answers that come too late, twice, or to nothing are refused; that is the point.
        let received = if random.below(3) == 0 {
            let _ = shared.driver.say(&command);
            shared.driver.read()
        } else {
            raw::exchange(&shared.driver, &command, &mut buffer)
                .or_else(|_| raw::exchange(&shared.driver, b"", &mut buffer))
                .map(|length| Message::parse(&buffer[..length]))
        };
        command.clear();
        let Ok(request) = received else { continue };
        match request.header.operation {
            operation::INTERRUPT => {
                command = match random.below(3) {
                    0 => answer(request.id(), Errno::EINTR as i32, 0, b""),
                    _ => Vec::new(),
                };
                continue;
            }
            operation::COPIED => {
                command = answer(request.id(), 0, 0, b"");
                continue;
            }
            _ if request.id() == 0 => continue,
            _ => {}
        }
        match random.below(16) {
            0 => shared.kept.lock().expect("no panic").push(request),
            1 => command = answer(request.id(), 1 + random.below(130) as i32, 0, b""),
            2 => {
                let _ = shared.driver.say(&honest(&request, &mut random));
                command = honest(&request, &mut random);
            }
            3 => {
                // Wrong in every way first, then right.
                let mut wrong = honest(&request, &mut random);
                let at = random.below(wrong.len());
                wrong[at] ^= random.next() as u8;
                let _ = shared.driver.control().write(&wrong);
                command = honest(&request, &mut random);
            }
            4 => {
                let events = PollFlags::from_bits_truncate((random.next() & 0x145) as i16);
                let _ = shared.driver.notify(request.header.file, events);
                command = honest(&request, &mut random);
            }
            5 if request.header.operation == operation::IOCTL => {
                let address = request.ioctl().argument;
                let (operation, fixed, data): (_, _, &[u8]) = if random.below(2) == 0 {
                    let copy = CopyIn {
                        address,
                        length: 8,
                        reserved: 0,
                    };
                    (operation::COPY_IN, copy.to_bytes(), b"")
                } else {
                    let copy = CopyOut {
                        address,
                        length: 8,
                        reserved: 0,
                    };
                    (operation::COPY_OUT, copy.to_bytes(), b"01234567")
                };
                let copy = message(operation, 0, request.id(), &[&fixed, data]);
                // Only a device of raw ioctls allows it; the end of the copy then comes as a
                // message.
                if shared.driver.say(&copy).is_err() {
                    command = honest(&request, &mut random);
                }
            }
            6 if random.below(8) == 0 => {
                // A device goes and comes back under its clients.
                let which = random.below(2);
                let replacing = shared.replacing.lock().expect("no panic");
                if *replacing {
                    let _ = shared.driver.unregister(which as u64);
                    let _ = register(&shared.driver, &shared.names, which);
                }
                drop(replacing);
                command = honest(&request, &mut random);
            }
            _ => command = honest(&request, &mut random),
        }
    }
}

/// Answers what was kept, a while later, until the driver is to end.
fn catch_up(shared: &Shared, seed: u64) {
    let mut random = Random::new(seed);
    while !shared.stop.load(Ordering::Relaxed) {
        // Nothing is ever exceptional there: this is the while.
        let pause = Duration::from_millis(1);
        shared
            .driver
            .control()
            .poll(PollFlags::POLLPRI, pause)
            .expect("poll");
        let mut kept = shared.kept.lock().expect("no panic");
        if !kept.is_empty() {
            let place = random.below(kept.len());
            let request = kept.swap_remove(place);
            drop(kept);
            let _ = shared.driver.say(&honest(&request, &mut random));
        }
    }
}

fn register(driver: &Driver, names: &[String; 2], which: usize) -> Result<(), Errno> {
    let flags = [0, REGISTER_STREAM | REGISTER_RAW_IOCTL][which];
    driver.register(&names[which], which as u64, IMPLEMENTS_ALL, flags)
}

/// One client, until there is no node any more.
fn call(nodes: &[PathBuf; 2], seed: u64) {
    let mut random = Random::new(seed);
    loop {
        let flags = [OFlag::O_RDWR, OFlag::O_RDWR | OFlag::O_NONBLOCK][random.below(2)];
        let file = match client::open_with(&nodes[random.below(2)], flags) {
            Ok(file) => file,
            // While a device is replaced, its node is missing for a moment.
            Err(Errno::ENOENT | Errno::ENXIO) if nodes.iter().any(|node| node.exists()) => continue,
            Err(Errno::ENOENT | Errno::ENXIO) => return,
            Err(_) => continue,
        };
        for _ in 0..random.below(12) {
            let length = [1, 100, 5000, 300_000][random.below(4)];
            let result = match random.below(9) {
                0 | 1 => file.read(length).map(drop),
                2 => file.write(&vec![b'c'; length]).map(drop),
                3 => file.read_at(random.next() >> 2, length).map(drop),
                4 => file.ioctl(0xc008_6b01, &mut [7; 8]).map(drop),
                5 => file
                    .poll(PollFlags::POLLIN, Duration::from_millis(1))
                    .map(drop),
                6 => file.seek(1, Whence::SeekEnd).map(drop),
                7 => nix::unistd::fsync(file.as_fd()),
                _ => {
                    drop(file.duplicate());
                    Ok(())
                }
            };
            if result == Err(Errno::EPIPE) {
                break;
            }
        }
    }
}

/// Starts a client process that reads under a hail of signals.
pub(crate) fn victim(node: &Path, random: &mut Random) -> Child {
    let words: &[&str] = match random.below(3) {
        0 => &["alarm", "reads", "10"],
        1 => &["reads", "100000"],
        _ => &["alarm", "write", "1000"],
    };
    Command::new(binaries::find("client"))
        .arg(node)
        .args(words)
        .stdin(Stdio::null())
        .stdout(Stdio::null())
        .spawn()
        .expect("the client can be started")
}

fn round(seed: u64) {
    let names = [name(), name()];
    let nodes = [node(&names[0]), node(&names[1])];
    let driver = Driver::connect();
    for which in 0..2 {
        register(&driver, &names, which).expect("register");
    }
    let mut random = Random::new(seed);
    let shared = Arc::new(Shared {
        driver,
        names,
        served: AtomicUsize::new(0),
        kept: Mutex::new(Vec::new()),
        replacing: Mutex::new(true),
        limit: 500 + random.below(1500),
        stop: AtomicBool::new(false),
    });
    let workers: Vec<_> = (0..3)
        .map(|worker| {
            let shared = Arc::clone(&shared);
            let seed = random.next() + worker;
            start(move || work(&shared, seed))
        })
        .collect();
    let later = {
        let (shared, seed) = (Arc::clone(&shared), random.next());
        start(move || catch_up(&shared, seed))
    };
    let clients: Vec<_> = (0..4)
        .map(|_| {
            let (nodes, seed) = (nodes.clone(), random.next());
            start(move || call(&nodes, seed))
        })
        .collect();
    let mut victims: Vec<Child> = Vec::new();
    while !shared.done() {
        victims.push(victim(&nodes[random.below(2)], &mut random));
        if victims.len() > 3 {
            let mut victim = victims.swap_remove(random.below(victims.len()));
            victim.kill().expect("kill");
            wait_until("the killed client is gone", || {
                victim.try_wait().expect("wait").is_some()
            });
        }
    }
    for mut victim in victims {
        let _ = victim.kill();
        wait_until("the killed client is gone", || {
            victim.try_wait().expect("wait").is_some()
        });
    }
    *shared.replacing.lock().expect("no panic") = false;
    for which in 0..2 {
        let _ = shared.driver.unregister(which);
    }
    clients.into_iter().for_each(Started::wait);
    // The workers still wait for messages: some more, from a device that was not there before.
    let last = name();
    shared.stop.store(true, Ordering::Relaxed);
    shared
        .driver
        .register(&last, 9, wire::IMPLEMENTS_READ, 0)
        .expect("register");
    // Each open wakes one, which then leaves.
    let knocking: Vec<_> = (0..workers.len())
        .map(|_| crate::driver::open(&node(&last), OFlag::O_RDONLY))
        .collect();
    workers.into_iter().for_each(Started::wait);
    later.wait();
    drop(shared);
    // What became of them is nobody's business: a worker may have answered before it left.
    for opening in knocking {
        drop(opening.wait());
    }
    assert!(nodes.iter().all(|node| !node.exists()));
}

#[test]
fn everything_at_once() {
    let Some(_alone) = module::alone("everything_at_once") else {
        return;
    };
    let rounds = module::setting("FUSD_KFUSD_ROUNDS", 6);
    for seed in 1..=rounds {
        round(seed);
    }
    // Whatever leaked would still refer to the module.
    crate::loading::remove();
    module::insert("").expect("insert");
}
