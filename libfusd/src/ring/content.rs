//! The bytes of a ring that the library serves by itself, and what reads and writes make of them: the
//! same as with one of the kernel module (kfusd(4)).

use std::collections::VecDeque;
use std::io::{self, IoSlice};
use std::sync::Arc;

use super::event::Event;
use crate::request::{ReadRequest, Request, WriteRequest};
use crate::wire::RING_WHOLE;
use crate::{Attempt, Errno, PollEvents};

/// The bytes, first in, first out.
pub(super) struct Content {
    bytes: VecDeque<u8>,
    size: usize,
    /// What comes after the bytes is the end.
    pub(super) ended: bool,
    /// Nobody takes what is written.
    pub(super) shut: bool,
    event: Arc<Event>,
}

impl Content {
    /// None, with room for `size`.
    pub(super) fn new(size: usize, event: Arc<Event>) -> Self {
        Self {
            bytes: VecDeque::new(),
            size,
            ended: false,
            shut: false,
            event,
        }
    }

    /// How many bytes are there.
    pub(super) fn filled(&self) -> usize {
        self.bytes.len()
    }

    fn room(&self) -> usize {
        // What a driver has got back at its end may be more.
        self.size.saturating_sub(self.bytes.len())
    }

    /// So many bytes of one write go in together.
    fn whole(&self) -> usize {
        (RING_WHOLE as usize).min(self.size)
    }

    /// All bytes, in two pieces.
    pub(super) fn pieces(&self) -> [&[u8]; 2] {
        self.front(self.bytes.len())
    }

    /// The first `count` bytes, of which there are so many, in two pieces.
    fn front(&self, count: usize) -> [&[u8]; 2] {
        let (first, second) = self.bytes.as_slices();
        let split = first.len().min(count);
        [&first[..split], &second[..count - split]]
    }

    /// Forgets the bytes.
    pub(super) fn clear(&mut self) {
        self.bytes = VecDeque::new();
    }

    /// Adds bytes, room or not.
    pub(super) fn add(&mut self, data: &[u8]) {
        self.bytes.extend(data);
    }

    /// What the driver has for its clients, as far as there is room; there is something of it.
    pub(super) fn feed(&mut self, data: &[u8]) -> io::Result<usize> {
        let count = self.room().min(data.len());
        if count == 0 {
            return Err(Errno::EAGAIN.into());
        }
        self.bytes.extend(&data[..count]);
        self.ended = false;
        Ok(count)
    }

    /// What clients have for the driver, as far as `out`, which is not empty, has room.
    pub(super) fn take(&mut self, out: &mut [u8]) -> io::Result<usize> {
        let count = self.bytes.len().min(out.len());
        if count == 0 {
            return Err(Errno::EAGAIN.into());
        }
        let [first, second] = self.front(count);
        out[..first.len()].copy_from_slice(first);
        out[first.len()..count].copy_from_slice(second);
        self.bytes.drain(..count);
        Ok(count)
    }

    /// Serves a read, or has it wait.
    pub(super) fn read(&mut self, request: ReadRequest) -> Attempt<ReadRequest> {
        let count = self.bytes.len().min(request.len());
        if count == 0 && request.len() != 0 && !self.ended {
            return Attempt::Wait(request);
        }
        let parts = self.front(count).map(IoSlice::new);
        // What reaches nobody stays where it is.
        if request.reply_parts(&parts).is_delivered() && count > 0 {
            let before = self.room();
            self.bytes.drain(..count);
            self.event.room_grew(before, self.room());
        }
        Attempt::Served
    }

    /// Serves a write, or what there is room for of it, or has it wait. `begun` is what is known of it
    /// from earlier attempts.
    pub(super) fn write(
        &mut self,
        mut request: WriteRequest,
        begun: &mut Begun,
    ) -> Attempt<WriteRequest> {
        if self.shut {
            Request::fail(request, Errno::EPIPE);
            return Attempt::Served;
        }
        let (length, room) = (request.data().len(), self.room());
        let whole = *begun.whole.get_or_insert(length <= self.whole());
        let count = match whole && room < length {
            true => 0,
            false => room.min(length),
        };
        if count == 0 && length > 0 {
            // The driver might go on waiting for its mark.
            if !std::mem::replace(&mut begun.told, true) {
                self.event.signal();
            }
            return Attempt::Wait(request);
        }
        let before = self.bytes.len();
        self.bytes.extend(&request.data()[..count]);
        let rest = match count < length && !request.nonblocking() {
            true => match request.take(count).is_delivered() {
                true => Ok(Attempt::Part(request)),
                false => Err(()),
            },
            false => match request.accept_part(count).is_delivered() {
                true => Ok(Attempt::Served),
                false => Err(()),
            },
        };
        match rest {
            Ok(attempt) => {
                begun.told = false;
                self.event.fill_grew(before, self.bytes.len());
                attempt
            }
            // Nobody has seen them.
            Err(()) => {
                self.bytes.truncate(before);
                Attempt::Served
            }
        }
    }

    /// What polls find, of reading.
    pub(super) fn readiness_of_reads(&self) -> PollEvents {
        let there = !self.bytes.is_empty();
        let mut events = PollEvents::empty();
        events.set(PollEvents::READ, there || self.ended);
        events.set(PollEvents::HANG_UP, self.ended && !there);
        events
    }

    /// What polls find, of writing.
    pub(super) fn readiness_of_writes(&self) -> PollEvents {
        if self.shut {
            return PollEvents::WRITE | PollEvents::ERROR;
        }
        match self.room() >= self.whole() {
            true => PollEvents::WRITE,
            false => PollEvents::empty(),
        }
    }
}

/// What is known of a write that waits.
#[derive(Debug, Default)]
pub(super) struct Begun {
    /// It goes in together, or not at all: decided at the first attempt.
    whole: Option<bool>,
    /// The driver has been told that it waits.
    told: bool,
}
