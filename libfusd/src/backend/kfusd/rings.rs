//! Rings of the module's.

use std::io;
use std::os::fd::AsRawFd;
use std::sync::atomic::{AtomicU64, Ordering};

use super::KfusdDevice;
use crate::Errno;
use crate::backend::{NewRing, RequestId, RingUse, Rings, TakenOut};
use crate::sys::ring as call;
use crate::wire::{self, Attach, Ring, operation};

/// The next ring's number.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// What is not so large a number cannot be one of a ring's bytes or of a descriptor.
fn number(value: usize) -> io::Result<u32> {
    u32::try_from(value).map_err(|_| Errno::EINVAL.into())
}

impl Rings for KfusdDevice {
    fn make(&self, wanted: &NewRing<'_>) -> io::Result<u64> {
        let ring = NEXT.fetch_add(1, Ordering::Relaxed);
        let (room, fill) = wanted.marks;
        let event = wanted.event.as_raw_fd();
        let made = Ring {
            ring,
            size: number(wanted.size)?,
            flags: wire::RING_EVENT,
            event: event.unsigned_abs(),
            room: number(room)?,
            fill: number(fill)?,
            reserved: 0,
        };
        call::set(self.connection.control(), made).map(|()| ring)
    }

    fn set_marks(&self, ring: u64, (room, fill): (usize, usize)) -> io::Result<()> {
        let changed = Ring {
            ring,
            room: number(room)?,
            fill: number(fill)?,
            ..Ring::default()
        };
        call::set(self.connection.control(), changed)
    }

    fn abandon(&self, ring: u64) -> io::Result<()> {
        let dropped = Ring {
            ring,
            flags: wire::RING_DROP,
            ..Ring::default()
        };
        call::set(self.connection.control(), dropped)
    }

    fn attach(&self, open: RequestId, ring: u64, wanted: RingUse) -> io::Result<()> {
        let file = self.files.of_opening(open.0).ok_or(Errno::ENOENT)?;
        let attach = Attach {
            file: file.0,
            ring,
            flags: match wanted {
                RingUse::Reads => wire::ATTACH_READS,
                RingUse::Writes => wire::ATTACH_WRITES,
            },
            reserved: 0,
        };
        self.connection
            .send_plain(operation::ATTACH, &attach.to_bytes())
    }

    fn feed(&self, ring: u64, data: &[u8], last: bool) -> io::Result<usize> {
        call::feed(self.connection.control(), ring, data, last)
    }

    fn take(&self, ring: u64, out: &mut [u8], last: bool) -> io::Result<TakenOut> {
        let (bytes, filled) = call::take(self.connection.control(), ring, out, last)?;
        Ok(TakenOut { bytes, filled })
    }
}
