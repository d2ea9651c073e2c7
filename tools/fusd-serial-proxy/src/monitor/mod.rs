//! `--monitor`: what goes through, the lines and the numbers, live on the terminal that the program was
//! started from.

mod job;
mod keys;
mod pulse;
mod ring;
mod said;
mod screen;
mod view;

pub(crate) use job::{Job, prepare};
pub(crate) use ring::Ring;

use std::cell::RefCell;
use std::io::{self, IsTerminal};
use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;
use std::time::Duration;

use fusd_tool::Taken;
use rustix::fs::{FileType, Stat, fstat, makedev, stat};

use crate::hub::{Bell, Hub};
use pulse::Pulse;
use said::Said;

/// How long the end waits for a terminal that takes nothing.
const PATIENCE: Duration = Duration::from_secs(1);

/// Where the clients' names come from.
#[derive(Clone, Debug)]
pub(crate) enum Clients {
    /// The node's opens tell.
    Device,
    /// The system tells who has this terminal open.
    Terminal(PathBuf),
}

/// The monitor. Dropped, it gives the terminal back and says there what was said meanwhile,
/// unless it takes nothing.
pub(crate) struct Monitor {
    bell: Arc<Bell>,
    /// Nothing comes, but the end.
    ended: Receiver<()>,
    /// What is said meanwhile is said when this goes.
    taken: Option<Taken>,
}

/// The place of a monitor that is started when the node is there.
#[derive(Clone, Default)]
pub(crate) struct Slot(Rc<RefCell<Option<Monitor>>>);

impl Slot {
    pub(crate) fn fill(&self, monitor: Monitor) {
        *self.0.borrow_mut() = Some(monitor);
    }

    pub(crate) fn empty(&self) {
        drop(self.0.borrow_mut().take());
    }
}

/// Whether there is a terminal to show anything on.
pub(crate) fn has_terminal() -> bool {
    io::stdin().is_terminal() && io::stdout().is_terminal()
}

/// Whether the file at `path` is the terminal that is drawn on, by any name.
pub(crate) fn draws_on(path: &Path) -> bool {
    let number = |found: rustix::io::Result<Stat>| match found {
        Ok(found) if FileType::from_raw_mode(found.st_mode) == FileType::CharacterDevice => {
            Some(found.st_rdev)
        }
        _ => None,
    };
    // The number of /dev/tty is its own (Documentation/admin-guide/devices.txt).
    let own = [number(fstat(io::stdout())), Some(makedev(5, 0))];
    number(stat(path)).is_some_and(|found| own.contains(&Some(found)))
}

impl Monitor {
    /// Shows what is noted in `ring` and what the state of `hub` is; `port` is its name.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(
        hub: &Hub,
        ring: Ring,
        port: String,
        clients: Clients,
        job: Job,
    ) -> io::Result<Self> {
        let bell = Arc::new(Bell::new()?);
        let (end, ended) = channel();
        let pulse = Pulse::new(hub.downgrade(), ring.clone(), port, clients);
        let said = Arc::new(Said(ring));
        let stop = Arc::clone(&bell);
        let run = move || {
            let _end: std::sync::mpsc::Sender<()> = end;
            keys::run(pulse, &stop, &job);
            screen::leave();
        };
        thread::Builder::new().name("monitor".into()).spawn(run)?;
        let taken = Some(fusd_tool::take_screen(said));
        Ok(Self { bell, ended, taken })
    }
}

impl Drop for Monitor {
    fn drop(&mut self) {
        self.bell.ring();
        let ended = self.ended.recv_timeout(PATIENCE);
        screen::leave();
        let is_stuck = ended == Err(RecvTimeoutError::Timeout) || !screen::takes_something();
        if let Some(taken) = self.taken.take().filter(|_| is_stuck) {
            // Whoever writes more there waits, perhaps for ever.
            taken.forget();
        }
    }
}
