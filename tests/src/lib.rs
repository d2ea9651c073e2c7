//! The end-to-end harness: starts real binaries, calls their nodes as clients do, and checks that
//! nothing is left behind.
//!
//! A test makes a [`Case`], starts drivers in it and calls their nodes. Nothing here sleeps for a
//! fixed time: whatever takes time is waited for, with a [deadline](wait::deadline).

pub mod ability;
pub mod backend;
pub mod binaries;
pub mod case;
pub mod client;
pub mod driver;
pub mod leftovers;
pub mod module;
pub mod packages;
pub mod pattern;
pub mod ports;
pub mod record;
mod spawn;
pub mod suite;
pub mod sys;
pub mod terminal;
pub mod user;
pub mod wait;
pub mod watchdog;

pub use ability::Ability;
pub use backend::Backend;
pub use case::Case;
pub use driver::{Driver, Launch};
