// SPDX-License-Identifier: GPL-2.0-only

//! Nodes under /dev: a device of class `fusd`, from which devtmpfs makes the node and udev learns
//! of it, and a cdev, by which it can be opened.

use kernel::{
    bindings,
    error::{from_err_ptr, to_result},
    prelude::*,
    str::{as_char_ptr_in_const_context, CString},
    sync::atomic::{Atomic, Relaxed},
    types::Opaque,
};

use super::region::Cdev;
use super::{Owner, Table};

/// Something static that only the kernel changes.
#[repr(transparent)]
struct Static<T>(Opaque<T>);

// SAFETY: Rust code never touches what is inside, but for its address.
unsafe impl<T> Sync for Static<T> {}

static CLASS: Static<bindings::class> = Static(Opaque::new(bindings::class {
    name: as_char_ptr_in_const_context(c"fusd"),
    ..pin_init::zeroed()
}));

static TYPE: Static<bindings::device_type> = Static(Opaque::new(bindings::device_type {
    name: as_char_ptr_in_const_context(c"fusd"),
    devnode: Some(devnode),
    release: Some(release),
    ..pin_init::zeroed()
}));

/// How many devices exist in the kernel's eyes: those of [`Node`]s, and those which somebody else
/// holds a reference to after their `Node` is gone.
static LEFT: Atomic<i32> = Atomic::new(0);

/// The class's registration: there is one, in the module's own structure.
pub(crate) struct Class(());

impl Class {
    /// Registers the class.
    pub(crate) fn new() -> Result<Self> {
        // SAFETY: the structure is static, and registered once at a time: `Class` is made by the
        // module's init and dropped by its exit.
        to_result(unsafe { bindings::class_register(CLASS.0.get()) })?;
        Ok(Self(()))
    }
}

impl Drop for Class {
    fn drop(&mut self) {
        // SAFETY: `new` registered it.
        unsafe { bindings::class_unregister(CLASS.0.get()) };
    }
}

/// How many devices there still are whose memory [`release`] has to free: the module must stay
/// until there are none.
pub(crate) fn nodes_left() -> i32 {
    LEFT.load(Relaxed)
}

/// The kind of file that is a character device. CAST: of a `umode_t`.
const S_IFCHR: u16 = bindings::S_IFCHR as u16;

/// A `struct device` and what devtmpfs asks for.
#[repr(C)]
struct Raw {
    /// First, so that a pointer to it is one to the whole.
    device: Opaque<bindings::device>,
    mode: u16,
    owner: Owner,
}

impl Raw {
    /// The whole of a device.
    ///
    /// # Safety
    /// `device` was made by [`Node::new`] and is alive for `'a`.
    unsafe fn of<'a>(device: *const bindings::device) -> &'a Self {
        // SAFETY: `device` is the first field of a `Raw` in `repr(C)`.
        unsafe { &*device.cast::<Self>() }
    }
}

/// The callback `device_type.devnode`: mode and owner; the name is the device's.
///
/// # Safety
/// To be called by the driver core, with a device of [`TYPE`].
unsafe extern "C" fn devnode(
    device: *const bindings::device,
    mode: *mut bindings::umode_t,
    uid: *mut bindings::kuid_t,
    gid: *mut bindings::kgid_t,
) -> *mut c_char {
    // SAFETY: all devices of this type are made by `Node::new`, and this one is alive.
    let raw = unsafe { Raw::of(device) };
    // SAFETY: the driver core passes null or room for one value, in each place.
    unsafe {
        if !mode.is_null() {
            // With the file's kind, which devtmpfs adds anyway: it would take 0 for no mode at all,
            // and make it 0600 (devtmpfs_create_node).
            *mode = raw.mode | S_IFCHR;
        }
        if !uid.is_null() {
            *uid = raw.owner.uid;
        }
        if !gid.is_null() {
            *gid = raw.owner.gid;
        }
    }
    core::ptr::null_mut()
}

/// The callback `device_type.release`: nobody refers to the device any more. It may be called in
/// any context, and does nothing that sleeps.
///
/// # Safety
/// To be called by the driver core, with a device of [`TYPE`].
unsafe extern "C" fn release(device: *mut bindings::device) {
    // SAFETY: `Node::new` gave up this box for the driver core to give it back here, once.
    drop(unsafe { KBox::from_raw(device.cast::<Raw>()) });
    LEFT.fetch_sub(1, Relaxed);
}

/// A node under /dev, for as long as this lives.
pub(crate) struct Node {
    device: *mut bindings::device,
    /// Goes after the node has gone: see `drop`.
    _cdev: Cdev,
}

// SAFETY: devices belong to no thread.
unsafe impl Send for Node {}

impl Node {
    /// Makes the node `name`, with missing directories. It can be opened before this returns:
    /// opens go to `table`, with the
    /// minor of `number`, which is one of a [`super::Region`].
    pub(crate) fn new(
        number: bindings::dev_t,
        name: &CStr,
        mode: u16,
        owner: Owner,
        table: &'static Table,
    ) -> Result<Self> {
        let cdev = Cdev::new(number, table)?;
        let raw = KBox::new(
            Raw {
                // SAFETY: a `struct device` is plain data, to be zeroed before it is initialised.
                device: Opaque::new(unsafe { core::mem::zeroed() }),
                mode,
                owner,
            },
            GFP_KERNEL,
        )?;
        let device = KBox::into_raw(raw).cast::<bindings::device>();
        LEFT.fetch_add(1, Relaxed);
        // SAFETY: the device is zeroed and ours alone.
        unsafe {
            bindings::device_initialize(device);
            (*device).devt = number;
            (*device).class = CLASS.0.get();
            (*device).type_ = TYPE.0.get();
        }
        // SAFETY: the device is initialised, and the format takes one string.
        let mut result = to_result(unsafe {
            bindings::dev_set_name(device, c"%s".as_char_ptr(), name.as_char_ptr())
        });
        if result.is_ok() {
            // SAFETY: it is initialised, has a name, and was not added before.
            result = to_result(unsafe { bindings::device_add(device) });
        }
        if let Err(error) = result {
            // SAFETY: gives up the reference of `device_initialize`; `release` frees.
            unsafe { bindings::put_device(device) };
            return Err(error);
        }
        Ok(Self {
            device,
            _cdev: cdev,
        })
    }
}

impl Drop for Node {
    fn drop(&mut self) {
        // SAFETY: `new` added it; the second call gives up the reference of `device_initialize`.
        unsafe {
            bindings::device_del(self.device);
            bindings::put_device(self.device);
        }
    }
}

/// Whether there is anything at /dev/NAME, as the current task sees it. devtmpfs keeps silent
/// about a node that it cannot make because something else is there.
///
/// # Errors
/// What stands in the way of looking: `ENOTDIR` for a name below one that is no directory.
pub(crate) fn path_exists(name: &CStr) -> Result<bool> {
    let path = CString::try_from_fmt(fmt!(
        "/dev/{}",
        kernel::str::BStr::from_bytes(name.to_bytes())
    ))?;
    // CAST: flags of open(2), all below 2^31. `O_PATH` opens nothing that could notice.
    let flags = (bindings::O_PATH | bindings::O_NOFOLLOW) as c_int;
    // SAFETY: the path ends with a zero.
    let file = from_err_ptr(unsafe { bindings::filp_open(path.as_char_ptr(), flags, 0) });
    match file {
        Ok(file) => {
            // SAFETY: it was opened here, and nobody else has it.
            unsafe { bindings::fput(file) };
            Ok(true)
        }
        Err(error) if error == ENOENT => Ok(false),
        Err(error) => Err(error),
    }
}
