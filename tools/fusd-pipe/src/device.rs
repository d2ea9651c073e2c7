//! The device: what clients' calls do to the pipe.

use std::io::{self, IoSlice};
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, OnceLock, Weak};
use std::thread;
use std::time::Instant;

use fusd::request::{IoctlRequest, OpenRequest, ReadRequest, Request, WriteRequest};
use fusd::{
    Attempt, Delivery, Device, Errno, OpenFile, Operations, PollEvents, Properties, WaitQueue,
};
use fusd_tool::Clock;

use crate::bell::Bell;
use crate::label;
use crate::nats::Link;
use crate::peers::{Coming, Peers};
use crate::pipe::{Pipe, Reading, Taken, Writing};
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
    clock: OnceLock<Clock>,
    /// Where opens go that have waited long enough.
    opener: OnceLock<Sender<Arrived>>,
    bell: Arc<Bell>,
    /// Where writes go if the pipe is one of several that a server joins.
    link: OnceLock<Link>,
}

/// A pipe that may be gone.
#[derive(Clone)]
pub(crate) struct WeakDevice(Weak<Shared>);

/// What the queue guards.
struct State {
    pipe: Pipe,
    peers: Peers,
    /// When the pipe changed last: readiness is that of then. To ask the time anew for each file takes
    /// a system call where there is no vDSO.
    changed_at: Instant,
    /// When the clock rings next.
    rings_at: Option<Instant>,
    /// The pipe's changes when the bell rang last.
    rung: u64,
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
        let now = Instant::now();
        let device = Self(Arc::new(Shared {
            queue: WaitQueue::new(State {
                pipe: Pipe::new(settings.clone(), now),
                peers: Peers::default(),
                changed_at: now,
                rings_at: None,
                rung: 0,
            }),
            settings,
            clock: OnceLock::new(),
            opener: OnceLock::new(),
            bell: Arc::default(),
            link: OnceLock::new(),
        }));
        if device.0.settings.changes_with_time() {
            device.0.start_clock()?;
        }
        if device.0.settings.wait_peer {
            device.start_opener()?;
        }
        Ok(device)
    }

    /// What has gone through until now.
    pub fn stats(&self) -> Stats {
        self.0.queue.look(|state| state.pipe.stats())
    }

    pub(crate) fn settings(&self) -> &Settings {
        &self.0.settings
    }

    /// Rings at every change.
    pub(crate) fn bell(&self) -> &Bell {
        &self.0.bell
    }

    /// Has what is written go where `link` leads, from now on.
    pub(crate) fn join(&self, link: Link) {
        self.0.link.get_or_init(|| link);
    }

    /// Where what is written goes, if not to the pipe.
    pub(crate) fn link(&self) -> Option<&Link> {
        self.0.link.get()
    }

    /// The pipe, for somebody who must not keep it alive.
    pub(crate) fn downgrade(&self) -> WeakDevice {
        WeakDevice(Arc::downgrade(&self.0))
    }

    /// The pipe, if it is still there.
    pub(crate) fn upgrade(weak: &WeakDevice) -> Option<Self> {
        weak.0.upgrade().map(Self)
    }

    /// Looks at the pipe.
    pub(crate) fn look<T>(&self, look: impl FnOnce(&Pipe) -> T) -> T {
        self.0.queue.look(|state| look(&state.pipe))
    }

    /// Changes the pipe, then serves whoever can be served.
    pub(crate) fn change<T>(&self, change: impl FnOnce(&mut Pipe, Instant) -> T) -> T {
        self.0.change(|state, now| change(&mut state.pipe, now))
    }

    /// Lets a client in.
    pub(crate) fn enter(&self, request: OpenRequest<()>) {
        let flags = request.flags();
        let (readable, writable) = (flags.readable(), flags.writable());
        request.accept_with((), |file| {
            let id = file.number();
            self.change(|pipe, now| pipe.enter(id, readable, writable, now));
            let room = self.link().map(Link::room);
            let ready = move |state: &State| {
                let mut events = state.pipe.readiness(id, state.changed_at);
                if let Some(room) = room.as_ref().filter(|_| writable) {
                    events.set(PollEvents::WRITE, room.is_left());
                }
                events
            };
            self.0.queue.watch(file, ready);
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

    /// Starts the thread that lets clients in which have waited: that takes the queue's lock, under
    /// which they waited.
    fn start_opener(&self) -> io::Result<()> {
        let (sender, opens) = mpsc::channel();
        let shared = Arc::downgrade(&self.0);
        let open = move || {
            for Arrived { request, coming } in opens {
                let Some(shared) = Weak::upgrade(&shared) else {
                    return;
                };
                Self(shared).enter(request);
                drop(coming);
            }
        };
        thread::Builder::new().name("opener".into()).spawn(open)?;
        self.0.opener.get_or_init(|| sender);
        Ok(())
    }
}

impl Shared {
    fn start_clock(self: &Arc<Self>) -> io::Result<()> {
        let shared = Arc::downgrade(self);
        let clock = Clock::start(move || {
            if let Some(shared) = shared.upgrade() {
                shared.change(|state, _| {
                    state.rings_at = None;
                    state.pipe.time_has_passed();
                });
            }
        })?;
        self.clock.get_or_init(|| clock);
        Ok(())
    }

    fn change<T>(&self, change: impl FnOnce(&mut State, Instant) -> T) -> T {
        let now = Instant::now();
        self.queue.update(|state| {
            let result = change(state, now);
            self.changed(state, now);
            result
        })
    }

    /// Tells those who do not wait in the queue.
    fn changed(&self, state: &mut State, now: Instant) {
        state.changed_at = state.changed_at.max(now);
        if state.rung != state.pipe.changes() {
            state.rung = state.pipe.changes();
            self.bell.ring();
        }
        let (Some(clock), Some(then)) = (self.clock.get(), state.pipe.next_change(now)) else {
            return;
        };
        if state.rings_at.is_none_or(|at| then < at) {
            state.rings_at = Some(then);
            clock.at(then);
        }
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
        if let Some(link) = self.link().filter(|_| flags.readable()) {
            link.open(self, request);
            return;
        }
        let both = flags.readable() && flags.writable();
        let opener = self.0.opener.get().cloned().filter(|_| !both);
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
        if let Some(link) = self.link() {
            link.leave(file.number());
        }
        self.change(|pipe, _| pipe.leave(file.number()));
    }

    fn read(&self, file: &OpenFile<()>, request: ReadRequest) {
        let id = file.number();
        let shared = Arc::downgrade(&self.0);
        self.0
            .queue
            .serve(request, move |state, request: ReadRequest| {
                if request.len() == 0 {
                    request.reply(&[]);
                    return Attempt::Served;
                }
                let now = Instant::now();
                let attempt = read(&mut state.pipe, id, request, now);
                tell(&shared, state, now);
                attempt
            });
    }

    fn write(&self, file: &OpenFile<()>, request: WriteRequest) {
        let id = file.number();
        let waits = self.0.settings.full == Full::Block && !request.nonblocking();
        let shared = Arc::downgrade(&self.0);
        let label = label::text(&self.0.settings.labels, request.caller());
        if let Some(link) = self.link() {
            link.write(id, request, label);
            return;
        }
        self.0
            .queue
            .serve(request, move |state, request: WriteRequest| {
                let now = Instant::now();
                let attempt = write(&mut state.pipe, id, request, &label, waits, now);
                tell(&shared, state, now);
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

/// What waits in the queue must not keep the device alive.
fn tell(shared: &Weak<Shared>, state: &mut State, now: Instant) {
    if let Some(shared) = shared.upgrade() {
        shared.changed(state, now);
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
                pipe.consume(id, piece, now).note_once_sent();
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
    if let Err(errno) = pipe.record(id, &taken) {
        pipe.undo(id, taken);
        Request::fail(request, errno);
        return Attempt::Served;
    }
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

fn settle(pipe: &mut Pipe, id: u64, taken: Taken, delivery: Delivery, now: Instant) {
    match delivery {
        Delivery::Delivered => pipe.keep(&taken, now),
        Delivery::Unwanted => pipe.undo(id, taken),
    }
}
