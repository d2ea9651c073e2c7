//! The loopback backend: messages from a [`Client`](crate::loopback::Client) in this process.

use std::collections::{HashMap, VecDeque};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Condvar, Mutex, PoisonError};
use std::time::{Duration, Instant};

use super::buffer::Buffer;
use super::{
    Answer, Backend, BackendKind, Call, FileId, Incoming, Message, Offer, Operation, PollKey,
    RequestId,
};
use crate::sync::lock;
use crate::{Caller, Errno, PollEvents, Position};

/// Bytes in one read or write request.
pub(crate) const TRANSFER_MAX: usize = 1 << 20;

/// The queue between a client and a session.
pub(crate) struct Loopback {
    path: PathBuf,
    pub(crate) position: Position,
    state: Mutex<State>,
    changed: Condvar,
    next: AtomicU64,
}

#[derive(Default)]
struct State {
    events: VecDeque<Event>,
    /// Calls that wait: `None` until the answer is there.
    calls: HashMap<RequestId, Option<Result<Reply, Errno>>>,
    /// Answers that are packed and not handed in.
    packed: HashMap<RequestId, Result<Reply, Errno>>,
    /// Counts wake-ups, for those who wait for readiness.
    wakes: u64,
    closed: bool,
}

enum Event {
    Request { message: Message, data: Vec<u8> },
    Interrupt(RequestId),
    Nudge,
}

/// An answer, owned.
#[derive(Debug)]
pub(crate) enum Reply {
    Done,
    Opened(FileId),
    Data(Vec<u8>),
    Count(u32),
    Ioctl(i32, Vec<u8>),
    Ready(PollEvents),
    Size(u64),
}

impl Loopback {
    pub(crate) fn new(name: &str, position: Position) -> Self {
        Self {
            path: Path::new("loopback").join(name),
            position,
            state: Mutex::default(),
            changed: Condvar::new(),
            next: AtomicU64::new(1),
        }
    }

    /// Sends a call; `data` is what it writes. `ENODEV` once the driver is gone.
    pub(crate) fn send(&self, operation: Operation, data: Vec<u8>) -> Result<RequestId, Errno> {
        let id = RequestId(self.next.fetch_add(1, Ordering::Relaxed));
        let caller = Caller {
            thread: std::process::id(),
            uid: nix::unistd::geteuid().as_raw(),
            gid: nix::unistd::getegid().as_raw(),
        };
        let mut state = lock(&self.state);
        if state.closed {
            return Err(Errno::ENODEV);
        }
        state.calls.insert(id, None);
        state.events.push_back(Event::Request {
            message: Message {
                id,
                caller,
                operation,
            },
            data,
        });
        self.changed.notify_all();
        Ok(id)
    }

    /// Says that the caller of `id` no longer waits.
    pub(crate) fn interrupt(&self, id: RequestId) {
        lock(&self.state).events.push_back(Event::Interrupt(id));
        self.changed.notify_all();
    }

    /// Waits for the answer to a call.
    pub(crate) fn wait(&self, id: RequestId) -> Result<Reply, Errno> {
        let mut state = lock(&self.state);
        loop {
            if matches!(state.calls.get(&id), Some(Some(_))) {
                let reply = state.calls.remove(&id).flatten();
                return reply.unwrap_or(Err(Errno::EIO));
            }
            if state.closed {
                state.calls.remove(&id);
                return Err(Errno::ECONNABORTED);
            }
            state = self
                .changed
                .wait(state)
                .unwrap_or_else(PoisonError::into_inner);
        }
    }

    /// Wake-ups of pollers so far.
    pub(crate) fn wakes(&self) -> u64 {
        lock(&self.state).wakes
    }

    /// Waits for a wake-up after the `seen` first ones; false at the deadline.
    pub(crate) fn wait_wake(&self, seen: u64, deadline: Instant) -> bool {
        let mut state = lock(&self.state);
        while state.wakes == seen && !state.closed {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                return false;
            }
            state = self
                .changed
                .wait_timeout(state, left.min(Duration::from_secs(1)))
                .unwrap_or_else(PoisonError::into_inner)
                .0;
        }
        true
    }
}

