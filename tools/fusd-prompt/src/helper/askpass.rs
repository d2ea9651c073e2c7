//! The convention of ssh-askpass: the question is the argument, the answer the standard output, and a
//! status other than 0 a refusal.

use std::io::{self, Read, Write, pipe};
use std::sync::Arc;

use fusd_tool::Program;

use super::output::Output;
use super::{Ask, No, Shared, has_terminal};
use crate::args::Kind;
use crate::notify::variables;
use crate::secret::Secret;
use crate::settings::LONGEST;

/// What runs the command, `$1`, with the question, `$2`.
///
/// The keeper waits for a line on standard input, or for its end, which comes without a line when this
/// process dies, however it dies: then it ends all of the process group, where `$3` says that it is the
/// command's own, or else the command, which has this shell's process number, and its children.
///
/// A shell blocks signals while it starts a command. One to its group that comes just before the fork ends
/// the shell later, and never reaches the command (fork(2): no signal is pending in a child): hence the
/// second one, which cannot be blocked. A stopped shell starts no more children while they are counted;
/// one that is stopped with SIGTERM (0x4000) blocked would when it goes on, and so goes on for a moment, but
/// not for ever, as others always have it blocked.
const SCRIPT: &str = r#"
exec 3<&0
{
    trap '' TERM
    read -r _ <&3 && exit
    if [ "$3" ]; then
        kill -TERM 0
        sleep 2
        kill -KILL 0
    fi
    for _ in 1 2 3 4 5 6 7 8 9 10; do
        kill -STOP $$ || exit
        sleep 0.01
        [ "$(grep -c -e '^State:.T' -e '^SigBlk:.*[012389ab]...$' /proc/$$/status)" = 2 ] && break
        kill -CONT $$
        sleep 0.01
    done
    kill -STOP $$
    kill -TERM $(cat /proc/$$/task/$$/children) $$
    kill -CONT $$
} >/dev/null 2>&1 &
exec 3<&-
if (: </dev/tty) 2>/dev/null; then exec </dev/tty; else exec </dev/null; fi
case $1 in
*[\;\&\|\(\)=]*) exec /bin/sh -c "$1 \"\$1\"" sh "$2" ;;
*) eval "exec $1 \"\$2\"" ;;
esac
"#;

/// Bytes of one read.
const PART: usize = 4096;

pub(super) fn ask(shared: &Shared, ask: &Ask<'_>) -> Result<Secret, No> {
    let (output, stdout) = pipe()?;
    let (stdin, mut lifeline) = pipe()?;
    let mut program = Program::new(["/bin/sh", "-c", SCRIPT, "sh"])
        .arg(&shared.command)
        .arg(&ask.text)
        .stdin(stdin)
        .stdout(stdout);
    if ask.kind == Kind::Confirm {
        // What ssh-askpass and its like know.
        program = program.env("SSH_ASKPASS_PROMPT", "confirm");
    }
    if !has_terminal() {
        program = program.arg("group").own_group();
    }
    let program = variables(program, ask.asked, shared.requests.settings());
    let (child, _own) = shared.requests.own_processes().spawn(program)?;
    let child = Arc::new(child);
    shared.runs(ask.asked.number, &child);
    let answer = Output::of(output, &child).map_err(No::from).and_then(read);
    if answer.is_err() {
        super::end(&child);
    }
    let status = child.wait();
    shared.runs_no_more();
    // Where the keeper has gone already, nothing is lost.
    let _gone = lifeline.write_all(b"\n");
    let mut answer = answer?;
    if !status?.success() {
        return Err(No::Refused);
    }
    answer.trim_line_ends();
    Ok(answer)
}

/// All that the program says.
fn read(mut output: Output) -> Result<Secret, No> {
    let mut answer = Secret::new();
    loop {
        match output.read(answer.room(PART)) {
            Ok(0) => return Ok(answer),
            Ok(count) => answer.grown(count),
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error.into()),
        }
        if answer.len() > LONGEST {
            return Err(No::Failed("it says too much".to_owned()));
        }
    }
}
