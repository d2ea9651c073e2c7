//! A registered device: the only place where a device and a backend meet.

mod adopt;
mod crew;
mod dispatch;
mod engine;
mod files;
mod job;
mod serve;

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

pub(crate) use self::engine::{Engine, Limits};
use crate::backend::{Backend, BackendKind};
use crate::sync::lock;
use crate::{Errno, Error, ErrorKind, Result};

/// The end of a session waits for handlers that are still running: so many pauses, two seconds in all.
/// They are counted, as a machine that stands still takes time from the handlers as well.
const GRACE: u32 = 100;
const PAUSE: Duration = Duration::from_millis(20);
/// How often it looks in a pause where nobody would tell it.
const LOOKS: u32 = 20;

/// A registered device. Its node is there; its calls are served while [`run`](Self::run) runs, or
/// by a [`Serving`].
///
/// Dropped, it takes its node away.
pub struct Session {
    shared: Arc<Shared>,
    serve: Arc<dyn Serve>,
}

/// What a session knows of its device.
pub(crate) trait Serve: Send + Sync {
    /// Starts the first worker.
    fn start(&self, shared: &Arc<Shared>) -> Result<()>;

    /// Ends all calls that wait.
    fn shut(&self);

    /// Has the threads end, each after the call that it is busy with.
    fn rest(&self);

    /// Whether there are calls that the driver has begun with, and not answered.
    fn is_busy(&self) -> bool;

    /// Gives back the calls that no handler has seen, once all threads have ended.
    fn give_back(&self);

    /// Gives back those that wait in queues, and takes no more.
    fn give_way(&self);

    /// Releases the files that are still open.
    fn release_all(&self);
}

/// What the session, its workers and its stop handles share.
pub(crate) struct Shared {
    pub(crate) backend: Arc<dyn Backend>,
    /// A copy: the backend outlives the session only in stop handles and stuck handlers.
    path: PathBuf,
    /// Set under the lock of `end`, and never taken back.
    stop: AtomicBool,
    /// The device is to end with the session, whatever its policy.
    for_good: AtomicBool,
    /// Why the session ended, unless it was asked to.
    end: Mutex<Option<Error>>,
    /// Threads that hold the device. Falls under the lock of `end`.
    workers: AtomicUsize,
    changed: Condvar,
}

impl Shared {
    pub(crate) fn path(&self) -> &Path {
        &self.path
    }

    #[inline]
    pub(crate) fn stopping(&self) -> bool {
        self.stop.load(Ordering::Acquire)
    }

    /// Ends the session; the first reason counts.
    pub(crate) fn stop(&self, failure: Option<Error>) {
        let mut end = lock(&self.end);
        if !self.stop.swap(true, Ordering::AcqRel) {
            *end = failure;
        }
        self.changed.notify_all();
    }

    /// Tells that a worker is to be started.
    pub(crate) fn worker_begins(&self) {
        self.workers.fetch_add(1, Ordering::AcqRel);
    }

    /// Tells that a worker has let go of the device.
    pub(crate) fn worker_ended(&self) {
        let _order = lock(&self.end);
        self.workers.fetch_sub(1, Ordering::AcqRel);
        self.changed.notify_all();
    }

    fn workers(&self) -> usize {
        self.workers.load(Ordering::Acquire)
    }

    /// Whether the device outlives the session, for another driver.
    fn leaves_device(&self) -> bool {
        self.backend.keeps() && !self.for_good.load(Ordering::Acquire)
    }

    fn wait_for_stop(&self) {
        let waited = self
            .changed
            .wait_while(lock(&self.end), |_| !self.stopping());
        drop(waited.unwrap_or_else(PoisonError::into_inner));
    }
}

impl Session {
    pub(crate) fn new(backend: Arc<dyn Backend>, serve: Arc<dyn Serve>) -> Self {
        let shared = Shared {
            path: backend.path().to_owned(),
            backend,
            stop: AtomicBool::new(false),
            for_good: AtomicBool::new(false),
            end: Mutex::new(None),
            workers: AtomicUsize::new(0),
            changed: Condvar::new(),
        };
        Self {
            shared: Arc::new(shared),
            serve,
        }
    }

    /// Where clients find the device.
    pub fn path(&self) -> &Path {
        &self.shared.path
    }

    /// What carries its calls.
    pub fn backend(&self) -> BackendKind {
        self.shared.backend.kind()
    }

    /// Whether the device outlives its driver: it was registered with a [`Restart`](crate::Restart),
    /// and the backend can do that.
    pub fn is_kept(&self) -> bool {
        self.shared.backend.keeps()
    }

    /// A handle that ends the session from anywhere: another thread, a handler.
    pub fn stop_handle(&self) -> StopHandle {
        StopHandle(Arc::clone(&self.shared))
    }

    /// Serves the device until somebody stops it. The calling thread waits; the handlers run on
    /// threads of the session.
    ///
    /// At the end the node goes away, waiting calls fail with `EPIPE`, and handlers that are
    /// running get two seconds to return. The device has been dropped when this returns, unless a
    /// handler did not.
    ///
    /// A device that is kept ([`is_kept`](Self::is_kept)) waits for another driver instead, unless it
    /// was stopped for good ([`StopHandle::stop_for_good`]); so it does when another driver replaces
    /// this one, by which it is stopped as well. Calls that the driver has begun with get two seconds
    /// to be answered. Those that wait in a [`WaitQueue`](crate::WaitQueue) go to the next driver as
    /// if this one had not seen them. What is not answered then is up to the policy.
    ///
    /// # Errors
    /// The first thread could not be started, the node was taken away from outside (`ENODEV`), the
    /// connection to the kernel broke, or the node could not be removed.
    pub fn run(self) -> Result<()> {
        self.serve.start(&self.shared)?;
        self.shared.wait_for_stop();
        let detached = match self.shared.leaves_device() {
            true => {
                self.give_way();
                Ok(())
            }
            false => {
                let detached = self.shared.backend.detach();
                self.finish();
                detached
            }
        };
        let failure = lock(&self.shared.end).take();
        failure.map_or(detached, Err)
    }

