//! A stream of numbers whose answers come from another thread, often after the reader was
//! interrupted: what nobody took goes back.

use std::collections::VecDeque;
use std::sync::mpsc::{self, Sender};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;

use fusd::{Delivery, Device, OpenFile, OpenRequest, Operations, Properties, ReadRequest};

use crate::Control;

/// Numbers that are taken from the source at a time.
const BATCH: u32 = 64;

/// Reads give 0, 1, 2... as four bytes each. Every other read is answered at once; the rest is
/// only answered once its reader has stopped waiting, so that each of these answers comes too
/// late. Told: `late` (answers that nobody wanted).
pub(crate) struct Numbers(Mutex<Sender<ReadRequest>>);

struct Source {
    ready: VecDeque<u32>,
    next: u32,
}

impl Source {
    fn take(&mut self) -> u32 {
        if self.ready.is_empty() {
            self.ready.extend(self.next..self.next + BATCH);
            self.next += BATCH;
        }
        self.ready.pop_front().unwrap_or(0)
    }

    /// Answers with the next number; puts it back where nobody has it.
    fn answer(&mut self, request: ReadRequest) -> Delivery {
        let number = self.take();
        let delivery = request.reply(&number.to_le_bytes());
        if delivery == Delivery::Unwanted {
            self.ready.push_front(number);
        }
        delivery
    }
}

impl Numbers {
    pub(crate) fn new() -> (Self, Control) {
        let (sender, receiver) = mpsc::channel::<ReadRequest>();
        let late = Arc::new(Mutex::new(0u64));
        let told = Arc::clone(&late);
        thread::spawn(move || {
            let mut source = Source {
                ready: VecDeque::new(),
                next: 0,
            };
            for (turn, request) in receiver.into_iter().enumerate() {
                if turn % 2 == 1 {
                    // Waits for the interrupt, then answers all the same.
                    let (notice, noticed) = mpsc::channel();
                    // Dropped with the notice, the sender ends the wait if the answer's time is over.
                    let notice = move || notice.send(()).unwrap_or_default();
                    if request.on_abandoned(notice) {
                        let _ = noticed.recv();
                    }
                }
                if source.answer(request) == Delivery::Unwanted {
                    *late.lock().unwrap_or_else(PoisonError::into_inner) += 1;
                }
            }
        });
        let control = move |words: &[&str]| match words {
            ["late"] => Some(
                told.lock()
                    .unwrap_or_else(PoisonError::into_inner)
                    .to_string(),
            ),
            _ => None,
        };
        (Self(Mutex::new(sender)), Box::new(control))
    }
}

impl Device for Numbers {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream().operations(Operations::READ)
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        let sender = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        // Fails only where the answering thread has panicked: the request is dropped then.
        let _ = sender.send(request);
    }
}
