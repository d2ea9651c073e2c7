//! Devices under /dev that an ordinary program implements.
//!
//! A driver is a type that implements [`Device`]. Registered, it gets a node; every open, read,
//! write, ioctl and poll of a client on that node arrives as a request, which the driver answers
//! now, later, or from another thread.
//!
//! ```
//! use fusd::{Device, DeviceBuilder, OpenFile, OpenRequest, ReadRequest};
//!
//! struct Hello;
//!
//! impl Device for Hello {
//!     type File = ();
//!
//!     fn open(&self, request: OpenRequest<()>) {
//!         request.accept(());
//!     }
//!
//!     fn read(&self, _file: &OpenFile<()>, request: ReadRequest) {
//!         request.reply_from(b"Hello, world!\n");
//!     }
//! }
//!
//! # fn serve() -> fusd::Result<()> {
//! DeviceBuilder::new("hello").register(Hello)?.run()
//! # }
//! # let (client, _serving) = DeviceBuilder::new("hello").loopback(Hello)?;
//! # let file = client.open(libc::O_RDONLY)?;
//! # assert_eq!(file.read(5)?, b"Hello");
//! # assert_eq!(file.read(100)?, b", world!\n");
//! # assert_eq!(file.read(100)?, b"");
//! # Ok::<(), std::io::Error>(())
//! ```
//!
//! # The parts
//!
//! - [`DeviceBuilder`] says where the node is to be and who may use it.
//! - [`Session`] serves a registered device, on as many threads as are needed.
//! - [`request`] has the calls, one type each. [`WaitQueue`] keeps those that have to wait.
//! - [`loopback`] has a client in the same process, for tests of a driver.
//! - [`guide`] explains, a page for each subject: concepts, backends, blocking and poll, ioctls,
//!   mmap, security.
//! - [`inspect`] tells of devices that others serve, for programs that watch over them.
//!
//! # Backends
//!
//! What carries the calls is a [backend](BackendKind), chosen by what the machine has:
//!
//! - kfusd, for nodes below /dev: character devices of the project's own kernel module. It takes
//!   the right to open /dev/fusd/control.
//! - CUSE, for nodes below /dev: the kernel's own character devices. It takes root and /dev/cuse.
//!   Files have a position there, but no client can move it: see [`Position::Seekable`].
//! - FUSE: a file system whose root is one regular file, mounted over a placeholder where the node
//!   is to be. It needs /dev/fuse and nothing else; as an ordinary user, also the program
//!   `fusermount3`.
//!
//! # Drivers that call drivers
//!
//! A handler may open and call other devices, its driver's own as well: while it waits, its call is
//! served by another thread of the driver, as long as fewer than [`DeviceBuilder::workers`] handlers
//! run. If all that may run wait for the driver itself, directly or by way of any number of other
//! drivers that wait for it, nobody could ever take the call. On kfusd, the one that would close such a
//! circle fails with [`Errno::EDEADLK`] instead, at once, and /dev/fusd/status counts it; a close(2) that
//! would, succeeds without waiting for the driver's [`Device::flush`]. On CUSE and FUSE the calls wait
//! until somebody is killed.
//!
//! What no backend can see: the calls of one open file run one after the other, so a handler that calls
//! its own file waits for itself, and so does one that waits for a lock, or for a child process, which
//! needs the handler's own thread to go on.
//!
//! # Reads that do not wake the driver
//!
//! Where what a file has depends neither on who reads it nor on when (a text, a page, a snapshot), the
//! driver can say all of it at once: [`OpenRequest::publish`] with a [`Published`]. On kfusd the kernel
//! then serves the reads, and lseek(2), from the driver's memory, without a switch to the driver; on
//! the other backends the session does, so that a device is written once. The file keeps what it was
//! opened with; the next open may get another version. Offsets, short reads, the end of the file,
//! `O_NONBLOCK` and the driver's end are as ever. [`Device::open`] and [`Device::release`] are called as
//! for any file. While an [access log](ACCESS_LOG) is kept, reads take the long way, to be found there.
//!
//! # Restarts
//!
//! A driver can end, by an update or by a crash, while clients keep their files open: with
//! [`DeviceBuilder::restart`] the node stays, calls wait, and the next driver of that name takes
//! over what there is. It finds each open file with a number that the driver before has kept with it
//! ([`OpenFile::set_token`], [`Device::restore`]). A new version can also replace the old one while
//! that runs ([`Restart::replace`]): the old one finishes what it has begun with, and its
//! [`Session::run`] returns. It takes the backend kfusd.
//!
//! ```no_run
//! # use fusd::{Device, DeviceBuilder, OpenRequest, Restart, RestoreRequest};
//! # use std::time::Duration;
//! struct Tail;
//!
//! impl Device for Tail {
//!     type File = u64;
//!
//!     fn open(&self, request: OpenRequest<u64>) {
//!         let line = 1;
//!         request.accept_with(line, |file| {
//!             // Where a successor is to go on. What cannot be kept is not needed either.
//!             let _ = file.set_token(line);
//!         });
//!     }
//!
//!     fn restore(&self, request: RestoreRequest<u64>) {
//!         let line = request.token();
//!         request.accept(line);
//!     }
//! }
//!
//! let policy = Restart::within(Duration::from_secs(30)).again();
//! DeviceBuilder::new("tail").restart(policy).register(Tail)?.run()?;
//! # Ok::<(), fusd::Error>(())
//! ```
//!
//! A service manager that keeps descriptors for its services (systemd's `FileDescriptorStoreMax=`)
//! can hold the connection itself while the driver is away: kfusd(4) has the messages.
//!
//! # Logs
//!
//! The crate logs through [`tracing`]. Events of the target [`ACCESS_LOG`], at level `INFO`, tell
//! of each answered call who (pid, uid, program) did what and how it ended; they cost nothing
//! unless the subscriber in force at registration wants them.

mod backend;
mod builder;
mod caller;
mod device;
mod errno;
mod error;
mod file;
mod flags;
mod fuse_wire;
#[cfg(fuzzing)]
pub use fuse_wire::fuzzing;
pub mod guide;
mod idmap;
pub mod inspect;
mod ioctl;
pub mod loopback;
mod memory;
mod name;
mod panics;
mod poll;
mod properties;
mod published;
mod queue;
pub mod request;
mod restart;
mod session;
mod sync;
mod sys;
mod trace;
pub mod wire;
#[cfg(test)]
mod wire_tests;

pub use backend::BackendKind;
pub use builder::DeviceBuilder;
pub use caller::Caller;
pub use device::Device;
pub use errno::Errno;
pub use error::{Error, ErrorKind, Result};
pub use file::OpenFile;
pub use flags::OpenFlags;
pub use ioctl::{Area, IoctlArgument, IoctlCommand};
pub use memory::{Access, Memory};
pub use poll::PollEvents;
pub use properties::{Operations, Position, Properties};
pub use published::Published;
pub use queue::{Attempt, WaitQueue};
pub use request::{
    Delivery, FlushRequest, IoctlRequest, OpenRequest, ReadRequest, RestoreRequest, SyncRequest,
    WriteRequest,
};
pub use restart::Restart;
pub use session::{Serving, Session, StopHandle};

/// The target of the access log's events.
pub const ACCESS_LOG: &str = "fusd::access";
