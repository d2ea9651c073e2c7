//! Drivers that say whatever comes into their heads: several connections at once, while clients
//! call, are interrupted and killed, and a good driver works beside them. Messages are nearly right,
//! come by every way there is, and each is judged by what the protocol says of it.
//!
//! `cargo xtask fuzz kfusd` runs this for a million messages. `FUSD_FUZZ_MESSAGES` says how many
//! (20000), `FUSD_FUZZ_SEED` with which numbers to begin (1): the same messages are made from the
//! same state again, but threads meet as chance has it.

mod clients;
mod mutator;
mod side;
mod ways;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use fusd::wire::{
    IOCTL_ADOPT, IOCTL_DEVICES, IOCTL_EXCHANGE, IOCTL_FEED, IOCTL_FILES, IOCTL_RING, IOCTL_TAKE,
};
use fusd_tests::wait::{Started, start, wait_until};

use crate::driver::{Driver, name, node};
use crate::module::{self, setting};
use crate::raw::Arena;
use crate::stress::{Random, victim};
pub(crate) use mutator::{fields, get, honest, set, wrong_values};
use side::Tally;

/// Drivers at once.
const SIDES: usize = 3;

/// Whether an ioctl of the control node has this number.
pub(crate) fn is_known_ioctl(number: u32) -> bool {
    let of_drivers = [IOCTL_EXCHANGE, IOCTL_ADOPT, IOCTL_FILES, IOCTL_DEVICES];
    let of_rings = [IOCTL_RING, IOCTL_FEED, IOCTL_TAKE];
    of_drivers.contains(&number) || of_rings.contains(&number)
}

#[test]
fn nearly_right_messages_do_no_harm() {
    let Some(_alone) = module::alone("nearly_right_messages_do_no_harm") else {
        return;
    };
    let messages = setting("FUSD_FUZZ_MESSAGES", 20_000);
    let seed = setting("FUSD_FUZZ_SEED", 1);
    println!("fuzz: {messages} messages, seed {seed}");
    let report = run(messages, seed);
    println!("fuzz: {report}");
    let tally = &report.tally;
    let total = tally.messages.load(Ordering::Relaxed);
    let taken = tally.taken.load(Ordering::Relaxed);
    // Or else nothing was tried: neither the way in, nor what is behind it.
    assert!(taken > total / 30, "only {taken} were taken");
    assert!(total - taken > total / 4, "{taken} of {total} were taken");
    assert!(report.calls > total / 100, "only {} calls", report.calls);
    assert!(report.good_calls > 0, "the good driver was never asked");
    // Whatever leaked would still refer to the module.
    crate::loading::remove();
    module::insert("").expect("insert");
}

/// What a run came to.
struct Report {
    tally: Arc<Tally>,
    calls: u64,
    victims: u64,
    good_calls: u64,
    time: Duration,
}

impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let tally = &self.tally;
        let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
        write!(
            f,
            "{} messages in {:.0} s over {} connections: {} taken",
            count(&tally.messages),
            self.time.as_secs_f64(),
            count(&tally.connections),
            count(&tally.taken),
        )?;
        for (errno, times) in tally.refused.lock().expect("no panic").iter() {
            write!(f, ", {times} {errno}")?;
        }
        write!(
            f,
            "; {} requests and notices read, {} answered rightly; {} calls of clients, {} killed; \
             {} calls of the good driver's client, all right",
            count(&tally.received),
            count(&tally.answered),
            self.calls,
            self.victims,
            self.good_calls,
        )
    }
}

/// The good driver, and its client.
pub(crate) struct Good {
    driver: Arc<Driver>,
    node: PathBuf,
    serving: Started<()>,
    calling: Option<Started<()>>,
    stop: Arc<AtomicBool>,
    calls: Arc<AtomicU64>,
}

impl Good {
    /// A driver that is called by [`Self::check`] alone.
    pub(crate) fn new() -> Self {
        let (driver, node) = Driver::with_device(clients::GOOD, 0);
        let driver = Arc::new(driver);
        Self {
            serving: start({
                let driver = Arc::clone(&driver);
                move || clients::serve_well(&driver)
            }),
            driver,
            node,
            calling: None,
            stop: Arc::default(),
            calls: Arc::default(),
        }
    }

