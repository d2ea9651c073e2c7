//! What has come and nobody has read yet.

use std::collections::VecDeque;
use std::io::IoSlice;

use fusd::request::ReadRequest;
use fusd::{Attempt, Delivery, Errno};

/// How much is taken from the network before it is read, in bytes.
const FULL: usize = 256 << 10;

/// The bytes, and what comes after the last of them.
#[derive(Debug, Default)]
pub(crate) struct Inbox {
    bytes: VecDeque<u8>,
    end: Option<Result<(), Errno>>,
}

impl Inbox {
    pub(crate) fn push(&mut self, bytes: &[u8]) {
        self.bytes.extend(bytes);
    }

    /// No more come: all are there, or why they are not.
    pub(crate) fn end(&mut self, result: Result<(), Errno>) {
        self.end = Some(result);
    }

    pub(crate) fn is_full(&self) -> bool {
        self.bytes.len() >= FULL
    }

    /// Whether a read would not wait.
    pub(crate) fn is_ready(&self) -> bool {
        !self.bytes.is_empty() || self.end.is_some()
    }

    /// Has a read get what is there, or wait.
    pub(crate) fn read(&mut self, request: ReadRequest) -> Attempt<ReadRequest> {
        if request.len() == 0 {
            request.reply(&[]);
            return Attempt::Served;
        }
        let length = request.len().min(self.bytes.len());
        match (length, self.end) {
            (0, None) => return Attempt::Wait(request),
            (0, Some(Ok(()))) => drop(request.reply(&[])),
            (0, Some(Err(errno))) => drop(request.fail(errno)),
            _ => {
                let (one, two) = self.bytes.as_slices();
                let one = &one[..length.min(one.len())];
                let two = &two[..length - one.len()];
                let parts = [IoSlice::new(one), IoSlice::new(two)];
                if request.reply_parts(&parts) == Delivery::Delivered {
                    self.bytes.drain(..length);
                }
            }
        }
        Attempt::Served
    }
}
