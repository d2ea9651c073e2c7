//! The test programs: builds them once, and runs them on the host.

use std::io::{BufRead, BufReader, Read};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::check::{cargo, succeed};
use crate::host;
use crate::libtest::Reader;
use crate::results::{Place, Report};

/// The folder of the end-to-end tests in the workspace.
const END_TO_END: &str = "tests";

/// The test program of the contract.
pub(crate) const CONFORMANCE: &str = "tests: conformance";

/// A built test program.
pub(crate) struct Program {
    /// Its crate's folder in the workspace, and what cargo calls it there.
    pub(crate) title: String,
    /// Where cargo runs it.
    pub(crate) folder: PathBuf,
    pub(crate) file: PathBuf,
    /// Whether it starts real drivers at real nodes.
    pub(crate) is_end_to_end: bool,
}

/// Which tests of a program run.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Which {
    /// Those that anybody can run.
    Plain,
    /// Those that need root.
    Root,
    /// All.
    All,
}

/// Builds the programs under test and the test programs.
///
/// # Errors
///
/// Something does not compile.
pub(crate) fn build() -> Result<Vec<Program>> {
    // The tests start the programs that this puts beside them, in the same profile.
    succeed(cargo(&["build", "--workspace", "--bins"]))?;
    succeed(cargo(&["build", "--package", "fusd-c"]))?;
    let mut programs = build_these(&["--workspace", "--lib", "--bins", "--tests"])?;
    programs.sort_by(|one, other| one.title.cmp(&other.title));
    if programs.is_empty() {
        bail!("cargo has built no test program");
    }
    Ok(programs)
}

/// Builds one test program of a package, and the package's own programs, which it starts; all of
/// them for speed.
///
/// # Errors
///
/// Something does not compile.
pub(crate) fn build_fast(package: &str, test: &str) -> Result<Program> {
    let package = ["--release", "--package", package];
    let build = [&["build"], &package[..], &["--bins"]].concat();
    succeed(cargo(&build))?;
    let programs = build_these(&[&package[..], &["--test", test]].concat())?;
    let program = programs.into_iter().next();
    program.with_context(|| format!("cargo has built no test program {test}"))
}

/// The test programs that `cargo test` builds when told to build `these`.
fn build_these(these: &[&str]) -> Result<Vec<Program>> {
    let mut command = cargo(&["test", "--no-run"]);
    command
        .args(these)
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped());
    let output = command
        .spawn()
        .and_then(|child| child.wait_with_output())
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("{}", output.status);
    }
    let mut programs = Vec::new();
    for line in output.stdout.split(|byte| *byte == b'\n') {
        if line.starts_with(b"{") {
            let message = serde_json::from_slice(line).context("cargo speaks no JSON")?;
            programs.extend(program(&message));
        }
    }
    Ok(programs)
}

/// The test program that a message of cargo tells of, if it does.
fn program(message: &Value) -> Option<Program> {
    let file = message["executable"].as_str()?;
    if message["reason"] != "compiler-artifact" || message["profile"]["test"] != true {
        return None;
    }
    let folder = Path::new(message["manifest_path"].as_str()?).parent()?;
    let place = folder.strip_prefix(host::workspace()).unwrap_or(folder);
    let target = &message["target"];
    let kind = match target["kind"][0].as_str()? {
        "test" => String::new(),
        kind => format!(" ({kind})"),
    };
    Some(Program {
        title: format!("{}: {}{kind}", place.display(), target["name"].as_str()?),
        folder: folder.to_owned(),
        file: file.into(),
        is_end_to_end: place == Path::new(END_TO_END),
    })
}

impl Which {
    /// What a test program calls it, unless it is what it does by itself.
    pub(crate) fn option(self) -> Option<&'static str> {
        match self {
            Self::Plain => None,
            Self::Root => Some("--ignored"),
            Self::All => Some("--include-ignored"),
        }
    }
}

