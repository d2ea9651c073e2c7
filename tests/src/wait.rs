//! Waiting for something that another process or thread does.

use std::env;
use std::sync::LazyLock;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError};
use std::thread;
use std::time::{Duration, Instant};

/// How long anything may take that ought to happen at once: generous, as machines that run tests
/// are busy. A guest of the lab runs many times slower, most of all where QEMU interprets it.
pub fn deadline() -> Duration {
    Duration::from_secs(match *MACHINE {
        Machine::Host => 30,
        Machine::UserMode => 120,
        Machine::Interpreted => 600,
    })
}

/// How often to repeat what goes wrong by chance, if at all: `full` times, and a part of that in a
/// guest, where each system call takes as long as dozens or hundreds elsewhere.
pub fn rounds(full: usize) -> usize {
    full.div_ceil(slowness() as usize)
}

/// How much longer than on the host something that interrupts calls has to pause for a call to get
/// through now and then.
pub fn slowness() -> u32 {
    match *MACHINE {
        Machine::Host => 1,
        Machine::UserMode => 4,
        Machine::Interpreted => 16,
    }
}

/// How often to repeat what takes a program's start or a module's each time: `full` times, and a
/// tenth of that where QEMU interprets all instructions.
pub fn starts(full: usize) -> usize {
    match *MACHINE {
        Machine::Host | Machine::UserMode => full,
        Machine::Interpreted => full.div_ceil(10),
    }
}

/// What the tests run on.
enum Machine {
    Host,
    /// User-Mode Linux, where system calls are slow.
    UserMode,
    /// QEMU, where each instruction is.
    Interpreted,
}

/// A guest of the lab says which kernel it has by `FUSD_LAB`.
static MACHINE: LazyLock<Machine> = LazyLock::new(|| match env::var_os("FUSD_LAB") {
    None => Machine::Host,
    Some(kernel) if kernel == "um" => Machine::UserMode,
    Some(_) => Machine::Interpreted,
});

/// The pause after the first look at a condition; each further one is twice as long, up to
/// [`LONGEST_PAUSE`]: most conditions hold soon, and many who look often are a load by themselves.
const PAUSE: Duration = Duration::from_micros(500);
const LONGEST_PAUSE: Duration = Duration::from_millis(16);

/// Waits until `condition` holds; false if it did not within `limit`.
pub fn holds_within(limit: Duration, mut condition: impl FnMut() -> bool) -> bool {
    let deadline = Instant::now() + limit;
    let mut pause = PAUSE;
    loop {
        if condition() {
            return true;
        }
        if Instant::now() >= deadline {
            return false;
        }
        thread::sleep(pause);
        pause = (2 * pause).min(LONGEST_PAUSE);
    }
}

/// Waits until `condition` holds.
///
/// # Panics
/// It did not within [`deadline`]; the message says `what` was waited for.
#[track_caller]
pub fn wait_until(what: &str, condition: impl FnMut() -> bool) {
    assert!(
        holds_within(deadline(), condition),
        "waited {:?} in vain until {what}",
        deadline()
    );
}

/// A call that runs on a thread of its own, because it may block.
pub struct Started<T>(Receiver<T>);

/// Runs `call` on a thread of its own. A call that never returns fails the test that waits for
/// it, and holds nothing up.
pub fn start<T: Send + 'static>(call: impl FnOnce() -> T + Send + 'static) -> Started<T> {
    let (sender, receiver) = mpsc::channel();
    thread::spawn(move || {
        // The test may have given up on the call.
        let _ = sender.send(call());
    });
    Started(receiver)
}

impl<T> Started<T> {
    /// The call's result.
    ///
    /// # Panics
    /// The call has not returned within [`deadline`], or has panicked.
    #[track_caller]
    pub fn wait(self) -> T {
        match self.0.recv_timeout(deadline()) {
            Ok(result) => result,
            Err(RecvTimeoutError::Timeout) => {
                panic!("the call still blocks after {:?}", deadline())
            }
            Err(RecvTimeoutError::Disconnected) => panic!("the call panicked"),
        }
    }

    /// The call's result, or `None` if it has not returned within [`deadline`].
    pub fn wait_or_give_up(self) -> Option<T> {
        self.0.recv_timeout(deadline()).ok()
    }

    /// Whether the call has not returned yet.
    pub fn blocks(&self) -> bool {
        matches!(self.0.try_recv(), Err(mpsc::TryRecvError::Empty))
    }
}
