//! A file that is written on a thread of its own: whoever has something to note waits for no disk, no
//! terminal and no pipe.

use std::fs::File;
use std::io::{self, Write};
use std::sync::mpsc::{
    Receiver, RecvTimeoutError, Sender, SyncSender, TrySendError, channel, sync_channel,
};
use std::thread;
use std::time::Duration;

/// Notes that wait to be written at most.
const WAITING: usize = 1024;

/// How long the end waits for them to be written.
const PATIENCE: Duration = Duration::from_secs(2);

/// Dropped, it ends when all is written, or not much later.
pub(super) struct Writer {
    /// The option that asked for the file.
    option: &'static str,
    notes: Option<SyncSender<Vec<u8>>>,
    /// Nothing comes, but the end.
    ended: Receiver<()>,
    /// Notes there was no room for: since the last one there was, and in all.
    missing: u64,
    dropped: u64,
}

impl Writer {
    /// # Errors
    /// There is no thread to be had.
    pub(super) fn start(mut file: File, option: &'static str) -> io::Result<Self> {
        let (notes, waiting) = sync_channel::<Vec<u8>>(WAITING);
        let (end, ended) = channel();
        let write = move || {
            let _end: Sender<()> = end;
            for note in waiting {
                if let Err(error) = file.write_all(&note) {
                    tracing::error!(%error, "cannot write to the file of {option}; it ends here");
                    return;
                }
            }
        };
        thread::Builder::new().name("notes".into()).spawn(write)?;
        Ok(Self {
            option,
            notes: Some(notes),
            ended,
            missing: 0,
            dropped: 0,
        })
    }

    /// Has a note written, if there is room. It is made of the number of those that are missing
    /// before it.
    pub(super) fn write(&mut self, note: impl FnOnce(u64) -> Vec<u8>) {
        let Some(notes) = &self.notes else { return };
        match notes.try_send(note(self.missing)) {
            Ok(()) => self.missing = 0,
            Err(TrySendError::Full(_)) => {
                self.missing += 1;
                self.dropped += 1;
            }
            // It has said why.
            Err(TrySendError::Disconnected(_)) => self.notes = None,
        }
    }
}

impl Drop for Writer {
    fn drop(&mut self) {
        drop(self.notes.take());
        let option = self.option;
        if self.ended.recv_timeout(PATIENCE) == Err(RecvTimeoutError::Timeout) {
            tracing::warn!("the file of {option} takes nothing; its end is missing");
        }
        if self.dropped > 0 {
            let count = self.dropped;
            tracing::warn!("the file of {option} was too slow for {count} events, which it lacks");
        }
    }
}

#[test]
fn nobody_waits_for_a_pipe_that_nobody_reads() {
    let (mut reader, writer) = io::pipe().unwrap();
    let file = File::from(std::os::fd::OwnedFd::from(writer));
    let mut notes = Writer::start(file, "--log").unwrap();
    let mut count = 0;
    // The pipe is full, then the queue; it would hang here.
    while notes.dropped < 10 {
        notes.write(|_| vec![b'x'; 4096]);
        count += 1;
    }
    let missing = notes.dropped;
    let read = thread::spawn(move || {
        let mut all = Vec::new();
        io::Read::read_to_end(&mut reader, &mut all).map(|_| all.len())
    });
    drop(notes);
    assert_eq!(
        read.join().unwrap().unwrap(),
        4096 * (count - missing) as usize
    );
}
