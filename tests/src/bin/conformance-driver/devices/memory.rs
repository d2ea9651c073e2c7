//! A seekable memory of any size: pages appear where something is written.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use fusd::{
    Device, Errno, IoctlRequest, OpenFile, OpenRequest, Operations, Properties, ReadRequest,
    WriteRequest,
};

const PAGE: u64 = 4096;

#[derive(Default)]
struct Content {
    pages: BTreeMap<u64, Vec<u8>>,
    size: u64,
}

/// Reads give what was written; `>` empties it.
#[derive(Default)]
pub(crate) struct Memory(Mutex<Content>);

impl Content {
    fn read(&self, offset: u64, length: usize) -> Vec<u8> {
        let end = offset.saturating_add(length as u64).min(self.size);
        (offset..end)
            .map(|place| {
                let page = self.pages.get(&(place / PAGE));
                page.map_or(0, |page| page[(place % PAGE) as usize])
            })
            .collect()
    }

    fn write(&mut self, offset: u64, data: &[u8]) {
        for (byte, place) in data.iter().zip(offset..) {
            let page = self.pages.entry(place / PAGE);
            page.or_insert_with(|| vec![0; PAGE as usize])[(place % PAGE) as usize] = *byte;
        }
        self.size = self.size.max(offset + data.len() as u64);
    }
}

impl Memory {
    fn content(&self) -> std::sync::MutexGuard<'_, Content> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Device for Memory {
    type File = ();

    fn properties(&self) -> Properties {
        Properties::default().operations(Operations::all())
    }

    fn open(&self, request: OpenRequest<()>) {
        if request.flags().truncate() {
            *self.content() = Content::default();
        }
        request.accept(());
    }

    fn read(&self, _: &OpenFile<()>, request: ReadRequest) {
        let data = self.content().read(request.offset(), request.len());
        request.at_return().reply(&data);
    }

    fn write(&self, _: &OpenFile<()>, request: WriteRequest) {
        let mut content = self.content();
        let offset = match request.flags().append() {
            true => content.size,
            false => request.offset(),
        };
        if offset.checked_add(request.data().len() as u64).is_none() {
            request.fail(Errno::EFBIG);
            return;
        }
        content.write(offset, request.data());
        request.at_return().accept();
    }

    fn ioctl(&self, _: &OpenFile<()>, request: IoctlRequest) {
        request.fail(Errno::ENOTTY);
    }

    fn size(&self, _: Option<&OpenFile<()>>) -> u64 {
        self.content().size
    }
}
