//! The threads that wait for the network.

use std::time::Duration;

use fusd::{Errno, Error, ErrorKind};
use fusd_tool::ToolError;
use tokio::runtime::{Builder, Runtime};
use tokio_util::task::TaskTracker;

/// Threads that bring pages. With more, what has come for one page would go from thread to thread. What may
/// wait for a disk is done by others.
const THREADS: usize = 1;

/// How long the end of the tool waits for answers.
const PATIENCE: Duration = Duration::from_secs(10);

/// Has the C library keep memory of such pieces, in bytes, for the next ones: what comes from the network
/// comes in pieces of up to 408 KiB, and to get the pages of each from the kernel takes as long as to read it.
/// That of glibc learns it from the largest piece that has been freed (mallopt(3), M_MMAP_THRESHOLD), and
/// then keeps twice as much.
const PIECES: usize = 4 << 20;

/// Starts them.
///
/// # Errors
/// There can be none.
pub(crate) fn start() -> Result<Runtime, ToolError> {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(PIECES)));
    let runtime = Builder::new_multi_thread()
        .worker_threads(THREADS)
        .thread_name("network")
        .enable_all()
        .build();
    runtime.map_err(|error| {
        let error = Errno::from(error);
        Error::system(ErrorKind::Runtime, error, "wait for the network").into()
    })
}

/// Waits for what has been written and whose writer has gone.
pub(crate) fn end(runtime: Runtime, tasks: &TaskTracker) {
    tasks.close();
    let all = async { tokio::time::timeout(PATIENCE, tasks.wait()).await };
    if runtime.block_on(all).is_err() {
        let count = tasks.len();
        tracing::error!(
            count,
            "requests are broken off: the server has not answered"
        );
    }
    runtime.shutdown_background();
}
