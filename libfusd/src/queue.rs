//! Callers that wait for data, for space, or for anything else that changes.

use std::collections::{BTreeMap, HashMap};
use std::mem;
use std::sync::{Arc, Mutex};

use crate::backend::FileId;
use crate::panics::contain;
use crate::poll::Readiness;
use crate::request::{Request, hold};
use crate::sync::lock;
use crate::{Delivery, Errno, OpenFile, PollEvents};

/// What an attempt to serve a request came to.
pub enum Attempt<R> {
    /// It is answered (or has been moved elsewhere): the state may have changed.
    Served,
    /// Not now: here it is again, and the state is as it was.
    Wait(R),
    /// In part ([`WriteRequest::take`](crate::WriteRequest::take)): here it is again for the rest,
    /// and the state has changed. A call that is not to wait ends here with what was taken.
    Part(R),
}

/// A state that several callers share, and the queue of those who wait for it to change.
///
/// The driver writes only what happens when a call *can* be served; the queue does the rest:
/// - a call that has to wait gets `EAGAIN` if it is nonblocking, else it is kept and tried again,
///   oldest first, after every change of the state;
/// - a caller that is interrupted or killed leaves the queue;
/// - the readiness of every watched file follows the state, so poll(2) never lies;
/// - when the driver ends, the session ends the waiting calls.
///
/// No thread is kept by a waiting call. The closures given to a queue run under its lock, one at a
/// time: they must not wait and must not call the same queue.
///
/// ```
/// use fusd::request::{ReadRequest, WriteRequest};
/// use fusd::{Attempt, Operations, Properties};
/// use fusd::{Delivery, Device, OpenFile, OpenRequest, PollEvents, WaitQueue};
///
/// /// A mailbox for one message: readers wait for it, writers wait until it is fetched.
/// struct Mailbox(WaitQueue<Option<Vec<u8>>>);
///
/// impl Device for Mailbox {
///     type File = ();
///
///     fn properties(&self) -> Properties {
///         Properties::stream().operations(Operations::READ | Operations::WRITE | Operations::POLL)
///     }
///
///     fn open(&self, request: OpenRequest<()>) {
///         request.accept_with((), |file| {
///             self.0.watch(file, |message| match message {
///                 Some(_) => PollEvents::READ,
///                 None => PollEvents::WRITE,
///             })
///         });
///     }
///
///     fn release(&self, file: &OpenFile<()>) {
///         self.0.unwatch(file);
///     }
///
///     fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
///         self.0.serve(request, |message, request: ReadRequest| {
///             let Some(text) = message.take() else { return Attempt::Wait(request) };
///             if request.reply_from(&text) == Delivery::Unwanted {
///                 *message = Some(text); // nobody got it: it stays
///             }
///             Attempt::Served
///         });
///     }
///
///     fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
///         self.0.serve(request, |message, request: WriteRequest| {
///             if message.is_some() {
///                 return Attempt::Wait(request);
///             }
///             let text = request.data().to_vec();
///             if request.accept() == Delivery::Delivered {
///                 *message = Some(text);
///             }
///             Attempt::Served
///         });
///     }
/// }
/// # let mailbox = Mailbox(WaitQueue::new(None));
/// # let (client, _serving) = fusd::DeviceBuilder::new("mailbox").loopback(mailbox)?;
/// # let file = client.open(libc::O_RDWR)?;
/// # let waiting = file.start_read(8);
/// # assert_eq!(file.write(b"hello")?, 5);
/// # assert_eq!(waiting.wait()?, b"hello");
/// # Ok::<(), std::io::Error>(())
/// ```
pub struct WaitQueue<S> {
    inner: Arc<Mutex<Inner<S>>>,
}

struct Inner<S> {
    state: S,
    /// By the order of arrival.
    waiting: BTreeMap<u64, Box<dyn Waiter<S>>>,
    next: u64,
    watched: HashMap<FileId, Box<dyn Watcher<S>>>,
}

