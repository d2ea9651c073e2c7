//! SIGTERM, SIGINT, SIGHUP and SIGUSR1: one thread takes them, so that no handler runs anywhere.
//!
//! What a signal does depends on how far the tool has come ([`Phase`]):
//! - before the node is made, it ends the tool at once;
//! - while the device is served, SIGTERM and SIGINT stop it, and SIGHUP reloads what it serves or,
//!   where there is nothing to reload, stops it too. The SIGHUP of a terminal that goes
//!   stops it: else the device would be served on, out of anybody's sight (a tool that has another
//!   way to be seen may [outlive](Signals::outlive_terminal) its terminal);
//! - while a command runs beside the device, signals that a process sent are passed on to the
//!   command. Those of the terminal are not: the command got them itself. What this process sends to
//!   its whole job stands for a key of the terminal;
//! - at the end, another one ends the tool at once; the library's watcher then removes the node.
//!
//! Where a tool has something to report, SIGUSR1 has it reported at any time, and nothing else.

use std::fs;
use std::process;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, OnceLock, PoisonError};
use std::thread;

use fusd::{Errno, Error, ErrorKind};
use nix::sys::signal::{SigSet, Signal};
use nix::sys::signalfd::{SfdFlags, SignalFd};
use nix::unistd::getsid;

use crate::child::Child;
use crate::{ToolError, exit, ready, status};

/// The signals that are taken.
const TAKEN: [Signal; 4] = [
    Signal::SIGTERM,
    Signal::SIGINT,
    Signal::SIGHUP,
    Signal::SIGUSR1,
];

/// Asks whatever serves the device to end. It does not wait.
pub(crate) type Stop = Box<dyn Fn() + Send>;

/// Reads again what a device serves.
pub(crate) type Reload = Box<dyn Fn() + Send>;

/// How far the tool has come.
pub(crate) enum Phase {
    /// Nothing is made yet.
    Starting,
    /// The node is being made: a signal is kept until that is done.
    Registering { asked: Option<Signal> },
    /// The device is served until somebody stops it.
    Serving { stop: Stop, reload: Option<Reload> },
    /// The device is served until the command ends.
    Accompanying { command: Arc<Child> },
    /// The end has begun.
    Ending,
}

/// What a signal leads to.
#[derive(Debug, PartialEq, Eq)]
enum Action {
    Nothing,
    Exit,
    Stop,
    Reload,
    Forward,
}

/// Those of this process, once they are taken.
static TAKEN_BY: OnceLock<Signals> = OnceLock::new();

/// Asks the tool to end, as SIGTERM does, but for that a second time changes nothing. It does not wait.
pub fn stop() {
    if let Some(signals) = TAKEN_BY.get() {
        signals.stop();
    }
}

/// The thread that takes the signals, as the rest of the tool sees it.
#[derive(Clone)]
pub(crate) struct Signals {
    phase: Arc<Mutex<Phase>>,
    report: Arc<OnceLock<Box<dyn Fn() + Send + Sync>>>,
    /// A terminal that goes is nothing to the tool.
    outlives: Arc<AtomicBool>,
}

impl Signals {
    /// Takes the signals from now on. To be called before any other thread is started: the
    /// threads of a process inherit what is blocked.
    ///
    /// # Errors
    /// The thread or its descriptor cannot be had.
    pub(crate) fn take() -> Result<Self, ToolError> {
        let failed = |errno: Errno| Error::system(ErrorKind::Runtime, errno, "take the signals");
        let mut set = SigSet::empty();
        for signal in TAKEN {
            set.add(signal);
        }
        set.thread_block().map_err(|errno| failed(errno.into()))?;
        let source = SignalFd::with_flags(&set, SfdFlags::SFD_CLOEXEC)
            .map_err(|errno| failed(errno.into()))?;
        let signals = Self::new(Phase::Starting);
        let thread = TAKEN_BY.get_or_init(|| signals.clone()).clone();
        let hangup_ignored = is_ignored(Signal::SIGHUP);
        let had_terminal = has_terminal();
        thread::Builder::new()
            .name("signals".into())
            .spawn(move || thread.watch(&source, hangup_ignored, had_terminal))
            .map_err(|error| failed(error.into()))?;
        Ok(signals)
    }

    fn new(phase: Phase) -> Self {
        Self {
            phase: Arc::new(Mutex::new(phase)),
            report: Arc::default(),
            outlives: Arc::default(),
        }
    }

    /// Has the end of the terminal end nothing, as under nohup(1).
    pub(crate) fn outlive_terminal(&self) {
        self.outlives.store(true, Ordering::SeqCst);
    }

    /// Has `report` called at each SIGUSR1 from now on. Only the first one counts.
    pub(crate) fn on_usr1(&self, report: impl Fn() + Send + Sync + 'static) {
        let _ = self.report.set(Box::new(report));
    }

