//! What a guest says while it lives: the kernel's console, its command's output and errors, and how
//! the command ended. Each comes through a pipe of its own; nothing here knows what fills it.

use std::io::{self, PipeReader, PipeWriter, Read, Write};
use std::os::fd::{AsRawFd, RawFd};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use nix::fcntl::{FcntlArg, FdFlag, fcntl};

/// How a guest came to its end.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum End {
    /// The command ended with this status.
    Status(u8),
    /// The guest was killed at the deadline.
    Deadline,
    /// The guest ended, or could not start the command.
    Lost,
}

/// The streams that end with the mark: the console, output and errors.
const STREAMS: usize = 3;

/// How long a dead guest's last words, or an ended command's last output, may take.
const GRACE: Duration = Duration::from_secs(5);

/// The guest's ends of the pipes. The programs that are started inherit them.
pub(crate) struct Ends {
    console: PipeWriter,
    output: PipeWriter,
    errors: PipeWriter,
    status: PipeWriter,
}

/// This program's ends.
pub(crate) struct Channels {
    console: PipeReader,
    output: PipeReader,
    errors: PipeReader,
    status: PipeReader,
}

/// The threads that read what the guest says.
pub(crate) struct Listener {
    events: Receiver<Event>,
    console: JoinHandle<Vec<u8>>,
    threads: Vec<JoinHandle<()>>,
    /// How many of the streams did not come to their mark yet.
    open: usize,
}

enum Event {
    Told(End),
    /// A stream came to its mark.
    Marked,
    /// Nothing holds the console any more.
    Ended,
}

/// Makes the pipes.
pub(crate) fn channels() -> Result<(Channels, Ends)> {
    let make = || -> io::Result<_> {
        let [console, output, errors, status] =
            [io::pipe()?, io::pipe()?, io::pipe()?, io::pipe()?];
        Ok((
            Channels {
                console: console.0,
                output: output.0,
                errors: errors.0,
                status: status.0,
            },
            Ends {
                console: console.1,
                output: output.1,
                errors: errors.1,
                status: status.1,
            },
        ))
    };
    let (channels, ends) = make().context("cannot make a pipe for the guest")?;
    for end in [&ends.console, &ends.output, &ends.errors, &ends.status] {
        fcntl(end, FcntlArg::F_SETFD(FdFlag::empty())).context("cannot pass on a pipe")?;
    }
    Ok((channels, ends))
}

impl Ends {
    /// The console once more, for a program's own output.
    pub(crate) fn console_copy(&self) -> Result<PipeWriter> {
        self.console.try_clone().context("cannot copy a pipe")
    }

    pub(crate) fn console(&self) -> RawFd {
        self.console.as_raw_fd()
    }

    pub(crate) fn output(&self) -> RawFd {
        self.output.as_raw_fd()
    }

    pub(crate) fn errors(&self) -> RawFd {
        self.errors.as_raw_fd()
    }

    pub(crate) fn status(&self) -> RawFd {
        self.status.as_raw_fd()
    }
}

impl Channels {
    /// Shows output and errors as they come, and gathers the rest. `mark` ends output, errors and
    /// console; without one they are not waited for.
    pub(crate) fn listen(self, mark: Option<Vec<u8>>) -> Listener {
        let (sender, events) = mpsc::channel();
        let open = mark.as_ref().map_or(0, |_| STREAMS);
        let mark = mark.unwrap_or_default();
        let (status, told) = (self.status, sender.clone());
        let threads = vec![
            show(self.output, io::stdout(), mark.clone(), sender.clone()),
            show(self.errors, io::stderr(), mark.clone(), sender.clone()),
            thread::spawn(move || hear(status, &told)),
        ];
        Listener {
            events,
            console: collect(self.console, mark, sender),
            threads,
            open,
        }
    }
}

impl Listener {
    /// Waits until the command ended and all that it wrote is shown, or for the deadline.
    pub(crate) fn wait(&mut self, deadline: Option<Duration>) -> End {
        let begin = Instant::now();
        let end = loop {
            let event = match deadline {
                Some(deadline) => {
                    let left = deadline.saturating_sub(begin.elapsed());
                    self.events.recv_timeout(left)
                }
                None => self.events.recv().map_err(RecvTimeoutError::from),
            };
            match event {
                Ok(Event::Marked) => self.open = self.open.saturating_sub(1),
                Ok(Event::Told(end)) => break end,
                Err(RecvTimeoutError::Timeout) => return End::Deadline,
                Ok(Event::Ended) | Err(RecvTimeoutError::Disconnected) => break self.last_word(),
            }
        };
        // The status may have overtaken what the command wrote before.
        while matches!(end, End::Status(_))
            && self.open > 0
            && let Ok(event) = self.events.recv_timeout(GRACE)
        {
            if matches!(event, Event::Marked) {
                self.open -= 1;
            }
        }
        end
    }

    /// What a guest that is gone had said of its end.
    fn last_word(&self) -> End {
        while let Ok(event) = self.events.recv_timeout(GRACE) {
            if let Event::Told(end) = event {
                return end;
            }
        }
        End::Lost
    }

    /// Waits until the guest's ends of the pipes are closed. Returns the console.
    pub(crate) fn finish(self) -> String {
        for thread in self.threads {
            // A closed pipe of this program's own is no reason to fail.
            let _ = thread.join();
        }
        let console = self.console.join().unwrap_or_default();
        String::from_utf8_lossy(&console).replace('\r', "")
    }
}

/// Gathers the console.
fn collect(pipe: PipeReader, mark: Vec<u8>, sender: Sender<Event>) -> JoinHandle<Vec<u8>> {
    thread::spawn(move || {
        let mut console = Vec::new();
        copy(pipe, &mut console, &mark, || send(&sender, Event::Marked));
        send(&sender, Event::Ended);
        console
    })
}