impl Loopback {
    fn give(&self, id: RequestId, reply: Result<Reply, Errno>) -> io::Result<()> {
        let mut state = lock(&self.state);
        let slot = state.calls.get_mut(&id).ok_or(Errno::ENOENT)?;
        *slot = Some(reply);
        self.changed.notify_all();
        Ok(())
    }
}

/// The answer, to be kept.
fn reply(answer: &Answer<'_>) -> Result<Reply, Errno> {
    Ok(match answer {
        Answer::Error(errno) => return Err(*errno),
        Answer::Unimplemented => return Err(Errno::ENOSYS),
        Answer::Done => Reply::Done,
        Answer::Opened(file, _) => Reply::Opened(*file),
        Answer::Data(parts) => {
            Reply::Data(parts.iter().flat_map(|part| part.iter().copied()).collect())
        }
        Answer::Count(count) => Reply::Count(*count),
        Answer::Ioctl { result, output } => Reply::Ioctl(*result, output.to_vec()),
        // There is no memory but what the call brought along.
        Answer::Again { .. } => return Err(Errno::EIO),
        Answer::Ready(events) => Reply::Ready(*events),
        Answer::Size(size) => Reply::Size(*size),
    })
}

impl Backend for Loopback {
    fn kind(&self) -> BackendKind {
        BackendKind::Loopback
    }

    fn path(&self) -> &Path {
        &self.path
    }

    fn buffer_size(&self) -> usize {
        TRANSFER_MAX
    }

    fn receive(&self, buffer: &mut Buffer) -> io::Result<Incoming> {
        let mut state = lock(&self.state);
        loop {
            match state.events.pop_front() {
                Some(Event::Request { message, data }) => {
                    drop(state);
                    buffer[..data.len()].copy_from_slice(&data);
                    return Ok(Incoming::Request(message));
                }
                Some(Event::Interrupt(id)) => return Ok(Incoming::Interrupt { id, token: id }),
                Some(Event::Nudge) => return Ok(Incoming::Nothing),
                None if state.closed => return Ok(Incoming::Ended),
                None => {
                    state = self
                        .changed
                        .wait(state)
                        .unwrap_or_else(PoisonError::into_inner);
                }
            }
        }
    }

    fn answer(&self, id: RequestId, _call: Call, answer: Answer<'_>) -> io::Result<()> {
        self.give(id, reply(&answer))
    }

    /// Nothing is saved by it; but drivers that are tried here meet the same order of events as with
    /// a backend that saves a system call.
    fn carries(&self) -> bool {
        true
    }

    fn pack(&self, id: RequestId, _call: Call, answer: &Answer<'_>, message: &mut Vec<u8>) -> bool {
        lock(&self.state).packed.insert(id, reply(answer));
        message.extend_from_slice(&id.0.to_ne_bytes());
        true
    }

    fn exchange(&self, message: &[u8], buffer: &mut Buffer) -> io::Result<Incoming> {
        self.hand_in(message);
        self.receive(buffer)
    }

    fn hand_in(&self, message: &[u8]) {
        let Ok(id) = message.try_into().map(u64::from_ne_bytes) else {
            return;
        };
        let reply = lock(&self.state).packed.remove(&RequestId(id));
        if let Some(Err(error)) = reply.map(|reply| self.give(RequestId(id), reply)) {
            tracing::debug!(%error, "answer not delivered");
        }
    }

    fn interrupt_again(&self, token: RequestId) {
        let mut state = lock(&self.state);
        if matches!(state.calls.get(&token), Some(None)) {
            state.events.push_back(Event::Interrupt(token));
            self.changed.notify_all();
        }
    }

    fn wake_poll(&self, _key: PollKey) {
        lock(&self.state).wakes += 1;
        self.changed.notify_all();
    }

    fn offer(&self, _open: RequestId, _offer: &Offer) -> io::Result<()> {
        // The client is in the process that has the memory.
        Ok(())
    }

    fn nudge(&self) {
        lock(&self.state).events.push_back(Event::Nudge);
        self.changed.notify_all();
    }

    fn detach(&self) -> crate::Result<()> {
        Ok(())
    }

    fn close(&self) {
        lock(&self.state).closed = true;
        self.changed.notify_all();
    }
}
