//! What `fusd trace` and others who may look into this process see of its calls, while they look.
//!
//! Each session has a page of memory in a file of its own, `memfd:fusd-trace:` and the end of the
//! node's path. Who wants to trace opens it by /proc/PID/fd, which takes the right to look into the
//! process (the same user, or root), writes the abstract name of a socket that listens
//! (`SOCK_SEQPACKET`) behind the flag, and then sets the flag to a number of its own. From then on each
//! call that begins is told of when it ends, by a message that does not wait for anybody. When nobody
//! receives any more, the flag is cleared.
//!
//! A message holds fields that end with a NUL: process, user, program, call, arguments, result,
//! microseconds, and how many messages before it were lost.

use std::ffi::CString;
use std::fmt::Write;
use std::num::NonZeroUsize;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::Path;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use nix::errno::Errno as Raw;
use nix::sys::socket::{
    AddressFamily, MsgFlags, SockFlag, SockType, UnixAddr, connect, send, socket,
};

use crate::Caller;
use crate::backend::buffer::Buffer;
use crate::backend::{Answer, BackendKind, Operation, page_size};
use crate::sync::lock;
use crate::sys::mapped::Mapped;
use crate::sys::process::above_stdio;

/// How the name of the file begins; the end of the node's path follows.
const FILE: &str = "fusd-trace:";
/// Bytes of a path that are in it, at most: the kernel takes 249 for all.
const PATH_MAX: usize = 200;
/// Where the socket's name is, and the NULs that fill it up.
const NAME: std::ops::Range<usize> = 8..72;
/// Bytes of data that are shown of a call.
const SHOWN: usize = 32;

/// The page of a session.
pub(crate) struct Trace {
    /// `None` where there is no memory to be had: then nobody traces.
    page: Option<Mapped>,
    /// Messages that have been lost since the last that was not.
    lost: AtomicU64,
    /// Where they go, once there is one, and the flag that this was for.
    socket: Mutex<Option<(u64, OwnedFd)>>,
}

impl Trace {
    /// That of the node at `path`. What serves this process alone has none.
    pub(crate) fn new(kind: BackendKind, path: &Path) -> Self {
        let page = match kind {
            BackendKind::Loopback => None,
            _ => page_of(path),
        };
        Self {
            page,
            lost: AtomicU64::new(0),
            socket: Mutex::new(None),
        }
    }

    /// Whether somebody traces.
    #[inline]
    pub(crate) fn is_watched(&self) -> bool {
        self.flag()
            .is_some_and(|flag| flag.load(Ordering::Relaxed) != 0)
    }

    #[inline]
    fn flag(&self) -> Option<&AtomicU64> {
        self.page.as_ref()?.words().first()
    }

