//! A device that holds calls back until it is told to let them through.

use fusd::request::Request;
use fusd::{
    Attempt, Device, FlushRequest, IoctlRequest, OpenFile, OpenRequest, Operations, Properties,
    ReadRequest, WaitQueue, WriteRequest,
};

use crate::Control;

/// Holds the kinds of calls it is made with (`open`, `read`, `write`, `ioctl`, `flush`); a stream
/// unless `seekable` is among them. Told:
/// `let` (all through, for good), `waiting` (calls that are held).
pub(crate) struct Gate {
    held: Vec<String>,
    properties: Properties,
    /// Whether the gate is open.
    queue: WaitQueue<bool>,
}

impl Gate {
    pub(crate) fn new(held: impl Iterator<Item = String>) -> (Self, Control) {
        let queue = WaitQueue::new(false);
        let told = queue.clone();
        let control = move |words: &[&str]| match words {
            ["let"] => Some(told.update(|open| {
                *open = true;
                "open".into()
            })),
            ["waiting"] => Some(told.waiting().to_string()),
            _ => None,
        };
        let held: Vec<_> = held.collect();
        let properties = match held.iter().any(|kind| kind == "seekable") {
            true => Properties::default(),
            false => Properties::stream(),
        };
        let device = Self {
            held,
            properties: properties.operations(Operations::all()),
            queue,
        };
        (device, Box::new(control))
    }

    fn pass<R: Request>(&self, kind: &str, request: R, done: impl Fn(R) + Send + 'static) {
        if !self.held.iter().any(|held| held == kind) {
            return done(request);
        }
        self.queue.serve(request, move |open, request| {
            if !*open {
                return Attempt::Wait(request);
            }
            done(request);
            Attempt::Served
        });
    }
}

impl Device for Gate {
    type File = ();

    fn properties(&self) -> Properties {
        self.properties
    }

    fn open(&self, request: OpenRequest<()>) {
        self.pass("open", request, |request: OpenRequest<()>| {
            request.accept(());
        });
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        self.pass("read", request, |request: ReadRequest| {
            let data = vec![b'r'; request.len()];
            request.reply(&data);
        });
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        self.pass("write", request, |request: WriteRequest| {
            request.accept();
        });
    }

    fn ioctl(&self, _: &OpenFile<()>, request: IoctlRequest) {
        self.pass("ioctl", request, |request: IoctlRequest| {
            request.reply(7, &[]);
        });
    }

    fn flush(&self, _: &OpenFile<()>, request: FlushRequest) {
        self.pass("flush", request, |request: FlushRequest| {
            request.done();
        });
    }
}
