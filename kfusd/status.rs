// SPDX-License-Identifier: GPL-2.0-only

//! The status node, /dev/fusd/status: a line of text per device, and one of the last call that would
//! have waited for itself, as of the moment a read begins at the start; for programs, a record per device by an ioctl. poll(2) reports `POLLPRI` once what was
//! told last has changed.

use core::fmt::{self, Write};

use kernel::{
    fs::File,
    iov::IovIterDest,
    new_mutex,
    prelude::*,
    sync::{Arc, ArcBorrow, Mutex},
    time::{Instant, Monotonic},
};

use crate::device::Device;
use crate::sys::{new_wait_queue, FileOperations, PollTable, Seek, Table, WaitQueue};
use crate::{deadlock, kernel_version, registry, wire};

mod records;

/// `POLLIN | POLLRDNORM`.
const READABLE: u32 = 0x0041;
/// `POLLPRI`.
const CHANGED: u32 = 0x0002;

/// The file operations of the status node.
pub(crate) static TABLE: Table = Table::new::<Status>(kernel_version::owner());

struct Status;

/// An open status file.
#[pin_data]
pub(crate) struct View {
    watchers: Arc<Watchers>,
    #[pin]
    latest: Mutex<Latest>,
}

/// What was told last.
struct Latest {
    text: Arc<KVVec<u8>>,
    /// As of [`registry::changes`], before the text or the records were made.
    changes: u64,
}

/// Who waits for a change.
#[pin_data]
pub(crate) struct Watchers {
    #[pin]
    queue: WaitQueue,
}

impl Watchers {
    /// Nobody.
    pub(crate) fn new() -> Result<Arc<Self>> {
        let init = pin_init!(Self {
            queue <- new_wait_queue!(c"fusd_status"),
        });
        Arc::pin_init(init, GFP_KERNEL)
    }

    /// Wakes them.
    pub(crate) fn wake(&self) {
        self.queue.wake_all();
    }
}

impl Latest {
    /// The text of now.
    fn new() -> Result<Self> {
        // First, so that what changes while the text is made counts as changed after it.
        let changes = registry::changes();
        let mut text = Text(KVVec::new());
        let now = Instant::now();
        registry::for_each(|device, _| line(&mut text, device, now).map_err(|_| ENOMEM))?;
        let last = deadlock::tell(|count, device, pid| {
            writeln!(text, "# deadlocks={count} last={device} pid={pid}")
        });
        last.unwrap_or(Ok(())).map_err(|_| ENOMEM)?;
        Ok(Self {
            text: Arc::new(text.0, GFP_KERNEL_ACCOUNT)?,
            changes,
        })
    }
}

/// Text that grows.
struct Text(KVVec<u8>);

impl Write for Text {
    fn write_str(&mut self, text: &str) -> fmt::Result {
        self.0
            .extend_from_slice(text.as_bytes(), GFP_KERNEL_ACCOUNT)
            .map_err(|_| fmt::Error)
    }
}

/// Writes the line of a device.
fn line(text: &mut Text, device: &Device, now: Instant<Monotonic>) -> fmt::Result {
    let activity = device.connection().activity(device);
    let (served, bytes) = device.counts();
    let oldest = activity.oldest.map_or(0, |since| (now - since).as_millis());
    writeln!(
        text,
        "{} driver={} files={} waiting={} served={} bytes={} oldest-ms={} deadlocks={}",
        device.name_text(),
        device.connection().driver(),
        activity.files,
        activity.requests,
        served,
        bytes,
        oldest.max(0),
        device.deadlocks(),
    )
}

#[vtable]
impl FileOperations for Status {
    type Data = View;

    fn open(_file: &File, _minor: u32) -> Result<Arc<View>> {
        let watchers = registry::watchers().ok_or(ENODEV)?;
        let first = Latest {
            text: Arc::new(KVVec::new(), GFP_KERNEL_ACCOUNT)?,
            changes: 0,
        };
        Arc::pin_init(
            pin_init!(View {
                watchers,
                latest <- new_mutex!(first, "fusd_view"),
            }),
            GFP_KERNEL_ACCOUNT,
        )
    }

    fn read(
        view: ArcBorrow<'_, View>,
        _file: &File,
        position: &mut i64,
        to: &mut IovIterDest<'_>,
    ) -> Result<usize> {
        let text = if *position == 0 {
            let new = Latest::new()?;
            let text = new.text.clone();
            let old = core::mem::replace(&mut *view.latest.lock(), new);
            drop(old);
            text
        } else {
            view.latest.lock().text.clone()
        };
        // No lock is held over a fault in the caller's memory.
        to.simple_read_from_buffer(position, &text)
    }

    fn ioctl(
        view: ArcBorrow<'_, View>,
        _file: &File,
        command: u32,
        argument: usize,
        _compat: bool,
    ) -> Result<isize> {
        if command != wire::IOCTL_STATUS {
            return Err(ENOTTY);
        }
        let (count, changes) = records::fetch(argument)?;
        view.latest.lock().changes = changes;
        Ok(count)
    }

    fn seek(_view: ArcBorrow<'_, View>, file: &File, offset: i64, whence: c_int) -> Result<i64> {
        Seek::plain(file, offset, whence)
    }

    fn poll(view: ArcBorrow<'_, View>, file: &File, table: &PollTable<'_>) -> u32 {
        view.watchers.queue.register_poll(file, table);
        let seen = view.latest.lock().changes;
        match seen == registry::changes() {
            true => READABLE,
            false => READABLE | CHANGED,
        }
    }
}
