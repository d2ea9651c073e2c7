//! Who may write.

use std::fs;

use fusd::Caller;

/// A user, or all members of a group.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Who {
    /// The user with this number.
    User(u32),
    /// The members of the group with this number.
    Group(u32),
}

/// Reads a user, or, after "@", a group.
pub(crate) fn who(text: &str) -> Result<Who, String> {
    match text.strip_prefix('@') {
        Some(group) => fusd_tool::group(group).map(Who::Group),
        None => fusd_tool::owner(text).map(Who::User),
    }
}

/// All who may write, of those who may open the node for that.
#[derive(Clone, Debug, Default)]
pub(crate) struct Rights(Vec<Who>);

impl Rights {
    /// Nobody named means everybody.
    pub(crate) fn new(writers: &[Who]) -> Self {
        Self(writers.to_vec())
    }

    pub(crate) fn may_write(&self, caller: &Caller) -> bool {
        if self.0.is_empty() {
            return true;
        }
        let groups = self.0.iter().any(|who| matches!(who, Who::Group(_)));
        let further = if groups { further(caller) } else { Vec::new() };
        self.0.iter().any(|who| match who {
            Who::User(uid) => caller.uid == *uid,
            Who::Group(gid) => caller.gid == *gid || further.contains(gid),
        })
    }
}

/// The caller's further groups (`/proc/TID/status`).
fn further(caller: &Caller) -> Vec<u32> {
    let status = fs::read_to_string(format!("/proc/{}/status", caller.thread)).unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("Groups:"));
    let words = line.unwrap_or_default().split_whitespace();
    words.filter_map(|word| word.parse().ok()).collect()
}

#[test]
fn who_is_named_may() {
    let caller = |uid, gid| Caller {
        thread: 0,
        uid,
        gid,
    };
    assert!(Rights::default().may_write(&caller(7, 7)));
    let some = Rights::new(&[who("root").unwrap(), who("@12").unwrap()]);
    assert!(some.may_write(&caller(0, 5)));
    assert!(some.may_write(&caller(7, 12)));
    assert!(!some.may_write(&caller(7, 7)));
    assert!(who("@no-such-group").is_err());
}
