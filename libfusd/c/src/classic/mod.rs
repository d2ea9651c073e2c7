//! The interface of the original FUSD.
//!
//! The session's threads put what clients do into a queue of the device (`device.rs`, `queue.rs`),
//! and make its descriptor readable. Whoever dispatches takes it out and runs the callback
//! (`dispatch.rs`). While a call is the driver's business it is kept in one table for the whole
//! process (`calls.rs`), by the address of its `struct fusd_file_info`: so a pointer that the driver
//! hands in is looked up and never trusted. `answer.rs` has what becomes of a result, `polling.rs`
//! the requests that keep the state of polls, `mapping.rs` and `share.rs` what clients map.
//!
//! No frame between C and C owns anything while a callback runs: a callback that leaves by
//! longjmp(3) or by a C++ exception skips nothing that has to happen.
//!
//! Lock order: table of devices, queue of a device, state of polls of a file. The table of calls
//! is never held together with one of these.

mod accessors;
mod answer;
mod callbacks;
mod calls;
mod device;
mod dispatch;
mod exports;
mod file;
mod flags;
mod info;
mod mapping;
mod polling;
mod position;
mod queue;
mod registry;
mod run;
mod sets;
mod share;
