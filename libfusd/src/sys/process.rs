//! Processes of our own: detached helpers that outlive the driver, and programs that we run.
//!
//! Both keep out of the way of the process that uses this library: no child of ours is ever found
//! by its `wait` calls, raises a `SIGCHLD`, or runs one of its signal or fork handlers.
//!
//! Invariant ALONE: a forked child has one thread and a private copy of the memory. What other
//! threads held at the time of the fork (the locks of the allocator among them) stays held for
//! ever, so a child makes system calls and nothing else: it must not allocate, lock or panic.

use std::ffi::{CStr, CString};
use std::os::fd::{AsFd, AsRawFd, BorrowedFd, FromRawFd, OwnedFd, RawFd};
use std::ptr;

use nix::Result;
use nix::errno::Errno;
use nix::fcntl::{FcntlArg, FdFlag, OFlag, fcntl, open};
use nix::sys::signal::{SigSet, SigmaskHow, pthread_sigmask};
use nix::sys::stat::Mode;

/// The exit status of a helper that could not go on.
const FAILED: i32 = 127;

/// A descriptor that becomes readable when the process `pid` ends.
pub(crate) fn pidfd_open(pid: u32) -> Result<OwnedFd> {
    // SAFETY: the call takes two integers and no pointer.
    let result = unsafe { libc::syscall(libc::SYS_pidfd_open, pid, 0) };
    let fd = i32::try_from(Errno::result(result)?).map_err(|_| Errno::EBADF)?;
    // SAFETY: the kernel has just made this descriptor for us: it is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(fd) })
}

/// `flock(2)` without waiting: takes the exclusive lock of the open file, or gives it up.
pub(crate) fn try_flock(file: BorrowedFd<'_>, lock: bool) -> Result<()> {
    let operation = if lock {
        libc::LOCK_EX | libc::LOCK_NB
    } else {
        libc::LOCK_UN
    };
    // SAFETY: the call takes two integers and no pointer.
    Errno::result(unsafe { libc::flock(file.as_raw_fd(), operation) }).map(drop)
}

/// Runs `body` in a new process that has nothing to do with this one, and does not wait for it.
///
/// The process is called `name`, belongs to a session of its own, has `/` as its directory,
/// ignores every signal that can be ignored except `SIGALRM` and the faults, and holds no
/// descriptors but `keep`, all of them above 2. When `body` returns, it exits.
///
/// `body` runs under the invariant ALONE of this module: it may make system calls only.
pub(crate) fn spawn_detached<F: FnOnce()>(name: &CStr, keep: &mut [RawFd], body: F) -> Result<()> {
    keep.sort_unstable();
    debug_assert!(keep.first().is_none_or(|&lowest| lowest > 2));
    let status = run_child(|| match fork(0) {
        Ok(Forked::Parent(_)) => 0,
        Ok(Forked::Child) => {
            let _ = nix::sys::prctl::set_name(name);
            close_others(keep);
            body();
            0
        }
        Err(errno) => errno as i32,
    })?;
    if status == 0 {
        Ok(())
    } else {
        Err(Errno::from_raw(status))
    }
}

/// A program with its arguments and its environment, ready to be run even from a child that may
/// not allocate.
pub(crate) struct Program {
    path: CString,
    // The pointers of `argv` and `envp` lead into these, which are never touched again.
    _strings: Vec<CString>,
    argv: Vec<*const libc::c_char>,
    envp: Vec<*const libc::c_char>,
}

// SAFETY: the pointers lead into heap memory that `Program` owns and nobody changes until it is
// dropped, so they mean the same in every thread.
unsafe impl Send for Program {}
// SAFETY: as above: shared access only reads.
unsafe impl Sync for Program {}

impl Program {
    /// The program at `path`. `args` starts with its name.
    pub(crate) fn new(path: CString, args: Vec<CString>, env: Vec<CString>) -> Self {
        let pointers = |list: &[CString]| {
            let mut all: Vec<_> = list.iter().map(|text| text.as_ptr()).collect();
            all.push(ptr::null());
            all
        };
        let (argv, envp) = (pointers(&args), pointers(&env));
        let strings = args.into_iter().chain(env).collect();
        Self {
            path,
            _strings: strings,
            argv,
            envp,
        }
    }

    /// Runs the program to its end and returns its exit status: 127 where it could not be run,
    /// 128 and more where a signal ended it.
    ///
    /// `errors` becomes its standard error. `inherit` is passed on under its own number.
    pub(crate) fn run(
        &self,
        inherit: Option<BorrowedFd<'_>>,
        errors: Option<BorrowedFd<'_>>,
    ) -> Result<i32> {
        run_child(|| match fork(libc::SIGCHLD) {
            Ok(Forked::Parent(pid)) => wait(pid).unwrap_or(FAILED),
            Ok(Forked::Child) => {
                if let Some(errors) = errors {
                    let _ = nix::unistd::dup2_stderr(errors);
                }
                if let Some(fd) = inherit {
                    let _ = fcntl(fd, FcntlArg::F_SETFD(FdFlag::empty()));
                }
                self.exec();
                FAILED
            }
            Err(_) => FAILED,
        })
    }

