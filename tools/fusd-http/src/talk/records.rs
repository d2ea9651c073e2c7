//! `--send write` and `--send line`: a request for each.

use std::sync::Arc;

use bytes::Bytes;
use fusd::request::WriteRequest;
use fusd::{Attempt, Delivery, Errno};

use super::state::State;
use super::writers::Writer;
use super::{Send, Shared, WeakTalk};
use crate::ask::Payload;

/// The longest line, in bytes.
const LONGEST: usize = 16 << 20;

/// A write on its way.
struct Progress {
    talk: WeakTalk,
    /// How much of it has been sent, and the server has taken.
    done: usize,
    /// The request under way for what follows, and where that ends.
    asking: Option<(u64, usize)>,
    /// The last request of it, until the client is told what has become of the write.
    untold: Option<u64>,
    idempotent: bool,
    writer: Writer,
}

pub(super) fn write(shared: &Arc<Shared>, request: WriteRequest) {
    let mut progress = Progress {
        talk: Arc::downgrade(shared),
        done: 0,
        asking: None,
        untold: None,
        idempotent: (shared.server.writing.as_ref()).is_some_and(|it| it.idempotent),
        writer: Writer::of(request.caller()),
    };
    let attempt = move |state: &mut State, request| progress.attempt(state, request);
    shared.queue.serve(request, attempt);
    // It may have sent something, and wait: whoever polls is told.
    shared.queue.update(|_| {});
}

impl Progress {
    fn attempt(&mut self, state: &mut State, request: WriteRequest) -> Attempt<WriteRequest> {
        let Some(shared) = self.talk.upgrade() else {
            request.fail(Errno::EIO);
            return Attempt::Served;
        };
        if let Some((number, end)) = self.asking {
            match state.result.filter(|_| state.number == number) {
                None => return Attempt::Wait(request),
                Some(Err(errno)) => return self.refused(state, request, errno),
                Some(Ok(())) => {
                    self.done = end;
                    self.asking = None;
                }
            }
        }
        if self.done == 0 {
            if state.unsettled.is_some() {
                // Of another write. It may have been interrupted, and is about to say so.
                return Attempt::Wait(request);
            }
            if let Some(errno) = state.untold.take() {
                request.fail(errno);
                return Attempt::Served;
            }
            if state.doubtful {
                tracing::info!("a request was interrupted, and may have been done: open again");
                request.fail(Errno::ECANCELED);
                return Attempt::Served;
            }
        }
        let rest = &request.data()[self.done..];
        if rest.is_empty() {
            let delivery = request.accept();
            self.settle(state, delivery);
            return Attempt::Served;
        }
        let Some(end) = shared.record(rest).map(|end| self.done + end) else {
            return self.keep(state, request);
        };
        if state.is_asking() {
            return Attempt::Wait(request);
        }
        self.send(&shared, state, request, end)
    }

    /// Sends the record that ends at `end`.
    fn send(
        &mut self,
        shared: &Arc<Shared>,
        state: &mut State,
        request: WriteRequest,
        end: usize,
    ) -> Attempt<WriteRequest> {
        let record = &request.data()[self.done..end];
        let record = match shared.is_by_line() {
            true => record.strip_suffix(b"\n").unwrap_or(record),
            false => record,
        };
        if state.line.len() + record.len() > LONGEST {
            return self.refused(state, request, Errno::EMSGSIZE);
        }
        let content = [&state.line, record].concat();
        if !shared.fits(&content) {
            return self.refused(state, request, Errno::EINVAL);
        }
        if request.nonblocking() {
            // The next call tells what has become of it.
            if request.accept_part(end) == Delivery::Delivered {
                state.line.clear();
                state.writers.clear();
                shared.send(state, content);
                state.nobody_waits = true;
            }
            return Attempt::Served;
        }
        state.line.clear();
        state.writers.clear();
        let number = shared.send(state, content);
        self.asking = Some((number, end));
        self.untold = Some(number);
        state.unsettled = self.untold;
        Attempt::Wait(request)
    }

