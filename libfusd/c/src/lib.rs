//! The C library `libfusd.so`: what `fusd.h` declares, on top of the Rust crate `fusd`.
//!
//! [`classic`] has the interface of the original FUSD, whose callbacks run on the thread that
//! dispatches. What both interfaces share is here: errno and error texts (`failure`), where a panic
//! ends (`guard`), and where the library's log goes (`log`).
//!
//! Unsafe code is in the files that C code calls (`exports.rs`), in the one that calls C code
//! (`callbacks.rs`), and in `text.rs`.

mod classic;
mod failure;
mod guard;
mod log;
mod signals;
mod sync;
mod text;
