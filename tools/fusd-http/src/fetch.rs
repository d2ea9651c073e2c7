//! A request for some blocks of a version, which come one after the other: as many as are wanted, and no
//! more before more are. Dropped by all who want some, it is cancelled, at the server as well.

use std::ops::Range;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use bytes::Bytes;
use fusd::Errno;
use tokio::runtime::Handle;
use tokio::sync::{Notify, oneshot};
use tokio::task::AbortHandle;

use crate::body::Body;
use crate::bring::Work;
use crate::cache::BLOCK;
use crate::failure::Failure;
use crate::ranged::Parts;
use crate::version::Version;

/// So many blocks are not worth breaking off a connection.
const LITTLE: u64 = 4;

/// The request, for those who want blocks of it.
#[derive(Debug)]
pub(crate) struct Fetch {
    /// The block behind the last that it can bring.
    end: u64,
    orders: Arc<Orders>,
    task: AbortHandle,
}

/// What to ask for.
pub(crate) struct Order {
    pub(crate) blocks: Range<u64>,
    /// The first of them that is not wanted yet.
    pub(crate) stop: u64,
    /// They are let go once they have been read.
    pub(crate) passing: bool,
}

/// What is wanted of it, for it and for them.
#[derive(Debug)]
pub(crate) struct Orders {
    state: Mutex<State>,
    /// More is wanted.
    more: Notify,
}

#[derive(Debug)]
struct State {
    /// The block that comes next.
    next: u64,
    /// The block that is not wanted yet.
    stop: u64,
    /// Its blocks are let go soon: they need not be copied.
    passing: bool,
    /// It comes to nothing more.
    has_failed: bool,
    waiting: Vec<(u64, Waiting)>,
}

type Waiting = oneshot::Sender<Result<Bytes, Failure>>;

/// Tells all who still wait that nothing more comes: also where the task panics, as they themselves keep
/// the orders.
struct Teller(Arc<Orders>);

/// A block on its way.
#[derive(Debug)]
pub(crate) struct Coming {
    block: oneshot::Receiver<Result<Bytes, Failure>>,
    /// It is brought as long as somebody has this.
    _fetch: Arc<Fetch>,
}

impl Fetch {
    /// Goes on with `blocks`, which are under way already: a body, and the byte before which it ends.
    pub(crate) fn go_on(
        parts: &Arc<Parts>,
        version: &Arc<Version>,
        blocks: Range<u64>,
        begun: (Body, u64),
    ) -> Arc<Self> {
        let order = Order::of(blocks);
        Self::start(parts, version, order, Some(begun), Vec::new())
    }

    /// Asks for what is ordered.
    pub(crate) fn begin(parts: &Arc<Parts>, version: &Arc<Version>, order: Order) -> Arc<Self> {
        Self::start(parts, version, order, None, Vec::new())
    }

    /// Asks for `blocks`; gives the first of them.
    pub(crate) fn order(parts: &Arc<Parts>, version: &Arc<Version>, blocks: Range<u64>) -> Coming {
        let (here, block) = oneshot::channel();
        let waiting = vec![(blocks.start, here)];
        Coming {
            block,
            _fetch: Self::start(parts, version, Order::of(blocks), None, waiting),
        }
    }

    fn start(
        parts: &Arc<Parts>,
        version: &Arc<Version>,
        order: Order,
        begun: Option<(Body, u64)>,
        waiting: Vec<(u64, Waiting)>,
    ) -> Arc<Self> {
        let Order {
            blocks,
            stop,
            passing,
        } = order;
        let orders = Arc::new(Orders {
            state: Mutex::new(State {
                next: blocks.start,
                stop,
                passing,
                has_failed: false,
                waiting,
            }),
            more: Notify::new(),
        });
        let work = Work::new(parts, version, &blocks, Arc::clone(&orders));
        let fetch = Self::spawn(&parts.runtime, blocks.end, orders, work.run(begun));
        version.share(&fetch);
        fetch
    }

