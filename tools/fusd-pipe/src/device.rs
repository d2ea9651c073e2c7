//! The device: what clients' calls do to the pipe.

use std::io::{self, IoSlice};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Weak};
use std::thread;
use std::time::Instant;

use fusd::request::{IoctlRequest, OpenRequest, ReadRequest, Request, WriteRequest};
use fusd::{Attempt, Delivery, Device, Errno, OpenFile, Operations, Properties, WaitQueue};

use crate::clock::Clock;
use crate::label;
use crate::peers::{Coming, Peers};
use crate::pipe::{Pipe, Reading, Writing};
use crate::settings::{Full, Settings};
use crate::stats::Stats;

/// How many bytes there are to read (`FIONREAD`, ioctl_tty(2)).
const FIONREAD: u32 = 0x541b;

/// A pipe as a device. Clones are the same one.
#[derive(Clone)]
pub struct PipeDevice(Arc<Shared>);

struct Shared {
    queue: WaitQueue<State>,
    settings: Settings,
    clock: Option<Clock>,
    /// Where opens go that have waited long enough.
    opener: Option<Sender<Arrived>>,
}

/// What the queue guards.
struct State {
    pipe: Pipe,
    peers: Peers,
    /// When the clock rings next.
    rings_at: Option<Instant>,
}

/// An open that has found its other side.
struct Arrived {
    request: OpenRequest<()>,
    coming: Coming,
}

impl PipeDevice {
    /// A pipe that is empty.
    ///
    /// # Errors
    /// A thread that it needs cannot be started.
    pub fn new(settings: Settings) -> io::Result<Self> {
        let mut shared = Shared {
            queue: WaitQueue::new(State {
                pipe: Pipe::new(settings.clone(), Instant::now()),
                peers: Peers::default(),
                rings_at: None,
            }),
            clock: None,
            opener: None,
            settings,
        };
        if shared.settings.changes_with_time() {
            let queue = shared.queue.clone();
            shared.clock = Some(Clock::start(move || {
                queue.update(|state| state.rings_at = None);
            })?);
        }
        let mut opens = None;
        if shared.settings.wait_peer {
            let (sender, receiver) = mpsc::channel();
            shared.opener = Some(sender);
            opens = Some(receiver);
        }
        let shared = Arc::new(shared);
        if let Some(opens) = opens {
            let shared = Arc::downgrade(&shared);
            thread::Builder::new()
                .name("opener".into())
                .spawn(move || {
                    for Arrived { request, coming } in opens {
                        let Some(shared) = Weak::upgrade(&shared) else {
                            return;
                        };
                        Self(shared).enter(request);
                        drop(coming);
                    }
                })?;
        }
        Ok(Self(shared))
    }

    /// What has gone through until now.
    pub fn stats(&self) -> Stats {
        self.0.queue.look(|state| state.pipe.stats())
    }

    /// Lets a client in.
    fn enter(&self, request: OpenRequest<()>) {
        let flags = request.flags();
        let (readable, writable) = (flags.readable(), flags.writable());
        request.accept_with((), |file| {
            let id = file.number();
            let queue = &self.0.queue;
            queue.update(|state| state.pipe.enter(id, readable, writable, Instant::now()));
            queue.watch(file, move |state| state.pipe.readiness(id, Instant::now()));
        });
    }

    /// Has an open wait for the other side.
    fn wait_for_peer(&self, request: OpenRequest<()>, opener: Sender<Arrived>) {
        let readable = request.flags().readable();
        let mut coming = None;
        self.0.queue.serve(request, move |state, request| {
            let coming_now = coming.take().unwrap_or_else(|| state.peers.come(readable));
            if !state.has(!readable) {
                coming = Some(coming_now);
                return Attempt::Wait(request);
            }
            // The thread ends with the device.
            let _ = opener.send(Arrived {
                request,
                coming: coming_now,
            });
            Attempt::Served
        });
    }
}

impl Shared {
    /// Has the clock ring when the time alone changes something.
    fn wind(&self, state: &mut State, now: Instant) {
        wind(self.clock.as_ref(), state, now);
    }
}

fn wind(clock: Option<&Clock>, state: &mut State, now: Instant) {
    let (Some(clock), Some(then)) = (clock, state.pipe.next_change(now)) else {
        return;
    };
    if state.rings_at.is_none_or(|at| then < at) {
        state.rings_at = Some(then);
        clock.at(then);
    }
}

