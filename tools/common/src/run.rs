//! A tool from its command line to its exit code.

use std::fmt;
use std::path::Path;
use std::process::ExitCode;

use clap::Parser;
use fusd::{Device, Errno, Error, ErrorKind, Session};

use crate::notice::Notices;
use crate::progress::{Progress, Teller};
use crate::ready::Ready;
use crate::signals::{Phase, Reload, Signals};
use crate::{CommonArgs, LogFormat, ToolError, command, exit, logging, usage};

/// A tool: its arguments, and the device they make.
pub trait Tool: Parser {
    /// The name its messages begin with.
    const NAME: &'static str;

    /// The device it serves.
    type Device: Device;

    /// The options that all tools share.
    fn common(&self) -> &CommonArgs;

    /// The name of the node: that of `--name`, unless the tool has another way to give it.
    fn node_name(&self) -> Option<&str> {
        self.common().name.as_deref()
    }

    /// The path of the node: that of `--path`, unless the tool has another way to give it.
    fn node_path(&self) -> Option<&Path> {
        self.common().path.as_deref()
    }

    /// Makes the device. A signal that comes meanwhile ends the tool at once, so it may wait, for
    /// input or for hardware; it must leave nothing behind that needs to be cleaned up.
    ///
    /// # Errors
    /// The arguments are wrong, or what they name cannot be had. Nothing is made then.
    fn driver(&self) -> Result<Driver<Self::Device>, ToolError>;
}

/// A device, and what else is to happen while it is served.
#[must_use]
pub struct Driver<D> {
    device: D,
    reload: Option<Reload>,
    report: Option<Report>,
    on_ready: Option<OnReady>,
    on_end: Option<OnEnd>,
    after_end: Option<AfterEnd>,
    progress: Option<Teller>,
    workers: Option<usize>,
}

type Report = Box<dyn Fn() -> String + Send + Sync>;
type OnEnd = Box<dyn FnOnce() -> String>;
type AfterEnd = Box<dyn FnOnce()>;

type OnReady = Box<dyn FnOnce(&Session) -> Result<(), ToolError>>;

impl<D: Device> Driver<D> {
    /// Serves `device`.
    pub fn new(device: D) -> Self {
        Self {
            device,
            reload: None,
            report: None,
            on_ready: None,
            on_end: None,
            after_end: None,
            progress: None,
            workers: None,
        }
    }

    /// Calls `reload` at each SIGHUP, which otherwise ends the tool, and does so all the same where
    /// it says that the terminal has gone. It runs on the thread that
    /// takes the signals, so it must not wait for anything that may never come. While a command
    /// runs beside the device, SIGHUP is the command's.
    pub fn on_hangup(mut self, reload: impl Fn() + Send + 'static) -> Self {
        self.reload = Some(Box::new(reload));
        self
    }

    /// Says on standard error what `report` returns, at each SIGUSR1, which otherwise ends the
    /// tool. It must not wait for anything that may never come.
    pub fn on_usr1(mut self, report: impl Fn() -> String + Send + Sync + 'static) -> Self {
        self.report = Some(Box::new(report));
        self
    }

    /// Says on standard error what `report` returns, once, when the device is served no longer.
    pub fn on_end(mut self, report: impl FnOnce() -> String + 'static) -> Self {
        self.on_end = Some(Box::new(report));
        self
    }

    /// Calls `finish` once, when the device is served no longer: the place to bring to an end what
    /// must not be left half done, such as writing a file. It may wait for a disk.
    pub fn after_end(mut self, finish: impl FnOnce() + 'static) -> Self {
        self.after_end = Some(Box::new(finish));
        self
    }

    /// Shows the line of ASCII that `tell` returns at the bottom of the terminal that standard error
    /// is, some times a second while the device is served, and leaves the last one there. Messages
    /// come above it. Where standard error is no terminal, `tell` is not called. It must not wait for
    /// anything that may never come.
    pub fn progress(mut self, tell: impl FnMut() -> String + Send + 'static) -> Self {
        self.progress = Some(Box::new(tell));
        self
    }

