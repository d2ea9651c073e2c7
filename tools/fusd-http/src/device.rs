//! The device: what a client's open and read do.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fusd::request::{OpenRequest, ReadRequest, SyncRequest};
use fusd::{Device, Errno, OpenFile, Operations, Properties};
use tokio::runtime::{Handle, Runtime};

use crate::failure::Failure;
use crate::opened::{Opened, Taken};
use crate::page::{Page, Source};
use crate::serve::serve;

/// A URL as a device.
#[derive(Debug)]
pub struct HttpDevice {
    source: Arc<Source>,
    /// The length that the page had last, in bytes.
    last: Arc<AtomicU64>,
    runtime: Option<Runtime>,
}

impl HttpDevice {
    /// Serves what `source` gives, by requests that run on `runtime`.
    pub(crate) fn new(source: Source, runtime: Runtime) -> Self {
        Self {
            source: Arc::new(source),
            last: Arc::default(),
            runtime: Some(runtime),
        }
    }

    fn handle(&self) -> &Handle {
        &self.source.parts.runtime
    }
}

impl Drop for HttpDevice {
    fn drop(&mut self) {
        // Requests under way have nobody who waits for them.
        if let Some(runtime) = self.runtime.take() {
            runtime.shutdown_background();
        }
    }
}

impl Device for HttpDevice {
    type File = Arc<Opened>;

    fn properties(&self) -> Properties {
        Properties::default().operations(Operations::READ | Operations::SYNC)
    }

    fn open(&self, request: OpenRequest<Arc<Opened>>) {
        if request.flags().writable() {
            request.fail(Errno::EACCES);
            return;
        }
        let source = Arc::clone(&self.source);
        let last = Arc::clone(&self.last);
        let work = async move { source.open().await };
        let answer = move |request: OpenRequest<_>, page: Result<Page, Failure>| match page {
            Ok(page) => {
                last.store(page.length(), Ordering::Relaxed);
                request.accept(Arc::new(Opened::new(page)));
            }
            Err(failure) => {
                request.fail(failure.errno);
            }
        };
        serve(self.handle(), request, work, answer, || {});
    }

    fn read(&self, file: &OpenFile<Arc<Opened>>, request: ReadRequest) {
        let page = file.page();
        let ranged = match &*page {
            Page::Empty => return request.at_return().reply(&[]),
            Page::Flow(flow) => return flow.read(request),
            Page::Ranged(ranged) => ranged,
        };
        let (offset, length) = (request.offset(), request.len());
        let piece = ranged.piece(offset, length);
        if let Some(bytes) = piece.ready() {
            request.at_return().reply_parts(&slices(&bytes));
            return;
        }
        let (source, opened) = (Arc::clone(&self.source), Arc::clone(file));
        let work = async move { opened.read(&source, piece, offset, length).await };
        let answer = |request: ReadRequest, taken: Result<Taken, Failure>| match taken {
            Ok(Taken::Bytes(bytes)) => {
                request.reply_parts(&slices(&bytes));
            }
            Ok(Taken::Elsewhere(page)) => {
                if let Page::Flow(flow) = &*page {
                    flow.read(request);
                }
            }
            Err(failure) => {
                request.fail(failure.errno);
            }
        };
        let given_up = move || {
            if let Page::Ranged(ranged) = &*page {
                ranged.forget();
            }
        };
        serve(self.handle(), request, work, answer, given_up);
    }

    fn sync(&self, _file: &OpenFile<Arc<Opened>>, request: SyncRequest) {
        request.at_return().done();
    }

    fn size(&self, file: Option<&OpenFile<Arc<Opened>>>) -> u64 {
        match file {
            Some(file) => file.page().length(),
            None => self.last.load(Ordering::Relaxed),
        }
    }
}

fn slices(bytes: &[Bytes]) -> Vec<IoSlice<'_>> {
    bytes.iter().map(|bytes| IoSlice::new(bytes)).collect()
}
