//! Compiles C programs against the library, and runs them as drivers.

use std::cell::Cell;
use std::collections::HashMap;
use std::fs;
use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, Receiver};
use std::sync::{Mutex, PoisonError};
use std::thread;
use std::time::SystemTime;

use fusd_tests::wait::{deadline, holds_within, wait_until};
use fusd_tests::{Case, binaries, leftovers};

/// The folder of the examples, of the programs of this test, and of the header.
pub(crate) const EXAMPLES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../libfusd/examples/c");
pub(crate) const PROGRAMS: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/tests/capi/c");
pub(crate) const INCLUDE: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../libfusd/include");

/// The built shared library.
///
/// # Panics
/// It has not been built.
pub(crate) fn library() -> PathBuf {
    let path = binaries::directory().join("libfusd.so");
    assert!(
        path.is_file(),
        "{} is not built: run `cargo build --package fusd-c` first",
        path.display()
    );
    path
}

/// A folder that has the library under the names by which it is linked and loaded.
fn folder() -> PathBuf {
    let folder = binaries::directory().join("capi");
    fs::create_dir_all(&folder).expect("a folder for programs");
    let library = library();
    for name in ["libfusd.so", "libfusd.so.0"] {
        let link = folder.join(name);
        // A link of an earlier run may lead elsewhere: to where the folder was copied from.
        if fs::read_link(&link).is_ok_and(|target| target == library) {
            continue;
        }
        // Another test may do the same: then one of the links is there, and they are the same.
        let fresh = folder.join(format!("{name}-{}", std::process::id()));
        symlink(&library, &fresh).expect("a link");
        fs::rename(&fresh, &link).expect("rename");
    }
    folder
}

/// Whether `program` is installed.
pub(crate) fn has(program: &str) -> bool {
    Command::new(program).arg("--version").output().is_ok()
}

/// Whether the test cannot compile its driver, and is to return. Says so.
pub(crate) fn lacks_compiler(case: &Case) -> bool {
    let missing = ["gcc", "g++"].into_iter().find(|compiler| !has(compiler));
    if let Some(compiler) = missing {
        case.skip(&format!("{compiler} is not installed"));
    }
    missing.is_some()
}

/// What has been looked at, so that no two tests compile the same at once.
static READY: Mutex<Option<HashMap<String, PathBuf>>> = Mutex::new(None);

/// The program of a source file, compiled with `options`, which `variant` names, by the compiler of its
/// language.
pub(crate) fn program(source: &str, variant: &str, options: &[&str]) -> PathBuf {
    let compiler = match source.ends_with(".cc") {
        true => "g++",
        false => "gcc",
    };
    compiled(compiler, source, variant, options)
}

/// Likewise, by this compiler. What has been compiled in an earlier run is taken unless something is
/// newer: so a guest, where a compiler takes long, has what the host has made.
fn compiled(compiler: &str, source: &str, variant: &str, options: &[&str]) -> PathBuf {
    let mut ready = READY.lock().unwrap_or_else(PoisonError::into_inner);
    let ready = ready.get_or_insert_default();
    let stem = Path::new(source).file_stem().expect("a file");
    let name = format!("{}{variant}", stem.to_str().expect("ASCII"));
    if let Some(made) = ready.get(&name) {
        return made.clone();
    }
    let folder = folder();
    let program = folder.join(&name);
    let headers = ["fusd.h", "fusd_device.h"].map(|name| Path::new(INCLUDE).join(name));
    let needs = [Path::new(source), &headers[0], &headers[1]];
    if !is_newer(&program, &needs) {
        let fresh = folder.join(format!("{name}-{}", std::process::id()));
        let output = Command::new(compiler)
            .args(options)
            .args(["-g", "-I", INCLUDE, source, "-o"])
            .arg(&fresh)
            .arg("-L")
            .arg(&folder)
            // Not the folder's name: a copy of it has a library of its own.
            .arg("-Wl,-rpath,$ORIGIN")
            .args(["-lfusd", "-pthread"])
            .output()
            .expect("a compiler");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(output.status.success(), "{source}: {errors}");
        fs::rename(&fresh, &program).expect("rename");
    }
    ready.insert(name, program.clone());
    program
}

fn is_newer(file: &Path, than: &[&Path]) -> bool {
    let time = |path: &Path| fs::metadata(path).and_then(|status| status.modified());
    let made = time(file).unwrap_or(SystemTime::UNIX_EPOCH);
    than.iter()
        .all(|path| time(path).is_ok_and(|changed| changed < made))
}

/// How examples are made and started.
#[derive(Clone, Copy)]
pub(crate) struct Manner {
    pub(crate) compiler: &'static str,
    /// Names what the compiler makes of these options, and of what they say the language is.
    pub(crate) variant: &'static str,
    pub(crate) options: &'static [&'static str],
    /// The program and its options that the example is run by, if any.
    pub(crate) under: &'static [&'static str],
}

