//! One system call for an answer and the next request, by the module's ioctl.

use std::io::{self, IoSlice};

use super::KfusdDevice;
use super::connection::{NotExchanged, nothing_if_interrupted, pack_head};
use super::requests::{self, is_made_up};
use crate::backend::buffer::Buffer;
use crate::backend::{Answer, Call, Incoming, RequestId, total};
use crate::sync::lock;
use crate::wire::Reply;

/// Up to so many bytes, to copy them into one piece with what goes before takes less than a system
/// call.
const COPIED_MAX: usize = 4096;

impl KfusdDevice {
    /// As [`Backend::pack`](crate::backend::Backend::pack).
    #[inline]
    pub(super) fn pack_answer(
        &self,
        id: RequestId,
        call: Call,
        answer: &Answer<'_>,
        message: &mut Vec<u8>,
    ) -> bool {
        match answer {
            // What a read mostly gets.
            Answer::Data([part]) if part.len() <= COPIED_MAX && !is_made_up(id) => {
                pack_head(id, &Reply::default(), part.len(), message);
                message.extend_from_slice(part);
                true
            }
            _ => !is_made_up(id) && self.pack_other(id, call, answer, message),
        }
    }

    /// Likewise, of an answer that is not one piece of data.
    #[inline(never)]
    fn pack_other(
        &self,
        id: RequestId,
        call: Call,
        answer: &Answer<'_>,
        message: &mut Vec<u8>,
    ) -> bool {
        let output;
        let (reply, data) = match answer {
            Answer::Data(parts) => (Reply::default(), *parts),
            Answer::Count(count) => (requests::value(i64::from(*count)), &[][..]),
            Answer::Done => (Reply::default(), &[][..]),
            Answer::Error(errno) => {
                self.forget(id, call);
                (requests::failure(*errno), &[][..])
            }
            Answer::Size(size) => match self.seeks.position(id, *size) {
                Ok(position) => (requests::value(position), &[][..]),
                Err(errno) => (requests::failure(errno), &[][..]),
            },
            // What goes elsewhere than into the argument goes by messages of its own.
            Answer::Ioctl { result, output: to } if to.is_empty() || !self.any_ioctl => {
                if to.len() > COPIED_MAX {
                    return false;
                }
                lock(&self.ioctls).forget(id);
                output = [IoSlice::new(to)];
                (requests::value(*result), &output[..])
            }
            _ => return false,
        };
        let payload = total(data);
        if payload > COPIED_MAX {
            return false;
        }
        pack_head(id, &reply, payload, message);
        for part in data {
            message.extend_from_slice(part);
        }
        true
    }

    /// As [`Backend::exchange`](crate::backend::Backend::exchange).
    #[inline]
    pub(super) fn exchange_answer(
        &self,
        message: &[u8],
        buffer: &mut Buffer,
    ) -> io::Result<Incoming> {
        let length = match self.connection.exchange(message, buffer) {
            Ok(length) => length,
            Err(failed) => self.not_exchanged(failed)?,
        };
        Ok(self.sort(length, buffer))
    }

    /// No message has come. The length of none.
    #[cold]
    fn not_exchanged(&self, failed: NotExchanged) -> io::Result<usize> {
        match failed {
            NotExchanged::Refused(error) => {
                self.connection.report(&self.path, Err(error));
                Ok(0)
            }
            NotExchanged::Taken(error) => nothing_if_interrupted(error),
        }
    }

    /// As [`Backend::hand_in`](crate::backend::Backend::hand_in).
    pub(super) fn hand_in_answer(&self, message: &[u8]) {
        let sent = self.connection.send(&[IoSlice::new(message)]);
        self.connection.report(&self.path, sent);
    }
}
