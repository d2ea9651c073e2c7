//! `--helper`: a program that asks the person, where there is no terminal to ask at.
//!
//! One question is asked at a time, the oldest first. A program whose question is not wanted any more,
//! because its caller has gone or the time is over, is ended.

mod askpass;
mod output;
mod pinentry;

pub(crate) use self::output::Output;

use std::path::Path;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, JoinHandle};
use std::time::Duration;

use fusd::Errno;
use fusd_tool::Child;
use nix::sys::signal::{SigSet, Signal};

use crate::args::Kind;
use crate::desk::{Asked, By, Operation, Verdict};
use crate::process::{self, Moment, Process};
use crate::requests::Requests;
use crate::secret::Secret;
use crate::settings::Settings;
use crate::template::Question;
use crate::text;
use crate::ui::Lent;

/// How many bytes of what is written are in the question, at most.
const WRITTEN: usize = 4096;

/// Why there is no answer to a write that is too long to be shown.
const TOO_LONG: &str = "what is written is too long to be seen in its question: it is refused";

/// How long a program may take to end that has been asked to.
const PATIENCE: Duration = Duration::from_secs(2);

/// How often, and how many milliseconds apart, it is looked whether one is stopped.
const LOOKS: u32 = 50;
const PAUSE: Duration = Duration::from_millis(2);

/// Why there is no answer.
#[derive(Debug, PartialEq, Eq)]
enum No {
    /// The person has said so.
    Refused,
    /// The program does not work.
    Failed(String),
}

impl From<Errno> for No {
    fn from(errno: Errno) -> Self {
        Self::Failed(errno.to_string())
    }
}

impl From<std::io::Error> for No {
    fn from(error: std::io::Error) -> Self {
        Errno::from(error).into()
    }
}

/// One question, ready to be asked.
struct Ask<'a> {
    /// In one line, with who asks.
    text: String,
    name: &'a str,
    kind: Kind,
    asked: &'a Asked,
}

/// The thread that runs the program.
pub(crate) struct Helper {
    shared: Arc<Shared>,
    thread: Option<JoinHandle<()>>,
}

struct Shared {
    command: String,
    requests: Requests,
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    /// There may be something new.
    rung: bool,
    running: Option<Running>,
    ended: bool,
}

/// A program that asks for a prompt.
#[derive(Clone)]
struct Running {
    number: u64,
    child: Arc<Child>,
    /// It has been asked to end.
    is_to_end: bool,
}

impl Helper {
    /// Asks by `command` from now on.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(requests: &Requests, command: &str) -> std::io::Result<Self> {
        let shared = Arc::new(Shared {
            command: command.to_owned(),
            requests: requests.clone(),
            state: Mutex::default(),
            changed: Condvar::new(),
        });
        let theirs = Arc::clone(&shared);
        let thread = thread::Builder::new().name("helper".into());
        let thread = thread.spawn(move || theirs.serve())?;
        let weak = Arc::downgrade(&shared);
        requests.set_asker(Arc::new(move || {
            if let Some(shared) = weak.upgrade() {
                shared.ring();
            }
        }));
        Ok(Self {
            shared,
            thread: Some(thread),
        })
    }
}

impl Drop for Helper {
    fn drop(&mut self) {
        self.shared.lock().ended = true;
        self.shared.changed.notify_all();
        self.shared.end_unwanted();
        // Where it has panicked, that is in the log.
        let _ = self.thread.take().map(JoinHandle::join);
    }
}

impl Shared {
    /// Something has changed: there may be a new question, or the one that is asked may have ended.
    fn ring(&self) {
        self.lock().rung = true;
        self.changed.notify_all();
        self.end_unwanted();
    }

    /// Ends the program that asks, once, if nobody wants its answer any more.
    fn end_unwanted(&self) {
        // Not both locks at a time.
        let Some(number) = self.lock().running.as_ref().map(|it| it.number) else {
            return;
        };
        let is_wanted = self.requests.has(number);
        let child = {
            let mut state = self.lock();
            let ended = state.ended;
            let running = state.running.as_mut();
            let running = running.filter(|it| {
                let is_it = it.number == number && !it.is_to_end;
                is_it && (ended || !is_wanted)
            });
            running.map(|it| {
                it.is_to_end = true;
                Arc::clone(&it.child)
            })
        };
        if let Some(child) = child {
            end(&child);
        }
    }

    fn serve(&self) {
        // To put the terminal right must not stop the tool, should a command have just taken it.
        let _unblockable = SigSet::from(Signal::SIGTTOU).thread_block();
        while self.wait() {
            // Each one anew: others may have gone meanwhile.
            while let Some(asked) = self.requests.list().into_iter().next() {
                if self.lock().ended {
                    return;
                }
                let verdict = match self.ask(&asked) {
                    Ok(verdict) => verdict,
                    Err(No::Refused) => Verdict::Deny,
                    Err(No::Failed(error)) => {
                        // Whom nobody waits for any more has been ended by us.
                        if self.requests.has(asked.number) {
                            let command = &self.command;
                            tracing::warn!(command, error, "the helper gives no answer");
                        }
                        Verdict::Deny
                    }
                };
                self.requests.decide(asked.number, verdict, By::Helper);
            }
        }
    }

    /// Waits until there may be something new; false at the end.
    fn wait(&self) -> bool {
        let idle = |state: &mut State| !state.rung && !state.ended;
        let state = self.changed.wait_while(self.lock(), idle);
        let mut state = state.unwrap_or_else(PoisonError::into_inner);
        state.rung = false;
        !state.ended
    }

