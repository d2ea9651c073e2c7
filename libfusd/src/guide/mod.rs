//! The guide: what a driver's author needs to know, a page for each subject.
//!
//! | Page | What it is about |
//! |---|---|
//! | [`concepts`] | devices, nodes, files, requests, sessions, and how they belong together |
//! | [`choosing_a_backend`] | what kfusd, CUSE and FUSE differ in, and how to go by it |
//! | [`blocking_and_poll`] | calls that have to wait, `O_NONBLOCK`, signals, poll(2) |
//! | [`ioctl`] | ioctls that encode their argument, old ones, and memory behind pointers |
//! | [`mmap`] | memory that driver and clients share |
//! | [`publishing`] | content that is read without waking the driver |
//! | [`rings`] | streams that flow without waking the driver |
//! | [`calling_devices`] | drivers that call drivers, and `EDEADLK` |
//! | [`restarts`] | a new driver under open files |
//! | [`security`] | who may open a node, and what to expect of whoever does |
//!
//! All code in it is compiled, and all that needs no kernel runs: each example is tested with a
//! [client in the same process](crate::loopback), which is also how to test a driver of your own.

#[doc = include_str!("blocking_and_poll.md")]
pub mod blocking_and_poll {}
#[doc = include_str!("calling_devices.md")]
pub mod calling_devices {}
#[doc = include_str!("choosing_a_backend.md")]
pub mod choosing_a_backend {}
#[doc = include_str!("concepts.md")]
pub mod concepts {}
#[doc = include_str!("ioctl.md")]
pub mod ioctl {}
#[doc = include_str!("mmap.md")]
pub mod mmap {}
#[doc = include_str!("publishing.md")]
pub mod publishing {}
#[doc = include_str!("restarts.md")]
pub mod restarts {}
#[doc = include_str!("rings.md")]
pub mod rings {}
#[doc = include_str!("security.md")]
pub mod security {}
