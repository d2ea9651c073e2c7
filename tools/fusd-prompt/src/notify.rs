//! `--notify`: a command that tells the person that somebody asks.

use std::fs::{File, OpenOptions};
use std::io::{Read, pipe};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use fusd::Errno;
use fusd_tool::Program;

use crate::desk::Asked;
use crate::helper::Output;
use crate::process::OwnProcesses;
use crate::settings::Settings;
use crate::text;

/// Commands that run at a time: where more ask at once, the person knows already.
const MOST: usize = 4;

/// How many bytes of what a command says on standard error are passed on.
const SAID: usize = 4096;

/// Runs the command.
pub(crate) struct Notifier {
    command: String,
    running: Arc<AtomicUsize>,
}

impl Notifier {
    pub(crate) fn new(command: &str) -> Self {
        Self {
            command: command.to_owned(),
            running: Arc::default(),
        }
    }

    /// Starts the command, unless as many run already as may. Does not wait for its end.
    pub(crate) fn tell(&self, asked: &Asked, settings: &Settings, own: &OwnProcesses) {
        if self.running.fetch_add(1, Ordering::SeqCst) >= MOST {
            self.running.fetch_sub(1, Ordering::SeqCst);
            return;
        }
        if let Err(error) = self.start(asked, settings, own) {
            self.running.fetch_sub(1, Ordering::SeqCst);
            tracing::warn!(command = self.command, %error, "the command of --notify cannot be run");
        }
    }

    fn start(&self, asked: &Asked, settings: &Settings, own: &OwnProcesses) -> Result<(), Errno> {
        // The terminal may be taken: what it says comes later, in the log.
        let (said, stderr) = pipe()?;
        let program = Program::new(["/bin/sh", "-c"])
            .arg(&self.command)
            .env("FUSD_MESSAGE", settings.question(asked, ""))
            .stdin(File::open("/dev/null")?)
            .stdout(OpenOptions::new().write(true).open("/dev/null")?)
            .stderr(stderr)
            .own_group();
        let (child, added) = own.spawn(variables(program, asked, settings))?;
        let said = Output::of(said, &child)?;
        let running = Arc::clone(&self.running);
        thread::Builder::new()
            .name("notify".into())
            .spawn(move || {
                for line in lines(said) {
                    tracing::warn!(line, "the command of --notify says");
                }
                if let Ok(status) = child.wait()
                    && !status.success()
                {
                    tracing::warn!(%status, "the command of --notify failed");
                }
                drop(added);
                running.fetch_sub(1, Ordering::SeqCst);
            })?;
        Ok(())
    }
}

/// What a command says, as far as it is worth reading.
fn lines(mut said: Output) -> Vec<String> {
    let mut text = Vec::new();
    let mut part = [0; 512];
    // All of it is read, or the command would wait.
    while let Ok(count @ 1..) = said.read(&mut part) {
        let left = SAID.saturating_sub(text.len());
        text.extend_from_slice(&part[..count.min(left)]);
    }
    let lines = text.split(|byte| *byte == b'\n');
    let lines = lines.filter(|line| !line.is_empty());
    lines.map(text::printable_bytes).collect()
}

/// What a command is told of who asks.
pub(crate) fn variables(program: Program, asked: &Asked, settings: &Settings) -> Program {
    let who = &asked.who;
    let path = who.program.clone().unwrap_or_default();
    let program = program
        .caller(who.pid, who.uid, who.gid)
        .env("FUSD_COMM", &who.name)
        .env("FUSD_PROGRAM", path)
        .env("FUSD_OPERATION", asked.operation.word());
    match settings.node.get() {
        Some(node) => program.env("FUSD_PATH", node),
        None => program,
    }
}
