//! Crews at work on handlers that are short, long, or never end before they are told to.

use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::sync::mpsc::{Receiver, Sender, channel};
use std::thread;

use super::*;

type Handler = Box<dyn FnOnce() + Send>;

/// A crew whose leader reads handlers from a channel, as a session's does from its backend.
struct Ship {
    /// Threads that will fail to start.
    failures: AtomicUsize,
    crew: Crew<Handler>,
    calls: Mutex<Receiver<Option<Handler>>>,
    inside: AtomicUsize,
    most: AtomicUsize,
}

impl Ship {
    fn launch(limit: usize) -> (Arc<Self>, Sender<Option<Handler>>) {
        Self::launch_with(limit, 0)
    }

    /// The first `failures` threads that it wants beside the first one cannot be started.
    fn launch_with(limit: usize, failures: usize) -> (Arc<Self>, Sender<Option<Handler>>) {
        let (sender, calls) = channel();
        let ship = Arc::new(Self {
            failures: AtomicUsize::new(failures),
            crew: Crew::new(limit),
            calls: Mutex::new(calls),
            inside: AtomicUsize::new(0),
            most: AtomicUsize::new(0),
        });
        ship.crew.recruit();
        ship.start();
        (ship, sender)
    }

    fn spawn(self: &Arc<Self>) {
        let order = Ordering::SeqCst;
        let left = self
            .failures
            .fetch_update(order, order, |left| left.checked_sub(1));
        if left.is_ok() {
            self.crew.dismiss();
        } else {
            self.start();
        }
    }

    fn start(self: &Arc<Self>) {
        let ship = Arc::clone(self);
        thread::spawn(move || ship.live());
    }

    fn live(self: &Arc<Self>) {
        loop {
            let mut call = match self.crew.next(&|| self.spawn()) {
                Duty::Lead => match self.lead() {
                    Some(next) => next,
                    None => return self.crew.dismiss(),
                },
                Duty::Help(call) => Some(call),
                Duty::Leave => return,
            };
            while let Some(next) = call {
                self.run(next);
                call = self.crew.helped();
            }
        }
    }

    fn lead(self: &Arc<Self>) -> Option<Option<Handler>> {
        let calls = lock(&self.calls);
        loop {
            let call = calls.recv().ok().flatten()?;
            if let Some(phase) = self.crew.enter(true, &|| self.spawn()) {
                // Whoever takes the lead over reads as well.
                drop(calls);
                self.run(call);
                return match self.crew.done(&phase) {
                    Done::Leads => self.lead(),
                    Done::Helps(next) => Some(next),
                };
            }
            match self.crew.hand_over(call) {
                Handed::Over => {}
                Handed::Alone(call) => self.run(call),
                Handed::Recruit => self.spawn(),
            }
        }
    }

    fn run(&self, call: Handler) {
        let inside = self.inside.fetch_add(1, Ordering::SeqCst) + 1;
        self.most.fetch_max(inside, Ordering::SeqCst);
        call();
        self.inside.fetch_sub(1, Ordering::SeqCst);
    }

    fn sink(&self, sender: &Sender<Option<Handler>>) {
        self.crew.stop();
        sender.send(None).unwrap();
        wait_until(|| self.crew.threads() == 0);
    }
}

fn wait_until(condition: impl Fn() -> bool) {
    let deadline = Instant::now() + Duration::from_secs(20);
    while !condition() {
        assert!(Instant::now() < deadline, "not in time");
        thread::yield_now();
    }
}

