//! Nodes that a tool makes itself, where no backend can make them.

use std::path::Path;

use crate::ToolError;

/// A node that is there and served, on threads of the tool's own.
pub trait OwnNode {
    /// Where clients find it.
    fn path(&self) -> &Path;

    /// What it is, in a word.
    fn kind(&self) -> &str;

    /// Ends it.
    ///
    /// # Errors
    /// Something is left behind.
    fn remove(self: Box<Self>) -> Result<(), ToolError>;
}
