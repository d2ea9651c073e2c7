//! Who asks: what /proc tells of a caller while its call waits.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::PathBuf;

use fusd::Caller;
use nix::unistd::{Uid, User};

use crate::text;

/// How many bytes of a command line are kept: whoever opens the node chooses how long it is.
const COMMAND: usize = 4096;

/// The process that made a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// The user's name, or the number where it has none.
    pub(crate) user: String,
    /// What the process calls itself: for people, not for rights.
    pub(crate) name: String,
    /// Its executable, which the kernel names; `None` where this process may not look.
    pub(crate) program: Option<PathBuf>,
    /// Its arguments, up to [`COMMAND`] bytes of them.
    pub(crate) command: Vec<OsString>,
    /// Whether it has more arguments than that.
    pub(crate) is_cut: bool,
    pub(crate) directory: Option<PathBuf>,
    /// When it began, in clock ticks since the boot: with the pid, no other process has it.
    pub(crate) started: Option<u64>,
}

impl Who {
    /// What /proc tells of `caller` now; it may be gone when it is needed.
    pub(crate) fn of(caller: &Caller) -> Self {
        let pid = caller.pid();
        let user = User::from_uid(Uid::from_raw(caller.uid)).ok().flatten();
        let (command, is_cut) = cut(caller.command_line().unwrap_or_default());
        Self {
            pid,
            uid: caller.uid,
            gid: caller.gid,
            user: user.map_or_else(|| caller.uid.to_string(), |user| user.name),
            name: caller.program().unwrap_or_default(),
            program: caller.executable(),
            command,
            is_cut,
            directory: caller.working_directory(),
            started: Stat::of(pid).map(|stat| stat.started),
        }
    }

    /// The program in a word, to be shown: the name of its file, else what it calls itself, and then it
    /// says so.
    pub(crate) fn title(&self) -> String {
        let file = self.program.as_ref().and_then(|path| path.file_name());
        match file {
            Some(name) => text::printable(name),
            None if self.name.is_empty() => "?".to_owned(),
            None => format!("(calls itself {})", text::printable(self.name.as_ref())),
        }
    }

    /// Whether it is the program `wanted`: by its path, or without a "/" by the name of its file.
    pub(crate) fn is_program(&self, wanted: &OsStr) -> bool {
        match &self.program {
            Some(path) if wanted.as_bytes().contains(&b'/') => path.as_os_str() == wanted,
            Some(path) => path.file_name() == Some(wanted),
            None => false,
        }
    }

    /// The same for what refuses: a program that cannot be seen might be any, and can bring that about
    /// by itself.
    pub(crate) fn may_be_program(&self, wanted: &OsStr) -> bool {
        self.program.is_none() || self.is_program(wanted)
    }

    /// The command line as one text.
    pub(crate) fn command_line(&self) -> OsString {
        let mut line = self.command.join(OsStr::new(" "));
        if self.is_cut {
            line.push(" ...");
        }
        line
    }
}

/// The first words of a command line, and whether that is not all.
fn cut(words: Vec<OsString>) -> (Vec<OsString>, bool) {
    let mut left = COMMAND;
    let mut kept = Vec::new();
    for word in words {
        if word.len() > left {
            kept.push(OsStr::from_bytes(&word.as_bytes()[..left]).to_owned());
            return (kept, true);
        }
        left -= word.len().max(1).min(left);
        kept.push(word);
    }
    (kept, false)
}

/// What is of use in `/proc/PID/stat`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Stat {
    pub(crate) parent: u32,
    pub(crate) group: i32,
    pub(crate) session: i32,
    /// When it began, in clock ticks since the boot.
    pub(crate) started: u64,
}

impl Stat {
    pub(crate) fn of(pid: u32) -> Option<Self> {
        Self::parse(&fs::read(format!("/proc/{pid}/stat")).ok()?)
    }

    /// The name, second and in parentheses, may hold anything; the state follows it (proc_pid_stat(5)).
    fn parse(text: &[u8]) -> Option<Self> {
        let end = text.iter().rposition(|byte| *byte == b')')?;
        let rest = std::str::from_utf8(&text[end + 1..]).ok()?;
        let mut fields = rest.split_ascii_whitespace().skip(1);
        let parent = fields.next()?.parse().ok()?;
        let group = fields.next()?.parse().ok()?;
        let session = fields.next()?.parse().ok()?;
        // Field 22; the session was field 6.
        let started = fields.nth(15)?.parse().ok()?;
        Some(Self {
            parent,
            group,
            session,
            started,
        })
    }
}

#[cfg(test)]
pub(crate) mod tests {
    use super::*;

    /// A process for tests of what decides about it.
    pub(crate) fn process(pid: u32, uid: u32, program: &str) -> Who {
        Who {
            pid,
            uid,
            gid: uid,
            user: uid.to_string(),
            name: "x".to_owned(),
            program: Some(program.into()),
            command: vec![program.into()],
            is_cut: false,
            directory: Some("/".into()),
            started: Some(u64::from(pid)),
        }
    }

    #[test]
    fn a_name_may_hold_anything() {
        let line = b"12 (a) b) S 7 12 5 0 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 9 9\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.group, stat.session), (7, 12, 5));
        assert_eq!(stat.started, 12345);
        assert_eq!(Stat::parse(b"12 (a"), None);
    }

    #[test]
    fn this_process_is_described() {
        let stat = Stat::of(std::process::id()).unwrap();
        assert_eq!(stat.group, nix::unistd::getpgrp().as_raw());
        assert_eq!(stat.parent, std::os::unix::process::parent_id());
    }

    #[test]
    fn programs_go_by_path_or_by_name() {
        let who = process(1, 0, "/usr/bin/cat");
        for (wanted, is_it) in [
            ("/usr/bin/cat", true),
            ("cat", true),
            ("/bin/cat", false),
            ("x", false),
        ] {
            assert_eq!(who.is_program(OsStr::new(wanted)), is_it, "{wanted}");
        }
        let unseen = Who {
            program: None,
            ..who
        };
        assert!(
            !unseen.is_program(OsStr::new("x")),
            "no name it gave itself"
        );
        assert!(unseen.may_be_program(OsStr::new("/usr/bin/cat")));
        assert_eq!(unseen.title(), "(calls itself x)");
    }

    #[test]
    fn a_long_command_line_is_cut() {
        let words = |length: usize| vec!["cat".into(), "x".repeat(length).into()];
        assert_eq!(cut(words(COMMAND - 3)), (words(COMMAND - 3), false));
        assert_eq!(cut(words(COMMAND)), (words(COMMAND - 3), true));
        let many = cut(vec![OsString::new(); 2 * COMMAND]).0;
        assert!(many.len() <= 2 * COMMAND);
        let long = Who {
            command: words(1),
            is_cut: true,
            ..Who::default()
        };
        assert_eq!(long.command_line(), "cat x ...");
    }
}
