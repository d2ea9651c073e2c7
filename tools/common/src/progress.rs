//! A thread that shows how far the tool is, now and then, until the tool ends.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use crate::status;

/// Between two looks: four a second can be read, and cost nothing.
const PAUSE: Duration = Duration::from_millis(250);

/// What tells how far the tool is, in one line of ASCII.
pub(crate) type Teller = Box<dyn FnMut() -> String + Send>;

/// The thread. Dropped, it shows the last state, which stays there.
pub(crate) struct Progress {
    stop: Option<Sender<()>>,
    thread: Option<JoinHandle<()>>,
}

impl Progress {
    /// Starts it, unless standard error is no terminal.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(mut tell: Teller) -> io::Result<Option<Self>> {
        if !status::can_show() {
            tracing::info!("standard error is no terminal: no progress is shown");
            return Ok(None);
        }
        let (stop, stopped) = mpsc::channel();
        let show = move || {
            loop {
                let ends = stopped.recv_timeout(PAUSE) != Err(RecvTimeoutError::Timeout);
                status::show(&tell());
                if ends {
                    break;
                }
            }
            status::leave();
        };
        let thread = thread::Builder::new().name("progress".into()).spawn(show)?;
        Ok(Some(Self {
            stop: Some(stop),
            thread: Some(thread),
        }))
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        drop(self.stop.take());
        // Where it has panicked, the line is missing and nothing else.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}
