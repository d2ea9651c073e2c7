//! What is written to it stays, whichever driver has it: in a file.

use std::fs::File;
use std::os::unix::fs::FileExt;
use std::sync::Arc;
use std::sync::atomic::{AtomicU32, Ordering};

use fusd::{
    Attempt, Device, Errno, IoctlRequest, OpenFile, OpenRequest, ReadRequest, RestoreRequest,
    WaitQueue, WriteRequest,
};

/// Reads and writes at any place of a file; a read at its end waits for more. Each file has a number
/// that no other driver's has, which any ioctl tells; successors know it. Files opened with
/// `O_APPEND` are not restored.
pub(crate) struct Ledger {
    file: Arc<File>,
    waiting: WaitQueue<()>,
    opened: AtomicU32,
}

impl Ledger {
    pub(crate) fn new(path: &str) -> Result<Self, String> {
        let file = File::options()
            .read(true)
            .write(true)
            .create(true)
            .truncate(false)
            .open(path)
            .map_err(|error| format!("{path}: {error}"))?;
        Ok(Self {
            file: Arc::new(file),
            waiting: WaitQueue::new(()),
            opened: AtomicU32::new(0),
        })
    }
}

impl Device for Ledger {
    type File = u64;

    fn open(&self, request: OpenRequest<u64>) {
        let count = self.opened.fetch_add(1, Ordering::Relaxed);
        let number = u64::from(std::process::id() << 8 | count & 0xff);
        request.accept_with(number, |file| {
            // On backends without successors there is nothing to keep it for.
            let _ = file.set_token(number);
        });
    }

    fn restore(&self, request: RestoreRequest<u64>) {
        if request.flags().append() {
            return request.fail(Errno::ESTALE);
        }
        let number = request.token();
        request.accept(number);
    }

    fn read(&self, _: &OpenFile<u64>, request: ReadRequest) {
        let file = Arc::clone(&self.file);
        self.waiting
            .serve(request, move |(), request: ReadRequest| {
                let mut buffer = vec![0; request.len()];
                match file.read_at(&mut buffer, request.offset()) {
                    Ok(0) => return Attempt::Wait(request),
                    Ok(count) => request.reply(&buffer[..count]),
                    Err(_) => request.fail(Errno::EIO),
                };
                Attempt::Served
            });
    }

    fn write(&self, _: &OpenFile<u64>, request: WriteRequest) {
        match self.file.write_all_at(request.data(), request.offset()) {
            Ok(()) => request.accept(),
            Err(_) => request.fail(Errno::EIO),
        };
        self.waiting.update(|()| ());
    }

    fn ioctl(&self, file: &OpenFile<u64>, request: IoctlRequest) {
        // Lossless: 22 bits of a process's number, and 8.
        request.reply((**file & 0x7fff_ffff) as i32, &[]);
    }
}