#[test]
fn long_handlers_run_together_up_to_the_limit_and_never_beyond() {
    for limit in [1, 2, 5] {
        let (ship, sender) = Ship::launch(limit);
        let (go, gate) = channel::<()>();
        let gate = Arc::new(Mutex::new(gate));
        let done = Arc::new(AtomicUsize::new(0));
        for _ in 0..3 * limit {
            let (gate, done) = (Arc::clone(&gate), Arc::clone(&done));
            let handler = move || {
                lock(&gate).recv().unwrap();
                done.fetch_add(1, Ordering::SeqCst);
            };
            sender.send(Some(Box::new(handler))).unwrap();
        }
        wait_until(|| ship.inside.load(Ordering::SeqCst) == limit);
        for _ in 0..3 * limit {
            go.send(()).unwrap();
        }
        wait_until(|| done.load(Ordering::SeqCst) == 3 * limit);
        assert_eq!(ship.most.load(Ordering::SeqCst), limit);
        ship.sink(&sender);
    }
}

#[test]
fn a_handler_that_never_returns_keeps_nobody_from_reading() {
    let (ship, sender) = Ship::launch(1);
    let (go, gate) = channel::<()>();
    sender
        .send(Some(Box::new(move || {
            let _ = gate.recv();
        })))
        .unwrap();
    let (told, heard) = channel();
    sender
        .send(Some(Box::new(move || told.send(()).unwrap())))
        .unwrap();
    // The second call waits for the only worker, but it has been read.
    wait_until(|| !lock(&ship.crew.state).calls.is_empty());
    assert!(heard.try_recv().is_err());
    go.send(()).unwrap();
    heard.recv_timeout(Duration::from_secs(20)).unwrap();
    ship.sink(&sender);
}

#[test]
fn a_watcher_that_could_not_be_started_is_started_later() {
    let (ship, sender) = Ship::launch_with(2, 1);
    wait_until(|| ship.crew.threads() == 1);
    let (go, gate) = channel::<()>();
    sender
        .send(Some(Box::new(move || {
            let _ = gate.recv();
        })))
        .unwrap();
    let (told, heard) = channel();
    sender
        .send(Some(Box::new(move || told.send(()).unwrap())))
        .unwrap();
    heard
        .recv_timeout(Duration::from_secs(20))
        .expect("somebody reads while the first handler takes its time");
    go.send(()).unwrap();
    ship.sink(&sender);
}

#[test]
fn mixed_handlers_are_all_run_within_the_limit() {
    const CALLS: usize = 20_000;
    for limit in [1, 3] {
        let (ship, sender) = Ship::launch(limit);
        let done = Arc::new(AtomicUsize::new(0));
        for number in 0..CALLS {
            let done = Arc::clone(&done);
            let handler = move || {
                if number % 997 == 0 {
                    // Longer than a tick, so that the lead changes hands.
                    thread::sleep(TICK * 3);
                }
                done.fetch_add(1, Ordering::SeqCst);
            };
            sender.send(Some(Box::new(handler))).unwrap();
        }
        wait_until(|| done.load(Ordering::SeqCst) == CALLS);
        assert!(ship.most.load(Ordering::SeqCst) <= limit);
        ship.sink(&sender);
    }
}

#[test]
fn a_crew_without_calls_sleeps_and_wakes() {
    let (ship, sender) = Ship::launch(4);
    for _ in 0..3 {
        let (told, heard) = channel();
        sender
            .send(Some(Box::new(move || told.send(()).unwrap())))
            .unwrap();
        heard.recv_timeout(Duration::from_secs(20)).unwrap();
        wait_until(|| ship.crew.asleep.load(Ordering::SeqCst));
        assert_eq!(ship.crew.threads(), 2, "one leads, one watches");
    }
    ship.sink(&sender);
}

#[test]
fn a_crew_of_one_hands_over_only_what_has_to_wait() {
    for (limit, while_wary) in [(1, false), (2, true)] {
        let crew = Crew::<()>::new(limit);
        let mut state = lock(&crew.state);
        let mut hands_over = |wary, working| {
            (state.wary, state.working) = (wary, working);
            crew.steer(&state);
            crew.hand_over.load(Ordering::SeqCst)
        };
        assert!(!hands_over(0, 0));
        assert_eq!(hands_over(1, 0), while_wary);
        assert!(hands_over(0, limit));
    }
}
