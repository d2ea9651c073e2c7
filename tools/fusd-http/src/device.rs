//! The device: what a client's calls do.

use std::io::IoSlice;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use bytes::Bytes;
use fusd::request::{FlushRequest, OpenRequest, ReadRequest, SyncRequest, WriteRequest};
use fusd::{Device, Errno, OpenFile, Operations, Properties};

use crate::failure::Failure;
use crate::opened::{Opened, Taken};
use crate::page::{Page, Source};
use crate::serve::serve;
use crate::talk::{Server, Talk};
use crate::who::Who;

/// A URL as a device.
#[derive(Debug)]
pub struct HttpDevice(Kind);

#[derive(Debug)]
enum Kind {
    Pages(Pages),
    Stream(Arc<Server>),
}

/// An open file of it.
#[derive(Debug)]
pub struct OpenUrl(Open);

#[derive(Debug)]
enum Open {
    Page(Arc<Opened>),
    Talk(Talk),
}

/// A node that is read like a file.
#[derive(Debug)]
struct Pages {
    source: Arc<Source>,
    /// The length that the page had last, in bytes.
    last: Arc<AtomicU64>,
}

impl HttpDevice {
    /// A device that is read like a file.
    pub(crate) fn pages(source: Source) -> Self {
        Self(Kind::Pages(Pages {
            source: Arc::new(source),
            last: Arc::default(),
        }))
    }

    /// A device that is a stream, to and from the server.
    pub(crate) fn stream(server: Arc<Server>) -> Self {
        Self(Kind::Stream(server))
    }
}

impl Device for HttpDevice {
    type File = OpenUrl;

    fn properties(&self) -> Properties {
        let read = Operations::READ | Operations::SYNC;
        match &self.0 {
            Kind::Pages(_) => Properties::default().operations(read),
            Kind::Stream(server) => {
                let mut operations = read | Operations::POLL;
                if server.writing.is_some() {
                    operations |= Operations::WRITE | Operations::FLUSH;
                }
                Properties::stream().operations(operations)
            }
        }
    }

    fn open(&self, request: OpenRequest<OpenUrl>) {
        match &self.0 {
            Kind::Pages(pages) => pages.open(request),
            Kind::Stream(server) => Talk::open(server, request),
        }
    }

    fn release(&self, file: &OpenFile<OpenUrl>) {
        if let Open::Talk(talk) = &file.0 {
            talk.release(file);
        }
    }

    fn read(&self, file: &OpenFile<OpenUrl>, request: ReadRequest) {
        match (&self.0, &file.0) {
            (_, Open::Talk(talk)) => talk.read(request),
            (Kind::Pages(pages), Open::Page(opened)) => pages.read(opened, request),
            // No file of a stream is a page.
            (Kind::Stream(_), Open::Page(_)) => drop(request.fail(Errno::EBADF)),
        }
    }

    fn write(&self, file: &OpenFile<OpenUrl>, request: WriteRequest) {
        match &file.0 {
            Open::Talk(talk) => talk.write(request),
            Open::Page(_) => drop(request.fail(Errno::EBADF)),
        }
    }

    fn flush(&self, file: &OpenFile<OpenUrl>, request: FlushRequest) {
        match &file.0 {
            Open::Talk(talk) => talk.flush(request),
            Open::Page(_) => request.at_return().done(),
        }
    }

    fn sync(&self, _file: &OpenFile<OpenUrl>, request: SyncRequest) {
        // Nothing is kept on a disk that it would have to reach.
        request.at_return().done();
    }

    fn size(&self, file: Option<&OpenFile<OpenUrl>>) -> u64 {
        match (&self.0, file.map(|file| &file.0)) {
            (_, Some(Open::Page(opened))) => opened.page().length(),
            (Kind::Pages(pages), None) => pages.last.load(Ordering::Relaxed),
            _ => 0,
        }
    }
}

impl OpenUrl {
    pub(crate) fn of_talk(talk: Talk) -> Self {
        Self(Open::Talk(talk))
    }
}

impl Pages {
    fn open(&self, request: OpenRequest<OpenUrl>) {
        if request.flags().writable() {
            request.fail(Errno::EACCES);
            return;
        }
        let source = Arc::clone(&self.source);
        let last = Arc::clone(&self.last);
        let who = Arc::new(Who::of(request.caller()));
        let opener = Arc::clone(&who);
        let work = async move { source.open(&opener).await };
        let answer = move |request: OpenRequest<OpenUrl>, page: Result<Page, Failure>| match page {
            Ok(page) => {
                last.store(page.length(), Ordering::Relaxed);
                let opened = Arc::new(Opened::new(page, who));
                request.accept(OpenUrl(Open::Page(opened)));
            }
            Err(failure) => {
                request.fail(failure.errno);
            }
        };
        serve(&self.source.parts.runtime, request, work, answer, || {});
    }

    fn read(&self, file: &Arc<Opened>, request: ReadRequest) {
        let page = file.page();
        let ranged = match &*page {
            Page::Whole(content) => return request.at_return().reply_from(content),
            Page::Flow(flow) => return flow.read(request),
            Page::Ranged(ranged) => ranged,
        };
        let (offset, length) = (request.offset(), request.len());
        if let Some(bytes) = ranged.kept(offset, length) {
            request.at_return().reply_parts(&slices(&bytes));
            return;
        }
        ranged.note(offset, length);
        let (source, opened) = (Arc::clone(&self.source), Arc::clone(file));
        // What it needs is asked for where it is waited for: the thread of the network is woken once.
        let work = async move { opened.read(&source, offset, length).await };
        let answer = |request: ReadRequest, taken: Result<Taken, Failure>| match taken {
            Ok(Taken::Bytes(bytes, _turn)) => {
                request.reply_parts(&slices(&bytes));
            }
            Ok(Taken::Elsewhere(page)) => match &*page {
                Page::Flow(flow) => flow.read(request),
                Page::Whole(content) => drop(request.reply_from(content)),
                // That comes as bytes.
                Page::Ranged(_) => drop(request.fail(Errno::EIO)),
            },
            Err(failure) => {
                request.fail(failure.errno);
            }
        };
        let given_up = move || {
            if let Page::Ranged(ranged) = &*page {
                ranged.forget();
            }
        };
        serve(&self.source.parts.runtime, request, work, answer, given_up);
    }
}

fn slices(bytes: &[Bytes]) -> Vec<IoSlice<'_>> {
    bytes.iter().map(|bytes| IoSlice::new(bytes)).collect()
}
