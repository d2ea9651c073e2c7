//! Any device, with a count of the calls that reach it.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use fusd::{
    Device, FlushRequest, IoctlArgument, IoctlCommand, IoctlRequest, OpenFile, OpenRequest,
    Properties, ReadRequest, RestoreRequest, SyncRequest, WriteRequest,
};

/// Calls that have reached the device.
#[derive(Default)]
pub(crate) struct Counts {
    opens: AtomicU64,
    releases: AtomicU64,
    reads: AtomicU64,
    writes: AtomicU64,
    ioctls: AtomicU64,
    flushes: AtomicU64,
    syncs: AtomicU64,
}

impl Counts {
    pub(crate) fn get(&self, kind: &str) -> Option<u64> {
        let counter = match kind {
            "opens" => &self.opens,
            "releases" => &self.releases,
            "reads" => &self.reads,
            "writes" => &self.writes,
            "ioctls" => &self.ioctls,
            "flushes" => &self.flushes,
            "syncs" => &self.syncs,
            _ => return None,
        };
        Some(counter.load(Ordering::SeqCst))
    }
}

pub(crate) struct Counted<D> {
    device: D,
    counts: Arc<Counts>,
}

impl<D> Counted<D> {
    pub(crate) fn new(device: D, counts: Arc<Counts>) -> Self {
        Self { device, counts }
    }
}

fn count(counter: &AtomicU64) {
    counter.fetch_add(1, Ordering::SeqCst);
}

impl<D: Device> Device for Counted<D> {
    type File = D::File;

    fn properties(&self) -> Properties {
        self.device.properties()
    }

    fn open(&self, request: OpenRequest<D::File>) {
        count(&self.counts.opens);
        self.device.open(request);
    }

    fn restore(&self, request: RestoreRequest<D::File>) {
        self.device.restore(request);
    }

    fn release(&self, file: &OpenFile<D::File>) {
        count(&self.counts.releases);
        self.device.release(file);
    }

    fn read(&self, file: &OpenFile<D::File>, request: ReadRequest) {
        count(&self.counts.reads);
        self.device.read(file, request);
    }

    fn write(&self, file: &OpenFile<D::File>, request: WriteRequest) {
        count(&self.counts.writes);
        self.device.write(file, request);
    }

    fn ioctl(&self, file: &OpenFile<D::File>, request: IoctlRequest) {
        count(&self.counts.ioctls);
        self.device.ioctl(file, request);
    }

    fn flush(&self, file: &OpenFile<D::File>, request: FlushRequest) {
        count(&self.counts.flushes);
        self.device.flush(file, request);
    }

    fn sync(&self, file: &OpenFile<D::File>, request: SyncRequest) {
        count(&self.counts.syncs);
        self.device.sync(file, request);
    }

    fn ioctl_argument(&self, command: IoctlCommand) -> IoctlArgument {
        self.device.ioctl_argument(command)
    }

    fn size(&self, file: Option<&OpenFile<D::File>>) -> u64 {
        self.device.size(file)
    }
}