    /// Goes on to `phase`. Where a signal came while the node was being made, it is returned, for
    /// the caller to obey.
    pub(crate) fn enter(&self, phase: Phase) -> Option<Signal> {
        let mut current = self.lock();
        let asked = match &*current {
            Phase::Registering { asked } => *asked,
            _ => None,
        };
        *current = phase;
        asked
    }

    fn watch(&self, source: &SignalFd, hangup_ignored: bool, had_terminal: bool) {
        loop {
            let info = match source.read_signal() {
                Ok(Some(info)) => info,
                Ok(None) | Err(nix::errno::Errno::EINTR) => continue,
                Err(errno) => {
                    tracing::error!(error = %Errno::from(errno), "signals are not taken any more");
                    return;
                }
            };
            // Lossless: signal numbers are at most 64.
            let Ok(signal) = Signal::try_from(info.ssi_signo as i32) else {
                continue;
            };
            // What the kernel sends, for the terminal, has a positive code (sigaction(2)). A shell
            // whose terminal has gone sends its jobs a SIGHUP of its own.
            let passed_on = signal == Signal::SIGHUP
                && had_terminal
                && is_session_leader(info.ssi_pid)
                && !has_terminal();
            let own = info.ssi_pid == process::id();
            let terminal = passed_on || own || info.ssi_code > 0;
            tracing::debug!(%signal, sender = info.ssi_pid, terminal, "signal");
            self.act(signal, terminal, hangup_ignored);
        }
    }

    fn act(&self, signal: Signal, terminal: bool, hangup_ignored: bool) {
        if let (Signal::SIGUSR1, Some(report)) = (signal, self.report.get()) {
            report();
            return;
        }
        let unwanted = hangup_ignored || terminal && self.outlives.load(Ordering::SeqCst);
        let mut phase = self.lock();
        match react(&mut phase, signal, terminal, unwanted) {
            Action::Nothing => {}
            Action::Exit => {
                status::leave_at_exit();
                process::exit(i32::from(code(signal)))
            }
            Action::Stop => stop_serving(phase),
            Action::Reload => {
                if let Phase::Serving {
                    reload: Some(reload),
                    ..
                } = &*phase
                {
                    reload();
                }
            }
            Action::Forward => {
                if let Phase::Accompanying { command } = &*phase {
                    command.signal(signal);
                }
            }
        }
    }

    fn stop(&self) {
        let mut phase = self.lock();
        match &mut *phase {
            Phase::Starting | Phase::Ending => {}
            Phase::Registering { asked } => {
                asked.get_or_insert(Signal::SIGTERM);
            }
            Phase::Serving { .. } => stop_serving(phase),
            Phase::Accompanying { command } => command.signal(Signal::SIGTERM),
        }
    }

    fn lock(&self) -> MutexGuard<'_, Phase> {
        self.phase.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

fn stop_serving(mut phase: MutexGuard<'_, Phase>) {
    if let Phase::Serving { stop, .. } = std::mem::replace(&mut *phase, Phase::Ending) {
        drop(phase);
        ready::stopping();
        stop();
    }
}

/// The exit code of a tool that `signal` ended.
pub(crate) fn code(signal: Signal) -> u8 {
    // Lossless: signal numbers are at most 64.
    exit::SIGNAL + signal as u8
}

fn react(phase: &mut Phase, signal: Signal, terminal: bool, hangup_ignored: bool) -> Action {
    let hangup = signal == Signal::SIGHUP;
    let unwanted = hangup && hangup_ignored;
    match phase {
        Phase::Serving {
            reload: Some(_), ..
        } if hangup && !terminal => Action::Reload,
        Phase::Accompanying { .. } if terminal => Action::Nothing,
        Phase::Accompanying { .. } => Action::Forward,
        // nohup(1): a terminal that goes is nothing to us.
        _ if unwanted => Action::Nothing,
        Phase::Starting | Phase::Ending => Action::Exit,
        Phase::Registering { asked } => {
            asked.get_or_insert(signal);
            Action::Nothing
        }
        Phase::Serving { .. } => Action::Stop,
    }
}

fn is_session_leader(pid: u32) -> bool {
    getsid(None).is_ok_and(|leader| i32::try_from(pid) == Ok(leader.as_raw()))
}

/// Whether the session of this process has a terminal, or has it still.
fn has_terminal() -> bool {
    fs::File::open("/dev/tty").is_ok()
}

/// Whether this process was started with `signal` ignored, as by nohup(1). (/proc tells; a blocked
/// signal is never dropped, so ignoring alone does not keep it from us.)
pub fn is_ignored(signal: Signal) -> bool {
    let status = fs::read_to_string("/proc/self/status").unwrap_or_default();
    let mask = status
        .lines()
        .find_map(|line| line.strip_prefix("SigIgn:"))
        .and_then(|mask| u64::from_str_radix(mask.trim(), 16).ok());
    mask.is_some_and(|mask| mask & (1 << (signal as u32 - 1)) != 0)
}

#[cfg(test)]
mod tests {
    use fusd::{Device, DeviceBuilder, OpenRequest, Serving};

