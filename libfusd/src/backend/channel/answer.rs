//! From an answer of the session to the bytes that the kernel expects.

use std::io::{self, IoSlice};
use std::iter;

use super::Channel;
use crate::backend::{Answer, Call, FileId, PollKey, RequestId, total};
use crate::fuse_wire::{IoctlFlags, OpenFlags, encode};
use crate::{Area, Errno, PollEvents};

/// The most parts that one writev(2) takes (`UIO_MAXIOV`).
const PARTS_MAX: usize = 1024;

impl Channel {
    /// Sends an answer; `opened` is how the kernel is to treat a file that is opened by it.
    ///
    /// # Errors
    /// `ENOENT`: nobody waits for it any more. Others: it could not be handed over.
    #[inline]
    pub(crate) fn answer(
        &self,
        RequestId(unique): RequestId,
        call: Call,
        answer: Answer<'_>,
        opened: OpenFlags,
    ) -> io::Result<()> {
        match answer {
            // To the kernel ENOSYS means that there is no such call, for good: for open, that
            // nobody need be asked. (Of an ioctl it makes ENOTTY, fs/fuse/ioctl.c.)
            Answer::Error(Errno::ENOSYS)
                if !matches!(call, Call::Read | Call::Write | Call::Ioctl) =>
            {
                self.failure(unique, Errno::EOPNOTSUPP)
            }
            Answer::Error(errno) => self.failure(unique, errno),
            Answer::Unimplemented => self.failure(unique, Errno::ENOSYS),
            Answer::Done => self.success(unique, &[]),
            Answer::Opened(FileId(fh), _) => {
                self.success(unique, &[IoSlice::new(&encode::open_out(fh, opened))])
            }
            Answer::Data(parts) => self.success(unique, parts),
            Answer::Count(count) => {
                self.success(unique, &[IoSlice::new(&encode::write_out(count))])
            }
            Answer::Ioctl { result, output } => {
                let head = encode::ioctl_out(result, IoctlFlags::empty(), 0, 0);
                self.success(unique, &[IoSlice::new(&head), IoSlice::new(output)])
            }
            Answer::Again { input, output } => self.again(unique, input, output),
            Answer::Ready(events) => self.ready(unique, events),
            // Only FUSE asks for sizes, and answers by itself.
            Answer::Size(_) => self.failure(unique, Errno::ENOSYS),
        }
    }

    fn ready(&self, unique: u64, events: PollEvents) -> io::Result<()> {
        self.success(unique, &[IoSlice::new(&encode::poll_out(events.bits()))])
    }

    /// Has an ioctl sent again with these areas of the caller's memory.
    fn again(&self, unique: u64, input: &[Area], output: &[Area]) -> io::Result<()> {
        // Lossless: who asks for more than 256 areas is refused before.
        let counts = [input.len() as u32, output.len() as u32];
        let head = encode::ioctl_out(0, IoctlFlags::RETRY, counts[0], counts[1]);
        let areas: Vec<u8> = input
            .iter()
            .chain(output)
            .flat_map(|area| encode::ioctl_iovec(area.address, area.length as u64))
            .collect();
        self.success(unique, &[IoSlice::new(&head), IoSlice::new(&areas)])
    }

    /// Has an INTERRUPT sent again that came before its request.
    pub(crate) fn interrupt_again(&self, RequestId(unique): RequestId) {
        // Fails with ENOENT where the request has been answered in the meantime: all is well.
        let _ = self.send(&[IoSlice::new(&encode::interrupt_retry(unique))]);
    }

    /// Wakes those who wait in poll(2).
    pub(crate) fn wake_poll(&self, PollKey(key): PollKey) {
        self.report(self.send(&[IoSlice::new(&encode::notify_poll(key))]));
    }

    /// The request `unique` failed.
    pub(crate) fn failure(&self, unique: u64, errno: Errno) -> io::Result<()> {
        self.send(&[IoSlice::new(&encode::error(unique, errno))])
    }

    /// The request `unique` succeeded; `parts` follow the header.
    #[inline]
    pub(crate) fn success(&self, unique: u64, parts: &[IoSlice<'_>]) -> io::Result<()> {
        let header = encode::header(unique, total(parts));
        let header = IoSlice::new(&header);
        match parts {
            [part] => self.send(&[header, *part]),
            [body, data] => self.send(&[header, *body, *data]),
            _ if parts.len() < PARTS_MAX => {
                let all: Vec<IoSlice<'_>> =
                    iter::once(header).chain(parts.iter().copied()).collect();
                self.send(&all)
            }
            _ => {
                let all: Vec<u8> = parts.iter().flat_map(|part| part.iter().copied()).collect();
                self.send(&[header, IoSlice::new(&all)])
            }
        }
    }
}