    /// Serves the device on threads of its own.
    ///
    /// # Errors
    /// The thread could not be started.
    pub fn spawn(self) -> Result<Serving> {
        let stop = self.stop_handle();
        let path = self.path().to_owned();
        let backend = self.backend();
        let thread = thread::Builder::new()
            .name("fusd-session".into())
            .spawn(move || self.run())
            .map_err(|error| no_thread(&error))?;
        Ok(Serving {
            stop,
            path,
            backend,
            thread: Some(thread),
        })
    }

    /// After the node is gone: ends all calls, then all workers, then the connection.
    fn finish(&self) {
        self.serve.shut();
        self.wait_for_workers();
        self.shared.backend.close();
        self.serve.release_all();
    }

    /// The node stays: ends all workers, then the calls that are under way, then the connection. The
    /// files are the next driver's.
    fn give_way(&self) {
        self.serve.rest();
        let pauses = self.wait_for_workers();
        if self.shared.workers() == 0 {
            self.serve.give_back();
            // What other threads of the driver have to answer, nobody here is told of.
            let mut looks = pauses * LOOKS;
            while self.serve.is_busy() && looks > 0 {
                thread::sleep(PAUSE / LOOKS);
                looks -= 1;
            }
            self.serve.give_way();
        }
        self.shared.backend.close();
    }

    /// Waits until all workers have ended, though not for ever; gives how many pauses are left.
    fn wait_for_workers(&self) -> u32 {
        let mut pauses = GRACE;
        while self.shared.workers() > 0 {
            self.shared.backend.nudge();
            if pauses == 0 {
                // The last may have ended just now.
                let handlers = self.shared.workers();
                if handlers > 0 {
                    tracing::warn!(
                        device = %self.path().display(),
                        handlers,
                        "handlers still run at the end of the session",
                    );
                }
                break;
            }
            let end = lock(&self.shared.end);
            if self.shared.workers() > 0 {
                // A nudge wakes one worker: come back soon in case it was not the last.
                let waited = self.shared.changed.wait_timeout(end, PAUSE);
                let waited = waited.unwrap_or_else(PoisonError::into_inner).1;
                pauses -= u32::from(waited.timed_out());
            }
        }
        pauses
    }
}

impl Drop for Session {
    fn drop(&mut self) {
        self.shared.stop(None);
        if self.shared.leaves_device() {
            // Nothing has been begun, or all of that has been seen to.
            self.shared.backend.close();
            self.serve.shut();
            return;
        }
        if let Err(error) = self.shared.backend.detach() {
            tracing::error!(%error, "the node is left behind");
        }
        self.serve.shut();
        self.shared.backend.close();
    }
}

impl fmt::Debug for Session {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Session")
            .field("path", &self.path())
            .field("backend", &self.backend())
            .finish_non_exhaustive()
    }
}

/// Ends a session, from any thread.
#[derive(Clone)]
pub struct StopHandle(Arc<Shared>);

impl StopHandle {
    /// Asks the session to end; [`Session::run`] then returns. Does not wait.
    pub fn stop(&self) {
        self.0.stop(None);
    }

    /// The same; but the device ends, too, where it would be kept for another driver
    /// ([`Restart`](crate::Restart)).
    pub fn stop_for_good(&self) {
        self.0.for_good.store(true, Ordering::Release);
        self.0.stop(None);
    }
}

impl fmt::Debug for StopHandle {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("StopHandle").field(&self.0.path).finish()
    }
}

/// A device that is served in the background. Dropped, it stops.
#[derive(Debug)]
pub struct Serving {
    stop: StopHandle,
    path: PathBuf,
    backend: BackendKind,
    thread: Option<thread::JoinHandle<Result<()>>>,
}

impl Serving {
    /// Where clients find the device.
    pub fn path(&self) -> &Path {
        &self.path
    }

    /// What carries its calls.
    pub fn backend(&self) -> BackendKind {
        self.backend
    }

    /// A handle that ends the session from anywhere.
    pub fn stop_handle(&self) -> StopHandle {
        self.stop.clone()
    }

    /// Waits for the session's end.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn join(mut self) -> Result<()> {
        self.wait()
    }

    /// Ends the session and waits until it has.
    ///
    /// # Errors
    /// Those of [`Session::run`].
    pub fn stop(self) -> Result<()> {
        self.stop.stop();
        self.join()
    }

    fn wait(&mut self) -> Result<()> {
        match self.thread.take().map(thread::JoinHandle::join) {
            None => Ok(()),
            Some(Ok(result)) => result,
            Some(Err(_)) => Err(
                Error::new(ErrorKind::Runtime, Errno::EIO, "serve the device")
                    .on(&self.path)
                    .because("its session panicked"),
            ),
        }
    }
}

impl Drop for Serving {
    fn drop(&mut self) {
        self.stop.stop();
        if let Err(error) = self.wait() {
            tracing::error!(%error, "session ended");
        }
    }
}

fn no_thread(error: &std::io::Error) -> Error {
    Error::system(ErrorKind::Runtime, error, "start a thread")
}
