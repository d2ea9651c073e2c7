//! Runs test programs in guests of the lab: in one boot or two, as root, and reads what they print.
//!
//! The guest is `cargo xtask lab run` in a process of its own, for that waits for every child.

use std::io::{BufRead, BufReader, Read};
use std::path::Path;
use std::process::{Child, Command, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::thread::{self, JoinHandle};

use anyhow::{Context, Result, anyhow};

use crate::lab::{self, Kernel};
use crate::libtest::Reader;
use crate::programs::{self, CONFORMANCE, Program, Which};
use crate::results::{Place, Results};

/// The backends that have to work in a guest.
const REQUIRED: &str = "fuse,cuse,kfusd";

/// What begins a line of the script below.
const MARK: &str = "@fusd-guest ";

/// Runs test programs one after the other: of each the folder, the file, how many tests at once, and
/// which. The empty line before a mark ends a line that a program has left unfinished.
const SCRIPT: &str = r#"
mark=$1 filter=$2
shift 2
echo "${mark}kernel $(uname -sr)"
while [ $# -gt 0 ]; do
    printf '\n%sbegin\n' "$mark"
    (cd "$1" && exec "$2" --test-threads="$3" "$4" --show-output --color=never \
        ${filter:+"$filter"})
    printf '\n%send %s\n' "$mark" "$?"
    shift 4
done
"#;

/// How long all tests may take together, in seconds. User-Mode Linux runs at a fair speed.
fn limit(kernel: Kernel) -> u64 {
    match kernel == Kernel::Um {
        true => 20 * 60,
        false => 240 * 60,
    }
}

/// Which of a program's tests have something to do in a guest: from end to end, all; else those that
/// not everybody could run on the host.
fn which(program: &Program) -> Which {
    match program.is_end_to_end {
        true => Which::All,
        false => Which::Root,
    }
}

/// How many of a program's tests run at once. From end to end, they mostly wait for other processes.
/// Those of a crate that need root fork themselves: at this speed a fork would hold what another test
/// has just closed open for long.
fn threads(program: &Program) -> &'static str {
    match program.is_end_to_end {
        true => "8",
        false => "1",
    }
}

/// The programs that have something to do in a guest.
///
/// # Errors
///
/// A program cannot be run.
pub(crate) fn choose<'a>(programs: &'a [Program], filter: &str) -> Result<Vec<&'a Program>> {
    let mut chosen = Vec::new();
    for program in programs {
        if program.has(which(program), filter)? {
            chosen.push(program);
        }
    }
    Ok(chosen)
}

/// Runs the programs in a guest that has the project's module at hand, shows their output as it comes, and adds up what they tell.
///
/// # Errors
///
/// No guest can be started. That one ends early is a failure that is counted.
pub(crate) fn run(
    kernel: Kernel,
    programs: &[&Program],
    filter: &str,
    results: &mut Results,
) -> Result<()> {
    let place = Place::Guest(kernel.name());
    let module = match lab::module(kernel) {
        Ok(module) => module,
        Err(error) => {
            results.fail(format!("{}{error:#}", place.prefix()));
            return Ok(());
        }
    };
    let guests = shares(kernel, programs)
        .into_iter()
        .map(|programs| Guest::start(kernel, &module, programs, filter))
        .collect::<Result<Vec<_>>>()?;
    for guest in guests {
        guest.listen(place, results)?;
    }
    Ok(())
}

/// The programs by the guests that run them at the same time. Most tests wait, and User-Mode Linux
/// leaves much of two processors idle: the contract's tests take as long as all others.
fn shares<'a>(kernel: Kernel, programs: &[&'a Program]) -> Vec<Vec<&'a Program>> {
    let is_apart = |program: &&Program| kernel == Kernel::Um && program.title == CONFORMANCE;
    let (contract, others): (Vec<_>, Vec<_>) = programs.iter().partition(|p| is_apart(p));
    let mut shares = vec![contract, others];
    shares.retain(|share| !share.is_empty());
    shares
}

/// A guest that runs. What it says is kept until it is listened to.
struct Guest<'a> {
    programs: Vec<&'a Program>,
    child: Child,
    output: Receiver<String>,
    reading: JoinHandle<Result<()>>,
    errors: JoinHandle<Option<String>>,
}

