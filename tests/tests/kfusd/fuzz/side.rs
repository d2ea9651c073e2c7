//! A driver that says mostly wrong things, and just enough right ones for its clients to get on. It
//! ends in the middle and comes back, again and again. What the module says to each of its messages
//! is compared with what the protocol says.

use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::Duration;

use fusd::wire::{self, Command, Fault, HEAD_MAX, Hello, operation};
use nix::errno::Errno;
use nix::poll::PollFlags;

use super::mutator::{Known, Mutator, honest};
use super::ways::{Passed, Ways};
use crate::driver::{Driver, message};
use crate::raw::Arena;
use crate::stress::Random;

/// What has been tried, by all drivers together.
#[derive(Default)]
pub(crate) struct Tally {
    /// Messages that were made to be wrong, and handed in.
    pub(crate) messages: AtomicU64,
    /// Those that were taken nevertheless.
    pub(crate) taken: AtomicU64,
    /// The others, by their errno.
    pub(crate) refused: Mutex<BTreeMap<String, u64>>,
    /// Messages from the module.
    pub(crate) received: AtomicU64,
    /// Honest answers that were taken.
    pub(crate) answered: AtomicU64,
    /// Connections.
    pub(crate) connections: AtomicU64,
    /// Whether connections may end.
    pub(crate) gate: Gate,
    /// No more are to be handed in.
    pub(crate) stop: AtomicBool,
}

/// Keeps the end of a connection and the start of a program apart. The new process first closes its
/// copies of our files, which takes the drivers' answers; a driver that ended now would live on, and
/// silent, by the very copies that are to be closed next.
#[derive(Default)]
pub(crate) struct Gate(Mutex<Passing>);

#[derive(Default)]
struct Passing {
    starting: bool,
    ending: u32,
}

impl Gate {
    fn lock(&self) -> std::sync::MutexGuard<'_, Passing> {
        self.0.lock().expect("no panic")
    }

    /// Whether a program may be started. Then [`Self::started`] is to be called.
    pub(crate) fn may_start(&self) -> bool {
        let mut passing = self.lock();
        passing.starting = passing.ending == 0;
        passing.starting
    }

    /// It runs.
    pub(crate) fn started(&self) {
        self.lock().starting = false;
    }

    fn may_end(&self) -> bool {
        let mut passing = self.lock();
        if !passing.starting {
            passing.ending += 1;
        }
        !passing.starting
    }

    fn ended(&self) {
        self.lock().ending -= 1;
    }
}

/// One connection's life.
struct Session<'a> {
    driver: Driver,
    tally: &'a Tally,
    names: &'a [String; 2],
    known: Mutex<Known>,
    /// Messages still to be tried on it.
    left: AtomicU64,
    /// The gate is passed: it ends.
    ending: Mutex<bool>,
    /// A hello was taken.
    agreed: AtomicBool,
}

/// Plays such drivers, one after the other, until all is tried.
pub(crate) fn live(tally: &Tally, names: &[String; 2], arena: &Arena, seed: u64) {
    let mut random = Random::new(seed);
    let mut workers = [(); 2].map(|()| Worker::new(arena, random.next()));
    while !tally.stop.load(Ordering::Relaxed) {
        tally.connections.fetch_add(1, Ordering::Relaxed);
        let session = Session {
            driver: Driver::silent(),
            tally,
            names,
            known: Mutex::new(Known::default()),
            left: AtomicU64::new(200 + random.below(4000) as u64),
            ending: Mutex::new(false),
            agreed: AtomicBool::new(false),
        };
        let control = session.driver.control();
        control.set_nonblocking(true).expect("fcntl");
        let [first, _] = &mut workers;
        session.greet(first);
        // Some wait in their reads.
        let waits = random.below(4) == 0;
        control.set_nonblocking(!waits).expect("fcntl");
        thread::scope(|scope| {
            for worker in &mut workers {
                let session = &session;
                worker.ways.waits = waits;
                scope.spawn(move || session.work(worker));
            }
        });
        for worker in &mut workers {
            worker.ways.waits = false;
        }
        drop(session);
        tally.gate.ended();
    }
}

