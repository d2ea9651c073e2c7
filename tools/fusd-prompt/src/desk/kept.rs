//! Decisions that hold for a while, and for whom.

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Instant;

use clap::ValueEnum;

use super::Verdict;
use crate::who::Who;

/// What `--remember-by` takes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, ValueEnum)]
pub enum RememberBy {
    /// The same process
    Pid,
    /// The same executable, run by the same user
    #[default]
    Program,
    /// The same user
    User,
}

impl RememberBy {
    /// Whom an answer to `who` is for; `None` where that cannot be told.
    pub(crate) fn key(self, who: &Who) -> Option<Key> {
        match self {
            Self::Pid => Some(Key::Process(who.pid, who.started?)),
            Self::Program => Some(Key::Program(who.uid, file(who)?)),
            Self::User => Some(Key::User(who.uid)),
        }
    }
}

/// An executable: its path, and which file that is.
type File = (PathBuf, (u32, u32, u64));

fn file(who: &Who) -> Option<File> {
    who.program.clone().zip(who.file)
}

/// Whom a decision is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Key {
    Everybody,
    /// By pid and start: a later process with the same pid is another one.
    Process(u32, u64),
    Program(u32, File),
    /// The same program, run in the same way.
    Again(u32, File, Vec<OsString>),
    User(u32),
}

impl Key {
    /// Whoever comes again in the same way.
    pub(super) fn again(who: &Who) -> Option<Self> {
        // Two long command lines may differ in what is not kept of them.
        if who.is_cut {
            return None;
        }
        Some(Self::Again(who.uid, file(who)?, who.command.clone()))
    }

    pub(super) fn is_of(&self, who: &Who) -> bool {
        match self {
            Self::Everybody => true,
            Self::Process(pid, started) => who.pid == *pid && who.started == Some(*started),
            Self::Program(uid, program) => who.uid == *uid && file(who).as_ref() == Some(program),
            Self::Again(uid, program, command) => {
                !who.is_cut
                    && who.uid == *uid
                    && file(who).as_ref() == Some(program)
                    && who.command == *command
            }
            Self::User(uid) => who.uid == *uid,
        }
    }
}

/// The decisions that hold.
#[derive(Debug, Default)]
pub(super) struct Kept(Vec<(Key, Verdict, Option<Instant>)>);

impl Kept {
    /// Keeps a decision until a time, or for good. It takes the place of an earlier one for the same.
    pub(super) fn keep(&mut self, key: Key, verdict: Verdict, until: Option<Instant>) {
        self.0.retain(|(other, ..)| *other != key);
        self.0.push((key, verdict, until));
    }

    /// The latest decision that is for `who`.
    pub(super) fn find(&self, now: Instant, who: &Who) -> Option<Verdict> {
        let fits = |until: &Option<Instant>| until.is_none_or(|until| now < until);
        let found = self.0.iter().rev();
        let mut found = found.filter(|(key, _, until)| fits(until) && key.is_of(who));
        found.next().map(|(_, verdict, _)| verdict.clone())
    }

    /// Drops what does not hold any more at `now`.
    pub(super) fn forget_until(&mut self, now: Instant) {
        self.0
            .retain(|(.., until)| until.is_none_or(|until| now < until));
    }

    /// When decisions cease to hold.
    pub(super) fn ends(&self) -> impl Iterator<Item = Instant> {
        self.0.iter().filter_map(|(.., until)| *until)
    }
}
