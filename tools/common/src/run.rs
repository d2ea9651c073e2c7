//! A tool from its command line to its exit code.

use std::fmt;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::mpsc;

use clap::Parser;
use fusd::{Device, DeviceBuilder, Errno, Error, ErrorKind, Serving, Session};

use crate::node::OwnNode;
use crate::notice::Notices;
use crate::progress::{Progress, Teller};
use crate::ready::Ready;
use crate::signals::{Phase, Reload, Signals, Stop};
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

    /// Does what must be done before the process has a second thread, such as to block a signal.
    ///
    /// # Errors
    /// It cannot be done.
    fn prepare(&self) -> Result<(), ToolError> {
        Ok(())
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
    beside: Option<(PathBuf, D)>,
    own_node: Option<MakeNode>,
    outlives_terminal: bool,
    command_reads_nothing: bool,
}

type MakeNode = Box<dyn FnOnce() -> Result<Box<dyn OwnNode>, ToolError>>;
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
            beside: None,
            own_node: None,
            outlives_terminal: false,
            command_reads_nothing: false,
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

    /// Has the command beside the device find nothing on its standard input: for a tool that reads there
    /// itself.
    pub fn command_reads_nothing(mut self, nothing: bool) -> Self {
        self.command_reads_nothing = nothing;
        self
    }

    /// Serves on where the terminal goes, which otherwise ends the tool: for one that has another way to
    /// be seen.
    pub fn outlive_terminal(mut self, outlives: bool) -> Self {
        self.outlives_terminal = outlives;
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

    /// Calls `finish` once, when the device is served no longer, or cannot be: the place to bring to an end what
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

    /// Serves `device` as well, at a second node, with the same options otherwise. It is there before
    /// the first one, and goes after it.
    pub fn beside(mut self, path: impl Into<PathBuf>, device: D) -> Self {
        self.beside = Some((path.into(), device));
        self
    }

    /// Has `make` make the node, instead of the library: no device is registered then. A signal that
    /// comes meanwhile is kept until it has returned.
    pub fn own_node(
        mut self,
        make: impl FnOnce() -> Result<Box<dyn OwnNode>, ToolError> + 'static,
    ) -> Self {
        self.own_node = Some(Box::new(make));
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
    let tool = match parse::<T>(T::NAME) {
        Ok(tool) => tool,
        Err(code) => return code,
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

/// All that `main` does of a program that serves no device: it parses the command line, and says what
/// fails, in the name of `name`, as a tool does.
pub fn main_of<P: Parser>(
    name: &'static str,
    run: impl FnOnce(P) -> Result<u8, ToolError>,
) -> ExitCode {
    let ended = parse(name).and_then(|arguments| {
        run(arguments).map_err(|error| {
            Notices::new(name, LogFormat::Text, false).error(&error);
            ExitCode::from(error.code())
        })
    });
    ended.map_or_else(|code| code, ExitCode::from)
}

/// The command line, or the code to exit with, after all is said.
fn parse<P: Parser>(name: &'static str) -> Result<P, ExitCode> {
    P::try_parse().map_err(|error| {
        if !error.use_stderr() {
            // Help and the version are on standard output, where nobody may be left to read them.
            let _nobody = error.print();
            return ExitCode::SUCCESS;
        }
        let error = ToolError::usage(usage::line(error));
        Notices::new(name, LogFormat::Text, false).error(&error);
        ExitCode::from(error.code())
    })
}

fn run<T: Tool>(tool: &T, notices: Notices) -> Result<u8, ToolError> {
    let common = tool.common();
    // First of all: whatever is opened before might take the descriptor's number.
    let ready = Ready::claim(common.ready_fd);
    logging::start(common)?;
    let ready = ready?;
    let builder = common.builder(tool.node_name(), tool.node_path())?;
    tool.prepare()?;
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
        beside,
        own_node,
        outlives_terminal,
        command_reads_nothing,
    } = tool.driver()?;
    if outlives_terminal {
        signals.outlive_terminal();
    }
    // On each way out of here, after all that is made below has gone.
    let finish = Finish(after_end);
    if let Some(report) = report {
        signals.on_usr1(move || notices.say(&report()));
    }

    signals.enter(Phase::Registering { asked: None });
    let beside = match beside {
        Some((path, device)) if own_node.is_none() => {
            let builder = limited(common.builder(None, Some(&path))?, workers);
            Some(builder.register(device)?.spawn()?)
        }
        _ => None,
    };
    let node = match own_node {
        Some(make) => Node::Own(make()?),
        None => {
            let session = limited(builder, workers).register(device)?;
            if let Some(start) = on_ready {
                start(&session)?;
            }
            Node::Library(session)
        }
    };
    let progress = match progress {
        Some(tell) => Progress::start(tell).map_err(|error| {
            Error::system(ErrorKind::Runtime, Errno::from(error), "start a thread")
        })?,
        None => None,
    };
    let result = if common.command.is_empty() {
        serve(node, ready, reload, &signals, notices)
    } else {
        accompany(
            node,
            ready,
            common,
            &signals,
            notices,
            command_reads_nothing,
        )
    };
    if let Some(Err(error)) = beside.map(Serving::stop) {
        notices.error(&error);
    }
    drop(progress);
    drop(finish);
    if let Some(report) = on_end {
        notices.say(&report());
    }
    result
}

/// Dropped, does what is to be done when the device is served no longer.
struct Finish(Option<AfterEnd>);

impl Drop for Finish {
    fn drop(&mut self) {
        if let Some(finish) = self.0.take() {
            finish();
        }
    }
}

/// What clients open.
enum Node {
    Library(Session),
    Own(Box<dyn OwnNode>),
}

impl Node {
    fn path(&self) -> &Path {
        match self {
            Self::Library(session) => session.path(),
            Self::Own(node) => node.path(),
        }
    }

    fn kind(&self) -> String {
        match self {
            Self::Library(session) => session.backend().to_string(),
            Self::Own(node) => node.kind().to_owned(),
        }
    }
}

fn limited(builder: DeviceBuilder, workers: Option<usize>) -> DeviceBuilder {
    match workers {
        Some(count) => builder.workers(count),
        None => builder,
    }
}

/// Serves until somebody stops it.
fn serve(
    node: Node,
    ready: Ready,
    reload: Option<Reload>,
    signals: &Signals,
    notices: Notices,
) -> Result<u8, ToolError> {
    let (stopper, stopped) = mpsc::channel();
    let stop: Stop = match &node {
        Node::Library(session) => {
            let handle = session.stop_handle();
            Box::new(move || handle.stop())
        }
        Node::Own(_) => Box::new(move || {
            // Nobody waits any more at the end.
            let _ended = stopper.send(());
        }),
    };
    if signals.enter(Phase::Serving { stop, reload }).is_some() {
        return Ok(exit::STOPPED);
    }
    notices.tell(&format_args!(
        "{} is ready ({}); Ctrl-C ends it",
        node.path().display(),
        node.kind(),
    ));
    ready.announce(node.path());
    match node {
        Node::Library(session) => session.run()?,
        Node::Own(node) => {
            // The sender is with the signals, and stays there.
            let _asked = stopped.recv();
            node.remove()?;
        }
    }
    Ok(exit::STOPPED)
}

/// Serves until the command ends.
fn accompany(
    node: Node,
    ready: Ready,
    common: &CommonArgs,
    signals: &Signals,
    notices: Notices,
    reads_nothing: bool,
) -> Result<u8, ToolError> {
    let path = node.path().to_owned();
    let end: Box<dyn FnOnce() -> Result<(), ToolError>> = match node {
        Node::Library(session) => {
            let serving = session.spawn()?;
            Box::new(move || Ok(serving.stop()?))
        }
        Node::Own(node) => Box::new(move || node.remove()),
    };
    ready.announce(&path);
    let result = command::run(&common.command, &path, signals, reads_nothing);
    crate::ready::stopping();
    if let Err(error) = end() {
        // The command's status tells more than this.
        notices.error(&error);
    }
    result
}