    /// `execve(2)`. Returns only if it fails.
    fn exec(&self) {
        // SAFETY: `path` ends with a NUL; both arrays end with a null pointer and hold pointers
        // into `_strings`, which live as long as `self` and whose memory never moves.
        unsafe { libc::execve(self.path.as_ptr(), self.argv.as_ptr(), self.envp.as_ptr()) };
    }
}

enum Forked {
    Parent(libc::pid_t),
    Child,
}

/// Forks. `exit_signal` is what the parent is sent at the end of the child: with 0, ordinary
/// `wait` calls do not see the child.
fn fork(exit_signal: libc::c_int) -> Result<Forked> {
    // The bare system call, because fork(3) runs the handlers of pthread_atfork and takes locks.
    // SAFETY: with no CLONE flag set, the child gets a copy of everything, so it can harm nothing
    // here; what it may do itself is bounded by ALONE, which the callers in this module state.
    let result =
        unsafe { libc::syscall(libc::SYS_clone, libc::c_long::from(exit_signal), 0, 0, 0, 0) };
    match Errno::result(result)? {
        0 => Ok(Forked::Child),
        pid => Ok(Forked::Parent(
            i32::try_from(pid).map_err(|_| Errno::ECHILD)?,
        )),
    }
}

/// Runs `body` in a child, with all signals ignored, and returns what it returned (0 to 255).
///
/// Both the child and a child that `body` forks end where `body` ends.
fn run_child<F: FnOnce() -> i32>(body: F) -> Result<i32> {
    // A signal that came between the fork and its being ignored would run a handler of the
    // driver in the child, or end the child.
    let mut before = SigSet::empty();
    pthread_sigmask(
        SigmaskHow::SIG_SETMASK,
        Some(&SigSet::all()),
        Some(&mut before),
    )?;
    let forked = fork(0);
    if let Ok(Forked::Child) = forked {
        let _exit = Exit(FAILED);
        ignore_signals();
        let _ = SigSet::empty().thread_set_mask();
        let _ = nix::unistd::setsid();
        let _ = nix::unistd::chdir(c"/");
        exit(body());
    }
    before.thread_set_mask()?;
    match forked? {
        Forked::Parent(pid) => wait(pid),
        Forked::Child => unreachable!("the child has exited above"),
    }
}

/// Ends the process if dropped: a panic must not unwind into the frames of the parent's copy.
struct Exit(i32);

impl Drop for Exit {
    fn drop(&mut self) {
        exit(self.0);
    }
}

fn exit(status: i32) -> ! {
    // SAFETY: _exit runs no handlers and touches no memory of ours.
    unsafe { libc::_exit(status) }
}

/// Waits for our child `pid`, whatever signal its end raises.
fn wait(pid: libc::pid_t) -> Result<i32> {
    let mut status = 0;
    loop {
        // SAFETY: `status` is an integer of ours that nobody else borrows.
        match Errno::result(unsafe { libc::waitpid(pid, &raw mut status, libc::__WALL) }) {
            Err(Errno::EINTR) => {}
            // Somebody has waited for every child there is: all we lose is the status.
            Err(Errno::ECHILD) => return Ok(0),
            Err(errno) => return Err(errno),
            Ok(_) if libc::WIFEXITED(status) => return Ok(libc::WEXITSTATUS(status)),
            Ok(_) => return Ok(128 + libc::WTERMSIG(status)),
        }
    }
}

/// Ignores what can be ignored; `SIGCHLD`, `SIGALRM` and the faults get their default action.
fn ignore_signals() {
    let default = [
        libc::SIGCHLD,
        libc::SIGALRM,
        libc::SIGSEGV,
        libc::SIGBUS,
        libc::SIGILL,
        libc::SIGFPE,
        libc::SIGABRT,
        libc::SIGSYS,
    ];
    for signal in 1..=libc::SIGRTMAX() {
        let action = if default.contains(&signal) {
            libc::SIG_DFL
        } else {
            libc::SIG_IGN
        };
        // SAFETY: neither action runs code of ours. A number that has no action to set (SIGKILL,
        // those that the C library keeps) is refused, and nothing changes.
        unsafe { libc::signal(signal, action) };
    }
}

