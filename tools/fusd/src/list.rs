//! `fusd list`: the devices there are, who serves them, and who has them open.

use std::io::{self, Write};

use fusd_tool::{ToolError, exit};
use serde_json::{Value, json};

use crate::devices::{self, Device, Driver, Process};
use crate::table;

/// List the devices on all backends, with their drivers and clients
///
/// "?" is what this user may not know, "-" what the backend does not count.
#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// Print one JSON array, with an object for each device
    #[arg(long)]
    json: bool,
}

pub(crate) fn run(args: &Args) -> Result<u8, ToolError> {
    let devices = devices::find();
    let text = match args.json {
        true => format!("{:#}\n", Value::from_iter(devices.iter().map(as_json))),
        false if devices.is_empty() => "There are no devices of fusd here.\n".to_owned(),
        false => lines(&devices),
    };
    print(&text);
    Ok(exit::STOPPED)
}

/// Writes to standard output, where a reader that has gone is no failure.
pub(crate) fn print(text: &str) {
    let _nobody = io::stdout().write_all(text.as_bytes());
}

const TITLE: [&str; 8] = [
    "NODE", "BACKEND", "DRIVER", "USER", "WAITING", "SERVED", "BYTES", "CLIENTS",
];

fn lines(devices: &[Device]) -> String {
    let mut rows = vec![TITLE.map(str::to_owned).to_vec()];
    rows.extend(devices.iter().map(row));
    let lines = table::lay_out(&rows);
    lines.iter().map(|line| format!("{line}\n")).collect()
}

fn row(device: &Device) -> Vec<String> {
    let user = match &device.driver {
        Driver::Known(process) => process.user(),
        Driver::Unknown | Driver::Dead => "?".to_owned(),
    };
    let count = |number: fn(&devices::Counters) -> String| {
        device.counters.as_ref().map_or("-".to_owned(), number)
    };
    vec![
        table::printable(&device.path.to_string_lossy()),
        device.backend.to_string(),
        driver(device),
        user,
        count(|counters| counters.waiting.to_string()),
        count(|counters| counters.served.to_string()),
        count(|counters| table::bytes(counters.bytes)),
        clients(device),
    ]
}

/// Who serves it.
pub(crate) fn driver(device: &Device) -> String {
    match &device.driver {
        Driver::Known(process) => process.title(),
        Driver::Unknown => "?".to_owned(),
        Driver::Dead => "dead".to_owned(),
    }
}

/// Those who have the node open, and how many files are open that nobody is seen to have.
pub(crate) fn clients(device: &Device) -> String {
    let titles: Vec<String> = device.clients.iter().map(Process::title).collect();
    match (titles.is_empty(), &device.counters) {
        (false, _) => titles.join(" "),
        (true, Some(counters)) if counters.files > 0 => format!("?({} files)", counters.files),
        (true, _) => "-".to_owned(),
    }
}

fn as_json(device: &Device) -> Value {
    let process = |process: &Process| {
        json!({
            "pid": process.pid,
            "program": process.program,
            "uid": process.uid,
            "user": process.user(),
        })
    };
    let (state, driver) = match &device.driver {
        Driver::Known(known) => ("served", process(known)),
        Driver::Unknown => ("unknown", Value::Null),
        Driver::Dead => ("dead", Value::Null),
    };
    let counters = device.counters.as_ref().map(|counters| {
        json!({
            "files": counters.files,
            "waiting": counters.waiting,
            "served": counters.served,
            "bytes": counters.bytes,
            "oldest_ms": counters.oldest.as_secs_f64() * 1000.0,
        })
    });
    json!({
        "node": device.path.to_string_lossy(),
        "backend": device.backend.name(),
        "state": state,
        "driver": driver,
        "clients": device.clients.iter().map(process).collect::<Vec<_>>(),
        "counters": counters,
    })
}
