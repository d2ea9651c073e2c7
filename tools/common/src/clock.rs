//! A thread that has a tool's state looked at again when something changes by the time alone.

use std::io;
use std::sync::mpsc::{self, RecvTimeoutError, Sender};
use std::thread;
use std::time::Instant;

/// Where the thread is told when to call. It ends when the last of these is gone.
#[derive(Clone, Debug)]
pub struct Clock(Sender<Instant>);

impl Clock {
    /// Starts a thread that calls `ring` at each time it is told of.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub fn start(ring: impl Fn() + Send + 'static) -> io::Result<Self> {
        let (sender, times) = mpsc::channel::<Instant>();
        thread::Builder::new().name("clock".into()).spawn(move || {
            let mut next: Option<Instant> = None;
            loop {
                let told = match next {
                    None => times.recv().map_err(RecvTimeoutError::from),
                    Some(next) => {
                        times.recv_timeout(next.saturating_duration_since(Instant::now()))
                    }
                };
                match told {
                    Ok(then) => next = Some(next.map_or(then, |next| next.min(then))),
                    Err(RecvTimeoutError::Timeout) => {
                        next = None;
                        ring();
                    }
                    Err(RecvTimeoutError::Disconnected) => return,
                }
            }
        })?;
        Ok(Self(sender))
    }

    /// Has the thread call at `then`, if nothing earlier does. After a call, later times have to be
    /// told anew.
    pub fn at(&self, then: Instant) {
        // It has ended only where it has panicked, which is in the log.
        let _ = self.0.send(then);
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn the_earliest_time_counts() {
        let (sender, rings) = mpsc::channel();
        let clock = Clock::start(move || sender.send(Instant::now()).unwrap()).unwrap();
        let begin = Instant::now();
        clock.at(begin + Duration::from_secs(3600));
        clock.at(begin + Duration::from_millis(20));
        let rung = rings.recv_timeout(Duration::from_secs(30)).unwrap();
        assert!(rung >= begin + Duration::from_millis(20));
        clock.at(begin);
        rings.recv_timeout(Duration::from_secs(30)).unwrap();
    }
}
