//! A call of an open file, whose turn it is: from there to the device's handler, or to what serves it in
//! place of the device.

use super::dispatch::HANDLER;
use super::engine::Engine;
use super::files::Entry;
use super::job::{Job, Read};
use crate::backend::{Answer, Operation};
use crate::panics::contain;
use crate::properties::Operations;
use crate::request::{
    Context, Cursor, FlushRequest, IoctlCall, IoctlRequest, Pending, ReadRequest, SyncRequest,
    WriteData, WriteRequest,
};
use crate::{Device, Errno, OpenFlags, Position, Published};

impl<D: Device> Engine<D> {
    /// Runs the handler of a job that has the turn of `entry`. Its panic ends here.
    pub(super) fn serve(&self, entry: &Entry<D::File>, job: Job) {
        contain(HANDLER, || self.serve_any(entry, job));
    }

    /// The same, of a read that has come to no job.
    #[inline(always)]
    pub(super) fn serve_read(&self, entry: &Entry<D::File>, pending: Pending, read: Read) {
        contain(HANDLER, || self.read(entry, pending, read));
    }

    #[inline(always)]
    fn read(&self, entry: &Entry<D::File>, pending: Pending, read: Read) {
        if pending.ticket().is_abandoned() {
            return;
        }
        entry.note(read.flags);
        match entry.device_alone {
            true => self.read_device(entry, pending, read),
            false => self.read_source(entry, pending, read),
        }
    }

    #[inline(always)]
    fn read_device(&self, entry: &Entry<D::File>, pending: Pending, read: Read) {
        if !self.implements(Operations::READ) {
            pending.ticket().finish(Answer::Error(Errno::EINVAL));
            return;
        }
        let (offset, cursor) = self.place(entry, read.flags, read.offset, false);
        let context = Context::new(pending, read.flags, cursor);
        let request = ReadRequest::new(context, offset, read.length);
        self.device.read(&entry.file, request);
    }

    /// A read of a file that not the device alone serves.
    #[inline(never)]
    fn read_source(&self, entry: &Entry<D::File>, pending: Pending, read: Read) {
        let sources = &entry.sources;
        match (sources.rings.reads(), &sources.published) {
            (Some(ring), _) => {
                let context = Context::new(pending, read.flags, None);
                ring.read(ReadRequest::new(context, 0, read.length));
            }
            (None, Some(content)) => self.read_published(entry, content, pending, read),
            (None, None) => self.read_device(entry, pending, read),
        }
    }

    /// Answers a read from what is published.
    fn read_published(
        &self,
        entry: &Entry<D::File>,
        content: &Published,
        pending: Pending,
        read: Read,
    ) {
        let (offset, cursor) = match self.properties.position {
            Position::Seekable => self.place(entry, read.flags, read.offset, false),
            // Nobody else keeps where a reader of a stream is.
            Position::Stream => {
                let cursor = entry.cursor(None);
                (cursor.start(), Some(cursor))
            }
        };
        let context = Context::new(pending, read.flags, cursor);
        let request = ReadRequest::new(context, offset, read.length);
        request.at_return().reply_from(content.bytes());
    }

    /// A write of an open file, by whatever serves it.
    fn write(
        &self,
        entry: &Entry<D::File>,
        pending: Pending,
        (flags, offset): (OpenFlags, u64),
        data: WriteData,
    ) {
        entry.note(flags);
        if let Some(ring) = entry.sources.rings.writes() {
            let context = Context::new(pending, flags, None);
            return ring.write(WriteRequest::new(context, 0, data));
        }
        if !self.implements(Operations::WRITE) {
            pending.ticket().finish(Answer::Error(Errno::EINVAL));
            return;
        }
        let (offset, cursor) = self.place(entry, flags, offset, true);
        let context = Context::new(pending, flags, cursor);
        self.device
            .write(&entry.file, WriteRequest::new(context, offset, data));
    }

    /// The calls of an open file.
    #[inline(never)]
    fn serve_any(&self, entry: &Entry<D::File>, job: Job) {
        let Job::Call {
            pending,
            operation,
            data,
        } = job
        else {
            return self.release(entry);
        };
        if let Operation::Release { .. } = operation {
            self.release(entry);
            pending.ticket().finish(Answer::Done);
            return;
        }
        if let Some(read) = Read::of(&operation) {
            return self.read(entry, pending, read);
        }
        if pending.ticket().is_abandoned() {
            return;
        }
        if let Some(answer) = self.instead(&operation) {
            pending.ticket().finish(answer);
            return;
        }
        let (device, file) = (&self.device, &entry.file);
        match operation {
            Operation::Write { flags, offset, .. } => {
                self.write(entry, pending, (flags, offset), data);
            }
            Operation::Ioctl {
                command,
                argument,
                output,
                reach,
                caller_32_bit,
                ..
            } => {
                let call = IoctlCall {
                    command,
                    argument,
                    output,
                    reach,
                    caller_32_bit,
                };
                let request = IoctlRequest::new(entry.context(pending), call, data.into_vec());
                if let Some(request) = self.complete(request) {
                    device.ioctl(file, request);
                }
            }
            Operation::Flush { .. } => {
                device.flush(file, FlushRequest::new(entry.context(pending)));
            }
            Operation::Sync { data_only, .. } => {
                device.sync(file, SyncRequest::new(entry.context(pending), data_only));
            }
            Operation::Read { .. }
            | Operation::Open { .. }
            | Operation::Release { .. }
            | Operation::Poll { .. }
            | Operation::Size { .. } => {}
        }
    }

    /// What the client gets for an operation that the device does not implement, where no data move.
    fn instead(&self, operation: &Operation) -> Option<Answer<'static>> {
        let (needed, answer) = match operation {
            Operation::Ioctl { .. } => (Operations::IOCTL, Answer::Error(Errno::ENOTTY)),
            Operation::Flush { .. } => (Operations::FLUSH, Answer::Done),
            Operation::Sync { .. } => (Operations::SYNC, Answer::Error(Errno::EINVAL)),
            _ => return None,
        };
        (!self.implements(needed)).then_some(answer)
    }

    /// Where a read or a write begins: where the kernel says, or, if it does not say, where the
    /// last one ended. What is appended begins at the end.
    #[inline(always)]
    fn place(
        &self,
        entry: &Entry<D::File>,
        flags: OpenFlags,
        offset: u64,
        write: bool,
    ) -> (u64, Option<Cursor>) {
        if self.properties.position == Position::Stream {
            return (offset, None);
        }
        let append = write && flags.append() && !self.places_appends;
        let end = append.then(|| self.device.size(Some(&entry.file)));
        if self.tells_offsets {
            return (end.unwrap_or(offset), None);
        }
        let cursor = entry.cursor(end);
        (cursor.start(), Some(cursor))
    }

    /// An ioctl with the memory that belongs to it. `None`: it comes again with that, or has
    /// failed, because it cannot.
    fn complete(&self, request: IoctlRequest) -> Option<IoctlRequest> {
        if !self.implements(Operations::ANY_IOCTL) {
            return Some(request);
        }
        let argument = self.device.ioctl_argument(request.command());
        request.complete(argument)
    }

    fn release(&self, entry: &Entry<D::File>) {
        let slot = self.files.remove(entry.file.id());
        entry.sources.rings.unwatch(&entry.file);
        if slot.is_some() {
            self.device.release(&entry.file);
        }
        drop(slot);
    }
}
