//! Who has written: processes that inherit an open file, and end, say nothing of what others write.

use fusd::Caller;
use fusd::request::FlushRequest;

/// Threads that have written, each with its process.
#[derive(Debug, Default)]
pub(super) struct Writers(Vec<Writer>);

/// A thread, and its process.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Writer {
    thread: u32,
    process: u32,
}

impl Writer {
    /// What /proc tells of `caller` now: it must not be called where a lock is held.
    pub(super) fn of(caller: &Caller) -> Self {
        Self {
            thread: caller.thread,
            process: caller.pid(),
        }
    }
}

impl Writers {
    pub(super) fn add(&mut self, writer: Writer) {
        if !self.0.contains(&writer) {
            self.0.push(writer);
        }
    }

    pub(super) fn clear(&mut self) {
        self.0.clear();
    }

    /// Whether `writer` is one of them; of a thread that is gone already, /proc tells no process.
    pub(super) fn has(&self, writer: Writer) -> bool {
        let same = |it: &Writer| it.thread == writer.thread || it.process == writer.process;
        self.0.iter().any(same)
    }
}

/// Whether the one who closes the file is ended by a signal: then the kernel closes its files, and
/// nobody knows whether all was written. /proc/PID/stat has its exit code, which is 0 where this
/// process may not know it.
pub(super) fn is_killed(request: &FlushRequest) -> bool {
    let thread = request.caller().thread;
    // A thread in the middle of execve(2) closes files as well, and holds a lock that reading its stat
    // waits for (fs/proc/array.c, do_task_stat; fs/exec.c, begin_new_exec): it would wait for us, and we
    // for it. Unlike one that ends, it has memory.
    let status = std::fs::read_to_string(format!("/proc/{thread}/status")).unwrap_or_default();
    if status.contains("\nVmSize:") {
        return false;
    }
    match std::fs::read_to_string(format!("/proc/{thread}/stat")) {
        Ok(stat) => {
            // The last field; the lower bits of it are the signal.
            let code = stat.trim_end().rsplit(' ').next();
            let code = code.and_then(|code| code.parse().ok());
            code.is_some_and(|code: u32| code & 0x7f != 0)
        }
        // It has not waited for the answer, as a signal has come; and it has ended since.
        Err(_) => request.is_abandoned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_process_has_written_if_one_of_its_threads_has() {
        let writer = |thread, process| Writer { thread, process };
        let mut writers = Writers::default();
        writers.add(writer(11, 10));
        writers.add(writer(11, 10));
        assert_eq!(writers.0.len(), 1);
        assert!(writers.has(writer(12, 10)), "another thread");
        assert!(writers.has(writer(11, 11)), "which is gone");
        assert!(!writers.has(writer(20, 20)), "a bystander");
        writers.clear();
        assert!(!writers.has(writer(11, 10)));
    }
}