    /// Tells of a call that has ended.
    pub(crate) fn tell(
        &self,
        caller: &Caller,
        call: &str,
        arguments: &str,
        (answer, result): (&Answer<'_>, &str),
        time: Duration,
    ) {
        let data = match answer {
            Answer::Data(parts) => {
                let bytes = parts.iter().flat_map(|part| part.iter().copied());
                format!(" {}", shown(bytes))
            }
            _ => String::new(),
        };
        let lost = self.lost.swap(0, Ordering::Relaxed);
        // It chose that itself: a NUL it cannot have in it.
        let program = caller.program().unwrap_or_default();
        let text = format!(
            "{}\0{}\0{program}\0{call}\0{arguments}\0{result}{data}\0{}\0{lost}\0",
            caller.pid(),
            caller.uid,
            time.as_micros(),
        );
        if self.send(text.as_bytes()).is_none() {
            self.lost.fetch_add(lost + 1, Ordering::Relaxed);
        }
    }

    /// `None` where it was lost: somebody would have received it.
    fn send(&self, message: &[u8]) -> Option<()> {
        let Some(flag) = self.flag() else {
            return Some(());
        };
        // The name was written before the flag.
        let watched = flag.load(Ordering::Acquire);
        if watched == 0 {
            return Some(());
        }
        let mut slot = lock(&self.socket);
        let sent = match &*slot {
            Some((of, socket)) if *of == watched => hand_over(socket, message),
            _ => self.connect().and_then(|socket| {
                let (_, socket) = slot.insert((watched, socket));
                hand_over(socket, message)
            }),
        };
        match sent {
            Ok(()) => Some(()),
            // It is not received fast enough.
            Err(Raw::EAGAIN | Raw::ENOBUFS | Raw::ENOMEM) => None,
            // Nobody receives any more: the next call is not traced, unless another has begun.
            Err(_) => {
                let order = (Ordering::AcqRel, Ordering::Relaxed);
                let _another = flag.compare_exchange(watched, 0, order.0, order.1);
                *slot = None;
                Some(())
            }
        }
    }

    fn connect(&self) -> Result<OwnedFd, Raw> {
        let page = self.page.as_ref().ok_or(Raw::ENOENT)?;
        let bytes = page.bytes().get(NAME).unwrap_or_default();
        let bytes = bytes.iter().map(|byte| byte.load(Ordering::Relaxed));
        let name: Vec<u8> = bytes.take_while(|byte| *byte != 0).collect();
        let address = UnixAddr::new_abstract(&name)?;
        let flags = SockFlag::SOCK_CLOEXEC | SockFlag::SOCK_NONBLOCK;
        let new = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None)?;
        let new = above_stdio(&new)?;
        connect(new.as_raw_fd(), &address)?;
        Ok(new)
    }
}

fn hand_over(socket: &OwnedFd, message: &[u8]) -> Result<(), Raw> {
    let flags = MsgFlags::MSG_NOSIGNAL | MsgFlags::MSG_DONTWAIT;
    send(socket.as_raw_fd(), message, flags).map(drop)
}

fn page_of(path: &Path) -> Option<Mapped> {
    let path = path.as_os_str().as_encoded_bytes();
    let end = &path[path.len().saturating_sub(PATH_MAX)..];
    let name = CString::new([FILE.as_bytes(), end].concat()).ok()?;
    let length = usize::try_from(page_size())
        .ok()
        .and_then(NonZeroUsize::new)?;
    Mapped::named(&name, length)
        .inspect_err(|error| tracing::debug!(%error, "this device cannot be traced"))
        .ok()
}

/// What a call is about, as far as it is known when it begins. `buffer` has its data.
pub(crate) fn arguments(operation: &Operation, buffer: &Buffer) -> String {
    let mut text = String::new();
    let data = |range: &std::ops::Range<usize>| {
        let bytes = buffer.get(range.clone()).unwrap_or_default();
        (shown(bytes.iter().copied()), bytes.len())
    };
    // Writing to a string does not fail.
    let _written = match operation {
        Operation::Open { flags } => write!(text, "{flags:?}"),
        Operation::Release { file } | Operation::Flush { file } => write!(text, "{}", file.0),
        Operation::Read {
            file,
            offset,
            length,
            ..
        } => write!(text, "{}, {length}, {offset}", file.0),
        Operation::Write {
            file,
            offset,
            data: range,
            ..
        } => {
            let (data, length) = data(range);
            write!(text, "{}, {data}, {length}, {offset}", file.0)
        }
        Operation::Ioctl {
            file,
            command,
            argument,
            input,
            ..
        } => {
            let (data, length) = data(input);
            let number = command.raw();
            match length {
                0 => write!(text, "{}, {number:#x}, {argument:#x}", file.0),
                _ => write!(text, "{}, {number:#x}, {data}", file.0),
            }
        }
        Operation::Poll { file, .. } => write!(text, "{}", file.0),
        Operation::Sync { file, data_only } => match data_only {
            true => write!(text, "{}, data", file.0),
            false => write!(text, "{}", file.0),
        },
        Operation::Size { file } => match file {
            Some(file) => write!(text, "{}", file.0),
            None => Ok(()),
        },
    };
    text
}