    /// One with a client that calls all the time.
    fn with_client(seed: u64) -> Self {
        let good = Self::new();
        let (node, stop, calls) = (good.node.clone(), good.stop.clone(), good.calls.clone());
        let calling = start(move || clients::call_well(&node, &stop, &calls, seed));
        Self {
            calling: Some(calling),
            ..good
        }
    }

    /// Makes a call of its own, which has to come to its right end.
    #[track_caller]
    pub(crate) fn check(&self) {
        assert!(
            self.works(),
            "the good driver or its client has failed: see above"
        );
        let node = self.node.clone();
        start(move || clients::check_once(&node)).wait();
    }

    fn works(&self) -> bool {
        self.serving.blocks() && self.calling.as_ref().is_none_or(Started::blocks)
    }

    /// Ends both. How many calls there were.
    pub(crate) fn end(self) -> u64 {
        self.stop.store(true, Ordering::Relaxed);
        if let Some(calling) = self.calling {
            calling.wait();
        }
        clients::dismiss(&self.driver);
        self.serving.wait();
        self.calls.load(Ordering::Relaxed)
    }
}

fn run(messages: u64, seed: u64) -> Report {
    let begin = Instant::now();
    let mut random = Random::new(seed);
    let tally = Arc::new(Tally::default());
    let arena = Arc::new(Arena::new());
    let names: Vec<[String; 2]> = (0..SIDES).map(|_| [name(), name()]).collect();
    let nodes: Vec<_> = names.iter().flatten().map(|name| node(name)).collect();
    let good = Good::with_client(random.next());
    let sides: Vec<_> = names
        .into_iter()
        .map(|names| {
            let (tally, arena) = (Arc::clone(&tally), Arc::clone(&arena));
            let seed = random.next();
            start(move || side::live(&tally, &names, &arena, seed))
        })
        .collect();
    let stop = Arc::new(AtomicBool::new(false));
    let callers: Vec<_> = (0..4)
        .map(|_| {
            let (nodes, arena, stop) = (nodes.clone(), Arc::clone(&arena), Arc::clone(&stop));
            let seed = random.next();
            start(move || clients::call(&nodes, &arena, &stop, seed))
        })
        .collect();
    let victims = watch(messages, &tally, &mut random, &nodes, &good.calls, || {
        let ended = sides.iter().any(|side| !side.blocks()) || !good.works();
        assert!(!ended, "a driver or a client has failed: see above");
    });
    // Clients wait for their drivers until these end, and open no more after that.
    stop.store(true, Ordering::Relaxed);
    tally.stop.store(true, Ordering::Relaxed);
    sides.into_iter().for_each(Started::wait);
    let calls = callers.into_iter().map(Started::wait).sum();
    let good_calls = good.end();
    Report {
        tally,
        calls,
        victims,
        good_calls,
        time: begin.elapsed(),
    }
}

/// Tells how far it is, and has client processes interrupted and killed meanwhile; how many.
fn watch(
    messages: u64,
    tally: &Tally,
    random: &mut Random,
    nodes: &[PathBuf],
    good_calls: &AtomicU64,
    check: impl Fn(),
) -> u64 {
    let count = |number: &AtomicU64| number.load(Ordering::Relaxed);
    let mut victims = 0;
    let mut told = 0;
    // To start a program takes as long as hundreds of messages.
    let step = (messages / 200).clamp(200, 2000);
    loop {
        let before = count(&tally.messages);
        if before >= messages {
            return victims;
        }
        if before >= told + messages.div_ceil(20) {
            told = before;
            println!("fuzz: {before} of {messages} messages");
        }
        wait_until("no connection is ending", || {
            check();
            tally.gate.may_start()
        });
        let mut child = victim(&nodes[random.below(nodes.len())], random);
        tally.gate.started();
        let (until, good) = (before + step, count(good_calls));
        wait_until(
            "messages are handed in, and the good driver's client gets on",
            || {
                check();
                count(&tally.messages) > until && count(good_calls) > good
            },
        );
        // It may have ended by itself, its device having gone.
        child.kill().expect("kill");
        wait_until("the killed client is gone", || {
            child.try_wait().expect("wait").is_some()
        });
        victims += 1;
    }
}