/// Shows a stream.
fn show(
    pipe: PipeReader,
    mut target: impl Write + Send + 'static,
    mark: Vec<u8>,
    sender: Sender<Event>,
) -> JoinHandle<()> {
    thread::spawn(move || copy(pipe, &mut target, &mark, || send(&sender, Event::Marked)))
}

/// Nobody listens any more when the end is known.
fn send(sender: &Sender<Event>, event: Event) {
    let _ = sender.send(event);
}

/// Passes on what comes, at once, but for the mark, of which it tells. Goes on reading when nobody
/// wants it: the guest shall not wait.
fn copy(mut pipe: impl Read, target: &mut impl Write, mut mark: &[u8], marked: impl FnOnce()) {
    let mut marked = Some(marked);
    let mut buffer = [0; 16 * 1024];
    let mut held = Vec::new();
    while let Ok(length @ 1..) = pipe.read(&mut buffer) {
        held.extend_from_slice(&buffer[..length]);
        let (ready, is_marked) = before(mark, &held);
        let _ = target.write_all(&held[..ready]);
        let _ = target.flush();
        held.drain(..ready);
        if is_marked && let Some(marked) = marked.take() {
            held.drain(..mark.len());
            mark = &[];
            marked();
        }
    }
    let _ = target.write_all(&held);
    let _ = target.flush();
}

/// How much of the text is before the mark for sure, and whether the mark is there.
fn before(mark: &[u8], text: &[u8]) -> (usize, bool) {
    let Some(first) = mark.first() else {
        return (text.len(), false);
    };
    for (at, _) in text.iter().enumerate().filter(|(_, byte)| *byte == first) {
        if text[at..].starts_with(mark) {
            return (at, true);
        }
        // The mark may have come in part.
        if mark.starts_with(&text[at..]) {
            return (at, false);
        }
    }
    (text.len(), false)
}

/// Reads what the first program says: `exit STATUS`, or why it cannot go on.
fn hear(mut pipe: impl Read, sender: &Sender<Event>) {
    let mut line = Vec::new();
    let mut byte = [0];
    while let Ok(1) = pipe.read(&mut byte) {
        match byte[0] {
            b'\n' => {
                let end = parse_end(&String::from_utf8_lossy(&line));
                send(sender, Event::Told(end));
                line.clear();
            }
            byte => line.push(byte),
        }
    }
}

fn parse_end(line: &str) -> End {
    let line = line.trim();
    match line
        .strip_prefix("exit ")
        .and_then(|status| status.parse().ok())
    {
        Some(status) => End::Status(status),
        None => {
            eprintln!("{line}");
            End::Lost
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_last_word_is_the_status() {
        assert_eq!(parse_end("exit 0\r"), End::Status(0));
        assert_eq!(parse_end("exit 137"), End::Status(137));
        assert_eq!(parse_end("lab: cannot mount a tmpfs"), End::Lost);
    }

    #[test]
    fn a_status_counts_though_the_console_ended_first() {
        let (channels, ends) = channels().unwrap();
        let mut listener = channels.listen(None);
        drop(ends.console);
        (&ends.status).write_all(b"exit 3\n").unwrap();
        assert_eq!(listener.wait(None), End::Status(3));
        drop((ends.output, ends.errors, ends.status));
        assert_eq!(listener.wait(None), End::Lost);
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let (channels, _ends) = channels().unwrap();
        let mut listener = channels.listen(Some(b"mark".to_vec()));
        assert_eq!(listener.wait(Some(Duration::from_millis(1))), End::Deadline);
    }

    #[test]
    fn a_status_waits_for_what_it_overtook() {
        let (channels, ends) = channels().unwrap();
        let mut listener = channels.listen(Some(b"\0x\0".to_vec()));
        (&ends.status).write_all(b"exit 0\n").unwrap();
        let late = thread::spawn(move || {
            for mut end in [&ends.output, &ends.errors, &ends.console] {
                end.write_all(b"\0x\0").unwrap();
            }
            ends
        });
        assert_eq!(listener.wait(None), End::Status(0));
        assert_eq!(listener.open, 0);
        drop(late.join().unwrap());
    }

    #[test]
    fn a_stream_is_passed_on_without_its_mark_however_it_is_cut() {
        /// Gives one byte at a time.
        struct Slow<'a>(&'a [u8]);
        impl Read for Slow<'_> {
            fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
                self.0.read(&mut buffer[..1])
            }
        }
        for (text, shown, count) in [
            (&b"a\0b\0\0x\0rest\0x\0"[..], &b"a\0b\0rest\0x\0"[..], 1),
            (b"\0x\0", b"", 1),
            (b"no mark\0x", b"no mark\0x", 0),
            (b"", b"", 0),
        ] {
            let (mut slowly, mut at_once) = (Vec::new(), Vec::new());
            let mut marks = [0, 0];
            copy(Slow(text), &mut slowly, b"\0x\0", || marks[0] += 1);
            copy(text, &mut at_once, b"\0x\0", || marks[1] += 1);
            assert_eq!((slowly.as_slice(), at_once.as_slice()), (shown, shown));
            assert_eq!(marks, [count, count]);
        }
    }

    #[test]
    fn what_may_be_the_marks_beginning_waits() {
        assert_eq!(before(b"\0x\0", b"ab\0"), (2, false));
        assert_eq!(before(b"\0x\0", b"ab\0\0x"), (3, false));
        assert_eq!(before(b"\0x\0", b"ab\0\0x\0"), (3, true));
        assert_eq!(before(b"", b"ab"), (2, false));
    }
}
