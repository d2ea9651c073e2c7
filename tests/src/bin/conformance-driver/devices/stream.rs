//! A stream made of the library's wait queue: bytes written, or pushed by the driver, are read.

use std::collections::VecDeque;

use fusd::{
    Attempt, Delivery, Device, OpenFile, OpenRequest, Operations, PollEvents, Properties,
    ReadRequest, WaitQueue, WriteRequest,
};

use crate::Control;

struct State {
    bytes: VecDeque<u8>,
    capacity: usize,
    /// Readers get the end of the file once the bytes are read.
    ended: bool,
}

/// Holds up to a number of bytes. Told: `push TEXT` (returns the bytes held), `pull N`, `end`,
/// `waiting` (calls in the queue).
pub(crate) struct Stream(WaitQueue<State>);

impl Stream {
    pub(crate) fn new(capacity: usize) -> (Self, Control) {
        let queue = WaitQueue::new(State {
            bytes: VecDeque::new(),
            capacity,
            ended: false,
        });
        let told = queue.clone();
        let control = move |words: &[&str]| match words {
            ["push", text] => Some(told.update(|state| {
                state.bytes.extend(text.as_bytes());
                state.bytes.len().to_string()
            })),
            ["pull", count] => {
                let count = count.parse().ok()?;
                Some(told.update(|state| {
                    let count = state.bytes.len().min(count);
                    let taken: Vec<u8> = state.bytes.drain(..count).collect();
                    String::from_utf8_lossy(&taken).into_owned()
                }))
            }
            ["end"] => Some(told.update(|state| {
                state.ended = true;
                "ended".into()
            })),
            ["waiting"] => Some(told.waiting().to_string()),
            _ => None,
        };
        (Self(queue), Box::new(control))
    }
}

impl Device for Stream {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream().operations(Operations::READ | Operations::WRITE | Operations::POLL)
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept_with((), |file| {
            self.0.watch(file, |state| {
                let mut events = PollEvents::empty();
                events.set(PollEvents::READ, !state.bytes.is_empty() || state.ended);
                events.set(PollEvents::WRITE, state.bytes.len() < state.capacity);
                events.set(PollEvents::HANG_UP, state.ended);
                events
            });
        });
    }

    fn release(&self, file: &OpenFile<()>) {
        self.0.unwatch(file);
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        self.0.serve(request, |state, request: ReadRequest| {
            if state.bytes.is_empty() && !state.ended && request.len() > 0 {
                return Attempt::Wait(request);
            }
            let count = state.bytes.len().min(request.len());
            let taken: Vec<u8> = state.bytes.drain(..count).collect();
            if request.reply(&taken) == Delivery::Unwanted {
                taken
                    .into_iter()
                    .rev()
                    .for_each(|byte| state.bytes.push_front(byte));
            }
            Attempt::Served
        });
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        self.0.serve(request, |state, request: WriteRequest| {
            let room = state.capacity.saturating_sub(state.bytes.len());
            if room == 0 && !request.data().is_empty() {
                return Attempt::Wait(request);
            }
            let data: Vec<u8> = request.data().iter().take(room).copied().collect();
            if request.accept_part(data.len()) == Delivery::Delivered {
                state.bytes.extend(data);
            }
            Attempt::Served
        });
    }
}
