//! What the options make of a question, for whoever asks it.

use std::path::PathBuf;
use std::sync::OnceLock;

use crate::args::{Args, Echo, Kind, OnWrite, Per};
use crate::desk::{Asked, Operation};
use crate::secret::Secret;
use crate::template::Template;
use crate::text;

/// The most bytes that an answer may have.
pub(crate) const LONGEST: usize = 1 << 20;

/// What is asked, and how.
#[derive(Debug)]
pub(crate) struct Settings {
    pub(crate) kind: Kind,
    pub(crate) message: Option<String>,
    pub(crate) choices: Vec<String>,
    pub(crate) default: Option<String>,
    pub(crate) echo: Echo,
    pub(crate) template: Template,
    pub(crate) newline: bool,
    pub(crate) per: Per,
    pub(crate) on_write: OnWrite,
    pub(crate) answer_file: Option<PathBuf>,
    pub(crate) bell: bool,
    /// A command runs beside the device.
    pub(crate) has_command: bool,
    /// The node, once it is known.
    pub(crate) node: OnceLock<PathBuf>,
}

impl Settings {
    /// As the command line says.
    ///
    /// # Errors
    /// What is wrong with the template.
    pub(crate) fn new(args: &Args) -> Result<Self, String> {
        let (kind, newline) = (args.kind(), !args.no_newline);
        let template = match &args.template[..] {
            [] => Template::plain(kind, newline),
            lines => Template::read(lines, kind, newline)?,
        };
        Ok(Self {
            kind,
            message: args.message.clone(),
            choices: args.choices.clone(),
            default: args.default.clone(),
            echo: args.echo,
            template,
            newline,
            per: args.per,
            on_write: args.on_write,
            answer_file: args.answer_file.clone(),
            bell: args.bell,
            has_command: !args.common.command.is_empty(),
            node: OnceLock::new(),
        })
    }

    /// The content where a yes is all that was asked for.
    pub(crate) fn yes(&self) -> Secret {
        Secret::of(if self.newline { b"yes\n" } else { b"yes" })
    }

    /// The content of the default answer; of several answers, each is the default.
    pub(crate) fn default_content(&self) -> Option<Secret> {
        let default = self.default.as_ref()?;
        let answers = self.template.questions().iter();
        let answers: Vec<_> = answers.map(|_| Secret::of(default.as_bytes())).collect();
        Some(self.template.fill(&answers))
    }

    /// Where the node is, as far as it is known yet.
    pub(crate) fn node(&self) -> String {
        let node = self.node.get();
        node.map_or_else(String::new, |path| text::printable(path.as_os_str()))
    }

    /// What a question says, in a line; `name` is that of the answer, if there are several.
    pub(crate) fn question(&self, asked: &Asked, name: &str) -> String {
        if let Operation::Write(_) = asked.operation {
            return format!("Approve what is written to {}?", self.node());
        }
        let message = match &self.message {
            Some(message) => text::printable(message.as_ref()),
            None if self.kind == Kind::Confirm => format!("Allow {}?", self.node()),
            None => self.node(),
        };
        match name {
            "" => message,
            name => format!("{message}: {name}"),
        }
    }
}
