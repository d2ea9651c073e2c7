//! A guest in which test programs run one after the other, and what it says while it lives.
//!
//! It is `cargo xtask lab run` in a process of its own, for that waits for every child.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};

use super::listener::Listener;
use super::{REQUIRED, cpus, left_out, limit, threads, which};
use crate::lab::Kernel;
use crate::programs::{self, Program};
use crate::results::{Place, Results};

/// What begins a line of the script below.
pub(super) const MARK: &str = "@fusd-guest ";

/// Runs test programs one after the other: of each the folder, the file, how many tests at once,
/// which, what their names contain, and which not. The empty line before a mark ends a line that a
/// program has left unfinished.
const SCRIPT: &str = r#"
mark=$1
shift
echo "${mark}kernel $(uname -sr)"
while [ $# -gt 0 ]; do
    printf '\n%sbegin\n' "$mark"
    (cd "$1" && exec "$2" --test-threads="$3" "$4" --show-output --color=never \
        $6 ${5:+"$5"})
    printf '\n%send %s\n' "$mark" "$?"
    shift 6
done
"#;

/// A guest that runs. What it says is kept until it is listened to.
pub(super) struct Guest<'a> {
    programs: Vec<&'a Program>,
    child: Child,
    output: Receiver<String>,
    reading: JoinHandle<Result<()>>,
    errors: JoinHandle<Option<String>>,
}

impl<'a> Guest<'a> {
    pub(super) fn start(
        kernel: Kernel,
        module: &Path,
        programs: Vec<&'a Program>,
        filter: &str,
    ) -> Result<Self> {
        let mut child = start(kernel, module, &programs, filter)?;
        let errors = child.stderr.take().context("the guest has no errors")?;
        let stdout = child.stdout.take().context("the guest has no output")?;
        let (sender, output) = mpsc::channel();
        Ok(Self {
            programs,
            child,
            output,
            reading: thread::spawn(move || {
                programs::for_each_line(stdout, |line| {
                    // Nobody listens any more where another guest's end was an error.
                    let _ = sender.send(line.to_owned());
                })
            }),
            errors: thread::spawn(move || last_words(errors)),
        })
    }

    /// Shows what it says until it ends, and adds up what its tests tell.
    pub(super) fn listen(mut self, place: Place, results: &mut Results) -> Result<()> {
        let mut listener = Listener::new(place, &self.programs, results);
        for line in self.output {
            if let Some(line) = listener.line(&line) {
                println!("{line}");
            }
        }
        self.reading
            .join()
            .map_err(|_| anyhow!("reading what the guest says has panicked"))??;
        let status = self.child.wait().context("cannot wait for the guest")?;
        listener.end(status.success(), said(self.errors));
        Ok(())
    }
}

fn start(kernel: Kernel, module: &Path, programs: &[&Program], filter: &str) -> Result<Child> {
    // By this name it is found even if it was built anew meanwhile.
    let mut command = Command::new("/proc/self/exe");
    command
        .args(["lab", "run", kernel.name()])
        .arg(format!("--timeout={}", limit(kernel)))
        .arg(format!("--cpus={}", cpus(kernel, programs)))
        .args(["--", "/bin/sh", "-c", SCRIPT, "sh", MARK])
        .env("FUSD_REQUIRE", REQUIRED)
        .env("FUSD_KFUSD_MODULE", module)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for program in programs {
        command
            .arg(&program.folder)
            .arg(&program.file)
            .arg(threads(kernel, program))
            .arg(which(program).option().unwrap_or_default())
            .arg(program.filter(filter))
            .arg(left_out(kernel));
    }
    command.spawn().context("cannot run this program again")
}

/// Shows what comes, and keeps the last line that `xtask` itself says: why a guest has failed.
fn last_words(errors: impl Read) -> Option<String> {
    let mut last = None;
    for line in BufReader::new(errors).split(b'\n').map_while(Result::ok) {
        let line = String::from_utf8_lossy(&line);
        eprintln!("{line}");
        if let Some(words) = line.strip_prefix("xtask: ") {
            last = Some(words.trim_end().to_owned());
        }
    }
    last
}

fn said(errors: JoinHandle<Option<String>>) -> Option<String> {
    errors.join().ok().flatten()
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    #[test]
    fn the_script_tells_of_every_program() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "#!/bin/sh\nprintf '%s' \"$*\"; exit 3").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let output = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "sh", MARK, "/"])
            .arg(&program)
            .args(["8", "--ignored", "it's", "--skip=a --skip=b"])
            .args(["/", "/bin/true", "1", "--ignored", "", ""])
            .output()
            .unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = output.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "",
                "@fusd-guest begin",
                "--test-threads=8 --ignored --show-output --color=never --skip=a --skip=b it's",
                "@fusd-guest end 3",
                "",
                "@fusd-guest begin",
                "",
                "@fusd-guest end 0"
            ]
        );
    }
}