/// Closes all descriptors but `keep` (sorted, all above 2) and makes 0 to 2 lead to /dev/null.
fn close_others(keep: &[RawFd]) {
    let mut first = 0;
    for &fd in keep {
        close_range(first, fd - 1);
        first = fd + 1;
    }
    close_range(first, RawFd::MAX);
    // The lowest free number is taken each time: 0, 1, 2.
    for _ in 0..3 {
        if let Ok(null) = open(c"/dev/null", OFlag::O_RDWR, Mode::empty()) {
            std::mem::forget(null);
        }
    }
}

/// Gives the calling thread a table of open files of its own, with nothing in it but 0 to 2: what the
/// process has open does not stay open because of this thread. For threads that own no descriptor.
///
/// # Errors
/// `ENOMEM`: nothing has changed.
pub(crate) fn leave_files() -> Result<()> {
    nix::sched::unshare(nix::sched::CloneFlags::CLONE_FILES)?;
    close_range(3, RawFd::MAX);
    Ok(())
}

fn close_range(first: RawFd, last: RawFd) {
    if first > last {
        return;
    }
    // SAFETY: it takes integers only. Descriptors that owners in the parent's copy of the memory
    // believe in are closed under them, but by ALONE none of those owners ever runs here; in
    // `leave_files` they have the process's table, which is another.
    let result = unsafe { libc::syscall(libc::SYS_close_range, first, last, 0) };
    if result == 0 {
        return;
    }
    // Before Linux 5.9. No process that matters has opened more than this.
    for fd in first..=last.min(1 << 16) {
        // SAFETY: as above.
        unsafe { libc::close(fd) };
    }
}

/// A copy of `fd` with a number above 2, so that a child may redirect 0 to 2.
pub(crate) fn above_stdio(fd: &OwnedFd) -> Result<OwnedFd> {
    let copy = fcntl(fd.as_fd(), FcntlArg::F_DUPFD_CLOEXEC(3))?;
    // SAFETY: fcntl has just made this descriptor for us: it is open and nobody else's.
    Ok(unsafe { OwnedFd::from_raw_fd(copy) })
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::process::Command;

    fn shell(script: &CStr) -> Program {
        let args = vec![c"sh".into(), c"-c".into(), script.into()];
        Program::new(c"/bin/sh".into(), args, vec![c"WORD=7".into()])
    }

    #[test]
    fn a_program_gets_its_arguments_and_environment_and_its_status_comes_back() {
        assert_eq!(shell(c"exit $WORD").run(None, None), Ok(7));
        assert_eq!(shell(c"kill -9 $$").run(None, None), Ok(137));
        let missing = Program::new(c"/nonexistent".into(), Vec::new(), Vec::new());
        assert_eq!(missing.run(None, None), Ok(FAILED));
    }

    #[test]
    fn a_program_inherits_what_it_is_given_and_its_errors_are_caught() {
        let (output, input) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        assert_eq!(shell(c"echo oh >&2").run(None, Some(input.as_fd())), Ok(0));
        let script = CString::new(format!("echo no >&{}", input.as_raw_fd())).unwrap();
        assert_eq!(shell(&script).run(Some(input.as_fd()), None), Ok(0));
        drop(input);
        assert_eq!(
            std::io::read_to_string(std::fs::File::from(output)).unwrap(),
            "oh\nno\n"
        );
    }

    #[test]
    fn a_status_is_not_lost_on_a_process_that_ignores_its_children() {
        const AGAIN: &str = "FUSD_TEST_IGNORES_CHILDREN";
        if std::env::var_os(AGAIN).is_some() {
            assert_eq!(shell(c"exit 7").run(None, None), Ok(7));
            return;
        }
        let test =
            "sys::process::tests::a_status_is_not_lost_on_a_process_that_ignores_its_children";
        let output = Command::new("env")
            .arg("--ignore-signal=CHLD")
            .arg(std::env::current_exe().unwrap())
            .args(["--exact", test])
            .env(AGAIN, "1")
            .output()
            .unwrap();
        assert!(output.status.success(), "{output:?}");
    }

    #[test]
    fn a_detached_process_has_only_what_it_keeps() {
        let (output, input) = nix::unistd::pipe2(OFlag::O_CLOEXEC).unwrap();
        let input = above_stdio(&input).unwrap();
        spawn_detached(c"fusd-test", &mut [input.as_raw_fd()], || {
            // The other end is closed here, so its number is free or somebody else's.
            let closed = fcntl(output.as_fd(), FcntlArg::F_GETFD) == Err(Errno::EBADF);
            let _ = nix::unistd::write(&input, &[u8::from(closed)]);
        })
        .unwrap();
        let mut answer = [0];
        assert_eq!(nix::unistd::read(&output, &mut answer), Ok(1));
        assert_eq!(answer, [1]);
    }
}