thread_local! {
    /// That of the test that this thread runs.
    static MANNER: Cell<Manner> = const {
        Cell::new(Manner {
            compiler: "gcc",
            variant: "",
            options: &[],
            under: &[],
        })
    };
}

/// Runs a body of the suite with its examples made and started in this manner.
pub(crate) fn in_the_manner(manner: Manner, body: fn(&Case), case: &Case) {
    let usual = MANNER.replace(manner);
    body(case);
    MANNER.set(usual);
    // The next one may have the same node.
    leftovers::check(case);
}

/// Starts one of the examples.
pub(crate) fn start_example(case: &Case, name: &str) -> Driver {
    let manner = MANNER.get();
    let options = [&["-Wall", "-Wextra", "-Werror"], manner.options].concat();
    let source = format!("{EXAMPLES}/{name}.c");
    let example = compiled(manner.compiler, &source, manner.variant, &options);
    let words: Vec<_> = manner
        .under
        .iter()
        .copied()
        .chain([example.to_str().expect("UTF-8")])
        .collect();
    let mut command = case.command(words[0]);
    command.args(&words[1..]);
    let driver = start_by(case, command);
    case.backend().prove(&node(case));
    driver
}

/// A driver in the manner of 2003, with the compiler's defaults of that time.
pub(crate) fn old(name: &str) -> PathBuf {
    program(&format!("{PROGRAMS}/{name}.c"), "", &["-std=gnu89"])
}

/// A running driver. Dropped, it is killed: the rest of its node must go by itself.
pub(crate) struct Driver {
    child: Child,
    pub(crate) input: Option<ChildStdin>,
    lines: Receiver<String>,
    errors: thread::JoinHandle<String>,
}

/// Where the node of the test's driver is.
pub(crate) fn node(case: &Case) -> PathBuf {
    Path::new("/dev").join(name(case))
}

fn name(case: &Case) -> String {
    format!("{}node", case.token())
}

/// Starts a driver with the name of its node as the argument, and waits until it is ready.
pub(crate) fn start(case: &Case, program: &Path) -> Driver {
    let driver = start_by(case, case.command(program.to_str().expect("UTF-8")));
    case.backend().prove(&node(case));
    driver
}

/// Likewise, by a command whose last argument the name becomes.
pub(crate) fn start_by(case: &Case, mut command: Command) -> Driver {
    let mut child = command
        .arg(name(case))
        .env("FUSD_BACKEND", case.backend().name())
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the driver can be started");
    let (sender, lines) = mpsc::channel();
    let output = child.stdout.take().expect("piped");
    thread::spawn(move || {
        for line in BufReader::new(output).lines().map_while(Result::ok) {
            if sender.send(line).is_err() {
                return;
            }
        }
    });
    let mut pipe = child.stderr.take().expect("piped");
    let errors = thread::spawn(move || {
        let mut text = Vec::new();
        // What cannot be read is missed by the test that looks for it.
        let _ = pipe.read_to_end(&mut text);
        String::from_utf8_lossy(&text).into_owned()
    });
    let input = child.stdin.take();
    let driver = Driver {
        child,
        input,
        lines,
        errors,
    };
    driver.says("ready");
    driver
}

impl Driver {
    /// Waits for its next line of output, which must be this.
    #[track_caller]
    pub(crate) fn says(&self, expected: &str) {
        // Under valgrind, a start takes its time.
        match self.lines.recv_timeout(3 * deadline()) {
            Ok(line) => assert_eq!(line, expected, "the driver's output"),
            Err(error) => panic!("the driver does not say {expected:?}: {error}"),
        }
    }

    /// Whether it has said anything more by now.
    pub(crate) fn is_silent(&self) -> bool {
        self.lines.try_recv().is_err()
    }

    /// Gives it the end of its input.
    pub(crate) fn end_input(&mut self) {
        let mut input = self.input.take().expect("its input");
        // It may have gone.
        let _ = input.flush();
    }

    /// Waits for its end; gives its status and what it wrote to standard error.
    #[track_caller]
    pub(crate) fn wait(mut self) -> (ExitStatus, String) {
        let mut status = None;
        wait_until("the driver ends", || {
            status = self.child.try_wait().expect("wait");
            status.is_some()
        });
        let errors = std::mem::replace(&mut self.errors, thread::spawn(String::new));
        let errors = errors.join().expect("its standard error");
        (status.expect("it has ended"), errors)
    }
}

impl Drop for Driver {
    fn drop(&mut self) {
        let status = self.child.try_wait();
        let _ = self.child.kill();
        holds_within(deadline(), || matches!(self.child.try_wait(), Ok(Some(_))));
        if thread::panicking() {
            let errors = std::mem::replace(&mut self.errors, thread::spawn(String::new));
            let errors = errors.join().unwrap_or_default();
            let rest: Vec<_> = self.lines.try_iter().collect();
            eprintln!("--- the driver ({status:?}) said: {rest:?}\n{errors}---");
        }
    }
}
