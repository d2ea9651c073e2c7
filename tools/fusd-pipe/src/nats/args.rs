//! The part of the command line that is about other machines, and what it means for the rest.

use std::path::PathBuf;

use super::address::{self, Address};
use crate::settings::{Amount, Eof, Full, Mode, NoReader, Settings};

const MACHINES: &str = "Other machines";

/// The least size of a stream, in bytes: a message comes with some hundred bytes of its own.
const STREAM_MIN: usize = 4 << 10;

/// Which server joins the nodes, and what it keeps.
#[derive(Clone, Debug, clap::Args)]
pub struct NatsArgs {
    /// Make the node one end of a pipe that the NATS server at URL joins
    ///
    /// nats://HOST:PORT or tls://HOST:PORT, with USER:PASSWORD@ or TOKEN@ before the host if the
    /// server asks for it. All nodes with the same server and --subject are ends of the same pipe.
    #[arg(long = "nats", value_name = "URL", requires = "subject", help_heading = MACHINES)]
    pub url: Option<String>,

    /// The subject whose messages are the pipe's records
    #[arg(long, value_name = "SUBJECT", requires = "url", value_parser = address::subject, help_heading = MACHINES)]
    pub subject: Option<String>,

    /// Have the server keep what is written in this JetStream stream, which is made if need be
    ///
    /// Without it, the server passes messages on and keeps none.
    #[arg(long, value_name = "NAME", requires = "url", value_parser = address::stream, help_heading = MACHINES)]
    pub stream: Option<String>,

    /// Who this is for the server: a file of the form that nsc(1) makes
    #[arg(long = "nats-creds", value_name = "FILE", requires = "url", help_heading = MACHINES)]
    pub credentials: Option<PathBuf>,
}

/// What a write comes to while the server cannot be reached.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Away {
    /// It waits.
    Wait,
    /// It fails with `EAGAIN`.
    Refuse,
    /// It succeeds, and what it wrote is lost.
    Drop,
}

/// All of it, as values.
#[derive(Clone)]
pub(crate) struct Options {
    pub(crate) address: Address,
    pub(crate) credentials: Option<PathBuf>,
    pub(crate) subject: String,
    pub(crate) stream: Option<String>,
    pub(crate) away: Away,
    /// A stream that is made drops its oldest content instead of refusing more.
    pub(crate) drop_old: bool,
    /// The size that was asked for: a stream's that is made, and what a node has in memory.
    pub(crate) size: Amount,
    pub(crate) backlog: Amount,
    pub(crate) settings: Settings,
}

impl NatsArgs {
    /// Whether other machines take part.
    pub(crate) fn joins(&self) -> bool {
        self.url.is_some()
    }

    /// Whether a server keeps the content.
    pub(crate) fn keeps(&self) -> bool {
        self.stream.is_some()
    }

    /// What is meant, for a pipe of these settings; `full` is what was asked for. `None`: no
    /// other machine takes part.
    ///
    /// # Errors
    /// The URL is none, or something was asked for that cannot be had from other machines.
    pub(crate) fn options(
        &self,
        settings: &Settings,
        full: Option<Full>,
    ) -> Result<Option<Options>, String> {
        let (Some(url), Some(subject)) = (&self.url, &self.subject) else {
            return Ok(None);
        };
        if let Some(text) = self.contradiction(settings) {
            return Err(text.to_owned());
        }
        Ok(Some(Options {
            address: Address::parse(url)?,
            credentials: self.credentials.clone(),
            subject: subject.clone(),
            stream: self.stream.clone(),
            away: self.away(settings, full),
            drop_old: settings.mode != Mode::Fifo || settings.full == Full::DropOld,
            size: settings.size,
            backlog: settings.backlog,
            settings: self.local(settings),
        }))
    }

    /// What this node does with what the server gives it: with a stream, a fifo takes no more than
    /// it has room for, so that it never has to drop anything.
    fn local(&self, settings: &Settings) -> Settings {
        let mut local = settings.clone();
        if self.keeps() && local.mode == Mode::Fifo {
            local.full = Full::Block;
        }
        local
    }