    /// Runs at most `count` handlers at a time, instead of as many as the library does by itself. One
    /// is best for a device whose handlers never wait and all take the same lock.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// Calls `start` once, when the node is there and before its first call is served: the place
    /// to start threads, and to learn the node's path or keep a stop handle.
    pub fn on_ready(
        mut self,
        start: impl FnOnce(&Session) -> Result<(), ToolError> + 'static,
    ) -> Self {
        self.on_ready = Some(Box::new(start));
        self
    }
}

impl<D: fmt::Debug> fmt::Debug for Driver<D> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Driver")
            .field("device", &self.device)
            .finish_non_exhaustive()
    }
}

/// All that a tool's `main` does.
pub fn main<T: Tool>() -> ExitCode {
    let tool = match T::try_parse() {
        Ok(tool) => tool,
        Err(error) if error.use_stderr() => {
            let error = ToolError::usage(usage::line(error));
            Notices::new(T::NAME, LogFormat::Text, false).error(&error);
            return ExitCode::from(error.code());
        }
        Err(help) => {
            // Help and the version are on standard output, where nobody may be left to read them.
            let _nobody = help.print();
            return ExitCode::SUCCESS;
        }
    };
    let common = tool.common();
    let notices = Notices::new(T::NAME, common.log_format, common.quiet);
    match run(&tool, notices) {
        Ok(code) => ExitCode::from(code),
        Err(error) => {
            notices.error(&error);
            ExitCode::from(error.code())
        }
    }
}

fn run<T: Tool>(tool: &T, notices: Notices) -> Result<u8, ToolError> {
    let common = tool.common();
    // First of all: whatever is opened before might take the descriptor's number.
    let ready = Ready::claim(common.ready_fd);
    logging::start(common)?;
    let ready = ready?;
    let builder = common.builder(tool.node_name(), tool.node_path())?;
    let signals = Signals::take()?;
    let Driver {
        device,
        reload,
        report,
        on_ready,
        on_end,
        after_end,
        progress,
        workers,
    } = tool.driver()?;
    if let Some(report) = report {
        signals.on_usr1(move || notices.say(&report()));
    }

    signals.enter(Phase::Registering { asked: None });
    let builder = match workers {
        Some(count) => builder.workers(count),
        None => builder,
    };
    let session = builder.register(device)?;
    if let Some(start) = on_ready {
        start(&session)?;
    }
    let progress = match progress {
        Some(tell) => Progress::start(tell).map_err(|error| {
            Error::system(ErrorKind::Runtime, Errno::from(error), "start a thread")
        })?,
        None => None,
    };
    let result = if common.command.is_empty() {
        serve(session, ready, reload, &signals, notices)
    } else {
        accompany(session, ready, common, &signals, notices)
    };
    drop(progress);
    if let Some(finish) = after_end {
        finish();
    }
    if let Some(report) = on_end {
        notices.say(&report());
    }
    result
}

/// Serves until somebody stops it.
fn serve(
    session: Session,
    ready: Ready,
    reload: Option<Reload>,
    signals: &Signals,
    notices: Notices,
) -> Result<u8, ToolError> {
    let stop = session.stop_handle();
    if signals.enter(Phase::Serving { stop, reload }).is_some() {
        return Ok(exit::STOPPED);
    }
    notices.tell(&format_args!(
        "{} is ready ({}); Ctrl-C ends it",
        session.path().display(),
        session.backend(),
    ));
    ready.announce(session.path());
    session.run()?;
    Ok(exit::STOPPED)
}

/// Serves until the command ends.
fn accompany(
    session: Session,
    ready: Ready,
    common: &CommonArgs,
    signals: &Signals,
    notices: Notices,
) -> Result<u8, ToolError> {
    let serving = session.spawn()?;
    ready.announce(serving.path());
    let result = command::run(&common.command, serving.path(), signals);
    crate::ready::stopping();
    if let Err(error) = serving.stop() {
        // The command's status tells more than this.
        notices.error(&error);
    }
    result
}
