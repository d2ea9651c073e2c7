//! Who opened the node, as far as requests depend on it.

use fusd::Caller;

/// The caller of an open.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    pub(crate) pid: u32,
    /// What the program calls itself.
    pub(crate) program: String,
}

impl Who {
    /// What /proc tells of `caller` now; it may be gone when it is needed.
    pub(crate) fn of(caller: &Caller) -> Self {
        Self {
            uid: caller.uid,
            gid: caller.gid,
            pid: caller.pid(),
            program: caller.program().unwrap_or_default(),
        }
    }
}