impl<S> Clone for WaitQueue<S> {
    fn clone(&self) -> Self {
        Self {
            inner: Arc::clone(&self.inner),
        }
    }
}

impl<S: Send + 'static> WaitQueue<S> {
    /// A queue around `state`. Clones share it.
    pub fn new(state: S) -> Self {
        let inner = Inner {
            state,
            waiting: BTreeMap::new(),
            next: 0,
            watched: HashMap::new(),
        };
        Self {
            inner: Arc::new(Mutex::new(inner)),
        }
    }

    /// Serves `request` now, or keeps it and tries again after every change of the state.
    pub fn serve<R: Request>(
        &self,
        request: R,
        mut attempt: impl FnMut(&mut S, R) -> Attempt<R> + Send + 'static,
    ) {
        // Sent when the readiness has been told and the lock let go.
        let _held = hold();
        let mut inner = lock(&self.inner);
        let (waits, changed) = match try_once(&mut attempt, &mut inner.state, request) {
            Attempt::Served => (None, true),
            Attempt::Wait(request) => (Some(request), false),
            Attempt::Part(request) => (Some(request), true),
        };
        let (mut unserved, mut unkept) = (None, None);
        match waits {
            Some(request) if request.context().nonblocking() => unserved = Some(request),
            // The change may be what it waits for.
            Some(request) => unkept = self.keep(&mut inner, request, attempt),
            None => {}
        }
        let served = changed.then(|| inner.settle());
        drop(inner);
        // What they own may use the queue when it is dropped.
        drop(served);
        drop(unkept);
        if let Some(request) = unserved {
            request.fail(Errno::EAGAIN);
        }
    }

    /// Has `request` wait for its turn. If the client has stopped waiting, both come back, to be
    /// dropped without the lock.
    fn keep<R: Request, F>(&self, inner: &mut Inner<S>, request: R, attempt: F) -> Option<(R, F)>
    where
        F: FnMut(&mut S, R) -> Attempt<R> + Send + 'static,
    {
        let number = inner.next;
        let queue = Arc::downgrade(&self.inner);
        let leave = move || {
            let Some(queue) = queue.upgrade() else { return };
            let left = lock(&queue).waiting.remove(&number);
            // What it owns may use the queue when it is dropped.
            drop(left);
        };
        if !request.context().on_abandoned(leave) {
            return Some((request, attempt));
        }
        request.context().park();
        inner.next += 1;
        let waiter = Waiting {
            request: Some(request),
            attempt,
        };
        inner.waiting.insert(number, Box::new(waiter));
        None
    }

    /// Changes the state from the driver's side (data has come, a timer has run out), then serves
    /// whoever can be served.
    pub fn update<T>(&self, change: impl FnOnce(&mut S) -> T) -> T {
        let _held = hold();
        let mut inner = lock(&self.inner);
        let result = change(&mut inner.state);
        let served = inner.settle();
        drop(inner);
        drop(served);
        result
    }

    /// Looks at the state without changing it.
    pub fn look<T>(&self, look: impl FnOnce(&S) -> T) -> T {
        look(&lock(&self.inner).state)
    }

    /// Keeps the readiness of `file` what `readiness` says of the state, from now on.
    pub fn watch<T: Send + Sync + 'static>(
        &self,
        file: &OpenFile<T>,
        readiness: impl Fn(&S) -> PollEvents + Send + 'static,
    ) {
        self.watch_with(file, move |state, file| file.set(readiness(state)));
    }

    /// The same, where `tell` says it.
    pub(crate) fn watch_with<T: Send + Sync + 'static>(
        &self,
        file: &OpenFile<T>,
        tell: impl Fn(&S, &Readiness) + Send + 'static,
    ) {
        let queue = Arc::downgrade(&self.inner);
        // A client may poll between the answer to a call and the end of that call's turn under
        // the lock, where the readiness is told: it waits for that.
        file.readiness().settle_first(Box::new(move || {
            if let Some(queue) = queue.upgrade() {
                drop(lock(&queue));
            }
        }));
        let mut inner = lock(&self.inner);
        let watcher = Watched {
            file: file.clone(),
            tell,
        };
        watcher.update(&inner.state);
        let replaced = inner.watched.insert(file.id(), Box::new(watcher));
        drop(inner);
        drop(replaced);
    }

    /// Ends [`watch`](Self::watch); to be called when the file is released.
    pub fn unwatch<T>(&self, file: &OpenFile<T>) {
        let watcher = lock(&self.inner).watched.remove(&file.id());
        drop(watcher);
    }

    /// Calls that wait at this moment.
    pub fn waiting(&self) -> usize {
        lock(&self.inner).waiting.len()
    }

    /// Ends all waiting calls with `errno`.
    pub fn fail_all(&self, errno: Errno) {
        let waiting = mem::take(&mut lock(&self.inner).waiting);
        for waiter in waiting.into_values() {
            waiter.fail(errno);
        }
    }
}