    /// Asks all that there is to ask for one prompt.
    fn ask(&self, asked: &Asked) -> Result<Verdict, No> {
        let settings = self.requests.settings();
        if matches!(asked.operation, Operation::Write(_)) || settings.kind == Kind::Confirm {
            self.ask_one(asked, "", Kind::Confirm)?;
            return Ok(Verdict::Approve);
        }
        let questions = settings.template.questions().iter();
        let answers = questions.map(|Question { name, kind }| {
            let answer = self.ask_one(asked, name, *kind)?;
            checked(answer, *kind, settings)
        });
        let answers = answers.collect::<Result<Vec<_>, No>>()?;
        Ok(Verdict::Answer(Arc::new(settings.template.fill(&answers))))
    }

    fn ask_one(&self, asked: &Asked, name: &str, kind: Kind) -> Result<Secret, No> {
        let settings = self.requests.settings();
        let who = &asked.who;
        let mut text = format!(
            "{} ({}, process {} of {}, {} of {})",
            settings.question(asked, name),
            who.title(),
            who.pid,
            text::printable(who.user.as_ref()),
            asked.operation.word(),
            settings.node(),
        );
        if let Operation::Write(data) = &asked.operation {
            // More than that fits into no window, and nobody is to approve what they have not seen.
            if data.len() > WRITTEN {
                return Err(No::Failed(TOO_LONG.to_owned()));
            }
            text = format!("{text}: {}", text::printable_bytes(data));
        }
        let ask = Ask {
            text,
            name,
            kind,
            asked,
        };
        // A program that is ended leaves the terminal as it is, with what was typed for it.
        let lent = Lent::begin(settings.has_command);
        let answer = match pinentry::is(&self.command) {
            true => pinentry::ask(self, &ask),
            false => askpass::ask(self, &ask),
        };
        if let Some(lent) = lent
            && !self.requests.has(asked.number)
        {
            lent.settle(|| !self.lock().ended);
        }
        answer
    }

    /// Makes a program known that asks for a prompt, so that it is ended with it: at once where that has
    /// ended already.
    fn runs(&self, number: u64, child: &Arc<Child>) {
        self.lock().running = Some(Running {
            number,
            child: Arc::clone(child),
            is_to_end: false,
        });
        self.end_unwanted();
    }

    fn runs_no_more(&self) {
        self.lock().running = None;
    }

    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// An answer as it may be, or why it may not.
fn checked(mut answer: Secret, kind: Kind, settings: &Settings) -> Result<Secret, No> {
    if answer.is_empty()
        && let Some(default) = &settings.default
    {
        answer.push(default.as_bytes());
    }
    let choices = &settings.choices;
    if kind == Kind::Choice
        && !choices
            .iter()
            .any(|choice| choice.as_bytes() == answer.bytes())
    {
        return Err(No::Failed("what it says is none of --choices".to_owned()));
    }
    Ok(answer)
}

/// Asks a program to end, and sees to it that it does.
fn end(child: &Arc<Child>) {
    // Known only now: what a shell that has ended leaves behind is nobody's child.
    let family = match child.has_group() {
        true => Vec::new(),
        false => {
            // It starts nothing more while they are looked for.
            stop(child);
            process::family(child.pid())
        }
    };
    signal(child, &family, Signal::SIGTERM);
    if !child.has_group() {
        child.signal(Signal::SIGCONT);
    }
    let child = Arc::clone(child);
    // Where there is no thread to be had, it has been asked all the same.
    let _late = thread::Builder::new()
        .name("helper-end".into())
        .spawn(move || {
            thread::sleep(PATIENCE);
            signal(&child, &family, Signal::SIGKILL);
        });
}

/// Stops a program, and not where it has blocked signals, as a shell has that is about to start a command:
/// when it went on, it would start that, and die only then. One that always has them blocked is stopped
/// all the same.
fn stop(child: &Child) {
    for _ in 0..LOOKS {
        child.signal(Signal::SIGSTOP);
        match Moment::of(child.pid()) {
            Moment::Stopped { blocks: false } | Moment::Ended => return,
            Moment::Stopped { blocks: true } => child.signal(Signal::SIGCONT),
            Moment::Runs => {}
        }
        thread::sleep(PAUSE);
    }
    child.signal(Signal::SIGSTOP);
}

/// Signals a program and what it has started: by its group, if it has one of its own.
fn signal(child: &Child, family: &[Process], signal: Signal) {
    // What there was at its start counts, not what there is now.
    match child.has_group() {
        true => child.signal_group(signal),
        false => child.signal(signal),
    }
    for process in family {
        process.signal(signal);
    }
}

/// Whether there is a terminal that a program might ask at: then it is in this one's process group, as
/// one in another could not read it.
fn has_terminal() -> bool {
    Path::new("/dev/tty").exists() && std::fs::File::open("/dev/tty").is_ok()
}

#[cfg(test)]
mod tests {
    use std::io::{Read, pipe};
    use std::sync::mpsc;
    use std::time::Instant;

    use fusd_tool::Program;

    use super::*;

    #[test]
    fn a_shell_that_is_just_starting_a_command_is_ended_with_it() {
        // At different moments of its start.
        for moment in 0..100 {
            let (mut reader, writer) = pipe().unwrap();
            let program = Program::new(["/bin/sh", "-c", "sleep 60; :"]).stdout(writer);
            let begin = Instant::now();
            let child = Arc::new(program.spawn().unwrap());
            while begin.elapsed() < Duration::from_micros(20 * moment) {
                thread::yield_now();
            }
            end(&child);
            child.wait().unwrap();
            // Its end comes when nobody has the output any more.
            let (sender, receiver) = mpsc::channel();
            thread::spawn(move || sender.send(reader.read_to_end(&mut Vec::new())));
            let ended = receiver.recv_timeout(Duration::from_secs(10));
            assert!(ended.is_ok(), "the command is still there: {moment}");
        }
    }
}
