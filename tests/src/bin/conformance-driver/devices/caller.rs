//! A device that tells its callers who they are.

use fusd::{Device, IoctlRequest, OpenFile, OpenRequest, ReadRequest, WriteRequest};

/// Reads give "PID UID GID PROGRAM" of the reader, a write takes PID modulo 1000 bytes, an ioctl
/// returns the PID.
pub(crate) struct WhoCalls;

impl Device for WhoCalls {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        let caller = *request.caller();
        let program = caller.program().unwrap_or_default();
        let text = format!("{} {} {} {program}\n", caller.pid(), caller.uid, caller.gid);
        request.reply_from(text.as_bytes());
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        // A count of bytes is all that a write can tell.
        let count = usize::try_from(request.caller().pid() % 1000).unwrap_or(0);
        request.accept_part(count);
    }

    fn ioctl(&self, _: &OpenFile<()>, request: IoctlRequest) {
        let pid = i32::try_from(request.caller().pid()).unwrap_or(0);
        request.reply(pid, &[]);
    }
}
