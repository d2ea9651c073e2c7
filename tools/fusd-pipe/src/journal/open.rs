//! The start of a journal: what an earlier run has left, and what keeps it from being used.

use std::io::{self, Read, Seek};
use std::path::Path;
use std::sync::{Arc, Mutex};

use fusd::{Errno, Error, ErrorKind};
use fusd_tool::ToolError;
use nix::sys::signal::{SigSet, Signal};

use super::file::{JournalFile, Refused};
use super::header::{LEN, Shape, Unreadable};
use super::inner::Inner;
use super::replay::{Content, Replay};
use super::syncing::Ticker;
use super::{Journal, image};
use crate::settings::{Mode, Settings, SyncPolicy};

impl Journal {
    /// Opens the journal at `path`, or makes one, for a pipe of these settings. Gives what the
    /// pipe begins with.
    ///
    /// # Errors
    /// The file cannot be had, is in use, or is none of such a pipe. It is as it was then.
    pub(crate) fn open(
        path: &Path,
        sync: SyncPolicy,
        settings: &Settings,
    ) -> Result<(Self, Content), ToolError> {
        let failed = |action: &str, error: &io::Error| {
            let error = Error::system(ErrorKind::Runtime, Errno::from(error), action);
            ToolError::from(error.on(path))
        };
        let shape = Shape::from(settings);
        // A write beyond the limit of the file's size (`ulimit -f`) is to fail, not to kill.
        SigSet::from(Signal::SIGXFSZ)
            .thread_block()
            .map_err(|errno| failed("block SIGXFSZ for", &errno.into()))?;
        let mut file = JournalFile::open(path).map_err(|refused| explain(path, refused))?;
        let (content, damaged) = read(path, &file, shape)?;
        if damaged > 0 {
            tracing::warn!(
                file = %path.display(),
                "the journal ends in {damaged} bytes that are damaged; they are left out"
            );
        }
        let mut replay = Replay::holding(shape, &content);
        file.replace(sync != SyncPolicy::Never, |out| {
            image::write(out, shape, &mut replay)
        })
        .map_err(|error| failed("write a new journal in the place of", &error))?;
        if sync != SyncPolicy::Never {
            file.sync_directory()
                .map_err(|error| failed("force to disk the directory of", &error))?;
        }
        let inner = Inner::new(file, shape, sync, replay.next());
        let inner = Arc::new(Mutex::new(inner));
        let ticker = match sync {
            SyncPolicy::Every(interval) => Some(
                Ticker::start(&inner, interval)
                    .map_err(|error| failed("start a thread for", &error))?,
            ),
            SyncPolicy::Never | SyncPolicy::Always => None,
        };
        let journal = Self {
            inner,
            _ticker: ticker,
        };
        Ok((journal, content))
    }
}

/// What the file holds, and how many bytes at its end are damaged.
fn read(path: &Path, file: &JournalFile, shape: Shape) -> Result<(Content, u64), ToolError> {
    let failed = |error: io::Error| {
        let error = Error::system(ErrorKind::Runtime, Errno::from(&error), "read the journal");
        ToolError::from(error.on(path))
    };
    // A tool that was killed before it wrote anything has left it so.
    if file.len() == 0 {
        return Ok((Content::default(), 0));
    }
    let mut input = file.file().try_clone().map_err(failed)?;
    input.rewind().map_err(failed)?;
    let found = image::read_header(&mut input).map_err(failed)?;
    let found = found.map_err(|unreadable| describe(path, unreadable))?;
    if (found.mode, found.stream) != (shape.mode, shape.stream) {
        return Err(ToolError::usage(format!(
            "{} is the journal of {}; say so with {}, or give another file",
            path.display(),
            name(found),
            options(found),
        )));
    }
    let left = file.len() - LEN as u64;
    let (replay, damaged) = image::read_entries(input.take(left), found, left).map_err(failed)?;
    Ok((replay.finish(), damaged))
}

fn name(shape: Shape) -> String {
    let kind = match shape.mode {
        Mode::Fifo => "fifo",
        Mode::Broadcast => "broadcast",
        Mode::Ring => "ring",
    };
    let content = match shape.stream {
        true => "a stream of bytes",
        false => "records",
    };
    format!("a {kind} of {content}")
}

fn options(shape: Shape) -> String {
    let kind = match shape.mode {
        Mode::Fifo => "fifo",
        Mode::Broadcast => "broadcast",
        Mode::Ring => "ring",
    };
    let records = match shape.stream {
        true => "none",
        false => "line or write",
    };
    format!("--kind {kind} --records {records}")
}

fn describe(path: &Path, unreadable: Unreadable) -> ToolError {
    let path = path.display();
    match unreadable {
        Unreadable::Foreign => ToolError::usage(format!(
            "{path} is not a journal of fusd-pipe; give --persist one, or a file that is not there yet"
        )),
        Unreadable::Version(version) => ToolError::failed(format!(
            "{path} is a journal of version {version}, and this program knows version 1 only; use \
             the program that wrote it, or give another file"
        )),
        Unreadable::Damaged => ToolError::failed(format!(
            "{path} is a journal whose beginning is damaged; move it away, or give another file"
        )),
    }
}

fn explain(path: &Path, refused: Refused) -> ToolError {
    match refused {
        Refused::Irregular => ToolError::usage(format!(
            "{} is no regular file; give --persist one, or a path where nothing is yet",
            path.display()
        )),
        Refused::Locked => ToolError::failed(format!(
            "{} is in use by another program; stop that, or give another file",
            path.display()
        )),
        Refused::Occupied(other) => ToolError::failed(format!(
            "{} is needed for a moment, but is not a file that this program has left there; move it \
             away, or give --persist another file",
            other.display()
        )),
        Refused::Failed(action, error) => {
            let action = format!("{action} the journal");
            Error::system(ErrorKind::Runtime, Errno::from(&error), action)
                .on(path)
                .into()
        }
    }
}
