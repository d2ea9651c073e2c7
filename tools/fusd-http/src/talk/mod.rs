//! A node that is a stream: what one open file of it says to the server, and hears from it.
//!
//! Reads and writes of one open file share a [`WaitQueue`], which knows how to wait. Requests are tasks
//! that change its state; they know the file weakly, so that its end is theirs.

mod feed;
mod inbox;
mod last;
mod live;
mod records;
mod sse;
mod state;
mod upload;
mod writers;
mod writing;

use std::sync::{Arc, OnceLock, Weak};

use fusd::request::{FlushRequest, OpenRequest, ReadRequest, WriteRequest};
use fusd::{Attempt, Errno, OpenFile, WaitQueue};
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio_util::task::TaskTracker;

use self::inbox::Inbox;
pub(crate) use self::live::Live;
pub use self::sse::Sse;
use self::state::{State, Task};
pub use self::writing::Send;
pub(crate) use self::writing::Writing;
use crate::ask::Ask;
use crate::device::OpenUrl;
use crate::exchange::Exchange;
use crate::failure::Failure;
use crate::serve::serve;
use crate::who::Who;

/// What holds for all open files of the node.
#[derive(Debug)]
pub(crate) struct Server {
    pub(crate) runtime: Handle,
    pub(crate) exchange: Exchange,
    /// How what is written is sent, if it can be.
    pub(crate) writing: Option<Writing>,
    pub(crate) live: Live,
    /// Through CUSE, nobody is told of a close(2) before the last.
    pub(crate) is_cuse: OnceLock<bool>,
    /// Requests that outlive their files.
    pub(crate) tasks: TaskTracker,
}

impl Server {
    /// Asks for the page in the name of `who`.
    fn ask(&self, who: &Arc<Who>) -> Ask {
        match self.live.is_live {
            true => Ask::live(who),
            false => Ask::get(who),
        }
    }
}

/// An open file. Clones are the same.
#[derive(Clone, Debug)]
pub(crate) struct Talk(Arc<Shared>);

struct Shared {
    server: Arc<Server>,
    queue: WaitQueue<State>,
    /// There is room again for what the server says.
    room: Arc<Notify>,
    /// Who has opened it.
    opener: Arc<Who>,
}

impl std::fmt::Debug for Shared {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Shared")
            .field("opener", &self.opener)
            .finish_non_exhaustive()
    }
}

impl Drop for Shared {
    fn drop(&mut self) {
        // Whoever waits for room sees that there is no file any more.
        self.room.notify_one();
    }
}

impl Shared {
    /// Begins a request, in place of the last one.
    fn begin(self: &Arc<Self>, state: &mut State, ask: Ask, opened: Option<Opening>) -> u64 {
        state.number += 1;
        state.result = None;
        state.nobody_waits = false;
        state.inbox = Inbox::default();
        let (talk, server) = (Arc::downgrade(self), Arc::clone(&self.server));
        let (told, outcome) = oneshot::channel();
        state.outcome = Some(outcome);
        let reply = Reply {
            opened,
            told: Some(told),
        };
        let work = live::run(talk, server, ask, state.number, reply);
        let task = self.server.tasks.spawn_on(work, &self.server.runtime);
        state.task = Some(Task(Some(task.abort_handle())));
        state.number
    }
}

/// Who waits for the answer of an open's request.
type Opening = oneshot::Sender<Result<(), Failure>>;

/// What a request has come to; nothing where it was given up.
type Outcome = oneshot::Receiver<Result<(), Failure>>;

/// Who is told of the head of a request's answer, or that there is none, beside the file.
struct Reply {
    opened: Option<Opening>,
    told: Option<oneshot::Sender<Result<(), Failure>>>,
}

/// An open file that may be gone.
type WeakTalk = Weak<Shared>;

impl Talk {
    fn new(server: &Arc<Server>, opener: Who) -> Self {
        Self(Arc::new(Shared {
            server: Arc::clone(server),
            queue: WaitQueue::new(State::default()),
            room: Arc::default(),
            opener: Arc::new(opener),
        }))
    }

    /// Lets a client in: a reader, once the server has begun to answer.
    pub(crate) fn open(server: &Arc<Server>, request: OpenRequest<OpenUrl>) {
        let flags = request.flags();
        if flags.writable() && server.writing.is_none() {
            request.fail(Errno::EACCES);
            return;
        }
        let talk = Self::new(server, Who::of(request.caller()));
        if flags.writable() {
            talk.accept(request);
            return;
        }
        let begin = |opened| {
            let shared = &talk.0;
            let ask = server.ask(&shared.opener);
            shared
                .queue
                .update(|state| shared.begin(state, ask, opened));
        };
        if flags.nonblocking() {
            // What the request comes to is for the file alone.
            begin(None);
            talk.accept(request);
            return;
        }
        let (opened, answered) = oneshot::channel();
        begin(Some(opened));
        let answer = move |request: OpenRequest<OpenUrl>, result| match result {
            Ok(Err(Failure { errno, .. })) => drop(request.fail(errno)),
            Ok(Ok(())) => talk.accept(request),
            // Its task has ended for want of a runtime.
            Err(_) => drop(request.fail(Errno::EIO)),
        };
        serve(&server.runtime, request, answered, answer, || {});
    }

    fn accept(self, request: OpenRequest<OpenUrl>) {
        let queue = self.0.queue.clone();
        let file = OpenUrl::of_talk(self);
        request.accept_with(file, |file| queue.watch(file, State::readiness));
    }

    /// A client reads: what the server says to what was written, or, if nothing was, the page.
    pub(crate) fn read(&self, request: ReadRequest) {
        let talk = Arc::downgrade(&self.0);
        let attempt = move |state: &mut State, request: ReadRequest| {
            let Some(shared) = talk.upgrade() else {
                request.fail(Errno::EIO);
                return Attempt::Served;
            };
            // Who reads has written all of it.
            state.outgoing.end();
            if state.number == 0 && request.len() > 0 {
                shared.begin(state, shared.server.ask(&shared.opener), None);
                // What is written does not depend on it.
                state.outcome = None;
            }
            if state.is_asking() {
                return Attempt::Wait(request);
            }
            let attempt = state.inbox.read(request);
            shared.room.notify_one();
            attempt
        };
        self.0.queue.serve(request, attempt);
        // It may have begun a request, or ended one, and wait: whoever polls is told.
        self.0.queue.update(|_| {});
    }

    /// A client writes.
    pub(crate) fn write(&self, request: WriteRequest) {
        let Some(writing) = &self.0.server.writing else {
            request.fail(Errno::EBADF);
            return;
        };
        match writing.send {
            Send::Close => upload::write(&self.0, request),
            Send::Write | Send::Line => records::write(&self.0, request),
        }
    }

    /// A client closes a descriptor, perhaps not the last.
    pub(crate) fn flush(&self, request: FlushRequest) {
        let Some(writing) = &self.0.server.writing else {
            request.at_return().done();
            return;
        };
        match writing.send {
            Send::Close => upload::flush(&self.0, request),
            Send::Write | Send::Line => last::flush(&self.0, request),
        }
    }

    /// The last descriptor is closed.
    pub(crate) fn release(&self, file: &OpenFile<OpenUrl>) {
        let shared = &self.0;
        shared.queue.unwatch(file);

        let left = shared.queue.update(|state| {
            last::release(shared, state);
            let flushes = shared.server.is_cuse.get().is_none_or(|it| !it);
            upload::release(state, flushes);
            state.task.take()
        });
        drop(left);
    }
}
