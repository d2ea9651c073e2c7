//! The configuration file: a table for each device, with its tool and that one's options.
//!
//! Reading it checks all that can be known without starting anything: `table` reads the tables, and
//! `check` has the tools' own command lines judge what is in them. What is wrong has the number of its
//! line and the name of its key.

mod check;
mod table;

use std::env;
use std::ffi::OsString;
use std::fmt;
use std::fs;
use std::path::{Path, PathBuf};

use fusd::Errno;
use fusd_tool::{ToolError, exit};

use crate::driver::{Wanted, full_name};
use crate::table::printable;

/// The file of the machine.
const SYSTEM: &str = "/etc/fusd/devices.toml";

/// What a file says.
#[derive(Debug)]
pub(crate) struct Config {
    pub(crate) file: PathBuf,
    /// In the order of the file.
    pub(crate) entries: Vec<Entry>,
}

/// A device.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Entry {
    /// The table's name: the device's.
    pub(crate) name: String,
    /// The whole name of the tool, or the path of another driver.
    pub(crate) tool: String,
    /// The keys that are options.
    options: Vec<Setting>,
    /// What is no option.
    arguments: Vec<String>,
    /// Where the table begins.
    line: usize,
}

/// A key, and the words that it becomes on the tool's command line.
#[derive(Clone, Debug, PartialEq, Eq)]
struct Setting {
    key: String,
    words: Vec<String>,
    line: usize,
}

/// Something that is wrong in a file.
#[derive(Debug, PartialEq, Eq)]
struct Fault {
    line: usize,
    key: String,
    /// What is wrong, and what is allowed.
    text: String,
}

impl Fault {
    fn new(line: usize, key: impl Into<String>, text: impl Into<String>) -> Self {
        Self {
            line,
            key: key.into(),
            text: text.into(),
        }
    }
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (key, text) = (printable(&self.key), printable(&self.text));
        write!(f, "{}: {key}: {text}", self.line)
    }
}

impl Config {
    /// Reads a file, and says on standard error what is wrong in it: a line `FILE:LINE: KEY: ...` each.
    ///
    /// # Errors
    /// It cannot be read, or something is wrong in it.
    pub(crate) fn read(file: &Path) -> Result<Self, ToolError> {
        let text = fs::read_to_string(file).map_err(|error| {
            let hint = match error.kind() {
                std::io::ErrorKind::NotFound => {
                    "; make it, as fusd(1) says, or name another with --config"
                }
                std::io::ErrorKind::InvalidData => "; it has to be text in UTF-8",
                _ => "",
            };
            let why = match error.raw_os_error() {
                Some(_) => Errno::from(&error).to_string(),
                None => error.to_string(),
            };
            ToolError::failed(format!("cannot read {}: {why}{hint}", file.display()))
        })?;
        match parse(&text) {
            Ok(entries) => Ok(Self {
                file: file.to_owned(),
                entries,
            }),
            Err(faults) => {
                let shown = printable(&file.to_string_lossy());
                for fault in &faults {
                    fusd_tool::say(format!("{shown}:{fault}\n"));
                }
                let count = match faults.len() {
                    1 => "a fault".to_owned(),
                    count => format!("{count} faults"),
                };
                Err(ToolError::new(
                    exit::USAGE,
                    format!("{shown} has {count}; correct the lines named above"),
                ))
            }
        }
    }

    /// The entry of a name.
    pub(crate) fn entry(&self, name: &str) -> Option<&Entry> {
        let name = name.strip_prefix("/dev/").unwrap_or(name);
        self.entries.iter().find(|entry| entry.name == name)
    }
}

/// The entries of a file, or all that is wrong with them.
fn parse(text: &str) -> Result<Vec<Entry>, Vec<Fault>> {
    let (entries, mut faults) = table::read(text);
    faults.extend(entries.iter().flat_map(check::faults));
    match faults.is_empty() {
        true => Ok(entries),
        false => {
            faults.sort_by_key(|fault| fault.line);
            Err(faults)
        }
    }
}

impl Entry {
    /// What the tool is told.
    pub(crate) fn words(&self) -> Vec<OsString> {
        let mut words = self.place();
        words.extend(self.others(&[]));
        words.into_iter().map(OsString::from).collect()
    }

    /// The option that says where the node goes.
    fn place(&self) -> Vec<String> {
        match self.setting("path") {
            // It is among the others.
            Some(_) => Vec::new(),
            None => vec![format!("--name={}", self.name)],
        }
    }

    /// All words but those of `place` and of some keys.
    fn others(&self, without: &[&str]) -> Vec<String> {
        let options = self.options.iter();
        let options = options.filter(|setting| !without.contains(&setting.key.as_str()));
        let words = options.flat_map(|setting| &setting.words);
        words.chain(&self.arguments).cloned().collect()
    }

    fn setting(&self, key: &str) -> Option<&Setting> {
        self.options.iter().find(|setting| setting.key == key)
    }

    /// The device as it is in a private /dev, where there is only FUSE: at the end of its path, if it
    /// has one there.
    pub(crate) fn for_private_dev(&self) -> Wanted {
        let path = self.setting("path").and_then(|path| path.words.first());
        let path = path.and_then(|word| word.strip_prefix("--path=/dev/"));
        let words = self.others(&["path", "backend"]);
        Wanted {
            name: path.unwrap_or(&self.name).to_owned(),
            tool: self.tool.clone(),
            words: words.into_iter().map(OsString::from).collect(),
        }
    }

    /// The device as it is anywhere else.
    pub(crate) fn wanted(&self) -> Wanted {
        Wanted {
            name: self.name.clone(),
            tool: full_name(&self.tool).to_owned(),
            words: self.words(),
        }
    }
}

