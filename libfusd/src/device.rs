//! The trait a driver implements.

use crate::request::{
    FlushRequest, IoctlRequest, OpenRequest, ReadRequest, RestoreRequest, SyncRequest, WriteRequest,
};
use crate::{Errno, IoctlArgument, IoctlCommand, OpenFile, Properties};

/// A device: what happens when clients open, read, write its node.
///
/// A handler gets a request and has it answered: at once, from another thread, or later. The
/// handlers of one open file run one after the other, in the order of the calls; those of
/// different files run in parallel, on as many threads as the session has
/// ([`DeviceBuilder::workers`](crate::DeviceBuilder::workers)). Calls that clients have under way
/// on one file at the same time, from several threads or by asynchronous I/O, have no order among
/// themselves. A handler that waits keeps its
/// thread and its file; one that puts the request into a [`WaitQueue`](crate::WaitQueue) keeps
/// neither.
///
/// A handler that panics fails its own call with `EIO`; the device goes on.
///
/// Every handler but `open` has a default: what the kernel answers for a device without it.
pub trait Device: Send + Sync + 'static {
    /// What the driver keeps for each open file.
    type File: Send + Sync + 'static;

    /// What the device is. Asked once, at registration.
    fn properties(&self) -> Properties {
        Properties::default()
    }

    /// A client opens the node: [`OpenRequest::accept`] lets it in, any errno refuses it.
    fn open(&self, request: OpenRequest<Self::File>);

    /// A file is open from the time of another driver, whose place this one has taken
    /// ([`Restart`](crate::Restart)). Called for each of them before any other call.
    ///
    /// One that is not accepted fails all its calls, with `EIO` unless another errno is given; this
    /// is what happens by default.
    fn restore(&self, request: RestoreRequest<Self::File>) {
        request.fail(Errno::EIO);
    }

    /// The last descriptor of an accepted file is closed. Called exactly once for each, after all
    /// its other handlers have returned; not at the end of a driver whose device is kept for
    /// another one, which then has it.
    fn release(&self, _file: &OpenFile<Self::File>) {}

    /// A client reads. Not called for a file with [published](OpenRequest::publish) content, nor for one
    /// whose reads are served from a ring ([`OpenRequest::attach_reads`]).
    fn read(&self, _file: &OpenFile<Self::File>, request: ReadRequest) {
        request.fail(Errno::EINVAL);
    }

    /// A client writes. Not called for a file whose writes go to a ring ([`OpenRequest::attach_writes`]).
    fn write(&self, _file: &OpenFile<Self::File>, request: WriteRequest) {
        request.fail(Errno::EINVAL);
    }

    /// A client makes an ioctl.
    fn ioctl(&self, _file: &OpenFile<Self::File>, request: IoctlRequest) {
        request.fail(Errno::ENOTTY);
    }

    /// What the argument of an ioctl is. Asked only of a device that has
    /// [`Operations::ANY_IOCTL`](crate::Operations::ANY_IOCTL); by default what the number encodes,
    /// or what it is known to be ([`IoctlArgument::of`]). It must not wait.
    ///
    /// A call whose memory cannot be had, because the backend goes by the number alone, fails with
    /// `ENOTTY` and does not reach [`ioctl`](Self::ioctl).
    fn ioctl_argument(&self, command: IoctlCommand) -> IoctlArgument {
        IoctlArgument::of(command)
    }

    /// A client closes one descriptor of the file; others may be left. Called only for a device
    /// that has [`Operations::FLUSH`](crate::Operations::FLUSH) among its operations.
    fn flush(&self, _file: &OpenFile<Self::File>, request: FlushRequest) {
        request.done();
    }

    /// A client asks for what it wrote to be made safe.
    fn sync(&self, _file: &OpenFile<Self::File>, request: SyncRequest) {
        request.fail(Errno::EINVAL);
    }

    /// The size in bytes that stat(2) tells and `SEEK_END` counts from: that of an open file, or,
    /// with `None`, what a file opened now would have. It must not wait. Of a file with
    /// [published](OpenRequest::publish) content it is that one's length, and is not asked.
    fn size(&self, _file: Option<&OpenFile<Self::File>>) -> u64 {
        0
    }
}
