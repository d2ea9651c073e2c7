//! The command line: `--NAME VALUE` pairs.

use std::fs::File;
use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use fusd::{BackendKind, Restart};

/// What the driver is started with.
pub(crate) struct Options {
    /// Which device, with its own arguments after colons.
    pub(crate) device: String,
    pub(crate) backend: BackendKind,
    pub(crate) path: PathBuf,
    pub(crate) mode: u32,
    pub(crate) owner: Option<u32>,
    pub(crate) workers: usize,
    pub(crate) max_open: Option<usize>,
    pub(crate) ready: Option<File>,
    /// How the device outlives the driver, if it does.
    pub(crate) restart: Option<Restart>,
    /// Nodes of further devices, each a memory of its own.
    pub(crate) beside: Vec<PathBuf>,
}

impl Options {
    pub(crate) fn parse(mut words: impl Iterator<Item = String>) -> Result<Self, String> {
        let mut options = Self {
            device: String::new(),
            backend: BackendKind::Fuse,
            path: PathBuf::new(),
            mode: 0o666,
            owner: None,
            workers: 16,
            max_open: None,
            ready: None,
            restart: None,
            beside: Vec::new(),
        };
        while let Some(name) = words.next() {
            let value = words.next().ok_or(format!("{name} takes a value"))?;
            match name.as_str() {
                "--device" => options.device = value,
                "--backend" => options.backend = parse(&value)?,
                "--path" => options.path = value.into(),
                "--mode" => {
                    options.mode = u32::from_str_radix(&value, 8)
                        .map_err(|error| format!("{name} {value}: {error}"))?;
                }
                "--owner" => options.owner = Some(parse(&value)?),
                "--workers" => options.workers = parse(&value)?,
                "--max-open" => options.max_open = Some(parse(&value)?),
                "--restart" => options.restart = Some(restart(&value)?),
                "--beside" => options.beside.push(value.into()),
                "--ready-fd" => {
                    let fd = fusd_tests::sys::inherited(parse(&value)?)
                        .map_err(|errno| format!("{name} {value}: {errno}"))?;
                    options.ready = Some(fd.into());
                }
                _ => return Err(format!("unknown option {name}")),
            }
        }
        Ok(options)
    }
}

/// A policy: the limit in milliseconds, then `:again` and `:replace` as wanted.
fn restart(value: &str) -> Result<Restart, String> {
    let mut words = value.split(':');
    let limit = parse(words.next().unwrap_or_default())?;
    let policy = Restart::within(Duration::from_millis(limit));
    words.try_fold(policy, |policy, word| match word {
        "again" => Ok(policy.again()),
        "replace" => Ok(policy.replace()),
        _ => Err(format!("--restart {value}: {word}")),
    })
}

/// Reads a value.
pub(crate) fn parse<T: FromStr<Err: std::fmt::Display>>(word: &str) -> Result<T, String> {
    word.parse().map_err(|error| format!("{word}: {error}"))
}
