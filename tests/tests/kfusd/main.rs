//! The kernel module, by its raw protocol: what the control node takes and gives, and what clients
//! of the nodes see. Every fault that the first FUSD's module is known to have had has a test.
//!
//! The tests take root and the environment variable `FUSD_KFUSD_MODULE`, the path of kfusd.ko,
//! which they insert. They leave it inserted.

#[cfg(target_arch = "x86_64")]
mod compat;
mod content;
mod deadlock;
mod driver;
mod ending;
mod fuzz;
mod handshake;
mod hostile;
mod ioctls;
mod languages;
mod large;
mod loading;
mod many;
mod memory;
mod module;
mod names;
mod polling;
mod raw;
mod restart;
mod rings;
mod short;
mod signals;
mod stalls;
mod status;
mod stress;
mod suspend;
mod sweep;
mod transfers;
mod uevents;
mod workers;
