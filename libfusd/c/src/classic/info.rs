//! `struct fusd_file_info`: what a callback is told of a call, at an address that stays valid.
//!
//! The driver may write to it at any time, from any thread, also when it must not: so all fields are
//! atomics, and the memory is never given back, only used again, after a while.

use std::collections::VecDeque;
use std::ptr;
use std::sync::Mutex;
use std::sync::atomic::{AtomicI32, AtomicI64, AtomicPtr, AtomicU32, AtomicUsize, Ordering};

use libc::c_void;

use crate::sync::lock;

/// As in `fusd.h`. Its layout is part of the binary interface.
#[repr(C)]
pub(crate) struct FileInfo {
    pub(crate) device_info: AtomicPtr<c_void>,
    pub(crate) private_data: AtomicPtr<c_void>,
    pub(crate) flags: AtomicU32,
    pub(crate) pid: AtomicI32,
    pub(crate) uid: AtomicU32,
    pub(crate) gid: AtomicU32,
}

const _: () = assert!(size_of::<FileInfo>() == 2 * size_of::<*mut c_void>() + 16);

/// A `struct fusd_file_info` and what else of a call the driver has a pointer to.
#[repr(C)]
pub(crate) struct Slot {
    info: FileInfo,
    /// `*offset` of a read or a write.
    offset: AtomicI64,
    /// `*addr` and `*out_length` of a mmap.
    address: AtomicPtr<c_void>,
    length: AtomicUsize,
    /// What `private_data` was when it was last taken over.
    seen: AtomicUsize,
}

/// Slots that no call uses, the one that has rested longest first.
static RESTING: Mutex<VecDeque<&'static Slot>> = Mutex::new(VecDeque::new());

/// So many slots rest before one is used again: a pointer that the driver uses after its end
/// names no call then, rather than another one.
const REST: usize = 1024;

/// A slot in use.
pub(crate) struct Info(&'static Slot);

impl Info {
    /// A slot with these contents.
    pub(crate) fn new(device_info: usize, private_data: usize, who: Who) -> Self {
        let rested = {
            let mut resting = lock(&RESTING);
            (resting.len() >= REST)
                .then(|| resting.pop_front())
                .flatten()
        };
        let slot = rested.unwrap_or_else(|| Box::leak(Box::new(Slot::empty())));
        let info = &slot.info;
        let pointer = ptr::with_exposed_provenance_mut;
        info.device_info
            .store(pointer(device_info), Ordering::Relaxed);
        info.private_data
            .store(pointer(private_data), Ordering::Relaxed);
        slot.seen.store(private_data, Ordering::Relaxed);
        info.flags.store(who.flags, Ordering::Relaxed);
        info.pid.store(who.pid, Ordering::Relaxed);
        info.uid.store(who.uid, Ordering::Relaxed);
        info.gid.store(who.gid, Ordering::Relaxed);
        slot.offset.store(0, Ordering::Relaxed);
        slot.address.store(ptr::null_mut(), Ordering::Relaxed);
        slot.length.store(0, Ordering::Relaxed);
        Self(slot)
    }

    /// What the driver gets.
    pub(crate) fn pointer(&self) -> *mut FileInfo {
        ptr::from_ref(&self.0.info).cast_mut()
    }

    /// What the call is found by.
    pub(crate) fn address(&self) -> usize {
        self.pointer().expose_provenance()
    }

    /// `*offset`.
    pub(crate) fn offset(&self) -> &'static AtomicI64 {
        &self.0.offset
    }

    /// Where `*addr` and `*out_length` are.
    pub(crate) fn mapping_places(&self) -> (*mut *mut c_void, *mut usize) {
        (self.0.address.as_ptr(), self.0.length.as_ptr())
    }

    /// What the driver has put there.
    pub(crate) fn mapping(&self) -> (usize, usize) {
        let address = self.0.address.load(Ordering::Acquire);
        let length = self.0.length.load(Ordering::Acquire);
        (address.expose_provenance(), length)
    }

    /// Who calls.
    pub(crate) fn who(&self) -> Who {
        let info = &self.0.info;
        Who {
            flags: info.flags.load(Ordering::Relaxed),
            pid: info.pid.load(Ordering::Relaxed),
            uid: info.uid.load(Ordering::Relaxed),
            gid: info.gid.load(Ordering::Relaxed),
        }
    }

    /// The driver's `private_data`, if it has changed since this was asked last.
    pub(crate) fn new_private_data(&self) -> Option<usize> {
        let private_data = self.0.info.private_data.load(Ordering::Acquire);
        let now = private_data.expose_provenance();
        (self.0.seen.swap(now, Ordering::Relaxed) != now).then_some(now)
    }
}

impl Drop for Info {
    fn drop(&mut self) {
        lock(&RESTING).push_back(self.0);
    }
}

impl Slot {
    fn empty() -> Self {
        Self {
            info: FileInfo {
                device_info: AtomicPtr::default(),
                private_data: AtomicPtr::default(),
                flags: AtomicU32::default(),
                pid: AtomicI32::default(),
                uid: AtomicU32::default(),
                gid: AtomicU32::default(),
            },
            offset: AtomicI64::default(),
            address: AtomicPtr::default(),
            length: AtomicUsize::default(),
            seen: AtomicUsize::default(),
        }
    }
}

/// Who calls, and with which flags of the file.
#[derive(Clone, Copy, Default)]
pub(crate) struct Who {
    pub(crate) flags: u32,
    pub(crate) pid: i32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
}
