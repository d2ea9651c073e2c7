//! `$EDITOR` for a long answer: a file that nobody else may read, in memory where there is such a place,
//! and gone afterwards, also where this process is killed.

use std::env;
use std::ffi::OsString;
use std::fs::{self, OpenOptions};
use std::hash::{BuildHasher, Hasher, RandomState};
use std::io::{PipeWriter, Write, pipe};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use fusd_tool::{Child, Program};
use nix::sys::signal::Signal;
use nix::sys::statfs::{TMPFS_MAGIC, statfs};

use crate::answer_file;
use crate::process::OwnProcesses;
use crate::secret::Secret;

/// What runs the editor, `$1`, with a file in the directory `$2`, which begins with `$3` bytes from standard
/// input.
///
/// This shell makes the file, as it lives on where this process is killed. The keeper waits for a line
/// on standard input, or for its end, which comes without a line when this process dies, however it
/// dies: then it ends the editor, also one that a shell runs for it, or that is about to begin and does not
/// hear the first time. In any case it removes the directory.
const SCRIPT: &str = r#"
trap '' INT HUP TERM QUIT TSTP
exec 3<&0 </dev/tty >/dev/tty 2>/dev/tty
umask 077
mkdir -- "$2" || exit 1
head -c "$3" <&3 >"$2/answer"
{
    read -r _ <&3 || for pause in .1 .1 .2 .3 .5 1 1 2 5 10; do
        kill -HUP $(cat /proc/$$/task/$$/children) $$
        rm -rf -- "$2"
        kill -0 $$ || break
        sleep "$pause"
    done
    rm -rf -- "$2"
} >/dev/null 2>&1 &
exec 3<&-
trap - INT HUP TERM QUIT TSTP
case $1 in
*[\;\&\|\(\)=]*) exec /bin/sh -c "$1 \"\$1\"" sh "$2/answer" ;;
*) eval "exec $1 \"\$2/answer\"" ;;
esac
"#;

/// After how many looks an editor that was asked to end is made to.
const PATIENCE: usize = 20;

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
    let directory = place().join(name());
    let path = directory.join("answer");
    let (stdin, lifeline) = pipe().map_err(|error| because("no pipe", &error))?;
    let program = Program::new(["/bin/sh", "-c", SCRIPT, "sh"])
        .arg(editor())
        .arg(&directory)
        .arg(text.len().to_string())
        .stdin(stdin);
    let (child, _own) = own
        .spawn(program)
        .map_err(|errno| because("no editor", &errno))?;
    let child = Arc::new(child);
    let given = (&lifeline).write_all(text.bytes());
    let mut lifeline = Some(lifeline);
    let edited = match (given, wait(&child, &mut lifeline, wanted)) {
        (Ok(()), Ok(true)) => answer_file::read(&path).map_err(|errno| because("the file", &errno)),
        (Ok(()), Ok(false)) => {
            Err("the editor failed, or the answer is not wanted any more".to_owned())
        }
        (Err(error), _) => Err(because("no file", &error)),
        (_, Err(error)) => Err(error),
    };
    wipe(&path);
    // It is there no more where nothing came of it.
    let _gone = fs::remove_dir_all(&directory);
    let _gone = lifeline.map(|mut lifeline| lifeline.write_all(b"\n"));
    edited
}

/// A name that nobody can guess, so that nobody can be there first.
fn name() -> String {
    let random = || RandomState::new().build_hasher().finish();
    format!("fusd-prompt-{:016x}{:016x}", random(), random())
}

/// Waits for the editor; true where it has succeeded. Where the answer is not wanted any more, the keeper
/// learns that by the end of the lifeline.
fn wait(
    child: &Arc<Child>,
    lifeline: &mut Option<PipeWriter>,
    wanted: impl Fn() -> bool,
) -> Result<bool, String> {
    let (done, ended) = std::sync::mpsc::channel();
    let theirs = Arc::clone(child);
    std::thread::Builder::new()
        .name("editor".into())
        .spawn(move || {
            // Nobody listens where the tool has given up.
            let _unheard = done.send(theirs.wait());
        })
        .map_err(|error| error.to_string())?;
    let mut looks = 0;
    loop {
        match ended.recv_timeout(PAUSE) {
            Ok(Ok(status)) => return Ok(status.success() && wanted()),
            Ok(Err(errno)) => return Err(errno.to_string()),
            Err(_) if wanted() => {}
            Err(_) => {
                // Editors take SIGHUP as the loss of their terminal, and give it back.
                drop(lifeline.take());
                looks += 1;
                if looks == PATIENCE {
                    child.signal(Signal::SIGKILL);
                }
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