impl<S> Inner<S> {
    /// After a change: serves the waiting until nobody else can be, then tells the readiness.
    ///
    /// Returns what was served, to be dropped without the lock.
    fn settle(&mut self) -> Vec<Box<dyn Waiter<S>>> {
        let mut served = Vec::new();
        let mut changed = true;
        while changed {
            changed = false;
            let mut done = Vec::new();
            for (number, waiter) in &mut self.waiting {
                match waiter.attempt(&mut self.state) {
                    Turn::Wait => continue,
                    Turn::Part => {}
                    Turn::Served => done.push(*number),
                }
                changed = true;
            }
            served.extend(done.iter().filter_map(|number| self.waiting.remove(number)));
        }
        for watcher in self.watched.values() {
            contain("a readiness", || watcher.update(&self.state));
        }
        served
    }
}

/// One attempt. Where it panics, its own call fails, as the request is dropped, and that is an end
/// of it: neither whoever made the change nor the others who wait are to blame.
fn try_once<S, R>(
    attempt: &mut impl FnMut(&mut S, R) -> Attempt<R>,
    state: &mut S,
    request: R,
) -> Attempt<R> {
    contain("an attempt", || attempt(state, request)).unwrap_or(Attempt::Served)
}

/// What one more attempt came to.
enum Turn {
    Wait,
    Part,
    Served,
}

/// A call in the queue.
trait Waiter<S>: Send {
    /// Tries once more.
    fn attempt(&mut self, state: &mut S) -> Turn;

    fn fail(self: Box<Self>, errno: Errno) -> Delivery;
}

struct Waiting<R, F> {
    request: Option<R>,
    attempt: F,
}

impl<S, R, F> Waiter<S> for Waiting<R, F>
where
    R: Request,
    F: FnMut(&mut S, R) -> Attempt<R> + Send,
{
    fn attempt(&mut self, state: &mut S) -> Turn {
        let Some(request) = self.request.take() else {
            return Turn::Served;
        };
        let (request, turn) = match try_once(&mut self.attempt, state, request) {
            Attempt::Served => return Turn::Served,
            Attempt::Wait(request) => (request, Turn::Wait),
            Attempt::Part(request) => (request, Turn::Part),
        };
        self.request = Some(request);
        turn
    }

    fn fail(self: Box<Self>, errno: Errno) -> Delivery {
        self.request
            .map_or(Delivery::Unwanted, |request| request.fail(errno))
    }
}

/// A file whose readiness follows the state.
trait Watcher<S>: Send {
    fn update(&self, state: &S);
}

struct Watched<T, F> {
    file: OpenFile<T>,
    tell: F,
}

impl<S, T, F> Watcher<S> for Watched<T, F>
where
    T: Send + Sync,
    F: Fn(&S, &Readiness) + Send,
{
    fn update(&self, state: &S) {
        (self.tell)(state, self.file.readiness());
    }
}