/// The file where no other is named: the user's own if there is one, else that of the machine.
pub(crate) fn default_file() -> PathBuf {
    let own = env::var_os("XDG_CONFIG_HOME")
        .map(PathBuf::from)
        .filter(|path| path.is_absolute())
        .or_else(|| Some(Path::new(&env::var_os("HOME")?).join(".config")))
        .map(|directory| directory.join("fusd/devices.toml"))
        .filter(|file| file.exists());
    match own {
        Some(own) if !nix::unistd::geteuid().is_root() => own,
        _ => PathBuf::from(SYSTEM),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn faults(text: &str) -> Vec<String> {
        let faults = parse(text).unwrap_err();
        faults.iter().map(ToString::to_string).collect()
    }

    #[test]
    fn each_table_is_a_device() {
        let text = r#"
            [device.motd]
            tool = "echo"
            file = "/etc/motd"
            watch = true
            mode = 0o644
            verbose = 2

            [device."bus/port0"]
            tool = "fusd-pipe"
            path = "/dev/port0"
            backend = "cuse"
            size = 4096
            stats = false
        "#;
        let entries = parse(text).unwrap();
        let words = |entry: &Entry| {
            let mut words = entry.words();
            words.sort();
            words
        };
        assert_eq!(entries[0].tool, "fusd-echo");
        assert_eq!(
            words(&entries[0]),
            [
                "--file=/etc/motd",
                "--mode=0o644",
                "--name=motd",
                "--verbose",
                "--verbose",
                "--watch"
            ]
        );
        assert_eq!(
            words(&entries[1]),
            ["--backend=cuse", "--path=/dev/port0", "--size=4096"]
        );
        let private = entries[1].for_private_dev();
        assert_eq!(private.name, "port0");
        assert_eq!(private.words, ["--size=4096"]);
    }

    #[test]
    fn arguments_and_options_that_repeat_are_arrays() {
        let text = "[device.x]\ntool = \"http\"\nargs = [\"http://localhost/\"]\n\
                    header = [\"A: b\", \"C: d\"]\n";
        let entries = parse(text).unwrap();
        assert_eq!(
            entries[0].words(),
            [
                "--name=x",
                "--header=A: b",
                "--header=C: d",
                "http://localhost/"
            ]
        );
    }

    #[test]
    fn what_is_wrong_has_its_line_its_key_and_what_is_allowed() {
        for (text, expected) in [
            ("x = 1", &["1: x: ", "[device.NAME]"][..]),
            ("device = 1", &["1: device: ", "[device.NAME]"]),
            (
                "[device.\"a b\"]\ntool = \"echo\"",
                &["1: device.a b: ", "letters"],
            ),
            ("[device.x]\n", &["1: device.x: ", "tool", "fusd-echo"]),
            ("[device.x]\n\ntool = 5", &["3: tool: ", "text"]),
            (
                "[device.x]\ntool = \"no-such\"",
                &["2: tool: ", "no-such", "fusd-pipe"],
            ),
            (
                "[device.x]\ntool = \"echo\"\nargs = [\"a\"]\n# comment\ntexxt = \"b\"",
                &["5: texxt: ", "fusd-echo has no such option", "on-write"],
            ),
            (
                "[device.x]\ntool = \"echo\"\nargs = [\"a\"]\nmode = \"999\"",
                &["4: mode: ", "999", "octal"],
            ),
            (
                "[device.x]\ntool = \"echo\"\nargs = [\"a\"]\non-write = \"burn\"",
                &["4: on-write: ", "burn", "discard"],
            ),
            (
                "[device.x]\ntool = \"echo\"\nargs = [\"a\"]\nlines = \"yes\"",
                &["4: lines: ", "true or false"],
            ),
            (
                "[device.x]\ntool = \"echo\"\nargs = [\"a\"]\nmode = true",
                &["4: mode: ", "takes a value"],
            ),
            (
                "[device.x]\ntool = \"echo\"\nmode = [\"1\", \"2\"]\nargs = [\"a\"]",
                &["3: mode: ", "once"],
            ),
            (
                "[device.x]\ntool = \"echo\"\nargs = [\"a\"]\nname = \"y\"",
                &["4: name: ", "table"],
            ),
            (
                "[device.x]\ntool = \"echo\"\nargs = [\"--lines\"]",
                &["3: args: ", "--lines", "keys"],
            ),
            (
                "[device.x]\ntool = \"echo\"\nargs = \"a\"",
                &["3: args: ", "[\"...\"]"],
            ),
            (
                "[device.x]\ntool = \"echo\"\nargs = [\"a\"]\nfile = { a = 1 }",
                &["4: file: "],
            ),
            ("[device.x]\ntool = ", &["2: "]),
            ("[device.x]\ntool = \"echo\"\ntool = \"echo\"", &["3: "]),
        ] {
            let faults = faults(text);
            assert_eq!(faults.len(), 1, "{text}: {faults:?}");
            let mut rest = faults[0].as_str();
            assert!(rest.starts_with(expected[0]), "{text}: {rest}");
            for part in expected {
                let place = rest.find(part);
                let place = place.unwrap_or_else(|| panic!("{text}: no {part:?} in {rest:?}"));
                rest = &rest[place + part.len()..];
            }
        }
    }

    #[test]
    fn all_that_is_wrong_is_said_in_the_order_of_the_file() {
        let text = "[device.y]\ntool = \"echo\"\nargs = [\"a\"]\nmode = \"9\"\nx = 1\n\
                    [device.a]\ntool = \"pipe\"\nsize = \"many\"\n";
        let faults = faults(text);
        let lines: Vec<&str> = faults
            .iter()
            .filter_map(|fault| fault.split(':').next())
            .collect();
        assert!(lines.is_sorted() && lines.len() >= 2, "{faults:?}");
    }
}
