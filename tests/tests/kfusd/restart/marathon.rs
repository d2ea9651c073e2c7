//! A client that reads and writes, and checks what it reads, while its drivers come and go: 500 are
//! replaced, and 500 die in the middle of a call. `FUSD_RESTART_ROUNDS` says another number.

use super::*;

use std::os::fd::OwnedFd;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::mpsc::{self, Receiver, Sender};
use std::sync::{Arc, Mutex};
use std::thread;

use fusd_tests::client::Handle;
use fusd_tests::wait::{Started, start, starts};

use crate::module::{setting, tests};

/// What the drivers keep for their clients, and what is asked of the one there is.
#[derive(Default)]
struct Shared {
    /// What was written. It outlives all drivers, as a file would.
    content: Mutex<Vec<u8>>,
    /// The driver is to die with its next call.
    die: AtomicBool,
}

/// Serves until another driver comes, or it is to die.
fn serve(driver: &Driver, shared: &Shared) {
    loop {
        let message = driver.read().expect("a message");
        match message.header.operation {
            operation::SUCCESSOR => return,
            operation::READ | operation::WRITE => {
                let dies = shared.die.swap(false, Ordering::Relaxed);
                // Half of those who die have done it, and told nobody.
                if dies && message.id().is_multiple_of(2) {
                    return;
                }
                let transfer = message.transfer();
                let (place, size) = (transfer.offset as usize, transfer.size as usize);
                let mut content = shared.content.lock().expect("no panic");
                if content.len() < place + size {
                    content.resize(place + size, 0);
                }
                let part = &mut content[place..place + size];
                let (value, data) = match message.header.operation {
                    operation::WRITE => {
                        part.copy_from_slice(message.written());
                        (size as u64, Vec::new())
                    }
                    _ => (0, part.to_vec()),
                };
                drop(content);
                if dies {
                    return;
                }
                driver.answer(message.id(), value, &data).expect("answer");
            }
            _ => {}
        }
    }
}

/// Has a driver serve on a thread of its own. When that ends, nobody has its control file.
fn begin(driver: Driver, shared: &Arc<Shared>) -> Started<()> {
    let shared = Arc::clone(shared);
    start(move || serve(&driver, &shared))
}

/// A client: it writes and reads back, in a place of its own, each time it is told to.
struct Client {
    go: Sender<()>,
    done: Receiver<()>,
}

impl Client {
    fn new(file: Handle, which: u64) -> Self {
        let (go, wanted) = mpsc::channel();
        let (told, done) = mpsc::channel();
        thread::spawn(move || {
            let place = which << 16;
            for (round, ()) in (1_u64..).zip(wanted) {
                let length = 1 + (round * 7919 % 9000) as usize;
                let byte = |at: usize| (at as u64 * 31 + round) as u8;
                let data: Vec<u8> = (0..length).map(byte).collect();
                assert_eq!(file.write_at(place, &data), Ok(length));
                assert_eq!(file.read_at(place, length).as_ref(), Ok(&data));
                // The test may have failed elsewhere.
                let _ = told.send(());
            }
        });
        Self { go, done }
    }

    fn go(&self) {
        self.go.send(()).expect("the client has failed: see above");
    }

    fn wait(&self, round: u64) {
        let done = self.done.recv_timeout(deadline());
        done.unwrap_or_else(|error| panic!("a client is stuck or has failed: {error}, {round}"));
    }
}

tests! {
    fn no_call_fails_while_drivers_come_and_go() {
        let rounds = setting("FUSD_RESTART_ROUNDS", starts(500) as u64);
        let (driver, name) = kept(REGISTER_AGAIN, LONG);
        let opened: Vec<_> = (0..2).map(|_| driver.open(&node(&name)).0).collect();
        let shared = Arc::new(Shared::default());
        let mut now = begin(driver, &shared);
        let clients: Vec<_> = opened
            .into_iter()
            .zip(0..)
            .map(|(file, which)| Client::new(file, which))
            .collect();
        let taker = Driver::connect();
        let take = |flags| -> Outcome<OwnedFd> { raw::adopt(&taker, name.as_bytes(), flags) };
        for round in 0..2 * rounds {
            let dies = round % 2 == 0;
            // Of calls that are under way, some are with the driver, and some are not yet.
            shared.die.store(dies, Ordering::Relaxed);
            clients.iter().for_each(Client::go);
            let next = match dies {
                true => {
                    now.wait();
                    adopted(&taker, &name)
                }
                false => {
                    let next = Driver::successor(take(wire::ADOPT_REPLACE).expect("adopt"));
                    now.wait();
                    next
                }
            };
            next.expect(operation::CHARGE);
            assert_eq!(files(&next).len(), 2);
            now = begin(next, &shared);
            for client in &clients {
                client.wait(round);
            }
        }
        let last = Driver::successor(take(wire::ADOPT_REPLACE).expect("adopt"));
        now.wait();
        last.expect(operation::CHARGE);
        drop(clients);
        last.unregister(1).expect("unregister");
    }
}
