// SPDX-License-Identifier: GPL-2.0-only

//! kfusd: devices under /dev that an ordinary program implements.
//!
//! A driver opens /dev/fusd/control and talks the protocol of `wire.rs` there; kfusd(4) describes
//! it. Each device that it registers is a character device, and each call on one becomes a request
//! that the driver reads and answers.
//!
//! # Where to look
//!
//! | File | What |
//! |---|---|
//! | `control.rs`, `control/` | the control node: from bytes to messages and back |
//! | `connection.rs`, `connection/` | a driver's connection, and the driver's side of a request |
//! | `seat.rs`, `connection/succession.rs`, `waiting.rs` | from one driver to its successor |
//! | `client.rs`, `request.rs`, `handle.rs` | a client's calls, one call, an open file |
//! | `content.rs`, `ring.rs`, `ring/` | reads and writes that need no request |
//! | `device.rs`, `registry.rs`, `status.rs` | devices, all of them, and what to tell people of them |
//! | `deadlock.rs`, `deadlock/` | drivers that wait for themselves |
//! | `bytes.rs`, `limits.rs`, `error.rs` | what their names say |
//! | `sys/` | all unsafe code |
//!
//! # Who holds whom
//!
//! An open client file holds its `Handle`, that its `Device`, that its `Connection`; the control
//! file holds its `Seat`, and that the `Connection` as well. The connection refers back to devices,
//! files and requests that are under way, until they end: the close of the last control file ends
//! all, but for devices that are kept for a successor. Those are in the registry, where the alarm
//! (`waiting.rs`) finds them, and where they are when the module goes: both end them.
//!
//! A request that was answered stays with its `Handle` for the next call, with the node of the trees that
//! it was in, and refers to it; the release of the file takes it out.
//!
//! # Locks, in their order
//!
//! 1. `registry::REGISTRY`, a mutex: names and minor numbers. Nothing waits for a driver, a client
//!    or the driver core under it.
//! 2. `Device::stand`, a mutex: whether the node is there. Nothing else is taken under it.
//! 3. `View::latest`, a mutex: the text of an open status file. Nothing else is taken under it.
//! 4. `deadlock::GRAPH`, a mutex: who serves which connection, and which of them wait as clients. Of
//!    what follows, only the connections' spinlocks are taken under it.
//! 5. `Handle::memory` and `Device::memory`, mutexes: what can be mapped. A client takes them with the
//!    lock of its own memory held (mmap(2)), one at a time; nothing is taken under them.
//! 6. `Ring::buffer`, a mutex: the bytes of a ring. Nothing else is taken under it, and nothing waited
//!    for: of users' memory, what is not there is not copied.
//! 7. `Connection::inner`, a spinlock: all that changes of a connection and of what belongs to it.
//!    No memory is allocated under it, none of users touched, and nothing dropped that may sleep.
//! 8. `sys::Pages`, a spinlock: whether the call lasts whose memory it is, which keeps it lasting while some
//!    pages are copied. Nothing else is taken under it.
//! 9. `Ring::event`, a spinlock: whom to tell of a mark. Only the event's own lock is taken under it.
//! 10. The locks inside wait queues.
//!
//! Published content is taken out under the spinlock and read without it: a read may sleep.
//!
//! Who is woken is woken without the spinlock. A client that waits for its answer sleeps without a
//! queue, and the connection holds its task until it has woken it (`sys/sleep.rs`). Of a driver's threads,
//! the first that waits is found without a queue as well (`sys/line.rs`).
//!
//! No lock is held while anybody waits for somebody else. A client waits in `Request::wait` and
//! `connection::Admission::new`, a driver in `Connection::receive`: all three can be killed.

#![crate_name = "kfusd"]

mod bytes;
mod client;
mod connection;
mod content;
mod control;
mod deadlock;
mod device;
mod error;
mod handle;
#[cfg_attr(not(kernel_7_3), path = "kernel_7_2.rs")]
#[cfg_attr(kernel_7_3, path = "kernel_7_3.rs")]
mod kernel_version;
mod limits;
mod registry;
mod request;
mod ring;
mod seat;
mod status;
mod sys;
mod waiting;
// Both sides compile it: the other one uses the rest, and exports it.
#[allow(dead_code, unreachable_pub)]
mod wire;

use kernel::{prelude::*, time::Delta};

use sys::MiscNode;

module! {
    type: Kfusd,
    name: "kfusd",
    authors: ["The fusd authors"],
    description: "Devices under /dev that an ordinary program implements",
    license: "GPL v2",
    params: {
        max_transfer: u32 {
            default: 1048576,
            description: "Bytes of data in one message, at most (4096 to 16777216)",
        },
        max_devices: u32 {
            default: 1024,
            description: "Devices of one driver, at most (1 to 65536)",
        },
        max_files: u32 {
            default: 4096,
            description: "Files open on one device, at most (1 to 1048576)",
        },
        max_requests: u32 {
            default: 4096,
            description: "Requests under way of one driver, at most (16 to 1048576); one device may have half of them, one file a sixteenth",
        },
        max_bytes: u64 {
            default: 67108864,
            description: "Bytes of memory for these, at most (1 MiB to 1 TiB), shared likewise",
        },
        deadlock_ms: u32 {
            default: 5000,
            description: "Milliseconds that a call waits, taken by nobody, before it fails because its driver sleeps and may wait for the caller, a thread or a child of it (100 to 3600000; 0: never)",
        },
    },
}

/// The module: what is registered as long as it is loaded. Dropped from the top.
#[pin_data]
struct Kfusd {
    /// First to go: nobody gets in any more. No file is open then, for each holds the module.
    #[pin]
    control: MiscNode,
    #[pin]
    status: MiscNode,
    rest: Rest,
}

/// What nodes are made of.
struct Rest {
    _alarm: sys::Alarm<waiting::Waiting>,
    _deadlock: deadlock::Running,
    _registry: registry::Running,
    _class: sys::Class,
}

impl Drop for Rest {
    fn drop(&mut self) {
        waiting::end_all();
        // Somebody may hold a device that was removed long ago (a reference is enough), and its
        // memory is freed by this module's code.
        while sys::nodes_left() != 0 {
            kernel::time::delay::fsleep(Delta::from_millis(1));
        }
    }
}

impl kernel::InPlaceModule for Kfusd {
    fn init(_module: &'static ThisModule) -> impl PinInit<Self, Error> {
        try_pin_init!(Self {
            rest: Rest {
                _alarm: sys::Alarm::new(),
                _deadlock: deadlock::Running::new(),
                _registry: registry::Running::new()?,
                _class: sys::Class::new()?,
            },
            status <- MiscNode::new(c"fusd-status", c"fusd/status", 0o444, &status::TABLE),
            control <- MiscNode::new(c"fusd-control", c"fusd/control", 0o600, &control::TABLE),
        })
    }
}