/// What a thread of a driver works with.
struct Worker {
    mutator: Mutator,
    ways: Ways,
}

impl Worker {
    fn new(arena: &Arena, seed: u64) -> Self {
        Self {
            mutator: Mutator {
                random: Random::new(seed),
                arena: arena.range(),
            },
            ways: Ways::new(),
        }
    }
}

impl Session<'_> {
    /// The handshake, after some that were none. One of those may have been good.
    fn greet(&self, worker: &mut Worker) {
        for _ in 0..worker.mutator.random.below(60) {
            self.try_one(worker);
        }
        let hello = Hello {
            version: wire::VERSION,
            reserved: 0,
            features: wire::FEATURES,
        };
        let hello = message(operation::HELLO, 0, 0, &[&hello.to_bytes()]);
        let agreed = self.agreed.load(Ordering::Relaxed);
        match self.driver.say(&hello) {
            Ok(()) => assert!(!agreed, "a second hello was taken"),
            Err(errno) => assert!(agreed && errno == Errno::EPROTO, "hello: {errno}"),
        }
        self.agreed.store(true, Ordering::Relaxed);
    }

    fn work(&self, worker: &mut Worker) {
        while !self.ends() {
            self.register(&mut worker.mutator.random);
            if self.known().live.is_empty() {
                // Without a request most of what can be said is nothing new.
                let pause = Duration::from_millis(5);
                let ready = self.driver.control().poll(PollFlags::POLLIN, pause);
                ready.expect("poll");
            }
            self.receive(worker);
            for _ in 0..worker.mutator.random.below(12) {
                self.try_one(worker);
            }
            self.settle(&mut worker.mutator.random);
        }
    }

    /// Whether all is tried, and this is the time to end.
    fn ends(&self) -> bool {
        let is_time = self.tally.stop.load(Ordering::Relaxed);
        if !is_time && self.left.load(Ordering::Relaxed) != 0 {
            return false;
        }
        let mut ending = self.ending.lock().expect("no panic");
        *ending = *ending || self.tally.gate.may_end();
        *ending
    }

    /// Makes the devices that clients know the names of, unless they are there.
    fn register(&self, random: &mut Random) {
        for which in 0..2 {
            if self.known().devices.contains(&which) {
                continue;
            }
            let name = &self.names[which as usize];
            let flags = random.below(4) as u32;
            match self
                .driver
                .register(name, which, wire::IMPLEMENTS_ALL, flags)
            {
                Ok(()) => self.known().devices.push(which),
                // It is there after all, or has not quite gone, or goes just now.
                Err(Errno::EBUSY | Errno::EEXIST | Errno::ENOENT) => {}
                Err(errno) => panic!("register: {errno}"),
            }
        }
        let extra = self.known().devices.iter().copied().find(|it| *it > 1);
        if let Some(device) = extra.filter(|_| random.below(8) == 0)
            && self.driver.unregister(device) != Err(Errno::EINVAL)
        {
            self.known().devices.retain(|it| *it != device);
        }
    }

    fn known(&self) -> std::sync::MutexGuard<'_, Known> {
        self.known.lock().expect("no panic")
    }

    /// Reads a message.
    fn receive(&self, worker: &mut Worker) {
        let random = &mut worker.mutator.random;
        if let Some(message) = worker.ways.receive(&self.driver, random) {
            self.tally.received.fetch_add(1, Ordering::Relaxed);
            self.known().learn(message);
        }
    }

    /// Tries a message.
    fn try_one(&self, worker: &mut Worker) {
        let bytes = worker.mutator.next(&self.known());
        let twice = worker.mutator.random.below(16) == 0;
        for _ in 0..1 + usize::from(twice) {
            let random = &mut worker.mutator.random;
            let passed = worker.ways.hand_in(&self.driver, &bytes, random);
            self.tally.messages.fetch_add(1, Ordering::Relaxed);
            let _ = self
                .left
                .fetch_update(Ordering::Relaxed, Ordering::Relaxed, |left| {
                    left.checked_sub(1)
                });
            let bytes = passed.instead.as_deref().unwrap_or(&bytes);
            self.judge(bytes, &passed);
            match passed.taken {
                Ok(()) => {
                    self.tally.taken.fetch_add(1, Ordering::Relaxed);
                    self.note(bytes);
                }
                Err(errno) => {
                    let mut refused = self.tally.refused.lock().expect("no panic");
                    *refused.entry(format!("{errno:?}")).or_default() += 1;
                }
            }
            if let Some(message) = passed.received {
                self.tally.received.fetch_add(1, Ordering::Relaxed);
                self.known().learn(message);
            }
        }
    }

    /// Compares what the module said with what the protocol says of the message.
    fn judge(&self, bytes: &[u8], passed: &Passed) {
        let head = &bytes[..bytes.len().min(HEAD_MAX)];
        let parsed = Command::parse(head, bytes.len());
        let said = passed.taken;
        let shown = || format!("{said:?} for {parsed:?}, {:02x?}", &head);
        let Err(errno) = said else {
            assert!(parsed.is_ok(), "{}", shown());
            return;
        };
        let unnegotiated = passed.exchanged && errno == Errno::EOPNOTSUPP;
        if unnegotiated {
            return;
        }
        if !passed.whole {
            let expected = [Errno::EFAULT, Errno::EINVAL];
            assert!(
                expected.contains(&errno) || is_documented(errno),
                "{}",
                shown()
            );
            return;
        }
        match parsed {
            Err(Fault::Version) => assert_eq!(errno, Errno::EPROTONOSUPPORT, "{}", shown()),
            Err(Fault::Feature) => assert_eq!(errno, Errno::EOPNOTSUPP, "{}", shown()),
            Err(_) => assert_eq!(errno, Errno::EINVAL, "{}", shown()),
            Ok((Command::Hello(_), _)) => assert_eq!(errno, Errno::EPROTO, "{}", shown()),
            Ok(_) if !self.agreed.load(Ordering::Relaxed) => {
                assert_eq!(errno, Errno::EPROTO, "{}", shown());
            }
            Ok(_) => assert!(is_documented(errno), "{}", shown()),
        }
    }

    /// Keeps account of what a message that was taken has changed.
    fn note(&self, bytes: &[u8]) {
        match Command::parse(&bytes[..bytes.len().min(HEAD_MAX)], bytes.len()) {
            Ok((Command::Hello(_), _)) => {
                let before = self.agreed.swap(true, Ordering::Relaxed);
                assert!(!before, "a second hello was taken");
            }
            Ok((Command::Register(register), _)) => self.known().devices.push(register.device),
            Ok((Command::Unregister(it), _)) => {
                self.known().devices.retain(|device| *device != it.device);
            }
            Ok((Command::Reply(answer), _)) => self.known().finish(answer.id),
            _ => {}
        }
    }

    /// Answers one of the requests, or all if there are many.
    fn settle(&self, random: &mut Random) {
        loop {
            let request = {
                let mut known = self.known();
                let count = known.live.len();
                if count == 0 || (count < 8 && random.below(2) == 0) {
                    return;
                }
                known.live.swap_remove(random.below(count))
            };
            match self.driver.say(&honest(&request, random)) {
                Ok(()) => {
                    self.tally.answered.fetch_add(1, Ordering::Relaxed);
                    self.known().finish(request.id());
                }
                // Answered or killed already; or it copies, and then there will be word of it.
                Err(Errno::ENOENT | Errno::EBUSY) => {}
                Err(errno) => panic!("an honest answer to {request:?}: {errno}"),
            }
        }
    }
}

/// Whether kfusd(4) has this errno for a message that is one.
fn is_documented(errno: Errno) -> bool {
    matches!(
        errno,
        Errno::EINVAL
            | Errno::ENOENT
            | Errno::EBUSY
            | Errno::EFAULT
            | Errno::EOPNOTSUPP
            | Errno::EPROTO
            | Errno::ENAMETOOLONG
            | Errno::EEXIST
            | Errno::ENOTDIR
            | Errno::ENOSPC
    )
}
