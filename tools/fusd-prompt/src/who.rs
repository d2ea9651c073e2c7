//! Who asks: what /proc tells of a caller while its call waits.

use std::ffi::{OsStr, OsString};
use std::fs;
use std::os::unix::ffi::OsStrExt;
use std::path::{Path, PathBuf};

use fusd::Caller;
use nix::unistd::{Uid, User};
use rustix::fs::{AtFlags, CWD, StatxFlags, statx};

use crate::text;

/// How many bytes of a command line are kept: whoever opens the node chooses how long it is.
const COMMAND: usize = 4096;

/// The process that made a call.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(crate) struct Who {
    pub(crate) pid: u32,
    pub(crate) uid: u32,
    pub(crate) gid: u32,
    /// Its supplementary groups; `None` where they cannot be seen.
    pub(crate) groups: Option<Vec<u32>>,
    /// The user's name, or the number where it has none.
    pub(crate) user: String,
    /// What the process calls itself: for people, not for rights.
    pub(crate) name: String,
    /// Its executable, which the kernel names; `None` where this process may not look.
    pub(crate) program: Option<PathBuf>,
    /// Which file that is: the numbers of its device and inode.
    pub(crate) file: Option<(u32, u32, u64)>,
    /// Whether the path leads there: false only for a program that a rule names and that is another file.
    /// In a mount namespace of its own, a caller can have any file under any name.
    pub(crate) is_here: bool,
    /// Its arguments, up to [`COMMAND`] bytes of them.
    pub(crate) command: Vec<OsString>,
    /// Whether it has more arguments than that.
    pub(crate) is_cut: bool,
    pub(crate) directory: Option<PathBuf>,
    /// When it began, in clock ticks since the boot: with the pid, no other process has it.
    pub(crate) started: Option<u64>,
}

impl Who {
    /// What /proc tells of `caller` now; it may be gone when it is needed. Of the programs `named` by rules
    /// it is looked whether they are the ones meant: of others not, as a caller may have put its own on a
    /// file system that never answers.
    pub(crate) fn of(caller: &Caller, named: &[PathBuf]) -> Self {
        let pid = caller.pid();
        let user = User::from_uid(Uid::from_raw(caller.uid)).ok().flatten();
        let (command, is_cut) = cut(caller.command_line().unwrap_or_default());
        let program = caller.executable();
        let file = number(&proc(caller, "exe"));
        let is_here = match &program {
            Some(path) if named.contains(path) => file.is_some() && number(path) == file,
            _ => true,
        };
        Self {
            pid,
            uid: caller.uid,
            gid: caller.gid,
            groups: groups(&fs::read(proc(caller, "status")).unwrap_or_default()),
            user: user.map_or_else(|| caller.uid.to_string(), |user| user.name),
            name: caller.program().unwrap_or_default(),
            program,
            file,
            is_here,
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
            Some(name) if self.is_here => text::printable(name),
            Some(name) => format!("({} of elsewhere)", text::printable(name)),
            None if self.name.is_empty() => "?".to_owned(),
            None => format!("(calls itself {})", text::printable(self.name.as_ref())),
        }
    }

    /// Whether it is the program `wanted`: by its path, or without a "/" by the name of its file.
    pub(crate) fn is_program(&self, wanted: &OsStr) -> bool {
        match self.program.as_ref().filter(|_| self.is_here) {
            Some(path) if wanted.as_bytes().contains(&b'/') => path.as_os_str() == wanted,
            Some(path) => path.file_name() == Some(wanted),
            None => false,
        }
    }

    /// The same for what refuses: a program that cannot be told from others might be any, and can bring
    /// that about by itself.
    pub(crate) fn may_be_program(&self, wanted: &OsStr) -> bool {
        self.program.is_none() || !self.is_here || self.is_program(wanted)
    }

    /// Whether it is of a group, by its own or a supplementary one.
    pub(crate) fn is_of_group(&self, gid: u32) -> bool {
        let groups = self.groups.as_deref().unwrap_or_default();
        self.gid == gid || groups.contains(&gid)
    }

