//! placeholder
mod errno;
mod error;
pub use errno::Errno;
pub use error::{Error, ErrorKind, Result};

#[cfg_attr(
    not(test),
    expect(dead_code, reason = "the session that uses it is yet to come")
)]
mod backend;
mod sys;
