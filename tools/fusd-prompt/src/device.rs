//! The device: what a client's open, read and write come to.

use std::fmt;
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use fusd::request::{OpenRequest, ReadRequest, SyncRequest, WriteRequest};
use fusd::{Delivery, Device, Errno, OpenFile, Properties};

use crate::args::{OnWrite, Per};
use crate::desk::{Operation, Verdict};
use crate::requests::{Requests, Waiter};
use crate::secret::Secret;
use crate::text;
use crate::who::Who;

/// The most bytes of one write that are shown.
const SHOWN: usize = 4096;

/// The size of a node whose writes wait for a person, in bytes. Over FUSE, a write beyond the end of the
/// file has the file for itself until it is answered (fs/fuse/file.c, `fuse_dio_wr_exclusive_lock`): other
/// writers would neither be seen nor be killed meanwhile.
const ROOM: u64 = 16 << 20;

/// A device that asks the person. Clones are the same device.
#[derive(Clone)]
pub struct Prompt(pub(crate) Requests);

impl fmt::Debug for Prompt {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_tuple("Prompt").finish_non_exhaustive()
    }
}

/// What an open file says.
pub struct OpenPrompt {
    /// The answer to its open, for all of its reads.
    content: Option<Arc<Secret>>,
    /// With `--per read`, the answer to the latest question, and how much of it has been read.
    rest: Mutex<Option<(Arc<Secret>, usize)>>,
}

impl OpenPrompt {
    /// A file that says this.
    pub(crate) fn of(content: Arc<Secret>) -> Self {
        Self {
            content: Some(content),
            rest: Mutex::new(None),
        }
    }

    /// A file that says nothing yet.
    fn empty() -> Self {
        Self {
            content: None,
            rest: Mutex::new(None),
        }
    }

    /// Answers a read with the beginning of an answer to it; what it leaves is for the next ones.
    pub(crate) fn begin(&self, content: Arc<Secret>, request: ReadRequest) {
        *self.rest() = Some((content, 0));
        if let Err(request) = self.go_on(request) {
            // The person has typed the end of the file.
            request.reply(b"");
        }
    }

    /// Answers a read from what is left of the latest answer, if there is anything.
    fn go_on(&self, request: ReadRequest) -> Result<(), ReadRequest> {
        let mut rest = self.rest();
        let Some((content, read)) = &mut *rest else {
            return Err(request);
        };
        let left = &content.bytes()[*read..];
        if left.is_empty() {
            *rest = None;
            return Err(request);
        }
        let count = left.len().min(request.len());
        if request.reply(&left[..count]) == Delivery::Delivered {
            *read += count;
        }
        if *read == content.len() {
            *rest = None;
        }
        Ok(())
    }

    fn rest(&self) -> MutexGuard<'_, Option<(Arc<Secret>, usize)>> {
        self.rest.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for Prompt {
    type File = OpenPrompt;

    fn properties(&self) -> Properties {
        match self.0.settings().per {
            Per::Read => Properties::stream(),
            Per::Open | Per::Once => Properties::default(),
        }
    }

    fn open(&self, request: OpenRequest<OpenPrompt>) {
        let settings = self.0.settings();
        let flags = request.flags();
        if flags.writable() && settings.on_write == OnWrite::Deny {
            self.0
                .follow(Operation::Open, Waiter::Open(request), Verdict::Deny);
        } else if flags.readable() && settings.per != Per::Read {
            self.0.arrive(Operation::Open, Waiter::Open(request));
        } else if let Some(Waiter::Open(request)) =
            self.0.pass(Operation::Open, Waiter::Open(request))
        {
            // It is a read or a write that is the question, or nothing is.
            request.accept(OpenPrompt::empty());
        }
    }

    fn read(&self, file: &OpenFile<OpenPrompt>, request: ReadRequest) {
        // Not at the handler's return: that would keep a copy of the answer.
        match &file.content {
            Some(content) => {
                request.reply_from(content.bytes());
            }
            None if request.len() == 0 => {
                request.reply(b"");
            }
            None => {
                if let Err(request) = file.go_on(request) {
                    let waiter = Waiter::Read(request, file.clone());
                    self.0.arrive(Operation::Read, waiter);
                }
            }
        }
    }

    fn write(&self, _file: &OpenFile<OpenPrompt>, request: WriteRequest) {
        match self.0.settings().on_write {
            // It was not opened for writing.
            OnWrite::Deny => {
                request.fail(Errno::EBADF);
            }
            OnWrite::Show => {
                let operation = Operation::Write(Arc::from(request.data()));
                let waiter = Waiter::Write(request);
                // Whoever writes need not be who has opened it.
                if let Some(Waiter::Write(request)) = self.0.pass(operation.clone(), waiter) {
                    show(&request);
                    self.0
                        .follow(operation, Waiter::Write(request), Verdict::Approve);
                }
            }
            OnWrite::Approve if request.data().is_empty() => {
                request.accept();
            }
            OnWrite::Approve => {
                let data = Arc::from(request.data());
                self.0
                    .arrive(Operation::Write(data), Waiter::Write(request));
            }
        }
    }

    fn sync(&self, _file: &OpenFile<OpenPrompt>, request: SyncRequest) {
        // Nothing is kept on a disk that it would have to reach.
        request.at_return().done();
    }

    fn size(&self, file: Option<&OpenFile<OpenPrompt>>) -> u64 {
        match file.and_then(|file| file.content.as_ref()) {
            Some(content) => content.len() as u64,
            None if self.0.settings().on_write == OnWrite::Approve => ROOM,
            None => 0,
        }
    }
}

/// Shows what is written, a line of it in a line.
fn show(request: &WriteRequest) {
    let who = Who::of(request.caller(), &[]);
    let data = request.data();
    let part = &data[..data.len().min(SHOWN)];
    let more = data.len() - part.len();
    let mut said = String::new();
    for line in part
        .strip_suffix(b"\n")
        .unwrap_or(part)
        .split(|byte| *byte == b'\n')
    {
        let program = who.title();
        let user = text::printable(who.user.as_ref());
        let line = text::printable_bytes(line);
        said.push_str(&format!("{program}[{}] ({user}): {line}\n", who.pid));
    }
    if more > 0 {
        said.push_str(&format!("... and {more} bytes more\n"));
    }
    fusd_tool::say(&said);
}
