//! The name under which a process appears in `ps` and to `pkill -f`.
//!
//! The kernel reads it from the memory in which the process got its arguments. The place is looked
//! up before a fork; writing there after the fork takes two system calls.

use std::fs;

use nix::fcntl::{OFlag, open};
use nix::sys::stat::Mode;
use nix::sys::uio::pwrite;

/// A title with the place where it goes.
pub(super) struct Title {
    address: i64,
    bytes: Vec<u8>,
}

impl Title {
    /// Prepares `title`, or nothing where the kernel does not tell us the place.
    pub(super) fn prepare(title: &str) -> Option<Self> {
        let stat = fs::read_to_string("/proc/self/stat").ok()?;
        let area = Area::parse(&stat)?;
        Some(Self {
            address: i64::try_from(area.start).ok()?,
            bytes: area.fill(title),
        })
    }

    /// Makes it the title of this process. Does not allocate.
    pub(super) fn set(&self) {
        // Through the file rather than a pointer: a wrong address is then only an error.
        if let Ok(memory) = open(
            c"/proc/self/mem",
            OFlag::O_RDWR | OFlag::O_CLOEXEC,
            Mode::empty(),
        ) {
            let _ = pwrite(&memory, &self.bytes, self.address);
        }
    }
}

/// The memory of the arguments, with that of the environment if it follows directly.
#[derive(Debug, PartialEq, Eq)]
struct Area {
    start: u64,
    /// Bytes of the arguments.
    args: usize,
    /// Bytes in all.
    whole: usize,
}

impl Area {
    /// From `/proc/PID/stat`, proc_pid_stat(5).
    fn parse(stat: &str) -> Option<Self> {
        let (_, after_name) = stat.rsplit_once(") ")?;
        let fields: Vec<&str> = after_name.split_ascii_whitespace().collect();
        // Fields are counted from 1, and the two before the name's end are cut off.
        let field = |number: usize| fields.get(number - 3)?.parse::<u64>().ok();
        let (arg_start, arg_end) = (field(48)?, field(49)?);
        let (env_start, env_end) = (field(50)?, field(51)?);
        let args = usize::try_from(arg_end.checked_sub(arg_start)?).ok()?;
        if arg_start == 0 || args == 0 {
            return None;
        }
        let end = if env_start == arg_end && env_end > env_start {
            env_end
        } else {
            arg_end
        };
        let whole = usize::try_from(end - arg_start).ok()?;
        Some(Self {
            start: arg_start,
            args,
            whole,
        })
    }

    /// What to write: the title, and zeros over what is left of the arguments.
    ///
    /// A title longer than the arguments goes on in the environment. The kernel follows it there
    /// if, and because, the arguments then no longer end with a NUL.
    fn fill(&self, title: &str) -> Vec<u8> {
        let mut bytes = title.as_bytes().to_vec();
        bytes.truncate(self.whole - 1);
        let length = self.args.max(bytes.len() + 1);
        bytes.resize(length.min(self.whole), 0);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_place_is_read_whatever_the_program_is_called() {
        let mut fields = vec!["S".to_owned()];
        fields.extend((4..=52).map(|number| number.to_string()));
        fields[48 - 3] = "1000".into();
        fields[49 - 3] = "1010".into();
        fields[50 - 3] = "1010".into();
        fields[51 - 3] = "1100".into();
        let stat = format!("7 (a ) S (b)) {}\n", fields.join(" "));
        assert_eq!(
            Area::parse(&stat),
            Some(Area {
                start: 1000,
                args: 10,
                whole: 100
            })
        );
    }

    #[test]
    fn a_short_title_blanks_the_arguments_and_a_long_one_goes_on() {
        let area = Area {
            start: 1,
            args: 6,
            whole: 10,
        };
        assert_eq!(area.fill("ab"), b"ab\0\0\0\0");
        assert_eq!(area.fill("abcdef"), b"abcdef\0");
        assert_eq!(area.fill("abcdefghijkl"), b"abcdefghi\0");
    }
}
