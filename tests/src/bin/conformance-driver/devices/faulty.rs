//! A device with bugs on demand.

use std::sync::{Arc, Mutex, PoisonError};

use fusd::request::Request;
use fusd::{Device, Errno, IoctlRequest, OpenFile, OpenRequest, ReadRequest, WriteRequest};

use crate::Control;

/// Told `panic CALL`, `drop CALL` or `wrong CALL`, does that to the next call of the kind; all
/// others succeed. `wrong` answers what is not possible: too many bytes, a negative result.
pub(crate) struct Faulty(Arc<Mutex<Option<(String, String)>>>);

impl Faulty {
    pub(crate) fn new() -> (Self, Control) {
        let next = Arc::new(Mutex::new(None));
        let told = Arc::clone(&next);
        let control = move |words: &[&str]| match words {
            [fault @ ("panic" | "drop" | "wrong"), call] => {
                let mut next = told.lock().unwrap_or_else(PoisonError::into_inner);
                *next = Some(((*fault).to_owned(), (*call).to_owned()));
                Some("armed".into())
            }
            _ => None,
        };
        (Self(next), Box::new(control))
    }

    /// Has the fault that is due for `call` happen; gives the request back if it goes well.
    fn survive<R: Request>(&self, call: &str, request: R, wrong: fn(R)) -> Option<R> {
        let fault = {
            let mut next = self.0.lock().unwrap_or_else(PoisonError::into_inner);
            next.take_if(|(_, of)| of == call).map(|(fault, _)| fault)
        };
        match fault.as_deref() {
            None => return Some(request),
            Some("panic") => panic!("on demand"),
            Some("wrong") => wrong(request),
            Some(_) => drop(request),
        }
        None
    }
}

impl Device for Faulty {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        let wrong = |request: OpenRequest<()>| {
            request.fail(Errno::EIO);
        };
        if let Some(request) = self.survive("open", request, wrong) {
            request.accept(());
        }
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        let wrong = |request: ReadRequest| {
            let data = vec![0; request.len() + 1];
            request.reply(&data);
        };
        if let Some(request) = self.survive("read", request, wrong) {
            let length = request.len().min(2);
            request.reply(&b"ok"[..length]);
        }
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        let wrong = |request: WriteRequest| {
            let count = request.data().len() + 1;
            request.accept_part(count);
        };
        if let Some(request) = self.survive("write", request, wrong) {
            request.accept();
        }
    }

    fn ioctl(&self, _: &OpenFile<()>, request: IoctlRequest) {
        let wrong = |request: IoctlRequest| {
            request.reply(-1, &[]);
        };
        if let Some(request) = self.survive("ioctl", request, wrong) {
            request.reply(5, &[]);
        }
    }
}
