//! What the options mean together, if they mean anything.

use fusd_tool::ToolError;

use super::Args;
use crate::settings::{Amount, Eof, Full, Mode, Records, Settings};

/// Sizes unless they are given, in bytes: a fifo's is that of pipe(7).
const FIFO_SIZE: usize = 64 << 10;
const LOG_SIZE: usize = 1 << 20;

/// The largest size with --persist, in bytes: what one write brings must fit into a journal's entry.
const JOURNAL_MAX: usize = 1 << 30;

impl Args {
    /// What the command line means, if it means anything.
    pub(crate) fn settings(&self) -> Result<Settings, ToolError> {
        let fifo = self.kind == Mode::Fifo;
        let whole = Amount {
            bytes: match fifo && !self.nats.keeps() {
                true => FIFO_SIZE,
                false => LOG_SIZE,
            },
            records: usize::MAX,
        };
        let settings = Settings {
            mode: self.kind,
            records: self.records,
            one_record: self.one,
            labels: self.prefix.clone(),
            size: self.size.unwrap_or(whole),
            backlog: self.backlog.unwrap_or(Amount {
                bytes: 0,
                records: 0,
            }),
            full: self.full.unwrap_or(match fifo || self.waits_for_stream() {
                true => Full::Block,
                false => Full::DropOld,
            }),
            marker: self.marker,
            eof: self.eof.unwrap_or(match self.kind {
                Mode::Ring => Eof::Content,
                // The last writer may be on another machine.
                Mode::Fifo | Mode::Broadcast if self.nats.joins() => Eof::Never,
                Mode::Fifo | Mode::Broadcast => Eof::LastWriter,
            }),
            no_reader: self.no_reader,
            wait_peer: self.wait_peer,
            rate: self.rate.map(|rate| rate as u64),
        };
        match self.contradiction(&settings) {
            Some(text) => Err(ToolError::usage(text)),
            None => Ok(settings),
        }
    }

    /// Whether a node need not drop anything for readers that are slow: the stream keeps it.
    fn waits_for_stream(&self) -> bool {
        self.nats.keeps() && self.kind == Mode::Broadcast
    }

    /// What the grammar of the command line does not tell.
    fn contradiction(&self, settings: &Settings) -> Option<&'static str> {
        let counted = |amount: Option<Amount>| amount.is_some_and(|it| it.records != usize::MAX);
        let bytes = settings.records == Records::None;
        let drops = matches!(settings.full, Full::DropNew | Full::DropOld);
        let rules = [
            (
                self.persist.is_some() && self.nats.url.is_some(),
                "a file cannot keep what is on several machines; with --nats use --stream NAME \
                 instead of --persist",
            ),
            (
                (self.stdin || self.stdout) && !self.common.command.is_empty(),
                "standard input and output are the command's; do without --stdin and --stdout, or \
                 without -- COMMAND",
            ),
            (
                bytes && self.one,
                "a stream of bytes has no records to give one by one; add --records line or write",
            ),
            (
                bytes && !self.prefix.is_empty(),
                "a stream of bytes has no records to put a prefix before; add --records line or \
                 write",
            ),
            (
                bytes && (counted(self.size) || counted(self.backlog)),
                "a stream of bytes cannot be counted in records; give bytes, or add --records \
                 line or write",
            ),
            (
                self.marker && (bytes || !drops),
                "--marker tells of dropped records; give it with --records line or write, and \
                 --full drop-new or drop-old",
            ),
            (
                settings.mode == Mode::Ring && settings.full != Full::DropOld,
                "a ring is always full, and drops its oldest content; do without --full, or use \
                 --kind broadcast",
            ),
            (
                settings.mode != Mode::Broadcast && self.backlog.is_some(),
                "only a broadcast has a backlog; a ring gives every reader all it keeps",
            ),
            (
                settings.backlog.bytes > settings.size.bytes && !counted(self.backlog)
                    || settings.backlog.records > settings.size.records,
                "the backlog cannot be larger than --size; give a larger size",
            ),
            (
                self.persist.is_some() && settings.size.bytes > JOURNAL_MAX,
                "--persist keeps at most 1G; give a smaller --size",
            ),
            (
                self.prefix
                    .iter()
                    .enumerate()
                    .any(|(index, label)| self.prefix[..index].contains(label)),
                "--prefix has something twice; give each of time, pid, uid, program once",
            ),
        ];
        rules
            .into_iter()
            .find_map(|(wrong, text)| wrong.then_some(text))
    }
}