    use super::*;
    use crate::child::Program;

    struct Null;

    impl Device for Null {
        type File = ();

        fn open(&self, request: OpenRequest<()>) {
            request.accept(());
        }
    }

    fn serving(reload: Option<Reload>) -> (Phase, Serving) {
        let (_, serving) = DeviceBuilder::new("x").loopback(Null).unwrap();
        let handle = serving.stop_handle();
        let stop = Box::new(move || handle.stop());
        (Phase::Serving { stop, reload }, serving)
    }

    const TERM: Signal = Signal::SIGTERM;
    const INT: Signal = Signal::SIGINT;
    const HUP: Signal = Signal::SIGHUP;

    #[test]
    fn before_the_node_is_made_a_signal_ends_the_tool() {
        for signal in TAKEN {
            let action = react(&mut Phase::Starting, signal, false, false);
            assert_eq!(action, Action::Exit);
        }
    }

    #[test]
    fn while_the_node_is_made_the_first_signal_is_kept() {
        let signals = Signals::new(Phase::Registering { asked: None });
        signals.act(TERM, false, false);
        signals.act(INT, false, false);
        assert_eq!(signals.enter(Phase::Ending), Some(TERM));
        assert_eq!(signals.enter(Phase::Ending), None);
    }

    #[test]
    fn a_served_device_stops_and_the_second_signal_ends_the_tool() {
        for signal in TAKEN {
            let (phase, serving) = serving(None);
            let signals = Signals::new(phase);
            signals.act(signal, true, false);
            serving.join().unwrap();
            assert_eq!(
                react(&mut signals.lock(), signal, true, false),
                Action::Exit
            );
        }
    }

    #[test]
    fn to_be_asked_twice_by_the_tool_itself_is_to_be_asked_once() {
        let (phase, serving) = serving(None);
        let signals = Signals::new(phase);
        signals.stop();
        signals.stop();
        serving.join().unwrap();
        assert!(matches!(*signals.lock(), Phase::Ending));
        let signals = Signals::new(Phase::Registering { asked: None });
        signals.stop();
        assert_eq!(signals.enter(Phase::Ending), Some(TERM));
    }

    #[test]
    fn hangup_reloads_where_there_is_something_to_reload() {
        let (mut phase, _serving) = serving(Some(Box::new(|| {})));
        assert_eq!(react(&mut phase, HUP, false, false), Action::Reload);
        assert_eq!(react(&mut phase, HUP, false, true), Action::Reload);
        assert_eq!(react(&mut phase, TERM, false, false), Action::Stop);
    }

    #[test]
    fn a_terminal_that_goes_stops_what_could_be_reloaded() {
        let (mut phase, _serving) = serving(Some(Box::new(|| {})));
        assert_eq!(react(&mut phase, HUP, true, false), Action::Stop);
        assert_eq!(react(&mut phase, HUP, true, true), Action::Nothing);
    }

    #[test]
    fn a_report_is_all_that_sigusr1_does_where_there_is_one() {
        let (phase, serving) = serving(None);
        let signals = Signals::new(phase);
        let (sender, reports) = std::sync::mpsc::channel();
        signals.on_usr1(move || sender.send(()).unwrap());
        for _ in 0..2 {
            signals.act(Signal::SIGUSR1, false, false);
        }
        assert_eq!(reports.try_iter().count(), 2);
        assert!(matches!(*signals.lock(), Phase::Serving { .. }));
        serving.stop().unwrap();
    }

    #[test]
    fn a_tool_may_outlive_its_terminal_but_nothing_else() {
        let (phase, serving) = serving(None);
        let signals = Signals::new(phase);
        signals.outlive_terminal();
        signals.act(HUP, true, false);
        assert!(matches!(*signals.lock(), Phase::Serving { .. }));
        signals.act(HUP, false, false);
        serving.join().unwrap();
    }

    #[test]
    fn nohup_is_honoured() {
        let (mut phase, _serving) = serving(None);
        assert_eq!(react(&mut phase, HUP, true, true), Action::Nothing);
        assert_eq!(react(&mut phase, INT, true, true), Action::Stop);
    }

    #[test]
    fn a_command_is_told_what_the_terminal_did_not_tell_it() {
        let command = Program::new(["true"]).spawn().unwrap();
        let command = Arc::new(command);
        let mut phase = Phase::Accompanying {
            command: Arc::clone(&command),
        };
        for signal in TAKEN {
            assert_eq!(react(&mut phase, signal, true, false), Action::Nothing);
            assert_eq!(react(&mut phase, signal, false, false), Action::Forward);
        }
        command.wait().unwrap();
    }

    #[test]
    fn the_code_is_that_of_a_shell() {
        assert_eq!((code(HUP), code(INT), code(TERM)), (129, 130, 143));
    }
}
