//! Answers that wait until the readiness they bring about has been told.
//!
//! Where the kernel keeps the state of polls, a client that has its answer must not find an older
//! state. But while a [`WaitQueue`](crate::WaitQueue) serves a call, its state, and with it the
//! readiness, is still changing: so the answers given meanwhile by its thread are kept here, and
//! sent when the readiness has been. To the driver they are delivered: the client was waiting when
//! they were given. What can still happen is that it is killed before it gets one, as it might be
//! right after.

use std::cell::{Cell, RefCell};
use std::io::IoSlice;
use std::sync::Arc;

use crate::backend::{Answer, Backend, Call, FileId, RequestId};
use crate::panics::contain;
use crate::{Area, Errno, PollEvents};

thread_local! {
    /// What this thread has answered since it began to hold; `None` where it does not.
    static HELD: RefCell<Option<Vec<Item>>> = const { RefCell::new(None) };
    /// Whether it does: to be asked for each answer.
    static HOLDS: Cell<bool> = const { Cell::new(false) };
}

enum Item {
    Answer(Held),
    /// What the driver does once the answers before it are sent.
    Then(Box<dyn FnOnce()>),
}

/// An answer, with all that it takes to send it.
struct Held {
    backend: Arc<dyn Backend>,
    id: RequestId,
    call: Call,
    answer: Owned,
}

/// An [`Answer`] that borrows nothing.
enum Owned {
    Error(Errno),
    Unimplemented,
    Done,
    Opened(FileId, PollEvents),
    Data(Vec<u8>),
    Count(u32),
    Ioctl(i32, Vec<u8>),
    Again(Vec<Area>, Vec<Area>),
    Ready(PollEvents),
    Size(u64),
}

/// While it lives, answers of this thread are held; then they are sent.
pub(crate) struct Holding {
    outermost: bool,
}

/// Holds the answers of this thread. Declare it before a lock that must be let go first.
pub(crate) fn hold() -> Holding {
    let outermost = HELD.with_borrow_mut(|held| match held {
        Some(_) => false,
        None => {
            *held = Some(Vec::new());
            true
        }
    });
    HOLDS.set(true);
    Holding { outermost }
}

/// Whether this thread holds.
#[inline]
pub(super) fn holds() -> bool {
    HOLDS.get()
}

/// Keeps the answer, if this thread holds; else it is for the caller to send.
#[inline(never)]
pub(super) fn keep(
    backend: &Arc<dyn Backend>,
    id: RequestId,
    call: Call,
    answer: &Answer<'_>,
) -> bool {
    HELD.with_borrow_mut(|held| {
        let Some(held) = held else { return false };
        held.push(Item::Answer(Held {
            backend: Arc::clone(backend),
            id,
            call,
            answer: Owned::from(answer),
        }));
        true
    })
}

/// Runs `then` as soon as the answers that this thread has given are with the kernel: for what must
/// not be done before, such as noting for good that a client has got its data.
///
/// That is at once, unless the thread serves a [`WaitQueue`](crate::WaitQueue) on a backend where
/// that holds answers back: then `then` runs when the queue's lock has been let go. So it runs under
/// that lock or without it, and must not use the queue.
///
/// ```
/// # use fusd::{Attempt, Delivery, ReadRequest, WaitQueue, request};
/// # fn read(queue: &WaitQueue<Vec<u8>>, request: ReadRequest, note: fn()) {
/// queue.serve(request, move |data, request: ReadRequest| {
///     if request.reply(data) == Delivery::Delivered {
///         request::once_sent(note);
///     }
///     Attempt::Served
/// });
/// # }
/// ```
pub fn once_sent(then: impl FnOnce() + 'static) {
    let none_held = HELD.with_borrow(|held| held.as_ref().is_none_or(Vec::is_empty));
    if none_held {
        then();
        return;
    }
    HELD.with_borrow_mut(|held| {
        held.get_or_insert_default()
            .push(Item::Then(Box::new(then)))
    });
}

impl Drop for Holding {
    fn drop(&mut self) {
        if !self.outermost {
            return;
        }
        HOLDS.set(false);
        let held = HELD.with_borrow_mut(Option::take);
        for item in held.into_iter().flatten() {
            match item {
                Item::Answer(held) => held.send(),
                Item::Then(then) => drop(contain("what follows an answer", then)),
            }
        }
    }
}

impl Held {
    fn send(self) {
        let parts;
        let answer = match &self.answer {
            Owned::Error(errno) => Answer::Error(*errno),
            Owned::Unimplemented => Answer::Unimplemented,
            Owned::Done => Answer::Done,
            Owned::Opened(file, events) => Answer::Opened(*file, *events),
            Owned::Data(data) => {
                parts = [IoSlice::new(data)];
                Answer::Data(&parts)
            }
            Owned::Count(count) => Answer::Count(*count),
            Owned::Ioctl(result, output) => Answer::Ioctl {
                result: *result,
                output,
            },
            Owned::Again(input, output) => Answer::Again { input, output },
            Owned::Ready(events) => Answer::Ready(*events),
            Owned::Size(size) => Answer::Size(*size),
        };
        if let Err(error) = self.backend.answer(self.id, self.call, answer) {
            tracing::debug!(call = %self.call, %error, "answer not delivered");
        }
    }
}

impl From<&Answer<'_>> for Owned {
    fn from(answer: &Answer<'_>) -> Self {
        match answer {
            Answer::Error(errno) => Self::Error(*errno),
            Answer::Unimplemented => Self::Unimplemented,
            Answer::Done => Self::Done,
            Answer::Opened(file, events) => Self::Opened(*file, *events),
            Answer::Data(parts) => {
                Self::Data(parts.iter().flat_map(|part| part.iter().copied()).collect())
            }
            Answer::Count(count) => Self::Count(*count),
            Answer::Ioctl { result, output } => Self::Ioctl(*result, output.to_vec()),
            Answer::Again { input, output } => Self::Again(input.to_vec(), output.to_vec()),
            Answer::Ready(events) => Self::Ready(*events),
            Answer::Size(size) => Self::Size(*size),
        }
    }
}

#[cfg(test)]
mod tests {
    use std::rc::Rc;

    use super::*;

    #[test]
    fn what_follows_an_answer_comes_after_it_and_at_once_if_it_can() {
        let done = Rc::new(RefCell::new(Vec::new()));
        let step = |number: u32| {
            let done = Rc::clone(&done);
            move || done.borrow_mut().push(number)
        };
        once_sent(step(1));
        {
            let _held = hold();
            once_sent(step(2));
            assert_eq!(*done.borrow(), [1, 2], "nothing is held");
            let inner = hold();
            HELD.with_borrow_mut(|held| {
                held.get_or_insert_default()
                    .push(Item::Then(Box::new(step(3))));
            });
            once_sent(step(4));
            drop(inner);
            assert_eq!(*done.borrow(), [1, 2], "the outermost decides");
        }
        assert_eq!(*done.borrow(), [1, 2, 3, 4]);
        once_sent(step(5));
        assert_eq!(*done.borrow(), [1, 2, 3, 4, 5]);
    }
}
