//! The tool's own standard input and output as clients of the pipe.

use std::io::{self, Read, Write};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::Duration;

use fusd::{Caller, Errno, StopHandle};
use nix::unistd::{getgid, getuid};

use crate::device::PipeDevice;
use crate::label;
use crate::pipe::{Given, Reading, Writing};
use crate::settings::{Eof, Full, Mode};

/// The files that they are, in numbers that no session gives.
const INPUT: u64 = u64::MAX;
const OUTPUT: u64 = u64::MAX - 1;

/// Bytes that go through at once.
const CHUNK: usize = 64 << 10;

/// How long standard input waits at most before it tries again what its journal did not take.
const JOURNAL_PAUSE: Duration = Duration::from_secs(1);

/// Which of them take part.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Streams {
    pub(crate) input: bool,
    pub(crate) output: bool,
}

impl Streams {
    /// Has them open the pipe, before anybody else can.
    pub(crate) fn enter(self, device: &PipeDevice) {
        device.change(|pipe, now| {
            if self.input {
                pipe.enter(INPUT, false, true, now);
            }
            if self.output {
                pipe.enter(OUTPUT, true, false, now);
            }
        });
    }

    /// Starts the threads that copy. When one has come to its end and nothing is left to do, it
    /// calls `stop`.
    ///
    /// # Errors
    /// There is no thread to be had.
    pub(crate) fn start(self, device: &PipeDevice, stop: &StopHandle) -> io::Result<()> {
        let on_its_way = Arc::new(Mutex::new(()));
        if self.input {
            let (device, stop) = (device.clone(), stop.clone());
            let on_its_way = Arc::clone(&on_its_way);
            let run = move || {
                feed(&device, io::stdin().lock());
                wait_until_over(&device, &on_its_way);
                stop.stop();
            };
            thread::Builder::new().name("input".into()).spawn(run)?;
        }
        if self.output {
            let (device, stop) = (device.clone(), stop.clone());
            // Where that is the end of our input as well, other readers may not have come so far:
            // the thread above waits for them.
            let settings = device.settings();
            let is_inputs =
                self.input && settings.eof == Eof::LastWriter && settings.mode != Mode::Ring;
            let run = move || {
                let end = drain(&device, io::stdout().lock(), &on_its_way);
                if !(is_inputs && end == End::OfFile) {
                    stop.stop();
                }
            };
            thread::Builder::new().name("output".into()).spawn(run)?;
        }
        Ok(())
    }
}

/// Writes to the pipe what `input` says, to its end.
fn feed(device: &PipeDevice, mut input: impl Read) {
    let caller = Caller {
        thread: std::process::id(),
        uid: getuid().as_raw(),
        gid: getgid().as_raw(),
    };
    let mut buffer = vec![0; CHUNK];
    loop {
        let count = match input.read(&mut buffer) {
            Ok(0) => break,
            Ok(count) => count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => continue,
            Err(error) => {
                tracing::error!(error = %Errno::from(&error), "standard input ends here");
                break;
            }
        };
        let label = label::text(&device.settings().labels, &caller);
        let data = &buffer[..count];
        let written = match device.link() {
            Some(link) => link.write_all(INPUT, data, label),
            None => write_all(device, data, &label),
        };
        if let Err(errno) = written {
            tracing::error!(error = %errno, "what standard input said is not taken");
        }
    }
    if let Some(link) = device.link() {
        link.finish(INPUT);
    }
    device.change(|pipe, _| pipe.leave(INPUT));
}

fn write_all(device: &PipeDevice, mut data: &[u8], label: &[u8]) -> Result<(), Errno> {
    let mut told = false;
    while !data.is_empty() {
        let seen = device.bell().count();
        let outcome = device.change(|pipe, now| {
            let outcome = pipe.writing(INPUT, data, label);
            let Writing::Taken(taken) = outcome else {
                return Ok(outcome);
            };
            if let Err(errno) = pipe.record(INPUT, &taken) {
                pipe.undo(INPUT, taken);
                return Err(errno);
            }
            pipe.keep(&taken, now);
            Ok(Writing::Taken(taken))
        });
        let outcome = match outcome {
            Ok(outcome) => outcome,
            Err(error) => {
                if !told {
                    told = true;
                    tracing::error!(%error, "standard input waits until its journal takes it");
                }
                // Somebody reads, or somebody makes room on the disk, of which nobody tells.
                device.bell().wait_at_most(seen, JOURNAL_PAUSE);
                continue;
            }
        };
        match outcome {
            Writing::Taken(taken) => {
                told = false;
                data = &data[taken.count..];
            }
            Writing::Wait => device.bell().wait(seen),
            // Standard input has no other choice than to wait.
            Writing::Fail(Errno::EAGAIN) if device.settings().full == Full::Eagain => {
                device.bell().wait(seen);
            }
            Writing::Fail(errno) => return Err(errno),
        }
    }
    Ok(())
}

/// Why standard output gets no more.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    OfFile,
    OfOutput,
}

/// Writes to `output` what the pipe has, until one of them ends. Holds `on_its_way` while it has what the
/// pipe has no more and `output` not yet; the pipe's own lock comes after that.
fn drain(device: &PipeDevice, mut output: impl Write, on_its_way: &Mutex<()>) -> End {
    let end = loop {
        let held = on_its_way.lock().unwrap_or_else(PoisonError::into_inner);
        let seen = device.bell().count();
        let bytes = device.change(|pipe, now| {
            pipe.tell_of_losses(OUTPUT);
            match pipe.reading(OUTPUT, CHUNK, now) {
                Reading::Wait => Some((Vec::new(), Given::default())),
                Reading::End if device.settings().eof == Eof::Content => {
                    Some((Vec::new(), Given::default()))
                }
                Reading::End => None,
                Reading::Bytes(piece) => {
                    let bytes = pipe.parts(OUTPUT, piece).concat();
                    Some((bytes, pipe.consume(OUTPUT, piece, now)))
                }
            }
        });
        let Some((bytes, mut given)) = bytes else {
            break End::OfFile;
        };
        if bytes.is_empty() {
            drop(held);
            device.bell().wait(seen);
            continue;
        }
        if let Err((written, error)) = write_out(&mut output, &bytes) {
            if error.kind() != io::ErrorKind::BrokenPipe {
                tracing::error!(error = %Errno::from(&error), "standard output ends here");
            }
            given.split(written).note();
            // Somebody else may want it.
            device.change(|pipe, _| pipe.unread(OUTPUT, &bytes[written..], given));
            break End::OfOutput;
        }
        given.note();
    };
    device.change(|pipe, _| pipe.leave(OUTPUT));
    end
}

/// How much was written comes with the error.
fn write_out(output: &mut impl Write, bytes: &[u8]) -> Result<(), (usize, io::Error)> {
    let mut written = 0;
    while written < bytes.len() {
        match output.write(&bytes[written..]) {
            Ok(0) => return Err((written, io::ErrorKind::WriteZero.into())),
            Ok(count) => written += count,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err((written, error)),
        }
    }
    output.flush().map_err(|error| (written, error))
}

/// Waits until all is read that can be, and everybody has gone. What standard output has read is written
/// as well then, or in the pipe again.
fn wait_until_over(device: &PipeDevice, on_its_way: &Mutex<()>) {
    loop {
        let seen = device.bell().count();
        let settled = on_its_way.lock().unwrap_or_else(PoisonError::into_inner);
        if device.look(|pipe| pipe.is_over(OUTPUT)) {
            return;
        }
        drop(settled);
        device.bell().wait(seen);
    }
}
