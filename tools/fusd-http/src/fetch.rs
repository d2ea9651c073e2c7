//! A request for some blocks of a version, which come one after the other: as many as are wanted, and no
//! more before more are. Dropped by all who want some, it is cancelled, at the server as well.

use std::ops::Range;
use std::sync::Arc;

use bytes::Bytes;
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::AbortHandle;

use crate::body::Body;
use crate::bring::Work;
use crate::failure::Failure;
use crate::grid::Grid;
use crate::orders::{Brought, Order, Orders, Teller, ended};
use crate::ranged::Parts;
use crate::version::Version;

/// The request, for those who want blocks of it.
#[derive(Debug)]
pub(crate) struct Fetch {
    orders: Arc<Orders>,
    task: AbortHandle,
}

/// A block on its way.
#[derive(Debug)]
pub(crate) struct Coming {
    block: oneshot::Receiver<Brought>,
    /// It is brought as long as somebody has this.
    _fetch: Arc<Fetch>,
}

impl Fetch {
    /// Asks for the blocks that are ordered.
    pub(crate) fn begin(parts: &Arc<Parts>, version: &Arc<Version>, order: &Order) -> Arc<Self> {
        let orders = Orders::new(order, version.blocks.size);
        Self::start(parts, version, &version.blocks, order, orders, None)
    }

    /// Goes on with `blocks`, which are under way already: a body, and the byte before which it ends.
    pub(crate) fn go_on(
        parts: &Arc<Parts>,
        version: &Arc<Version>,
        blocks: Range<u64>,
        begun: (Body, u64),
    ) -> Arc<Self> {
        let order = Order::of(blocks);
        let orders = Orders::new(&order, version.blocks.size);
        Self::start(parts, version, &version.blocks, &order, orders, Some(begun))
    }

    /// Asks for `blocks` of `grid`; gives the first of them.
    pub(crate) fn order(
        parts: &Arc<Parts>,
        version: &Arc<Version>,
        grid: &Arc<Grid>,
        blocks: Range<u64>,
    ) -> Coming {
        let order = Order::of(blocks);
        let orders = Orders::new(&order, grid.size);
        // Before it can come.
        let block = orders.wait_for(order.blocks.start);
        Coming {
            block: block.expect("the first block of some is wanted"),
            _fetch: Self::start(parts, version, grid, &order, orders, None),
        }
    }

    fn start(
        parts: &Arc<Parts>,
        version: &Arc<Version>,
        grid: &Arc<Grid>,
        order: &Order,
        orders: Orders,
        begun: Option<(Body, u64)>,
    ) -> Arc<Self> {
        let orders = Arc::new(orders);
        let work = Work::new(parts, version, grid, &order.blocks, Arc::clone(&orders));
        // It is large, and a task is moved several times.
        let work = Box::pin(work.run(begun));
        let fetch = Self::spawn(&parts.runtime, orders, work);
        grid.share(&fetch);
        fetch
    }

    /// Has `work` bring what is ordered.
    fn spawn(
        runtime: &Handle,
        orders: Arc<Orders>,
        work: impl Future<Output = ()> + Send + 'static,
    ) -> Arc<Self> {
        let teller = Teller(Arc::clone(&orders));
        let work = async move {
            let _teller = teller;
            work.await;
        };
        let task = runtime.spawn(work).abort_handle();
        Arc::new(Self { orders, task })
    }

    /// What is wanted of it.
    pub(crate) fn orders(&self) -> &Orders {
        &self.orders
    }

    /// A block, if it is wanted of this and not there yet.
    pub(crate) fn wait_for(self: Arc<Self>, block: u64) -> Option<Coming> {
        Some(Coming {
            block: self.orders.wait_for(block)?,
            _fetch: self,
        })
    }
}

impl Drop for Fetch {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Coming {
    /// The block, as soon as it is there.
    ///
    /// # Errors
    /// It does not come.
    pub(crate) async fn wait(self) -> Result<Bytes, Failure> {
        self.block.await.unwrap_or_else(|_| Err(ended()))
    }
}

#[cfg(test)]
mod tests {
    use fusd::Errno;

    use super::*;
    use crate::cache::BLOCK;

    #[tokio::test]
    async fn who_waits_is_told_of_a_panic() {
        let (begin, begun) = oneshot::channel::<()>();
        let work = async {
            begun.await.unwrap();
            panic!("of the test");
        };
        let orders = Arc::new(Orders::new(&Order::of(0..10), BLOCK));
        let fetch = Fetch::spawn(&Handle::current(), orders, work);
        let coming = Arc::clone(&fetch).wait_for(3).unwrap();
        begin.send(()).unwrap();
        assert_eq!(coming.wait().await.unwrap_err().errno, Errno::EIO);
        assert!(!fetch.orders().brings(3), "it is asked for anew");
        assert!(fetch.orders().extend(10, 20, false).is_none());
    }
}
