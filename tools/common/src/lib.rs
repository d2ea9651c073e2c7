//! What the fusd tools share: arguments, logs, signals, readiness, exit codes.
//!
//! A tool says what its arguments are and which device they make; [`main`] does the rest:
//!
//! ```no_run
//! use clap::Parser;
//! use fusd_tool::{CommonArgs, Driver, Tool, ToolError};
//! # use fusd::{Device, OpenRequest};
//! # struct Null;
//! # impl Device for Null {
//! #     type File = ();
//! #     fn open(&self, request: OpenRequest<()>) { request.accept(()); }
//! # }
//!
//! /// A device that does nothing.
//! #[derive(Parser)]
//! #[command(version)]
//! struct Args {
//!     #[command(flatten)]
//!     common: CommonArgs, // the last field: "-- COMMAND" comes after every other positional
//! }
//!
//! impl Tool for Args {
//!     const NAME: &'static str = "fusd-null";
//!     type Device = Null;
//!
//!     fn common(&self) -> &CommonArgs {
//!         &self.common
//!     }
//!
//!     fn driver(&self) -> Result<Driver<Null>, ToolError> {
//!         Ok(Driver::new(Null))
//!     }
//! }
//!
//! fn main() -> std::process::ExitCode {
//!     fusd_tool::main::<Args>()
//! }
//! ```
//!
//! # Exit codes
//!
//! Those of [`exit`]; with `-- COMMAND`, the command's own.

#![forbid(unsafe_code)]

mod args;
mod child;
mod clock;
mod command;
mod error;
mod escort;
pub mod exit;
mod job;
mod kept;
mod logging;
mod mode;
mod node;
mod notice;
mod progress;
mod ready;
mod run;
mod screen;
mod signals;
mod size;
mod status;
mod usage;
mod user;

pub use args::{BackendArg, CommonArgs, LogFormat};
pub use child::{Child, Program};
pub use clock::Clock;
pub use command::code as exit_code;
pub use error::ToolError;
pub use escort::Escort;
pub use job::is_in_foreground;
pub use node::OwnNode;
pub use run::{Driver, Tool, main, main_of};
pub use screen::{Screen, Taken, take_screen};
pub use signals::{is_ignored, stop};
pub use size::size;
pub use status::say;
pub use usage::fault;
pub use user::{group, owner};