    /// The same for what refuses.
    pub(crate) fn may_be_of_group(&self, gid: u32) -> bool {
        self.groups.is_none() || self.is_of_group(gid)
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

/// An entry of /proc about a caller: by its thread, as libfusd's [`Caller`] has it.
fn proc(caller: &Caller, entry: &str) -> PathBuf {
    PathBuf::from(format!("/proc/{}/{entry}", caller.thread))
}

/// The numbers of the file that a path leads to, as the kernel has them: a file system is not asked.
fn number(path: &Path) -> Option<(u32, u32, u64)> {
    let file = statx(CWD, path, AtFlags::STATX_DONT_SYNC, StatxFlags::INO).ok()?;
    Some((file.stx_dev_major, file.stx_dev_minor, file.stx_ino))
}

/// The supplementary groups of a process, of its `/proc/PID/status`.
fn groups(status: &[u8]) -> Option<Vec<u32>> {
    let mut lines = status.split(|byte| *byte == b'\n');
    let line = lines.find_map(|line| line.strip_prefix(b"Groups:"))?;
    let words = std::str::from_utf8(line).ok()?.split_ascii_whitespace();
    words.map(|word| word.parse().ok()).collect()
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
    /// The number of the terminal that controls it, as the kernel packs it; 0 where there is none.
    pub(crate) terminal: u32,
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
        let terminal = fields.next()?.parse::<i32>().ok()?.cast_unsigned();
        // Field 22; the terminal was field 7.
        let started = fields.nth(14)?.parse().ok()?;
        Some(Self {
            parent,
            group,
            session,
            terminal,
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
            groups: Some(Vec::new()),
            user: uid.to_string(),
            name: "x".to_owned(),
            program: Some(program.into()),
            file: Some((1, 2, 3)),
            is_here: true,
            command: vec![program.into()],
            is_cut: false,
            directory: Some("/".into()),
            started: Some(u64::from(pid)),
        }
    }

    #[test]
    fn a_name_may_hold_anything() {
        let line = b"12 (a) b) S 7 12 5 34817 -1 4194560 1 2 3 4 5 6 7 8 20 0 1 0 12345 9 9\n";
        let stat = Stat::parse(line).unwrap();
        assert_eq!((stat.parent, stat.group, stat.session), (7, 12, 5));
        assert_eq!((stat.terminal, stat.started), (34817, 12345));
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
        let elsewhere = Who {
            is_here: false,
            ..who.clone()
        };
        assert!(!elsewhere.is_program(OsStr::new("/usr/bin/cat")));
        assert!(elsewhere.may_be_program(OsStr::new("/usr/bin/dog")));
        assert_eq!(elsewhere.title(), "(cat of elsewhere)");
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
    fn a_name_is_that_of_one_file() {
        let thread = nix::unistd::gettid().as_raw().unsigned_abs();
        let (uid, gid) = (0, 0);
        let me = Caller { thread, uid, gid };
        let own = std::env::current_exe().unwrap();
        let who = Who::of(&me, std::slice::from_ref(&own));
        assert!(who.is_here && who.file.is_some() && who.groups.is_some());
        assert_eq!(number(&own), who.file);
        assert_ne!(number(Path::new("/bin/sh")), who.file);
        assert_eq!(number(Path::new("/no/such/file")), None);
    }

    #[test]
    fn supplementary_groups_count() {
        let status = b"Gid:\t7\t7\t7\t7\nGroups:\t4 24 \nNStgid:\t1\n";
        assert_eq!(groups(status), Some(vec![4, 24]));
        assert_eq!(groups(b"Groups:\t \n"), Some(Vec::new()));
        assert_eq!(groups(b""), None);
        let mut who = process(1, 7, "/a");
        who.groups = groups(status);
        for (gid, is_in) in [(7, true), (24, true), (5, false)] {
            assert_eq!(who.is_of_group(gid), is_in, "{gid}");
            assert_eq!(who.may_be_of_group(gid), is_in, "{gid}");
        }
        who.groups = None;
        assert!(!who.is_of_group(24) && who.may_be_of_group(24));
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
