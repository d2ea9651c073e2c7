//! What the command line names as the port.

use std::path::PathBuf;

/// A port.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Target {
    /// A terminal device.
    Path(PathBuf),
    /// A port whose output is its input.
    Loop,
    /// No port: two nodes that are joined.
    Pair,
    /// Bytes over TCP: host and port.
    Tcp(String),
    /// A serial port elsewhere (RFC 2217): host and port.
    Rfc2217(String),
}

/// Reads a port.
pub(crate) fn target(text: &str) -> Result<Target, String> {
    let address = |rest: &str| match rest.rsplit_once(':') {
        Some((host, port)) if !host.is_empty() && port.parse::<u16>().is_ok() => {
            Ok(rest.to_owned())
        }
        _ => Err("give a host and a port number: tcp://localhost:4000".to_owned()),
    };
    match text {
        "" => Err("give a path, loop, pair, tcp://HOST:PORT or rfc2217://HOST:PORT".to_owned()),
        "loop" => Ok(Target::Loop),
        "pair" => Ok(Target::Pair),
        _ => match (text.strip_prefix("tcp://"), text.strip_prefix("rfc2217://")) {
            (Some(rest), _) => address(rest).map(Target::Tcp),
            (_, Some(rest)) => address(rest).map(Target::Rfc2217),
            _ => Ok(Target::Path(text.into())),
        },
    }
}

impl Target {
    /// For messages.
    pub(crate) fn name(&self) -> String {
        match self {
            Self::Path(path) => path.display().to_string(),
            Self::Loop => "loop".to_owned(),
            Self::Pair => "pair".to_owned(),
            Self::Tcp(address) => format!("tcp://{address}"),
            Self::Rfc2217(address) => format!("rfc2217://{address}"),
        }
    }
}

#[test]
fn a_port_is_one_of_five_things() {
    assert_eq!(target("loop"), Ok(Target::Loop));
    assert_eq!(target("pair"), Ok(Target::Pair));
    assert_eq!(target("/dev/ttyS0"), Ok(Target::Path("/dev/ttyS0".into())));
    assert_eq!(target("./loop"), Ok(Target::Path("./loop".into())));
    let there = "[::1]:4000".to_owned();
    assert_eq!(target("tcp://[::1]:4000"), Ok(Target::Tcp(there.clone())));
    assert_eq!(target("rfc2217://[::1]:4000"), Ok(Target::Rfc2217(there)));
    for text in ["", "tcp://", "tcp://host", "rfc2217://host:x", "tcp://:1"] {
        assert!(target(text).is_err(), "{text}");
    }
}
