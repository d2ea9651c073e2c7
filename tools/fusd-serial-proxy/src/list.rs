//! `--list`: the machine's serial ports.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::fs;
use std::path::{Path, PathBuf};

use serialport::{SerialPortInfo, SerialPortType};

/// Where the kernel tells of terminals.
const TERMINALS: &str = "/sys/class/tty";

/// A line for each port: its path, what it is, its USB ids, and who has it open.
///
/// # Errors
/// The system does not tell, as text.
pub(crate) fn list() -> Result<String, String> {
    let mut holders = holders();
    let mut text = String::new();
    for port in ports()? {
        let _never = write!(text, "{}", port.port_name);
        match port.port_type {
            SerialPortType::UsbPort(usb) => {
                let _never = write!(text, "\tusb {:04x}:{:04x}", usb.vid, usb.pid);
                let words = [usb.serial_number, usb.manufacturer, usb.product];
                for word in words.into_iter().flatten() {
                    let _never = write!(text, " {word}");
                }
            }
            SerialPortType::PciPort => text.push_str("\tpci"),
            SerialPortType::BluetoothPort => text.push_str("\tbluetooth"),
            SerialPortType::Unknown => match uart(&port.port_name) {
                Some(4) => text.push_str("\tuart 16550A"),
                Some(_) => text.push_str("\tuart"),
                None => text.push_str("\t-"),
            },
        }
        if let Some(who) = holders.remove(&PathBuf::from(port.port_name)) {
            let _never = write!(text, "\topen: {}", who.join(", "));
        }
        text.push('\n');
    }
    Ok(text)
}

/// The ports that are there, by their names.
///
/// # Errors
/// The system does not tell, as text.
pub(crate) fn ports() -> Result<Vec<SerialPortInfo>, String> {
    // Without it, the crate panics.
    if !Path::new(TERMINALS).is_dir() {
        return Err(format!("there is no {TERMINALS}; mount sysfs at /sys"));
    }
    let mut ports = serialport::available_ports().map_err(|error| error.to_string())?;
    // A place for a UART that the machine does not have (PORT_UNKNOWN).
    ports.retain(|port| uart(&port.port_name) != Some(0));
    // ttyS10 after ttyS9.
    ports.sort_by_cached_key(|port| (port.port_name.len(), port.port_name.clone()));
    Ok(ports)
}

/// The type of the UART behind `port`, as a number of `include/uapi/linux/serial.h`; `None` for other
/// ports.
fn uart(port: &str) -> Option<u32> {
    let name = Path::new(port).file_name()?;
    let file = Path::new(TERMINALS).join(name).join("type");
    fs::read_to_string(file).ok()?.trim().parse().ok()
}

/// Who has which device open, as far as this user may know.
pub(crate) fn holders() -> BTreeMap<PathBuf, Vec<String>> {
    let mut found: BTreeMap<PathBuf, Vec<String>> = BTreeMap::new();
    for process in fs::read_dir("/proc").into_iter().flatten().flatten() {
        let name = process.file_name().to_string_lossy().into_owned();
        if !name.bytes().all(|byte| byte.is_ascii_digit()) {
            continue;
        }
        let program = fs::read(process.path().join("comm")).unwrap_or_default();
        // A program can call itself what a terminal would obey.
        let program = String::from_utf8_lossy(program.trim_ascii_end());
        let program = program.replace(char::is_control, "?");
        let files = fs::read_dir(process.path().join("fd"));
        for file in files.into_iter().flatten().flatten() {
            let Ok(target) = fs::read_link(file.path()) else {
                continue;
            };
            if target.starts_with("/dev") {
                let who = format!("{program} ({name})");
                let all = found.entry(target).or_default();
                if !all.contains(&who) {
                    all.push(who);
                }
            }
        }
    }
    found
}

#[test]
fn this_process_has_a_terminal_open() {
    let pair = nix::pty::openpty(None, None).unwrap();
    let path = nix::unistd::ttyname(&pair.slave).unwrap();
    let holders = holders();
    let who = &holders[&path];
    let own = format!("({})", std::process::id());
    assert!(who.iter().any(|who| who.ends_with(&own)), "{who:?}");
}
