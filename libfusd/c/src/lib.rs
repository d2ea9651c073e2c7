//! The C library `libfusd.so`: what `fusd.h` and `fusd_device.h` declare, on top of the Rust crate
//! `fusd`.
//!
//! [`classic`] has the interface of the original FUSD, whose callbacks run on the thread that
//! dispatches; [`modern`] the one for new drivers, whose callbacks run on the library's threads. What
//! both interfaces share is here: errno and error texts (`failure`), where a panic ends (`guard`), and
//! where the library's log goes (`log`).
//!
//! Unsafe code is in the files that C code calls (`exports.rs`), in those that call C code
//! (`callbacks.rs`), and in `fork.rs`, `text.rs`, `sets.rs` and `share.rs`.

mod classic;
mod failure;
mod fork;
mod guard;
mod log;
mod modern;
mod signals;
mod standard;
mod sync;
mod text;