/// Bytes as a C string has them, the first of many.
fn shown(mut bytes: impl Iterator<Item = u8>) -> String {
    let first: Vec<u8> = bytes.by_ref().take(SHOWN).collect();
    let rest = match bytes.next() {
        Some(_) => "...",
        None => "",
    };
    format!("\"{}\"{rest}", first.escape_ascii())
}

#[cfg(test)]
mod tests {
    use std::fs::File;
    use std::io::IoSlice;
    use std::os::fd::AsFd;
    use std::os::unix::fs::FileExt;

    use nix::sys::socket::{Backlog, accept, bind, listen, recv};

    use super::*;

    fn trace() -> (Trace, File) {
        let trace = Trace::new(BackendKind::Fuse, Path::new("/dev/x"));
        let page = trace.page.as_ref().unwrap();
        let file = page.file().as_fd().try_clone_to_owned().unwrap();
        (trace, file.into())
    }

    /// Traces from now on.
    fn watch(file: &File, flag: u64) -> OwnedFd {
        let name = format!("fusd-trace-test-{}-{flag}", std::process::id());
        let flags = SockFlag::SOCK_CLOEXEC;
        let listener = socket(AddressFamily::Unix, SockType::SeqPacket, flags, None).unwrap();
        let address = UnixAddr::new_abstract(name.as_bytes()).unwrap();
        bind(listener.as_raw_fd(), &address).unwrap();
        listen(&listener, Backlog::new(1).unwrap()).unwrap();
        let mut padded = name.into_bytes();
        padded.resize(NAME.len(), 0);
        file.write_all_at(&padded, NAME.start as u64).unwrap();
        file.write_all_at(&flag.to_ne_bytes(), 0).unwrap();
        listener
    }

    fn message(listener: &OwnedFd) -> Vec<String> {
        let file = accept(listener.as_raw_fd()).unwrap();
        let mut message = [0; 4096];
        let length = recv(file, &mut message, MsgFlags::empty()).unwrap();
        nix::unistd::close(file).unwrap();
        let text = String::from_utf8_lossy(&message[..length]).into_owned();
        text.split_terminator('\0').map(str::to_owned).collect()
    }

    fn tell(trace: &Trace) {
        let caller = Caller {
            thread: std::process::id(),
            uid: 7,
            gid: 8,
        };
        let data = [IoSlice::new(b"ab\n"), IoSlice::new(b"\0")];
        let answer = Answer::Data(&data);
        let time = Duration::from_millis(2);
        trace.tell(&caller, "read", "1, 10, 0", (&answer, "4"), time);
    }

    #[test]
    fn who_sets_the_flag_is_told_until_he_leaves() {
        let (trace, file) = trace();
        assert!(!trace.is_watched());
        tell(&trace);
        let first = watch(&file, 5);
        assert!(trace.is_watched());
        tell(&trace);
        let fields = message(&first);
        assert_eq!(fields[0], std::process::id().to_string());
        assert_eq!(fields[1], "7");
        let rest = ["read", "1, 10, 0", "4 \"ab\\n\\x00\"", "2000", "0"];
        assert_eq!(fields[3..], rest, "what nobody wanted was not lost");
        drop(first);
        tell(&trace);
        assert!(!trace.is_watched(), "nobody is there any more");
    }

    #[test]
    fn another_takes_over() {
        let (trace, file) = trace();
        let first = watch(&file, 6);
        tell(&trace);
        let second = watch(&file, 7);
        tell(&trace);
        assert_eq!(message(&second).len(), 8);
        assert_eq!(message(&first).len(), 8);
        assert!(trace.is_watched());
    }

    #[test]
    fn much_data_is_cut() {
        let text = shown([b'x'; SHOWN + 1].into_iter());
        assert_eq!(text, format!("\"{}\"...", "x".repeat(SHOWN)));
        let text = shown([b'x'; SHOWN].into_iter());
        assert_eq!(text, format!("\"{}\"", "x".repeat(SHOWN)));
    }

    #[test]
    fn a_client_in_this_process_is_not_traced() {
        let trace = Trace::new(BackendKind::Loopback, Path::new("/dev/x"));
        assert!(!trace.is_watched() && trace.page.is_none());
    }
}