impl State {
    /// Whether anybody has the node open, or is opening it, for reading or for writing.
    fn has(&self, readable: bool) -> bool {
        self.pipe.has(readable) || self.peers.any(readable)
    }
}

impl Device for PipeDevice {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream().operations(
            Operations::READ
                | Operations::WRITE
                | Operations::POLL
                | Operations::IOCTL
                | Operations::ANY_IOCTL,
        )
    }

    fn open(&self, request: OpenRequest<()>) {
        let flags = request.flags();
        let both = flags.readable() && flags.writable();
        let opener = self.0.opener.clone().filter(|_| !both);
        let Some(opener) = opener else {
            self.enter(request);
            return;
        };
        if !flags.nonblocking() {
            self.wait_for_peer(request, opener);
        } else if flags.readable() || self.0.queue.look(|state| state.has(true)) {
            self.enter(request);
        } else {
            // As fifo(7) has it.
            request.fail(Errno::ENXIO);
        }
    }

    fn release(&self, file: &OpenFile<()>) {
        self.0.queue.unwatch(file);
        self.0.queue.update(|state| {
            state.pipe.leave(file.number());
            self.0.wind(state, Instant::now());
        });
    }

    fn read(&self, file: &OpenFile<()>, request: ReadRequest) {
        let id = file.number();
        let clock = self.0.clock.clone();
        self.0
            .queue
            .serve(request, move |state, request: ReadRequest| {
                if request.len() == 0 {
                    request.reply(&[]);
                    return Attempt::Served;
                }
                let now = Instant::now();
                let attempt = read(&mut state.pipe, id, request, now);
                wind(clock.as_ref(), state, now);
                attempt
            });
    }

    fn write(&self, file: &OpenFile<()>, request: WriteRequest) {
        let id = file.number();
        let waits = self.0.settings.full == Full::Block && !request.nonblocking();
        let clock = self.0.clock.clone();
        let label = label::text(&self.0.settings.labels, request.caller());
        self.0
            .queue
            .serve(request, move |state, request: WriteRequest| {
                let now = Instant::now();
                let attempt = write(&mut state.pipe, id, request, &label, waits, now);
                wind(clock.as_ref(), state, now);
                attempt
            });
    }

    fn ioctl(&self, file: &OpenFile<()>, request: IoctlRequest) {
        if request.command().raw() != FIONREAD {
            request.fail(Errno::ENOTTY);
            return;
        }
        let readable = self
            .0
            .queue
            .look(|state| state.pipe.readable(file.number()));
        let readable = i32::try_from(readable).unwrap_or(i32::MAX);
        request.reply(0, &readable.to_ne_bytes());
    }
}

fn read(pipe: &mut Pipe, id: u64, request: ReadRequest, now: Instant) -> Attempt<ReadRequest> {
    pipe.tell_of_losses(id);
    match pipe.reading(id, request.len(), now) {
        Reading::Wait => return Attempt::Wait(request),
        Reading::End => {
            request.reply(&[]);
        }
        Reading::Bytes(piece) => {
            let parts = pipe.parts(id, piece).map(IoSlice::new);
            if request.reply_parts(&parts) == Delivery::Delivered {
                pipe.consume(id, piece, now);
            }
        }
    }
    Attempt::Served
}

/// `waits`: where not all can be taken, the client waits for the rest.
fn write(
    pipe: &mut Pipe,
    id: u64,
    mut request: WriteRequest,
    label: &[u8],
    waits: bool,
    now: Instant,
) -> Attempt<WriteRequest> {
    let taken = match pipe.writing(id, request.data(), label) {
        Writing::Wait => return Attempt::Wait(request),
        Writing::Fail(errno) => {
            Request::fail(request, errno);
            return Attempt::Served;
        }
        Writing::Taken(taken) => taken,
    };
    if waits && taken.count < request.data().len() {
        let delivery = request.take(taken.count);
        settle(pipe, id, taken, delivery, now);
        return match delivery {
            Delivery::Delivered => Attempt::Part(request),
            Delivery::Unwanted => Attempt::Served,
        };
    }
    let delivery = request.accept_part(taken.count);
    settle(pipe, id, taken, delivery, now);
    Attempt::Served
}

fn settle(pipe: &mut Pipe, id: u64, taken: crate::pipe::Taken, delivery: Delivery, now: Instant) {
    match delivery {
        Delivery::Delivered => pipe.keep(&taken, now),
        Delivery::Unwanted => pipe.undo(id, taken),
    }
}
