//! A large fixed content, for reading only: nothing else reaches the device.

use fusd::{Device, OpenFile, OpenRequest, Operations, Properties, ReadRequest};
use fusd_tests::pattern;

/// So many bytes of the [pattern].
pub(crate) struct Pattern(Vec<u8>);

impl Pattern {
    pub(crate) fn new(size: usize) -> Self {
        Self(pattern::bytes(0, size))
    }
}

impl Device for Pattern {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::default().operations(Operations::READ)
    }

    fn open(&self, request: OpenRequest<()>) {
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        request.at_return().reply_from(&self.0);
    }

    fn size(&self, _: Option<&OpenFile<()>>) -> u64 {
        self.0.len() as u64
    }
}
