//! The command line.

mod values;

use std::ffi::OsString;
use std::path::PathBuf;
use std::time::Duration;

use clap::Parser;
use fusd_tool::{CommonArgs, Driver, Tool, ToolError};

pub use crate::desk::RememberBy;
use crate::device::Prompt;
use crate::rules::Rules;
use crate::serve;
pub use values::{Echo, Kind, OnTimeout, OnWrite, Per};

const QUESTION: &str = "Question";
const WHEN: &str = "When to ask";
const WHOM: &str = "Whom to ask";
const CLIENTS: &str = "Clients";
const UNASKED: &str = "Without asking";

/// Make a device node that asks the person at the terminal
///
/// When a program opens the node, the person sees who asks and types what the program reads, or
/// refuses.
#[derive(Clone, Debug, Parser)]
#[command(version)]
pub struct Args {
    /// What the person is asked for
    #[arg(short, long, value_name = "KIND", value_enum, help_heading = QUESTION)]
    pub ask: Option<Kind>,

    /// What the question says [default: the node's name]
    #[arg(long, value_name = "TEXT", help_heading = QUESTION)]
    pub message: Option<String>,

    /// What there is to choose from, separated by commas: of these, one is the answer
    #[arg(long, value_name = "A,B...", value_delimiter = ',', help_heading = QUESTION)]
    pub choices: Vec<String>,

    /// The answer where Enter alone is typed; of confirm: yes or no
    #[arg(long, value_name = "TEXT", help_heading = QUESTION)]
    pub default: Option<String>,

    /// What is shown of a secret while it is typed
    #[arg(long, value_name = "HOW", value_enum, default_value_t, help_heading = QUESTION)]
    pub echo: Echo,

    /// The content around the answer: {} is the answer, {NAME} one of several, {NAME:KIND} one of
    /// its own kind
    ///
    /// May be given more than once, for a line each. Several answers are asked for in turn. Other
    /// braces stay as they are.
    #[arg(long, value_name = "LINE", allow_hyphen_values = true, help_heading = QUESTION)]
    pub template: Vec<String>,

    /// No newline after the answer
    #[arg(short, long, help_heading = QUESTION)]
    pub no_newline: bool,

    /// How often to ask
    #[arg(long, value_name = "WHAT", value_enum, default_value_t, help_heading = WHEN)]
    pub per: Per,

    /// Give an answer again for TIME, such as 10m, to those who are the same by --remember-by
    #[arg(long, value_name = "TIME", value_parser = values::duration, help_heading = WHEN)]
    pub remember: Option<Duration>,

    /// Who is the same as one who has got an answer
    #[arg(long, value_name = "WHO", value_enum, requires = "remember", help_heading = WHEN)]
    pub remember_by: Option<RememberBy>,

    /// Do not ask again about a program that comes again within TIME, whatever was decided; 0 asks
    /// each time [default: 1s]
    #[arg(long, value_name = "TIME", value_parser = values::duration_or_none, help_heading = WHEN)]
    pub again: Option<Duration>,

    /// How long a question waits [default: for ever]
    #[arg(short, long, value_name = "TIME", value_parser = values::duration, help_heading = WHEN)]
    pub timeout: Option<Duration>,

    /// What happens then
    #[arg(long, value_name = "WHAT", value_enum, requires = "timeout", help_heading = WHEN)]
    pub on_timeout: Option<OnTimeout>,

    /// Ask by CMD where there is no terminal: a shell command that gets the question as its argument
    /// and prints the answer, such as ssh-askpass; or pinentry
    ///
    /// It also gets what is asked when the terminal goes. A status other than 0 is a refusal. It finds
    /// FUSD_PID, FUSD_UID, FUSD_GID, FUSD_COMM and FUSD_PROGRAM of the caller, FUSD_OPERATION, and
    /// FUSD_PATH, the node, in its environment. One question is asked at a time.
    #[arg(long, value_name = "CMD", help_heading = WHOM)]
    pub helper: Option<String>,

    /// Ask by --helper even where there is a terminal
    #[arg(long, requires = "helper", help_heading = WHOM)]
    pub no_terminal: bool,

    /// Leave the terminal to COMMAND as its standard input, which is /dev/null otherwise
    ///
    /// For a command that people type something for. If it reads while a question is on the screen, it
    /// may get some of the answer's keys.
    #[arg(long, conflicts_with = "no_terminal", help_heading = WHOM)]
    pub share_terminal: bool,

    /// The answer is what FILE has at each open; nobody is asked unless by --ask confirm
    #[arg(long, value_name = "FILE", conflicts_with = "template", help_heading = UNASKED)]
    pub answer_file: Option<PathBuf>,

    /// Whom not to ask about.
    #[command(flatten)]
    pub rules: Rules,

    /// Refuse PROGRAM, a path or the name of its file, without asking: for indexers and the like
    #[arg(long, value_name = "PROGRAM", help_heading = UNASKED)]
    pub ignore: Vec<OsString>,

    /// What happens when a client writes
    #[arg(
        short = 'w',
        long,
        value_name = "POLICY",
        value_enum,
        default_value_t,
        help_heading = CLIENTS
    )]
    pub on_write: OnWrite,

    /// Add a line to FILE for each decision: who, when, which; never the answer
    #[arg(long, value_name = "FILE", help_heading = CLIENTS)]
    pub audit: Option<PathBuf>,

    /// Ring the terminal's bell when somebody asks
    #[arg(long, help_heading = WHOM)]
    pub bell: bool,

    /// Run CMD in a shell when somebody asks; it has the variables of --helper, and FUSD_MESSAGE
    #[arg(long, value_name = "CMD", help_heading = WHOM)]
    pub notify: Option<String>,

    /// The options of every tool.
    #[command(flatten)]
    pub common: CommonArgs,
}

