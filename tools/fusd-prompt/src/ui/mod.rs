//! The person's terminal: who asks, what they type, and what becomes of it.
//!
//! One thread does all of this (`person.rs`; what keys do is in `typing.rs`). It takes the terminal when
//! there is something to ask and gives it back when there is not, so that in between the terminal is a
//! shell's or a command's. Only one prompt is shown at a time.

mod edit;
mod editor;
mod field;
mod form;
mod keys;
mod lent;
mod person;
mod screen;
mod signals;
mod tty;
mod turn;
mod typing;

use std::io;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::thread::{self, JoinHandle};

use fusd::StopHandle;

pub(crate) use self::lent::Lent;
use self::person::Person;
use self::signals::{Signals, Waker};
pub(crate) use self::tty::Tty;
use crate::requests::Requests;

/// The thread's name, by which a panic of it is known.
const THREAD: &str = "terminal";

/// The thread of the terminal. Dropped, it ends, and the terminal is as it was.
pub(crate) struct Ui {
    end: Arc<AtomicBool>,
    waker: Waker,
    thread: Option<JoinHandle<()>>,
}

impl Ui {
    /// Asks at `tty` from now on, and by `helper` when that has gone. Where there is no helper either,
    /// the device ends then.
    ///
    /// # Errors
    /// There is no thread to be had, or the signals cannot be taken.
    pub(crate) fn start(
        requests: &Requests,
        tty: Tty,
        helper: Option<String>,
        stop: StopHandle,
    ) -> io::Result<Self> {
        let (signals, waker) = Signals::take()?;
        signals::give_back_before_death()?;
        tty::give_back_at_panic(THREAD);
        let end = Arc::new(AtomicBool::new(false));
        let person = Person::new(requests.clone(), tty, signals, Arc::clone(&end));
        let thread = thread::Builder::new().name(THREAD.into());
        let thread = thread.spawn(move || person.serve(helper.as_deref(), &stop))?;
        let woken = waker.clone();
        requests.set_asker(Arc::new(move || woken.wake()));
        Ok(Self {
            end,
            waker,
            thread: Some(thread),
        })
    }
}

impl Drop for Ui {
    fn drop(&mut self) {
        self.end.store(true, Ordering::SeqCst);
        self.waker.wake();
        // A panic of it has been dealt with there.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
