//! What ends a tool with a message and an exit code.

use std::error::Error as StdError;
use std::fmt;

use crate::exit;

/// Why a tool ends without success: one line for the user, and the exit code.
#[derive(Debug)]
pub struct ToolError {
    code: u8,
    text: String,
}

impl ToolError {
    /// The command line is wrong in a way that its grammar does not tell. `text` says what is
    /// wrong and, after a semicolon, what to do instead.
    pub fn usage(text: impl Into<String>) -> Self {
        Self::new(exit::USAGE, text)
    }

    /// Something failed at run time.
    pub fn failed(text: impl Into<String>) -> Self {
        Self::new(exit::FAILED, text)
    }

    /// A failure with another exit code, of those in [`exit`].
    pub fn new(code: u8, text: impl Into<String>) -> Self {
        let text = text.into();
        // A file name may hold anything; the message is one line all the same.
        let text = if text.contains(char::is_control) {
            text.escape_debug().to_string()
        } else {
            text
        };
        Self { code, text }
    }

    /// The exit code.
    pub fn code(&self) -> u8 {
        self.code
    }
}

impl fmt::Display for ToolError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.text)
    }
}

impl StdError for ToolError {}

impl From<fusd::Error> for ToolError {
    fn from(error: fusd::Error) -> Self {
        Self::new(exit::code(error.kind()), error.to_string())
    }
}

#[cfg(test)]
mod tests {
    use fusd::{Errno, Error, ErrorKind};

    use super::*;

    #[test]
    fn a_failure_of_the_library_keeps_its_text_and_gets_its_code() {
        let error = Error::system(ErrorKind::Node, Errno::EEXIST, "create the node")
            .on("/dev/x")
            .hint("choose another name");
        let error = ToolError::from(error);
        assert_eq!(error.code(), 73);
        assert_eq!(
            error.to_string(),
            "cannot create the node /dev/x: File exists (EEXIST); choose another name"
        );
    }

    #[test]
    fn the_text_is_one_line_whatever_a_file_is_called() {
        let error = ToolError::failed("cannot read a\nb\u{1b}");
        assert_eq!(error.to_string(), "cannot read a\\nb\\u{1b}");
        assert_eq!(error.code(), 1);
    }
}
