//! `$EDITOR` for a long answer: a file that nobody else may read, in memory where there is such a place,
//! and gone afterwards, also where this process is killed.

use std::env;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::io::{Write, pipe};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fusd_tool::{Child, Program};
use nix::sys::signal::Signal;
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use crate::answer_file;
use crate::process::OwnProcesses;
use crate::secret::Secret;

/// What runs the editor, `$1`, with the file in the directory `$2`.
///
/// The keeper waits for the end of standard input, which comes when this process has what it wants, or
/// dies, however it dies: then it ends the editor, if that still runs, and removes the directory.
const SCRIPT: &str = r#"
exec 3<&0
{
    trap '' INT HUP TERM QUIT TSTP
    read -r _ <&3 || kill -HUP $$
    rm -rf -- "$2"
} >/dev/null 2>&1 &
exec 3<&- </dev/tty
exec /bin/sh -c "$1 \"\$1\"" sh "$2/answer"
"#;

/// How many times an editor is asked to end before it is made to.
const REQUESTS: usize = 20;

/// How often it is looked whether the answer is still wanted.
const PAUSE: Duration = Duration::from_millis(100);

/// Lets the person edit `text`; gives back what they made of it.
///
/// # Errors
/// Why there is none: no editor, no place for the file, or the answer is not wanted any more.
pub(super) fn run(
    text: &Secret,
    own: &OwnProcesses,
    wanted: impl Fn() -> bool,
) -> Result<Secret, String> {
    let because = |what: &str, error: &dyn std::fmt::Display| format!("{what}: {error}");
    let directory = tempfile::Builder::new()
        .prefix("fusd-prompt-")
        .tempdir_in(place())
        .map_err(|error| because("no directory for the file", &error))?;
    let path = directory.path().join("answer");
    OpenOptions::new()
        .write(true)
        .create_new(true)
        .mode(0o600)
        .open(&path)
        .and_then(|mut file| file.write_all(text.bytes()))
        .map_err(|error| because("no file", &error))?;
    let (stdin, lifeline) = pipe().map_err(|error| because("no pipe", &error))?;
    let child = Program::new(["/bin/sh", "-c", SCRIPT, "sh"])
        .arg(editor())
        .arg(directory.path())
        .stdin(stdin)
        .spawn()
        .map_err(|errno| because("no editor", &errno))?;
    let child = Arc::new(child);
    let _own = own.add(child.pid());
    let status = wait(&child, wanted);
    let edited = match status {
        Ok(true) => answer_file::read(&path).map_err(|errno| because("the file", &errno)),
        Ok(false) => Err("the editor failed, or the answer is not wanted any more".to_owned()),
        Err(error) => Err(error),
    };
    wipe(&path);
    drop(directory);
    let mut lifeline = lifeline;
    // Where the keeper has gone, there is nothing left to remove.
    let _gone = lifeline.write_all(b"\n");
    edited
}

/// Waits for the editor; true where it has succeeded.
fn wait(child: &Arc<Child>, wanted: impl Fn() -> bool) -> Result<bool, String> {
    let (done, ended) = std::sync::mpsc::channel();
    let theirs = Arc::clone(child);
    std::thread::Builder::new()
        .name("editor".into())
        .spawn(move || {
            // Nobody listens where the tool has given up.
            let _unheard = done.send(theirs.wait());
        })
        .map_err(|error| error.to_string())?;
    let mut asked = 0;
    loop {
        match ended.recv_timeout(PAUSE) {
            Ok(Ok(status)) => return Ok(status.success() && wanted()),
            Ok(Err(errno)) => return Err(errno.to_string()),
            Err(_) if wanted() => {}
            Err(_) => {
                asked += 1;
                // Editors take SIGHUP as the loss of their terminal, and give it back.
                child.signal(match asked < REQUESTS {
                    true => Signal::SIGHUP,
                    false => Signal::SIGKILL,
                });
            }
        }
    }
}

/// `$VISUAL`, `$EDITOR`, or what there is everywhere: a shell command.
fn editor() -> OsString {
    let variables = ["VISUAL", "EDITOR"].into_iter();
    let mut set = variables.filter_map(|name| env::var_os(name).filter(|it| !it.is_empty()));
    set.next().unwrap_or_else(|| "vi".into())
}

/// A directory for the file: one in memory, of this user alone if there is one.
fn place() -> PathBuf {
    let own = env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from);
    let places = own.into_iter().chain([PathBuf::from("/dev/shm")]);
    let mut good = places.filter(|path| {
        path.is_absolute() && statfs(path).is_ok_and(|it| it.filesystem_type() == TMPFS_MAGIC)
    });
    good.next().unwrap_or_else(env::temp_dir)
}

/// Overwrites the file: on a disk that is no promise, in memory it is.
fn wipe(path: &Path) {
    let file = OpenOptions::new().write(true).open(path);
    if let (Ok(mut file), Ok(metadata)) = (file, fs::metadata(path)) {
        let zeros = vec![0; usize::try_from(metadata.len()).unwrap_or(0)];
        // It is removed in any case.
        let _removed = file.write_all(&zeros);
    }
}
