//! Who reads, who works: the accounting that keeps one thread always reading.
//!
//! Interrupts arrive through the same descriptor as requests, so a session in which every thread
//! is inside a handler could not answer them. Hence the rule: a thread that takes a request makes
//! sure first that another one reads; where the limit of workers forbids a new one, it puts the
//! request aside for the next worker that gets free, and goes on reading.

use std::collections::VecDeque;
use std::sync::Mutex;

use crate::sync::lock;

/// Threads that go on reading when there is nothing to do; more than that end.
const IDLE: usize = 2;

/// The state of a session's threads. `J` is a request with its data.
pub(crate) struct Pool<J> {
    limit: usize,
    state: Mutex<State<J>>,
}

struct State<J> {
    /// Threads that read, or are about to.
    reading: usize,
    /// Threads inside a handler; at most `limit`.
    working: usize,
    /// Requests that wait for a worker, oldest first.
    aside: VecDeque<J>,
}

/// What a thread that has a request does with it.
pub(crate) enum Turn<J> {
    /// Handle it; if `relieve`, start another reader first.
    Work { job: J, relieve: bool },
    /// It was put aside: read on.
    ReadOn,
}

/// What a thread that has handled a request does next.
pub(crate) enum Next<J> {
    Work(J),
    Read,
    /// Others read: end.
    Leave,
}

impl<J> Pool<J> {
    /// A pool in which at most `limit` handlers run at a time.
    pub(crate) fn new(limit: usize) -> Self {
        let state = State {
            reading: 0,
            working: 0,
            aside: VecDeque::new(),
        };
        Self {
            limit: limit.max(1),
            state: Mutex::new(state),
        }
    }

    /// Counts a new thread that is going to read.
    pub(crate) fn enter(&self) {
        lock(&self.state).reading += 1;
    }

    /// Counts a reading thread out.
    pub(crate) fn leave(&self) {
        lock(&self.state).reading -= 1;
    }

    /// All threads.
    pub(crate) fn threads(&self) -> usize {
        let state = lock(&self.state);
        state.reading + state.working
    }

    /// The calling thread, a reader, has got `job`.
    pub(crate) fn begin(&self, job: J) -> Turn<J> {
        let mut state = lock(&self.state);
        if state.working >= self.limit {
            state.aside.push_back(job);
            return Turn::ReadOn;
        }
        state.working += 1;
        state.reading -= 1;
        let relieve = state.reading == 0;
        if relieve {
            // Counted before it runs, or two threads in a row would each start one.
            state.reading += 1;
        }
        Turn::Work { job, relieve }
    }

    /// The reader that [`begin`](Self::begin) asked for could not be started: the calling thread
    /// stays the reader and puts its request aside, unless nobody would come for it.
    pub(crate) fn not_relieved(&self, job: J) -> Turn<J> {
        let mut state = lock(&self.state);
        state.reading -= 1;
        if state.working == 1 {
            return Turn::Work {
                job,
                relieve: false,
            };
        }
        state.working -= 1;
        state.reading += 1;
        state.aside.push_back(job);
        Turn::ReadOn
    }

    /// The calling thread has finished a request.
    pub(crate) fn end(&self) -> Next<J> {
        let mut state = lock(&self.state);
        if let Some(job) = state.aside.pop_front() {
            return Next::Work(job);
        }
        state.working -= 1;
        if state.reading >= IDLE {
            return Next::Leave;
        }
        state.reading += 1;
        Next::Read
    }

    /// Puts `job` aside for the next reader that asks.
    pub(crate) fn put_aside(&self, job: J) {
        lock(&self.state).aside.push_back(job);
    }

    /// A reader with nothing to do asks for work that was put aside.
    pub(crate) fn pick_up(&self) -> Option<J> {
        let mut state = lock(&self.state);
        if state.working >= self.limit {
            return None;
        }
        state.aside.pop_front()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn work(turn: Turn<u8>) -> (u8, bool) {
        match turn {
            Turn::Work { job, relieve } => (job, relieve),
            Turn::ReadOn => panic!("expected work"),
        }
    }

    #[test]
    fn the_last_reader_is_relieved_before_it_works() {
        let pool = Pool::new(2);
        pool.enter();
        assert_eq!(work(pool.begin(1)), (1, true));
        assert_eq!(pool.threads(), 2);
        assert_eq!(work(pool.begin(2)), (2, true));
        assert_eq!(
            pool.threads(),
            3,
            "two workers and the reader beyond the limit"
        );
    }

    #[test]
    fn beyond_the_limit_requests_wait_in_order_and_the_reader_reads() {
        let pool = Pool::new(1);
        pool.enter();
        work(pool.begin(1));
        assert!(matches!(pool.begin(2), Turn::ReadOn));
        assert!(matches!(pool.begin(3), Turn::ReadOn));
        assert!(matches!(pool.end(), Next::Work(2)));
        assert!(matches!(pool.end(), Next::Work(3)));
        assert!(matches!(pool.end(), Next::Read));
    }

    #[test]
    fn surplus_threads_leave() {
        let pool = Pool::new(8);
        pool.enter();
        for job in 0..4 {
            work(pool.begin(job));
        }
        assert_eq!(pool.threads(), 5);
        assert!(matches!(pool.end(), Next::Read));
        assert!(matches!(pool.end(), Next::Leave));
        assert!(matches!(pool.end(), Next::Leave));
        assert_eq!(pool.threads(), 3);
    }

    #[test]
    fn without_a_second_thread_the_only_one_works_itself() {
        let pool = Pool::new(4);
        pool.enter();
        let (job, relieve) = work(pool.begin(1));
        assert!(relieve);
        assert_eq!(work(pool.not_relieved(job)), (1, false));
        assert!(matches!(pool.end(), Next::Read));
        assert_eq!(pool.threads(), 1);
    }
}
