//! What `/proc/self/mountinfo` says about one mount: the type and the source that it was made with.

use std::ffi::OsString;
use std::fs;
use std::io;
use std::os::unix::ffi::OsStringExt;

/// The part of a mount's entry that tells whose it is.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct Entry {
    /// The type with its subtype: `fuse.fusd`.
    pub(super) fs_type: String,
    /// What is mounted, as its maker called it.
    pub(super) source: OsString,
}

impl Entry {
    /// Whether it is a FUSE mount at all.
    pub(super) fn is_fuse(&self) -> bool {
        matches!(self.fs_type.as_str(), "fuse" | "fuseblk")
            || self.fs_type.starts_with("fuse.")
            || self.fs_type.starts_with("fuseblk.")
    }

    /// Whether a driver of ours made it.
    pub(super) fn is_fusd(&self) -> bool {
        self.fs_type == "fuse.fusd" || (self.fs_type == "fuse" && self.source == "fusd")
    }
}

/// The entry of the mount with the (reusable, short) id `id`.
pub(super) fn find(id: u64) -> io::Result<Option<Entry>> {
    Ok(find_in(&fs::read("/proc/self/mountinfo")?, id))
}

/// As [`find`], in a text of the format of proc_pid_mountinfo(5). Names need not be UTF-8.
fn find_in(text: &[u8], id: u64) -> Option<Entry> {
    text.split(|&byte| byte == b'\n').find_map(|line| {
        let mut fields = line.split(|&byte| byte == b' ');
        let number = std::str::from_utf8(fields.next()?).ok()?;
        if number.parse() != Ok(id) {
            return None;
        }
        // The number of optional fields varies; a lone "-" ends them.
        let mut rest = fields.skip(5).skip_while(|&field| field != b"-").skip(1);
        let fs_type = String::from_utf8_lossy(rest.next()?).into_owned();
        let source = OsString::from_vec(rest.next()?.to_vec());
        Some(Entry { fs_type, source })
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXT: &[u8] = b"\
22 28 0:21 / /proc rw,relatime shared:13 master:2 - proc proc rw
36 35 98:0 /mnt1 /mnt\xff rw,noatime - ext4 /dev/ro\xffot rw,errors=continue
361 35 0:50 / /dev/x rw,nosuid - fuse.fusd fusd rw,user_id=0
362 35 0:51 / /dev/y rw,nosuid - fuse fusd rw,user_id=0
363 35 0:52 / /mnt/z rw,nosuid - fuse.sshfs host: rw,user_id=0
bad
";

    #[test]
    fn the_entry_is_found_by_its_whole_number() {
        let entry = find_in(TEXT, 361).unwrap();
        assert_eq!(
            (entry.fs_type.as_str(), entry.source.to_str()),
            ("fuse.fusd", Some("fusd"))
        );
        assert_eq!(find_in(TEXT, 22).unwrap().fs_type, "proc");
        assert_eq!(find_in(TEXT, 3), None);
        assert!(find_in(TEXT, 36).unwrap().source.to_str().is_none());
    }

    #[test]
    fn only_fusd_is_ours() {
        assert!(find_in(TEXT, 361).unwrap().is_fusd());
        assert!(find_in(TEXT, 362).unwrap().is_fusd());
        let other = find_in(TEXT, 363).unwrap();
        assert!(other.is_fuse() && !other.is_fusd());
        assert!(!find_in(TEXT, 22).unwrap().is_fuse());
    }
}
