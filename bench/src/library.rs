//! Contender: a driver made with the library that answers every read with zeros.

use std::path::PathBuf;

use fusd::{BackendKind, Device, DeviceBuilder, OpenFile, OpenRequest, ReadRequest};

static ZEROS: [u8; 1 << 20] = [0; 1 << 20];

struct Zero;

impl Device for Zero {
    type File = ();

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _file: &OpenFile<()>, request: ReadRequest) {
        let length = request.len();
        request.at_return().reply(&ZEROS[..length]);
    }
}

/// Serves the node at `path` until it is killed.
pub(crate) fn serve(path: PathBuf, backend: BackendKind) -> anyhow::Result<()> {
    let session = DeviceBuilder::new("")
        .path(path)
        .backend(backend)
        .register(Zero)?;
    crate::server::ready()?;
    Ok(session.run()?)
}
