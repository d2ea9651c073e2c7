//! A device whose handlers call another one, or their own.

use std::fs::OpenOptions;
use std::io::Read;
use std::os::unix::fs::OpenOptionsExt;
use std::path::PathBuf;

use fusd::{Device, Errno, OpenFile, OpenRequest, Operations, Properties, ReadRequest};

/// A read gives what a read of the node at PATH gives, made as `circle:PATH`; made as
/// `circle:once,PATH`, that is read with `O_NONBLOCK`. A read with `O_NONBLOCK` gives "end".
pub(crate) struct Circle {
    next: PathBuf,
    flags: i32,
}

impl Circle {
    pub(crate) fn new(argument: &str) -> Self {
        match argument.strip_prefix("once,") {
            Some(next) => Self {
                next: next.into(),
                flags: libc::O_NONBLOCK,
            },
            None => Self {
                next: argument.into(),
                flags: 0,
            },
        }
    }

    fn next(&self) -> std::io::Result<Vec<u8>> {
        let mut options = OpenOptions::new();
        let mut file = options
            .read(true)
            .custom_flags(self.flags)
            .open(&self.next)?;
        let mut buffer = vec![0; 64];
        let length = file.read(&mut buffer)?;
        buffer.truncate(length);
        Ok(buffer)
    }
}

impl Device for Circle {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::stream().operations(Operations::READ)
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        if request.nonblocking() {
            request.reply(b"end");
            return;
        }
        match self.next() {
            Ok(data) => request.reply(&data),
            Err(error) => request.fail(Errno::from(&error)),
        };
    }
}