    /// The server has refused a record.
    fn refused(
        &mut self,
        state: &mut State,
        request: WriteRequest,
        errno: Errno,
    ) -> Attempt<WriteRequest> {
        self.asking = None;
        let delivery = match self.done {
            0 => request.fail(errno),
            // What was before it has been sent: the rest must not bring that again.
            done => request.accept_part(done),
        };
        if self.done > 0 && delivery == Delivery::Delivered {
            state.untold = Some(errno);
        }
        self.settle(state, delivery);
        Attempt::Served
    }

    /// Keeps the beginning of a line.
    fn keep(&mut self, state: &mut State, request: WriteRequest) -> Attempt<WriteRequest> {
        let rest = request.data()[self.done..].to_vec();
        if state.line.len() + rest.len() > LONGEST {
            return self.refused(state, request, Errno::EMSGSIZE);
        }
        let delivery = request.accept();
        if delivery == Delivery::Delivered {
            state.line.extend(rest);
            state.writers.add(self.writer);
        }
        self.settle(state, delivery);
        Attempt::Served
    }

    /// The client knows what has become of the write; or it was interrupted in this moment, and would
    /// write the same again.
    fn settle(&mut self, state: &mut State, delivery: Delivery) {
        if let Some(number) = self.untold.take() {
            state.settle(number, delivery == Delivery::Delivered || self.idempotent);
        }
    }
}

impl State {
    /// The write of the request `number` has been answered. Unless `is_known` to its client, what it sent
    /// may not be sent again.
    fn settle(&mut self, number: u64, is_known: bool) {
        self.doubtful |= !is_known;
        if self.unsettled == Some(number) {
            self.unsettled = None;
        }
    }
}

impl Drop for Progress {
    fn drop(&mut self) {
        let (Some(number), Some(shared)) = (self.untold, self.talk.upgrade()) else {
            return;
        };
        // The client has stopped waiting. Not here: whoever drops this may have the queue's lock.
        let (idempotent, runtime) = (self.idempotent, shared.server.runtime.clone());
        runtime.spawn(async move {
            let task = shared.queue.update(|state| {
                state.settle(number, idempotent);
                let asking = state.number == number && state.is_asking();
                asking.then(|| {
                    state.answer(number, Err(Errno::ECANCELED));
                    state.task.take()
                })
            });
            drop(task);
        });
    }
}

impl Shared {
    /// Whether `content` can be sent.
    pub(super) fn fits(&self, content: &[u8]) -> bool {
        let fits = (self.server.writing.as_ref()).is_some_and(|it| it.fits(content));
        if !fits {
            tracing::warn!("what is written is not UTF-8, and cannot be put into --body");
        }
        fits
    }

    fn is_by_line(&self) -> bool {
        let writing = self.server.writing.as_ref();
        writing.is_some_and(|it| it.send == Send::Line)
    }

    /// Where the first record of `data` ends, if it does.
    fn record(&self, data: &[u8]) -> Option<usize> {
        match self.is_by_line() {
            true => Some(data.iter().position(|byte| *byte == b'\n')? + 1),
            false => Some(data.len()),
        }
    }

    /// Sends `content` as a request; gives its number.
    pub(super) fn send(self: &Arc<Self>, state: &mut State, content: Vec<u8>) -> u64 {
        match &self.server.writing {
            Some(writing) => {
                let ask = writing.ask(&self.opener, Payload::Bytes(Bytes::from(content)));
                self.begin(state, ask, None)
            }
            None => state.number,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_write_that_was_interrupted_leaves_doubts() {
        let mut state = State {
            unsettled: Some(2),
            ..State::default()
        };
        state.settle(1, true);
        assert_eq!((state.unsettled, state.doubtful), (Some(2), false));
        state.settle(2, false);
        assert_eq!((state.unsettled, state.doubtful), (None, true));
        state.settle(3, true);
        assert!(state.doubtful, "for good");
    }
}