    fn away(&self, settings: &Settings, full: Option<Full>) -> Away {
        // That a ring drops its old content says nothing about its new one.
        match full.filter(|_| settings.mode != Mode::Ring) {
            Some(Full::Block) => Away::Wait,
            Some(Full::Eagain) => Away::Refuse,
            Some(Full::DropNew | Full::DropOld) => Away::Drop,
            None if self.keeps() || settings.mode == Mode::Fifo => Away::Wait,
            None => Away::Drop,
        }
    }

    fn contradiction(&self, settings: &Settings) -> Option<&'static str> {
        let rules = [
            (
                settings.eof == Eof::LastWriter,
                "with --nats nobody knows of the last writer, who may be on another machine; use \
                 --eof never, content or idle=SECONDS",
            ),
            (
                settings.no_reader == NoReader::Epipe,
                "with --nats nobody knows whether there is a reader on another machine; do \
                 without --no-reader epipe",
            ),
            (
                settings.wait_peer,
                "with --nats nobody knows whether there is a peer on another machine; do without \
                 --wait-peer",
            ),
            (
                self.keeps() && settings.size.bytes < STREAM_MIN,
                "a stream's messages have some hundred bytes of their own; give --size at least 4K",
            ),
        ];
        rules
            .into_iter()
            .find_map(|(wrong, text)| wrong.then_some(text))
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::Args;

    const JOINED: [&str; 6] = [
        "fusd-pipe",
        "node",
        "--nats",
        "me:s3cret@host",
        "--subject",
        "a.b",
    ];

    fn options(more: &[&str]) -> Result<Options, String> {
        let args = Args::try_parse_from([&JOINED[..], more].concat()).unwrap();
        let settings = args.settings().map_err(|error| error.to_string())?;
        let options = args.nats.options(&settings, args.full)?;
        Ok(options.expect("other machines take part"))
    }

    #[test]
    fn nobody_else_takes_part_unless_asked_for() {
        let args = Args::try_parse_from(&JOINED[..2]).unwrap();
        let settings = args.settings().unwrap();
        assert!(args.nats.options(&settings, None).unwrap().is_none());
        for alone in [
            &["--subject", "a"][..],
            &["--nats", "host"],
            &["--stream", "A"],
            &["--nats-creds", "file"],
        ] {
            let line = [&JOINED[..2], alone].concat();
            assert!(Args::try_parse_from(line).is_err(), "{alone:?}");
        }
    }

    #[test]
    fn what_a_write_comes_to_without_the_server() {
        for (line, away) in [
            (&[][..], Away::Wait),
            (&["--full", "block"], Away::Wait),
            (&["--full", "eagain"], Away::Refuse),
            (&["--full", "drop-new"], Away::Drop),
            (&["-k", "broadcast"], Away::Drop),
            (&["-k", "ring"], Away::Drop),
            (&["-k", "ring", "--stream", "A"], Away::Wait),
            (
                &["-k", "ring", "--full", "drop-old", "--stream", "A"],
                Away::Wait,
            ),
            (&["-k", "broadcast", "--stream", "A"], Away::Wait),
            (
                &["-k", "broadcast", "--full", "drop-old", "--stream", "A"],
                Away::Drop,
            ),
        ] {
            assert_eq!(options(line).unwrap().away, away, "{line:?}");
        }
    }

    #[test]
    fn a_stream_makes_it_unnecessary_to_drop_anything() {
        let local = |line: &[&str]| options(line).unwrap().settings.full;
        assert_eq!(local(&["-k", "broadcast"]), Full::DropOld);
        assert_eq!(local(&["-k", "broadcast", "--stream", "A"]), Full::Block);
        let fifo = options(&["--stream", "A", "--full", "drop-old"]).unwrap();
        assert_eq!(fifo.settings.full, Full::Block);
        assert!(fifo.drop_old, "the stream does");
        assert_eq!((fifo.size.bytes, fifo.settings.eof), (1 << 20, Eof::Never));
    }

    #[test]
    fn what_cannot_be_had_from_other_machines_is_refused() {
        for (line, message) in [
            (&["--eof", "last-writer"][..], "--eof never"),
            (&["--no-reader", "epipe"], "--no-reader epipe"),
            (&["--wait-peer"], "--wait-peer"),
            (&["--stream", "A", "--size", "1K"], "at least 4K"),
        ] {
            let error = options(line).map(drop).unwrap_err();
            assert!(error.contains(message), "{line:?}: {error}");
        }
    }
}
