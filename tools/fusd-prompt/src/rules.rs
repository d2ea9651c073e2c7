//! Rules that decide without asking anybody: `--allow` and `--deny`, in the order of the command line.

use std::ffi::OsString;
use std::path::PathBuf;
use std::str::FromStr;

use clap::parser::ValuesRef;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, FromArgMatches};

use crate::who::Who;

const HEADING: &str = "Without asking";

/// Whom a rule is about.
#[derive(Clone, Debug, PartialEq, Eq)]
enum Whom {
    User(u32),
    Group(u32),
    Program(OsString),
    Anybody,
}

impl Whom {
    fn is(&self, who: &Who) -> bool {
        match self {
            Self::User(uid) => who.uid == *uid,
            Self::Group(gid) => who.is_of_group(*gid),
            Self::Program(program) => who.is_program(program),
            Self::Anybody => true,
        }
    }

    /// Whether a rule that refuses is to be obeyed: also where it cannot be told whether it is the one.
    fn may_be(&self, who: &Who) -> bool {
        match self {
            Self::Program(program) => who.may_be_program(program),
            Self::Group(gid) => who.may_be_of_group(*gid),
            _ => self.is(who),
        }
    }
}

impl FromStr for Whom {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match text.split_once(':') {
            Some(("uid", user)) => fusd_tool::owner(user).map(Self::User),
            Some(("gid", group)) => fusd_tool::group(group).map(Self::Group),
            Some(("program", path)) if path.starts_with('/') => Ok(Self::Program(path.into())),
            Some(("program", _)) => {
                Err("give the program's whole path, as readlink(1) tells of /proc/PID/exe".into())
            }
            None if text == "any" => Ok(Self::Anybody),
            _ => Err("give uid:USER, gid:GROUP, program:PATH or any".into()),
        }
    }
}

/// What a rule says.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Ruling {
    Allow,
    Deny,
}

/// The rules. The first that is about a caller counts.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Rules(Vec<(Ruling, Whom)>);

impl Rules {
    /// What the rules say of `who`, if any does.
    pub(crate) fn ruling(&self, who: &Who) -> Option<Ruling> {
        let rule = self.0.iter().find(|(ruling, whom)| match ruling {
            Ruling::Allow => whom.is(who),
            Ruling::Deny => whom.may_be(who),
        });
        rule.map(|(ruling, _)| *ruling)
    }

    /// The programs that are named.
    pub(crate) fn programs(&self) -> impl Iterator<Item = PathBuf> {
        self.0.iter().filter_map(|(_, whom)| match whom {
            Whom::Program(path) => Some(path.into()),
            _ => None,
        })
    }

    /// Whether somebody is let in by name: then others are not.
    pub(crate) fn has_allow(&self) -> bool {
        self.0.iter().any(|(ruling, _)| *ruling == Ruling::Allow)
    }

    fn read(matches: &ArgMatches) -> Self {
        let mut rules = Vec::new();
        for (name, ruling) in [("allow", Ruling::Allow), ("deny", Ruling::Deny)] {
            let whom: Option<ValuesRef<'_, Whom>> = matches.get_many(name);
            let places = matches.indices_of(name);
            if let (Some(whom), Some(places)) = (whom, places) {
                rules.extend(places.zip(whom).map(|(place, whom)| (place, ruling, whom)));
            }
        }
        rules.sort_by_key(|(place, ..)| *place);
        let rules = rules.into_iter();
        Self(
            rules
                .map(|(_, ruling, whom)| (ruling, whom.clone()))
                .collect(),
        )
    }
}

fn option(name: &'static str, help: &'static str, long_help: &'static str) -> Arg {
    Arg::new(name)
        .long(name)
        .value_name("WHO")
        .action(ArgAction::Append)
        .value_parser(Whom::from_str)
        .help(help)
        .long_help(long_help)
        .help_heading(HEADING)
}

impl Args for Rules {
    fn augment_args(command: Command) -> Command {
        command
            .arg(option(
                "allow",
                "Ask nobody about WHO: uid:USER, gid:GROUP, program:PATH or any",
                "Ask nobody about WHO: uid:USER, gid:GROUP, program:PATH or any\n\nWith --answer-file, \
                 or --ask confirm, WHO gets the answer at once. May be given more than once, as \
                 --deny; of both, the first one that fits counts.",
            ))
            .arg(option(
                "deny",
                "Refuse WHO without asking anybody",
                "Refuse WHO without asking anybody\n\nWHO is as with --allow.",
            ))
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

impl FromArgMatches for Rules {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, clap::Error> {
        Ok(Self::read(matches))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), clap::Error> {
        *self = Self::read(matches);
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::who::tests::process;

    fn rules(line: &[&str]) -> Result<Rules, clap::Error> {
        let command = Rules::augment_args(Command::new("x"));
        let matches = command.try_get_matches_from([&["x"], line].concat())?;
        Rules::from_arg_matches(&matches)
    }

    #[test]
    fn the_first_rule_that_fits_counts_whatever_its_option() {
        let line = [
            "--deny", "uid:1", "--allow", "gid:0", "--deny", "any", "--allow", "uid:3",
        ];
        let rules = rules(&line).unwrap();
        let ruling = |uid| rules.ruling(&process(9, uid, "/bin/a"));
        assert_eq!(ruling(0), Some(Ruling::Allow));
        assert_eq!(ruling(1), Some(Ruling::Deny));
        assert_eq!(ruling(3), Some(Ruling::Deny), "any comes before");
        assert!(rules.has_allow());
    }

    #[test]
    fn programs_have_paths() {
        let rules = rules(&["--allow", "program:/bin/a b"]).unwrap();
        assert_eq!(
            rules.ruling(&process(9, 0, "/bin/a b")),
            Some(Ruling::Allow)
        );
        assert_eq!(rules.ruling(&process(9, 0, "/bin/a")), None);
    }

    #[test]
    fn a_program_that_cannot_be_seen_is_refused_and_not_let_in() {
        let unseen = Who {
            program: None,
            ..process(9, 0, "")
        };
        let ruling = |option| rules(&[option, "program:/bin/a"]).unwrap().ruling(&unseen);
        assert_eq!(ruling("--allow"), None);
        assert_eq!(ruling("--deny"), Some(Ruling::Deny));
    }

    #[test]
    fn what_is_no_rule_is_refused() {
        for (text, says) in [
            ("uid:no-such-user", "no user of that name"),
            ("gid:-1", "no group of that name"),
            ("program:cat", "whole path"),
            ("cat", "uid:USER"),
            ("", "uid:USER"),
        ] {
            let error = rules(&["--deny", text]).unwrap_err().to_string();
            assert!(error.contains(says), "{error}");
        }
    }
}