    /// Has `work` bring the blocks before `end`.
    fn spawn(
        runtime: &Handle,
        end: u64,
        orders: Arc<Orders>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Self> {
        let teller = Teller(Arc::clone(&orders));
        let work = async move {
            let _teller = teller;
            work.await;
        };
        let task = runtime.spawn(work).abort_handle();
        Arc::new(Self { end, orders, task })
    }

    /// Whether a block is wanted of it that is not there yet.
    pub(crate) fn brings(&self, block: u64) -> bool {
        self.orders.lock().brings(block)
    }

    /// A block, if it is wanted of this and not there yet.
    pub(crate) fn wait_for(self: Arc<Self>, block: u64) -> Option<Coming> {
        let mut state = self.orders.lock();
        if !state.brings(block) {
            return None;
        }
        let (here, there) = oneshot::channel();
        state.waiting.push((block, here));
        drop(state);
        Some(Coming {
            block: there,
            _fetch: self,
        })
    }

    /// Has it bring all blocks before `stop`, as far as it can, which are let go once they have been read
    /// if they are `passing`. Gives the block behind the last of them; nothing where `block` is none.
    pub(crate) fn extend(&self, block: u64, stop: u64, passing: bool) -> Option<u64> {
        let mut state = self.orders.lock();
        let goes_on = !state.has_failed && (state.next..self.end).contains(&block);
        if !goes_on || block > state.edge() {
            return None;
        }
        state.stop = state.stop.max(stop.min(self.end));
        state.passing = passing;
        let stop = state.stop;
        drop(state);
        self.orders.more.notify_one();
        Some(stop)
    }

    /// Whether it is of use to somebody who reads from block `first` to block `edge`.
    pub(crate) fn is_near(&self, first: u64, edge: u64) -> bool {
        let state = self.orders.lock();
        if state.has_failed || state.next >= self.end {
            return false;
        }
        // What has come with the last that was wanted takes it no farther away.
        let here = state.next.min(state.stop);
        // Of little that is left, the end is sooner there than another connection.
        self.end - state.next <= LITTLE || state.edge() >= first && here <= edge
    }
}

impl Order {
    /// All of `blocks`, now.
    fn of(blocks: Range<u64>) -> Self {
        Self {
            stop: blocks.end,
            blocks,
            passing: false,
        }
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Drop for Teller {
    fn drop(&mut self) {
        let text = "the request has ended before its time";
        self.0.fail(&Failure::new(Errno::EIO, text));
    }
}

impl State {
    /// The first block that has neither come nor is wanted.
    fn edge(&self) -> u64 {
        // What has come with the last that was wanted is more than that.
        self.stop.max(self.next)
    }

    fn brings(&self, block: u64) -> bool {
        !self.has_failed && (self.next..self.stop).contains(&block)
    }
}

impl Orders {
    /// The byte of the page up to which all is wanted.
    pub(crate) fn stop(&self) -> u64 {
        self.lock().stop * BLOCK
    }

    /// Whether its blocks are let go once they have been read.
    pub(crate) fn are_passing(&self) -> bool {
        self.lock().passing
    }

    /// Resolves when more may be wanted than was before.
    pub(crate) async fn more(&self) {
        self.more.notified().await;
    }

    /// A block has come, and is in the cache. Who waits for it gets it, whatever the cache keeps.
    pub(crate) fn give(&self, block: u64, content: &Bytes) {
        let mut state = self.lock();
        state.next = block + 1;
        // They come in order, and nobody begins to wait for one that has come.
        debug_assert!(state.waiting.iter().all(|it| it.0 >= block));
        for (_, waiting) in state.waiting.extract_if(.., |it| it.0 == block) {
            // It may have gone.
            let _ = waiting.send(Ok(content.clone()));
        }
    }

    /// No more come.
    pub(crate) fn fail(&self, failure: &Failure) {
        let mut state = self.lock();
        state.has_failed = true;
        for (_, waiting) in state.waiting.drain(..) {
            // As above.
            let _ = waiting.send(Err(failure.clone()));
        }
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Coming {
    /// The block, as soon as it is there.
    ///
    /// # Errors
    /// It does not come.
    pub(crate) async fn wait(self) -> Result<Bytes, Failure> {
        self.block.await.unwrap_or_else(|_| {
            let text = "the request has ended before its time";
            Err(Failure::new(Errno::EIO, text))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A request for the blocks before 100, of which `next` comes next, and all before `stop` are wanted.
    fn fetch(next: u64, stop: u64, work: impl Future<Output = ()> + Send + 'static) -> Arc<Fetch> {
        let state = State {
            next,
            stop,
            passing: false,
            has_failed: false,
            waiting: Vec::new(),
        };
        let orders = Orders {
            state: Mutex::new(state),
            more: Notify::new(),
        };
        Fetch::spawn(&Handle::current(), 100, Arc::new(orders), work)
    }

    #[tokio::test]
    async fn who_waits_is_told_of_a_panic() {
        let (begin, begun) = oneshot::channel::<()>();
        let work = async {
            begun.await.unwrap();
            panic!("of the test");
        };
        let fetch = fetch(0, 10, work);
        let coming = Arc::clone(&fetch).wait_for(3).unwrap();
        begin.send(()).unwrap();
        assert_eq!(coming.wait().await.unwrap_err().errno, Errno::EIO);
        assert!(!fetch.brings(3), "it is asked for anew");
        assert!(fetch.extend(10, 20, false).is_none());
    }

    #[tokio::test]
    async fn what_has_come_beyond_what_was_wanted_is_near() {
        let fetch = fetch(29, 20, std::future::pending());
        assert!(fetch.is_near(0, 24), "9 blocks ahead, and the reader 4");
        assert!(!fetch.is_near(0, 19), "far ahead");
        assert!(!fetch.is_near(30, 40), "far behind");
        assert_eq!(fetch.extend(29, 200, true), Some(100), "as far as it goes");
    }
}
