//! USB adapters by what they are instead of where they are.

use std::path::PathBuf;

use serialport::{SerialPortInfo, SerialPortType};

use crate::list;

/// An adapter: the numbers of its vendor and product, and its serial number if that matters.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Adapter {
    vendor: u16,
    product: u16,
    serial: Option<String>,
}

/// Reads `VID:PID`, in hexadecimal, and `/SERIAL`.
pub(crate) fn adapter(text: &str) -> Result<Adapter, String> {
    let help = || "give what --list tells of it: VID:PID, or VID:PID/SERIAL".to_owned();
    let (ids, serial) = match text.split_once('/') {
        Some((ids, serial)) => (ids, Some(serial.to_owned())),
        None => (text, None),
    };
    let (vendor, product) = ids.split_once(':').ok_or_else(help)?;
    let number = |text| u16::from_str_radix(text, 16).map_err(|_| help());
    Ok(Adapter {
        vendor: number(vendor)?,
        product: number(product)?,
        serial,
    })
}

impl Adapter {
    /// Where it is now, if it is plugged in.
    pub(crate) fn find(&self) -> Option<PathBuf> {
        self.find_in(list::ports().unwrap_or_default())
    }

    fn find_in(&self, ports: Vec<SerialPortInfo>) -> Option<PathBuf> {
        let found = ports.into_iter().find(|port| match &port.port_type {
            SerialPortType::UsbPort(usb) => {
                (usb.vid, usb.pid) == (self.vendor, self.product)
                    && (self.serial.is_none() || usb.serial_number == self.serial)
            }
            _ => false,
        });
        found.map(|port| port.port_name.into())
    }
}

#[test]
fn adapters_are_known_by_their_numbers() {
    use serialport::UsbPortInfo;
    let port = |name: &str, serial: Option<&str>| SerialPortInfo {
        port_name: name.to_owned(),
        port_type: SerialPortType::UsbPort(UsbPortInfo {
            vid: 0x0403,
            pid: 0x6001,
            serial_number: serial.map(str::to_owned),
            manufacturer: None,
            product: None,
        }),
    };
    let other = SerialPortInfo {
        port_name: "/dev/ttyS0".to_owned(),
        port_type: SerialPortType::Unknown,
    };
    let ports = || {
        let usb = [port("/dev/ttyUSB0", None), port("/dev/ttyUSB1", Some("A1"))];
        [vec![other.clone()], usb.to_vec()].concat()
    };
    let find = |text: &str| adapter(text).unwrap().find_in(ports());
    assert_eq!(find("0403:6001"), Some("/dev/ttyUSB0".into()));
    assert_eq!(find("0403:6001/A1"), Some("/dev/ttyUSB1".into()));
    assert_eq!(find("0403:6001/A2"), None);
    assert_eq!(find("403:6002"), None);
    for text in ["", "0403", "0403:", "x:y", "12345:1"] {
        assert!(adapter(text).is_err(), "{text}");
    }
}
