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
//!   mmap, content and streams that the kernel serves, drivers that call drivers, restarts, security.
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
mod ring;
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
pub use ring::Ring;
pub use session::{Serving, Session, StopHandle};

/// The target of the access log's events.
pub const ACCESS_LOG: &str = "fusd::access";
