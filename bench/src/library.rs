//! Contender: a driver made with the library that answers every read with zeros, or publishes them, and
//! takes every write.

use std::path::PathBuf;

use fusd::{
    BackendKind, Device, DeviceBuilder, OpenFile, OpenRequest, Published, ReadRequest, WriteRequest,
};

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

/// All zeros there are, if they are published.
struct Zero(Option<Published>);

impl Device for Zero {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        if let Some(zeros) = &self.0 {
            request.publish(zeros);
        }
        request.accept(());
    }

    fn read(&self, _file: &OpenFile<()>, request: ReadRequest) {
        let length = request.len();
        request.at_return().reply(&ZEROS[..length]);
    }

    fn write(&self, _file: &OpenFile<()>, request: WriteRequest) {
        request.at_return().accept();
    }
}

/// Serves the node at `path` until it is killed.
pub(crate) fn serve(path: PathBuf, backend: BackendKind, publish: bool) -> anyhow::Result<()> {
    let zeros = publish.then(|| Published::new(&ZEROS)).transpose()?;
    let session = DeviceBuilder::new("")
        .path(path)
        .backend(backend)
        .register(Zero(zeros))?;
    crate::server::ready()?;
    Ok(session.run()?)
}