impl Program {
    /// What the name of each of its tests that is to run contains: nothing in particular where its
    /// own title contains `filter`.
    pub(crate) fn filter<'a>(&self, filter: &'a str) -> &'a str {
        match self.title.contains(filter) {
            true => "",
            false => filter,
        }
    }

    /// Whether it has any of `which` tests that `filter` chooses.
    pub(crate) fn has(&self, which: Which, filter: &str) -> Result<bool> {
        let output = self
            .command(which, filter)
            .arg("--list")
            .output()
            .with_context(|| format!("cannot run {}", self.file.display()))?;
        let list = String::from_utf8_lossy(&output.stdout);
        Ok(list.lines().any(|line| line.ends_with(": test")))
    }

    /// Runs those of `which` tests that `filter` chooses on the host and shows their output as it comes. A backend that `required`
    /// names, separated by commas, has to work.
    pub(crate) fn run(&self, which: Which, filter: &str, required: &str) -> Result<Report> {
        println!("\n{}", self.title);
        let mut command = self.command(which, filter);
        if !required.is_empty() {
            command.env("FUSD_REQUIRE", required);
        }
        read(command)
    }

    fn command(&self, which: Which, filter: &str) -> Command {
        let filter = self.filter(filter);
        // Whoever runs this may ignore signals, as nohup(1) does and shells do for what is in the
        // background. Tests and what they start then would too, and outlive their terminals.
        let mut command = Command::new("env");
        command
            .arg("--default-signal=HUP,INT,QUIT,TERM")
            .arg(&self.file)
            .current_dir(&self.folder)
            .args(which.option())
            .args(["--show-output", "--color=never"])
            .args(Some(filter).filter(|filter| !filter.is_empty()))
            .stdin(Stdio::null());
        command
    }
}

/// Runs the examples in the documentation.
pub(crate) fn documentation(filter: &str) -> Result<Report> {
    let mut command = cargo(&["test", "--workspace", "--no-fail-fast", "--doc"]);
    command.args(["--", "--show-output", "--color=never"]);
    if !filter.is_empty() {
        command.arg(filter);
    }
    read(command)
}

/// Runs a test program on the host and reads what it prints.
fn read(mut command: Command) -> Result<Report> {
    let mut child = command
        .stdout(Stdio::piped())
        .spawn()
        .with_context(|| format!("cannot run {}", command.get_program().to_string_lossy()))?;
    let output = child
        .stdout
        .take()
        .context("a test program has no output")?;
    let mut reader = Reader::new(&Place::Host.prefix());
    for_each_line(output, |line| {
        if let Some(line) = reader.line(line) {
            println!("{line}");
        }
    })?;
    let status = child.wait().context("cannot wait for a test program")?;
    Ok(reader.finish(status.success()))
}

/// Calls `take` for each line, as it comes.
pub(crate) fn for_each_line(input: impl Read, mut take: impl FnMut(&str)) -> Result<()> {
    for line in BufReader::new(input).split(b'\n') {
        let line = line.context("cannot read the output of a test program")?;
        take(String::from_utf8_lossy(&line).trim_end_matches('\r'));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn message(changes: &[(&str, Value)]) -> Value {
        let folder = host::workspace().join("tests");
        let mut message = serde_json::json!({
            "reason": "compiler-artifact",
            "manifest_path": folder.join("Cargo.toml"),
            "target": { "kind": ["test"], "name": "conformance" },
            "profile": { "test": true },
            "executable": "/x/conformance-1",
        });
        for (name, value) in changes {
            message[*name] = value.clone();
        }
        message
    }

    #[test]
    fn a_test_program_is_known_by_its_crate_and_name() {
        let conformance = program(&message(&[])).unwrap();
        assert_eq!(conformance.title, CONFORMANCE);
        assert!(conformance.is_end_to_end);
        assert_eq!(conformance.file, Path::new("/x/conformance-1"));
        let unit = program(&message(&[
            (
                "target",
                serde_json::json!({"kind": ["lib"], "name": "fusd"}),
            ),
            (
                "manifest_path",
                host::workspace().join("libfusd/Cargo.toml").to_str().into(),
            ),
        ]))
        .unwrap();
        assert_eq!(unit.title, "libfusd: fusd (lib)");
        assert!(!unit.is_end_to_end);
    }

    #[test]
    fn a_filter_chooses_programs_and_tests() {
        let program = program(&message(&[])).unwrap();
        assert_eq!(program.filter("conformance"), "");
        assert_eq!(program.filter(""), "");
        assert_eq!(program.filter("kfusd::row9"), "kfusd::row9");
    }

    #[test]
    fn what_is_no_test_program_is_passed_over() {
        for change in [
            ("reason", Value::from("build-finished")),
            ("executable", Value::Null),
            ("profile", serde_json::json!({ "test": false })),
        ] {
            assert!(
                program(&message(std::slice::from_ref(&change))).is_none(),
                "{change:?}"
            );
        }
    }
}
