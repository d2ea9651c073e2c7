//! What stat(2) shows of the node: mode, owner and times, as chmod(2), chown(2) and touch(1) left
//! them. They live as long as the node.

use std::sync::Mutex;
use std::time::{Duration, SystemTime, UNIX_EPOCH};

use crate::backend::Placement;
use crate::fuse_wire::encode;
use crate::fuse_wire::{NodeAttr, SetAttr, SetTime, Timestamp};
use crate::sync::lock;

/// What clients are advised to transfer at a time, in bytes.
const BLOCK: u32 = 64 * 1024;

/// `S_IFREG`: a FUSE file system of one file has a regular file for its root.
const REGULAR: u32 = 0o100_000;

/// The node's attributes.
pub(crate) struct Node {
    attributes: Mutex<NodeAttr>,
    least_size: u64,
}

impl Node {
    /// A node as it was ordered; stat shows `least_size` for a device that has less.
    pub(crate) fn new(placement: &Placement, least_size: u64) -> Self {
        let now = now();
        let attributes = NodeAttr {
            ino: 1,
            mode: REGULAR | placement.mode,
            nlink: 1,
            uid: placement.uid,
            gid: placement.gid,
            size: 0,
            blksize: BLOCK,
            atime: now,
            mtime: now,
            ctime: now,
        };
        Self {
            attributes: Mutex::new(attributes),
            least_size,
        }
    }

    /// The answer to a stat of a device that has `size` bytes. Nothing of it is to be cached, for
    /// the size is the device's to change.
    pub(crate) fn stat(&self, size: u64) -> [u8; 104] {
        let size = size.max(self.least_size).min(i64::MAX.cast_unsigned());
        encode::attr_out(
            &NodeAttr {
                size,
                ..*lock(&self.attributes)
            },
            Duration::ZERO,
        )
    }

    /// Applies a change that the kernel has allowed.
    pub(crate) fn change(&self, change: &SetAttr) {
        let now = now();
        let time = |time: SetTime| match time {
            SetTime::Now => now,
            SetTime::At(at) => at,
        };
        let mut attributes = lock(&self.attributes);
        let SetAttr {
            mode,
            uid,
            gid,
            atime,
            mtime,
            ..
        } = *change;
        if let Some(mode) = mode {
            attributes.mode = REGULAR | mode & 0o7777;
        }
        attributes.uid = uid.unwrap_or(attributes.uid);
        attributes.gid = gid.unwrap_or(attributes.gid);
        attributes.atime = atime.map_or(attributes.atime, time);
        attributes.mtime = mtime.map_or(attributes.mtime, time);
        attributes.ctime = now;
    }

    /// A client has written.
    pub(crate) fn written(&self) {
        let now = now();
        let mut attributes = lock(&self.attributes);
        attributes.mtime = now;
        attributes.ctime = now;
    }
}

fn now() -> Timestamp {
    let since = SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default();
    Timestamp {
        sec: i64::try_from(since.as_secs()).unwrap_or(i64::MAX),
        nsec: since.subsec_nanos(),
    }
}
