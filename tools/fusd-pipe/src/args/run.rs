//! What the command line has done.

use std::io;
use std::path::Path;
use std::time::Instant;

use fusd::{Errno, Error, ErrorKind};
use fusd_tool::{CommonArgs, Driver, Tool, ToolError};

use super::Args;
use crate::device::PipeDevice;
use crate::journal::Journal;
use crate::nats::Link;
use crate::pipe::Pipe;
use crate::progress::Progress;
use crate::stats::Count;
use crate::streams::Streams;
use crate::tee::Tee;

impl Tool for Args {
    const NAME: &'static str = "fusd-pipe";
    type Device = PipeDevice;

    fn common(&self) -> &CommonArgs {
        &self.common
    }

    fn node_path(&self) -> Option<&Path> {
        self.node.as_deref().or(self.common.path.as_deref())
    }

    fn driver(&self) -> Result<Driver<PipeDevice>, ToolError> {
        let settings = self.settings()?;
        let joined = self.nats.options(&settings, self.full);
        let joined = joined.map_err(ToolError::usage)?;
        let settings = joined.as_ref().map_or(settings, |it| it.settings.clone());
        // Before any thread, as it changes what those inherit.
        let journal = self.persist.as_deref();
        let sync = self.sync.unwrap_or_default();
        let journal = journal.map(|path| Journal::open(path, sync, &settings));
        let journal = journal.transpose()?;
        let device = PipeDevice::new(settings).map_err(|error| no_thread(&error))?;
        if let Some(path) = &self.tee {
            let tee = Tee::open(path)?;
            device.change(|pipe, _| pipe.copy_to(tee));
        }
        let persists = journal.is_some();
        if let Some((journal, content)) = journal {
            let dropped = device.change(|pipe, _| pipe.persist(journal, &content));
            if dropped != Count::default() {
                tracing::warn!(
                    "{dropped} of the journal are dropped: they exceed --size or --backlog"
                );
            }
        }
        let streams = Streams {
            input: self.stdin,
            output: self.stdout,
        };
        streams.enter(&device);
        if let Some(options) = joined {
            device.join(Link::start(&device, options)?);
        }
        let shown = device.clone();
        let (asked, at_end, joined) = (device.clone(), device.clone(), device.clone());
        // Every handler is short, and has the queue's lock for all of it.
        let mut driver = Driver::new(device)
            .workers(1)
            .on_usr1(move || asked.stats().to_string())
            .on_ready(move |session| {
                let started = streams.start(&joined, &session.stop_handle());
                started.map_err(|error| no_thread(&error).into())
            });
        if persists {
            let finished = at_end.clone();
            driver = driver.after_end(move || finished.look(Pipe::finish));
        }
        if self.stats {
            driver = driver.on_end(move || at_end.stats().to_string());
        }
        if self.progress {
            let mut progress = Progress::new(self.kind, Instant::now());
            driver = driver.progress(move || progress.line(&shown.stats(), Instant::now()));
        }
        Ok(driver)
    }
}

fn no_thread(error: &io::Error) -> Error {
    Error::system(ErrorKind::Runtime, Errno::from(error), "start a thread")
}
