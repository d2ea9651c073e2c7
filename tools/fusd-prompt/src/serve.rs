//! From the command line to a device that is served, and whoever asks for it.

use std::io::{self, IsTerminal};
use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};

use fusd::{Errno, Error, ErrorKind, StopHandle};
use fusd_tool::{Driver, ToolError};

use crate::answer_file;
use crate::args::{Args, Kind, OnTimeout, OnWrite, Per};
use crate::audit::Audit;
use crate::desk::{Policy, Verdict};
use crate::device::Prompt;
use crate::helper::Helper;
use crate::notify::Notifier;
use crate::process::{self, OwnProcesses};
use crate::requests::Requests;
use crate::settings::Settings;
use crate::ui::{Tty, Ui};

/// For how long a program is not asked about again, unless it is given.
const AGAIN: std::time::Duration = std::time::Duration::from_secs(1);

/// Makes the device.
///
/// # Errors
/// The command line is wrong, a file cannot be opened, or there is nobody to ask.
pub(crate) fn driver(args: &Args) -> Result<Driver<Prompt>, ToolError> {
    process::protect();
    let settings = Arc::new(Settings::new(args).map_err(ToolError::usage)?);
    if let Some(path) = &args.answer_file {
        try_answer_file(path)?;
    }
    let audit = args.audit.as_deref().map(Audit::open).transpose()?;
    let requests = Requests::new(
        policy(args, &settings),
        Arc::clone(&settings),
        audit,
        args.notify.as_deref().map(Notifier::new),
        OwnProcesses::default(),
    );
    let who_asks = WhoAsks::find(args)?;
    // The helper asks on then.
    let outlives_terminal = matches!(who_asks, WhoAsks::Terminal(_, Some(_)));
    let asks_at_terminal = matches!(who_asks, WhoAsks::Terminal(..)) && io::stdin().is_terminal();
    let started = Arc::new(Mutex::new(None));
    let (kept, forgets) = (Arc::clone(&started), requests.clone());
    let device = Prompt(requests.clone());
    let driver = Driver::new(device)
        .outlive_terminal(outlives_terminal)
        .command_reads_nothing(asks_at_terminal && !args.share_terminal)
        .on_hangup(move || {
            forgets.forget();
            tracing::info!("all answers are forgotten");
        })
        .on_ready(move |session| {
            let _first_counts = settings.node.set(session.path().to_owned());
            let failed = |error: io::Error| -> ToolError {
                Error::system(ErrorKind::Runtime, Errno::from(error), "start a thread").into()
            };
            requests.start_clock().map_err(failed)?;
            let asker = who_asks
                .start(&requests, session.stop_handle())
                .map_err(failed)?;
            *kept.lock().unwrap_or_else(PoisonError::into_inner) = asker;
            Ok(())
        })
        .after_end(move || {
            // It gives the terminal back, and ends the helper.
            end(started
                .lock()
                .unwrap_or_else(PoisonError::into_inner)
                .take());
        });
    Ok(driver)
}

/// Who asks the person.
enum WhoAsks {
    /// The terminal, and a helper when that has gone.
    Terminal(Tty, Option<String>),
    Helper(String),
    /// Rules and a file decide.
    Nobody,
}

/// Whoever asks, for as long as the device is served.
enum Asker {
    Terminal(Ui),
    Helper(Helper),
}

impl WhoAsks {
    fn find(args: &Args) -> Result<Self, ToolError> {
        let asks = !args.is_unasked() || args.on_write == OnWrite::Approve;
        if !asks {
            return Ok(Self::Nobody);
        }
        let tty = if args.no_terminal { None } else { Tty::find() };
        match (tty, &args.helper) {
            (Some(tty), helper) => Ok(Self::Terminal(tty, helper.clone())),
            (None, Some(command)) => Ok(Self::Helper(command.clone())),
            (None, None) => Err(ToolError::failed(
                "there is no terminal to ask at; start it at one, or give --helper CMD or \
                 --answer-file FILE",
            )),
        }
    }

    fn start(self, requests: &Requests, stop: StopHandle) -> io::Result<Option<Asker>> {
        match self {
            Self::Terminal(tty, helper) => {
                Ui::start(requests, tty, helper, stop).map(|ui| Some(Asker::Terminal(ui)))
            }
            Self::Helper(command) => {
                Helper::start(requests, &command).map(|helper| Some(Asker::Helper(helper)))
            }
            Self::Nobody => Ok(None),
        }
    }
}

/// Ends it, as what it has started and taken goes with it.
fn end(asker: Option<Asker>) {
    match asker {
        Some(Asker::Terminal(ui)) => drop(ui),
        Some(Asker::Helper(helper)) => drop(helper),
        None => {}
    }
}

fn policy(args: &Args, settings: &Settings) -> Policy {
    let confirm = args.kind() == Kind::Confirm;
    let default = || match confirm {
        true if args.default.as_deref() == Some("yes") => Verdict::Approve,
        true => Verdict::Deny,
        false => match settings.default_content() {
            Some(content) => Verdict::Answer(Arc::new(content)),
            None => Verdict::Deny,
        },
    };
    Policy {
        rules: args.rules.clone(),
        ignore: args.ignore.clone(),
        content_is_there: args.answer_file.is_some() || confirm,
        unasked: args.is_unasked(),
        once: args.per == Per::Once,
        remember: args
            .remember
            .map(|time| (time, args.remember_by.unwrap_or_default())),
        again: match args.per {
            // Each read is a question.
            Per::Read => std::time::Duration::ZERO,
            _ => args.again.unwrap_or(AGAIN),
        },
        timeout: args.timeout,
        on_timeout: match args.on_timeout {
            Some(OnTimeout::Default) => default(),
            _ => Verdict::Deny,
        },
    }
}

/// Says at once what would be wrong at each open.
fn try_answer_file(path: &Path) -> Result<(), ToolError> {
    answer_file::read(path).map(drop).map_err(|errno| {
        let error = Error::system(ErrorKind::Runtime, errno, "read the file").on(path);
        match errno {
            Errno::ENOENT => error.hint("give --answer-file the path of a file that exists"),
            Errno::EACCES | Errno::EPERM => error.hint("make it readable for this user"),
            Errno::EFBIG => error.hint("an answer has at most 1 MiB"),
            _ => error,
        }
        .into()
    })
}
