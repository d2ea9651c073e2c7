//! `fusd generate`: has systemd start the devices of the configuration file with fusd.target, in the manner
//! of its generators (systemd.generator(7)).

use std::fs;
use std::os::unix::fs::symlink;
use std::path::{Path, PathBuf};

use fusd::Errno;
use fusd_tool::{ToolError, exit};

use crate::config::Config;

#[derive(clap::Args, Debug)]
pub(crate) struct Args {
    /// The template of the devices' units
    unit: PathBuf,

    /// The configuration file; without it, there is nothing to start
    config: PathBuf,

    /// Where systemd finds what its generators write
    directory: PathBuf,
}

pub(crate) fn run(args: &Args) -> Result<u8, ToolError> {
    if !args.config.exists() {
        return Ok(exit::STOPPED);
    }
    let config = Config::read(&args.config)?;
    let wanted = args.directory.join("fusd.target.wants");
    let failed = |path: &Path, error: std::io::Error| {
        let errno = Errno::from(error);
        ToolError::failed(format!("cannot make {}: {errno}", path.display()))
    };
    fs::create_dir_all(&wanted).map_err(|error| failed(&wanted, error))?;
    for entry in &config.entries {
        let link = wanted.join(format!("fusd@{}.service", escaped(&entry.name)));
        symlink(&args.unit, &link).map_err(|error| failed(&link, error))?;
    }
    Ok(exit::STOPPED)
}

/// The name as it is in that of a unit (systemd.unit(5), "String Escaping").
fn escaped(name: &str) -> String {
    let mut text = String::new();
    for (place, byte) in name.bytes().enumerate() {
        match byte {
            b'/' => text.push('-'),
            b'.' if place == 0 => text.push_str("\\x2e"),
            b'.' | b'_' | b':' | b'a'..=b'z' | b'A'..=b'Z' | b'0'..=b'9' => text.push(byte.into()),
            _ => text.push_str(&format!("\\x{byte:02x}")),
        }
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_escaped_as_systemd_escape_does_it() {
        for (name, expected) in [
            ("motd", "motd"),
            ("bus/port0", "bus-port0"),
            ("a-b", "a\\x2db"),
            (".a.b_c:d", "\\x2ea.b_c:d"),
            ("a@b", "a\\x40b"),
        ] {
            assert_eq!(escaped(name), expected);
        }
    }

    #[test]
    fn each_device_of_the_file_is_wanted_and_none_is_no_fault() {
        let folder = tempfile::tempdir().unwrap();
        let args = Args {
            unit: "/lib/fusd@.service".into(),
            config: folder.path().join("devices.toml"),
            directory: folder.path().join("units"),
        };
        assert_eq!(run(&args).unwrap(), 0);
        assert!(!args.directory.exists());
        let text = "[device.motd]\ntool = \"echo\"\nargs = [\"x\"]\n\
                    [device.\"bus/port-0\"]\ntool = \"pipe\"\n";
        fs::write(&args.config, text).unwrap();
        assert_eq!(run(&args).unwrap(), 0);
        for name in ["motd", "bus-port\\x2d0"] {
            let link = format!("fusd.target.wants/fusd@{name}.service");
            let target = fs::read_link(args.directory.join(link)).unwrap();
            assert_eq!(target, args.unit);
        }
        fs::write(&args.config, "[device.motd]\n").unwrap();
        assert_eq!(run(&args).unwrap_err().code(), exit::USAGE);
    }
}