impl<'a> Guest<'a> {
    fn start(
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
    fn listen(mut self, place: Place, results: &mut Results) -> Result<()> {
        let mut listener = Listener {
            place,
            programs: &self.programs,
            started: 0,
            reader: None,
            results,
        };
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
        .args(["--", "/bin/sh", "-c", SCRIPT, "sh", MARK])
        .arg(filter)
        .env("FUSD_REQUIRE", REQUIRED)
        .env("FUSD_KFUSD_MODULE", module)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    for program in programs {
        command
            .arg(&program.folder)
            .arg(&program.file)
            .arg(threads(program))
            .arg(which(program).option().unwrap_or_default());
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

/// Takes a guest's output apart.
struct Listener<'a> {
    place: Place,
    programs: &'a [&'a Program],
    /// How many of the programs have begun.
    started: usize,
    /// Of the program that runs.
    reader: Option<Reader>,
    results: &'a mut Results,
}

impl Listener<'_> {
    /// Takes the next line; gives what to show of it.
    fn line(&mut self, line: &str) -> Option<String> {
        let Some(words) = line.strip_prefix(MARK) else {
            let reader = self.reader.as_mut()?;
            return reader.line(line).map(|line| line.into_owned());
        };
        match words.split_once(' ').unwrap_or((words, "")) {
            ("kernel", name) => {
                let place = self.place.prefix();
                Some(format!("\n-- in {place}{name}, root --"))
            }
            ("begin", _) => {
                self.close(false);
                self.reader = Some(Reader::new(&self.place.prefix()));
                self.started += 1;
                Some(format!("\n{}{}", self.place.prefix(), self.title()))
            }
            ("end", status) => {
                self.close(status == "0");
                None
            }
            _ => None,
        }
    }

    fn title(&self) -> &str {
        let program = self.started.checked_sub(1);
        program
            .and_then(|index| self.programs.get(index))
            .map_or("", |program| &program.title)
    }

    /// Ends the program that runs.
    fn close(&mut self, success: bool) {
        if let Some(reader) = self.reader.take() {
            let title = self.title().to_owned();
            self.results.add(self.place, &title, reader.finish(success));
        }
    }

    /// Ends the guest. `said` is why it failed, as far as known.
    fn end(mut self, success: bool, said: Option<String>) {
        let cut_off = self.reader.is_some() || self.started < self.programs.len();
        self.close(false);
        if success && !cut_off {
            return;
        }
        let why = said.unwrap_or_else(|| "the guest ended before the tests did".to_owned());
        let left: Vec<_> = self.programs[self.started..]
            .iter()
            .map(|program| program.title.as_str())
            .collect();
        let left = match left.is_empty() {
            true => String::new(),
            false => format!("; did not run: {}", left.join(", ")),
        };
        self.results
            .fail(format!("{}{why}{left}", self.place.prefix()));
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::fs;
    use std::os::unix::fs::PermissionsExt;

    fn program(title: &str) -> Program {
        Program {
            title: title.to_owned(),
            folder: Path::new("/").to_owned(),
            file: Path::new("/bin/true").to_owned(),
            is_end_to_end: true,
        }
    }

    const OUTPUT: &str = "\
@fusd-guest kernel Linux 7.2.13

@fusd-guest begin
running 1 test
test a ... FAILED
failures:
failures:
    a
test result: FAILED. 0 passed; 1 failed; 0 ignored; 0 measured; 0 filtered out; finished in 0.00s

@fusd-guest end 101

@fusd-guest begin
running 2 tests
test b ... ok
";

    fn listen(output: &str, success: bool, said: Option<&str>) -> (Vec<String>, Results) {
        let programs = ["p", "q", "r"].map(program);
        let programs: Vec<_> = programs.iter().collect();
        let mut results = Results::default();
        let mut listener = Listener {
            place: Place::Guest("um"),
            programs: &programs,
            started: 0,
            reader: None,
            results: &mut results,
        };
        let shown = output.lines().filter_map(|line| listener.line(line));
        let shown = shown.collect();
        listener.end(success, said.map(str::to_owned));
        (shown, results)
    }

    #[test]
    fn a_guest_that_is_cut_off_keeps_what_ran_and_says_what_did_not() {
        let (shown, results) = listen(OUTPUT, false, Some("killed after 9 s"));
        let count = results.count();
        assert_eq!((count.passed, count.failed), (1, 3));
        assert_eq!(
            count.failures,
            [
                "um: q: it ended without a result (see above)",
                "um: killed after 9 s; did not run: r",
                "um: a"
            ]
        );
        for line in [
            "\n-- in um: Linux 7.2.13, root --",
            "\num: p",
            "test um: a ... FAILED",
        ] {
            assert!(shown.iter().any(|shown| shown == line), "{line}: {shown:?}");
        }
    }

    #[test]
    fn a_fault_of_the_kernel_is_a_failure_though_all_tests_passed() {
        let passed = "@fusd-guest begin\n@fusd-guest end 0\n".repeat(3);
        let (_, results) = listen(&passed, true, None);
        assert_eq!(results.count().failed, 0);
        let (_, results) = listen(&passed, false, Some("the kernel reports: BUG:"));
        assert_eq!(results.count().failures, ["um: the kernel reports: BUG:"]);
        let (_, results) = listen("", true, None);
        assert_eq!(results.count().failed, 1);
    }

    #[test]
    fn the_contract_has_a_guest_of_its_own_where_that_helps() {
        let programs = [CONFORMANCE, "p", "q"].map(program);
        let programs: Vec<_> = programs.iter().collect();
        let sizes = |kernel, programs: &[&Program]| -> Vec<usize> {
            shares(kernel, programs).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(Kernel::Um, &programs), [1, 2]);
        assert_eq!(sizes(Kernel::Um, &programs[1..]), [2]);
        assert_eq!(sizes(Kernel::X86, &programs), [3]);
    }

    #[test]
    fn the_script_tells_of_every_program() {
        let folder = tempfile::tempdir().unwrap();
        let program = folder.path().join("program");
        fs::write(&program, "#!/bin/sh\nprintf '%s' \"$*\"; exit 3").unwrap();
        fs::set_permissions(&program, fs::Permissions::from_mode(0o755)).unwrap();
        let output = Command::new("/bin/sh")
            .args(["-c", SCRIPT, "sh", MARK, "it's", "/"])
            .arg(&program)
            .args(["8", "--ignored", "/", "/bin/true", "1", "--ignored"])
            .output()
            .unwrap();
        let output = String::from_utf8(output.stdout).unwrap();
        let lines: Vec<_> = output.lines().skip(1).collect();
        assert_eq!(
            lines,
            [
                "",
                "@fusd-guest begin",
                "--test-threads=8 --ignored --show-output --color=never it's",
                "@fusd-guest end 3",
                "",
                "@fusd-guest begin",
                "",
                "@fusd-guest end 0"
            ]
        );
    }
}
