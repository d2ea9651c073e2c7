//! What the module says, sorted: what the session is to know of it, and what is done here.

use std::io::{self, IoSlice};

use super::connection::Message;
use super::ioctls::{Finished, Step};
use super::{KfusdDevice, requests};
use crate::backend::buffer::Buffer;
use crate::backend::{FileId, Incoming, RequestId};
use crate::sync::lock;
use crate::wire;

impl KfusdDevice {
    /// What the first `length` bytes of `buffer` mean to the session.
    #[inline]
    pub(super) fn sort(&self, length: usize, buffer: &mut Buffer) -> Incoming {
        match buffer.get(..length).and_then(requests::transfer) {
            Some(transfer) => transfer,
            None => self.sort_other(length, buffer),
        }
    }

    /// Likewise, where they are neither a read nor a write.
    #[inline(never)]
    fn sort_other(&self, length: usize, buffer: &mut Buffer) -> Incoming {
        let Some(message) = buffer.get(..length).and_then(Message::parse) else {
            return Incoming::Nothing;
        };
        let (message, header) = (&message, &message.header);
        match header.operation {
            wire::operation::INTERRUPT => {
                let id = RequestId(header.id);
                match lock(&self.ioctls).interrupt(id) {
                    true => Incoming::Nothing,
                    false => Incoming::Interrupt { id, token: id },
                }
            }
            wire::operation::COPIED => {
                let id = RequestId(header.id);
                let step = lock(&self.ioctls).copied(message, buffer);
                self.step(id, step).unwrap_or_else(|error| {
                    self.connection.report(&self.path, Err(error));
                    Incoming::Nothing
                })
            }
            wire::operation::IOCTL => lock(&self.ioctls).arrived(message, self.any_ioctl),
            wire::operation::NUDGED => lock(&self.ioctls).take_ready().unwrap_or(Incoming::Nothing),
            wire::operation::OPEN => {
                self.files.opening(header.id, FileId(header.file));
                requests::sort(message, &self.seeks)
            }
            wire::operation::RELEASE => {
                self.files.released(FileId(header.file));
                requests::sort(message, &self.seeks)
            }
            wire::operation::SUCCESSOR => Incoming::Succeeded,
            _ => requests::sort(message, &self.seeks),
        }
    }

    /// Goes on with an ioctl whose caller's memory is being copied. What comes of it for the
    /// session, if anything.
    ///
    /// # Errors
    /// The caller has gone, or the message was refused.
    pub(super) fn step(&self, id: RequestId, step: Step) -> io::Result<Incoming> {
        match step {
            Step::Again(incoming) => return Ok(incoming),
            Step::Send(command) => {
                let sent = self.connection.send(&[IoSlice::new(&command)]);
                sent.inspect_err(|_| lock(&self.ioctls).forget(id))?;
            }
            Step::Finish(Finished::Failed(errno)) => self.fail(id, errno)?,
            Step::Finish(Finished::Done(result)) => {
                self.reply(id, &requests::value(result), 0, &[])?;
            }
            Step::Nothing => {}
        }
        Ok(Incoming::Nothing)
    }
}