impl Tool for Args {
    const NAME: &'static str = "fusd-prompt";
    type Device = Prompt;

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn driver(&self) -> Result<Driver<Prompt>, ToolError> {
        self.check()?;
        serve::driver(self)
    }
}

impl Args {
    /// What is asked for.
    pub(crate) fn kind(&self) -> Kind {
        match self.ask {
            Some(kind) => kind,
            None if !self.choices.is_empty() => Kind::Choice,
            None => Kind::Text,
        }
    }

    /// Whether nobody is asked: there is an answer, and no question.
    pub(crate) fn is_unasked(&self) -> bool {
        self.answer_file.is_some() && self.ask.is_none()
    }

    /// What the grammar of the command line does not tell.
    fn check(&self) -> Result<(), ToolError> {
        let usage = |text: &str| Err(ToolError::usage(text));
        let kind = self.kind();
        if kind == Kind::Choice && self.choices.len() < 2 {
            return usage("--ask choice has nothing to choose from; give --choices A,B");
        }
        if kind != Kind::Choice && !self.choices.is_empty() {
            return usage("--choices are for --ask choice alone; give one of both");
        }
        if self.choices.iter().any(|choice| choice.is_empty()) {
            return usage("one of --choices is empty; do without it");
        }
        match (&self.default, kind) {
            (Some(text), Kind::Choice) if !self.choices.contains(text) => {
                return usage("--default is none of --choices; give one of them");
            }
            (Some(text), Kind::Confirm) if text != "yes" && text != "no" => {
                return usage("--default of --ask confirm is yes or no");
            }
            (Some(text), Kind::Text | Kind::Secret) if text.contains('\n') => {
                return usage("--default has several lines; use --ask multiline");
            }
            _ => {}
        }
        if self.on_timeout == Some(OnTimeout::Default) && self.default.is_none() {
            return usage("there is no default to take at --on-timeout; give --default TEXT");
        }
        if self.answer_file.is_some() && self.ask.is_some() && kind != Kind::Confirm {
            return usage(
                "--answer-file has the answer already; ask for a yes by --ask confirm, or do \
                 without --ask",
            );
        }
        if kind == Kind::Confirm && !self.template.is_empty() {
            return usage(
                "--ask confirm has no answer for --template; give the content by --answer-file",
            );
        }
        if self.per == Per::Read {
            let endless = match kind {
                _ if self.answer_file.is_some() => Some("--answer-file"),
                _ if self.remember.is_some() => Some("--remember"),
                Kind::Confirm if self.rules.has_allow() => Some("--allow"),
                _ => None,
            };
            if let Some(option) = endless {
                return Err(ToolError::usage(format!(
                    "--per read would give the answer of {option} to each read, without end; do \
                     without one of both"
                )));
            }
        }
        if self.per == Per::Once && self.remember.is_some() {
            return usage("--per once remembers for good; do without --remember");
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(line: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["fusd-prompt", "--name", "x"], line].concat())
    }

    fn usage(line: &[&str]) -> String {
        match parse(line) {
            Err(error) => {
                assert_eq!(error.exit_code(), 2, "{line:?}");
                error.to_string()
            }
            Ok(args) => {
                let error = args.check().expect_err("it is accepted");
                assert_eq!(error.code(), 2, "{line:?}");
                error.to_string()
            }
        }
    }

    #[test]
    fn what_is_asked_for_follows_from_the_options() {
        for (line, kind) in [
            (&[][..], Kind::Text),
            (&["-a", "secret"], Kind::Secret),
            (&["--choices", "a,b"], Kind::Choice),
        ] {
            let args = parse(line).unwrap();
            args.check().unwrap();
            assert_eq!(args.kind(), kind, "{line:?}");
        }
        assert!(parse(&["--answer-file", "a"]).unwrap().is_unasked());
        let asked = parse(&["--answer-file", "a", "-a", "confirm"]).unwrap();
        assert!(!asked.is_unasked());
    }

    #[test]
    fn bad_lines_are_usage_errors_that_say_why() {
        for (line, message) in [
            (
                &["-a", "word"][..],
                "text, secret, multiline, choice, confirm",
            ),
            (&["-a", "choice"], "give --choices"),
            (&["-a", "text", "--choices", "a,b"], "--ask choice alone"),
            (&["--choices", "a,,b"], "is empty"),
            (&["--choices", "a,b", "--default", "c"], "none of --choices"),
            (&["-a", "confirm", "--default", "y"], "yes or no"),
            (&["--default", "a\nb"], "--ask multiline"),
            (&["-t", "1s", "--on-timeout", "default"], "--default TEXT"),
            (&["--on-timeout", "deny"], "--timeout"),
            (&["-a", "text", "--answer-file", "x"], "--ask confirm"),
            (&["-a", "confirm", "--template", "{}"], "--answer-file"),
            (
                &["--per", "once", "--remember", "1s"],
                "do without --remember",
            ),
            (
                &["--per", "read", "--answer-file", "x"],
                "--answer-file to each read, without end; do without",
            ),
            (&["--per", "read", "--remember", "1h"], "of --remember to"),
            (
                &["--per", "read", "-a", "confirm", "--allow", "any"],
                "of --allow to",
            ),
            (&["--remember-by", "pid"], "--remember"),
            (&["--no-terminal"], "--helper"),
            (&["--timeout", "0"], "10s"),
            (&["--timeout", "never"], "10s"),
            (&["--allow", "me"], "uid:USER"),
        ] {
            let error = usage(line);
            assert!(error.contains(message), "{line:?}: {error}");
        }
    }
}
