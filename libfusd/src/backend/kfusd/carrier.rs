//! One system call for an answer and the next request, by the module's ioctl.

use std::io::{self, IoSlice};

use super::KfusdDevice;
use super::connection::pack;
use super::requests::{self, is_made_up};
use crate::backend::buffer::Buffer;
use crate::backend::{Answer, Call, Carrier, Incoming, RequestId};
use crate::sync::lock;
use crate::wire::Reply;

/// Up to so many bytes, to copy them into one piece with what goes before takes less than a system
/// call.
const COPIED_MAX: usize = 4096;

impl Carrier for KfusdDevice {
    fn pack(&self, id: RequestId, call: Call, answer: &Answer<'_>, message: &mut Vec<u8>) -> bool {
        if is_made_up(id) {
            return false;
        }
        match answer {
            Answer::Data(parts) => {
                if parts.iter().map(|part| part.len()).sum::<usize>() > COPIED_MAX {
                    return false;
                }
                pack(id, &Reply::default(), parts, message);
            }
            Answer::Count(count) => pack(id, &requests::value(i64::from(*count)), &[], message),
            Answer::Done => pack(id, &Reply::default(), &[], message),
            Answer::Error(errno) => {
                self.forget(id, call);
                pack(id, &requests::failure(*errno), &[], message);
            }
            Answer::Size(size) => {
                let reply = match self.seeks.position(id, *size) {
                    Ok(position) => requests::value(position),
                    Err(errno) => requests::failure(errno),
                };
                pack(id, &reply, &[], message);
            }
            // What goes elsewhere than into the argument goes by messages of its own.
            Answer::Ioctl { result, output } if output.is_empty() || !self.any_ioctl => {
                if output.len() > COPIED_MAX {
                    return false;
                }
                lock(&self.ioctls).forget(id);
                pack(
                    id,
                    &requests::value(*result),
                    &[IoSlice::new(output)],
                    message,
                );
            }
            _ => return false,
        }
        true
    }

    fn exchange(&self, message: &[u8], buffer: &mut Buffer) -> io::Result<Incoming> {
        let (sent, received) = self.connection.exchange(message, buffer);
        self.connection.report(&self.path, sent);
        Ok(match received? {
            Some(message) => self.sort(&message, buffer),
            None => Incoming::Nothing,
        })
    }

    fn hand_in(&self, message: &[u8]) {
        let sent = self.connection.send(&[IoSlice::new(message)]);
        self.connection.report(&self.path, sent);
    }
}
