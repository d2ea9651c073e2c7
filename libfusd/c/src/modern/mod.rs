//! The interface for drivers that are written today: what `fusd_device.h` declares.
//!
//! Callbacks run on the session's threads, several at a time. What C code gets for a device, a file or
//! a call is a number in the form of a pointer (`tables.rs`): never an address, never used twice, and
//! looked up whenever it comes back.
//!
//! Lock order: none of the tables is locked while another is, or while anything else is called; but that
//! of calls is while the kernel is told of memory (`memory.rs`).

mod callbacks;
mod device;
mod driver;
mod exports;
mod memory;
mod replies;
mod tables;
