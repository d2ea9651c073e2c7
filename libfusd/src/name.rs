//! Names of devices, and the places their nodes go to.

use std::env;
use std::path::{Path, PathBuf};

use crate::{Errno, Error, ErrorKind, Result};

/// Bytes in one component of a name: what file systems allow (`NAME_MAX`).
const COMPONENT_MAX: usize = 255;

/// Bytes in a whole name: leaves room for the directory below `PATH_MAX` (4096).
const NAME_MAX: usize = 1024;

/// Checks a device name: components of `[A-Za-z0-9._-]`, separated by single slashes, neither "."
/// nor "..", at most 255 bytes each and 1024 together. A leading "/dev/" is skipped.
pub(crate) fn check(name: &str) -> Result<&str> {
    let short = name.strip_prefix("/dev/").unwrap_or(name);
    match fault(short) {
        None => Ok(short),
        Some((errno, why)) => Err(Error::new(
            ErrorKind::Invalid,
            errno,
            format!("use the device name {name:?}"),
        )
        .because(why)
        .hint("a name is made of letters, digits, \".\", \"_\" and \"-\", with \"/\" for subdirectories")),
    }
}

fn fault(name: &str) -> Option<(Errno, String)> {
    let invalid = |why: &str| Some((Errno::EINVAL, why.to_owned()));
    if name.is_empty() {
        return invalid("it is empty");
    }
    if name.len() > NAME_MAX {
        return Some((
            Errno::ENAMETOOLONG,
            format!("it is longer than {NAME_MAX} bytes"),
        ));
    }
    for component in name.split('/') {
        match component {
            "" => return invalid("a component is empty"),
            "." | ".." => return invalid("a component may not be \".\" or \"..\""),
            _ if component.len() > COMPONENT_MAX => {
                let why = format!("a component is longer than {COMPONENT_MAX} bytes");
                return Some((Errno::ENAMETOOLONG, why));
            }
            _ => {}
        }
        let allowed = |c: &char| c.is_ascii_alphanumeric() || "._-".contains(*c);
        if let Some(bad) = component.chars().find(|c| !allowed(c)) {
            return Some((Errno::EINVAL, format!("it contains {bad:?}")));
        }
    }
    None
}

/// The directory in which names are looked up: /dev for root, else the user's own.
pub(crate) fn directory() -> Result<PathBuf> {
    if nix::unistd::geteuid().is_root() {
        return Ok(PathBuf::from("/dev"));
    }
    match env::var_os("XDG_RUNTIME_DIR").map(PathBuf::from) {
        Some(runtime) if runtime.is_absolute() && runtime.is_dir() => Ok(runtime.join("fusd")),
        _ => Err(
            Error::new(ErrorKind::Node, Errno::ENOENT, "find a place for the node")
                .because("only root can make nodes in /dev, and XDG_RUNTIME_DIR names no directory")
                .hint("say where it shall go with a path, or set XDG_RUNTIME_DIR"),
        ),
    }
}

/// Checks the path of a node that is given instead of a name, and makes it absolute.
pub(crate) fn check_path(path: &Path) -> Result<PathBuf> {
    let invalid = |why: &'static str| {
        Error::new(ErrorKind::Invalid, Errno::EINVAL, "use the path")
            .on(if path.as_os_str().is_empty() {
                Path::new("\"\"")
            } else {
                path
            })
            .because(why)
            .hint("give the path of the node itself, as in directory/node")
    };
    if path.as_os_str().is_empty() {
        return Err(invalid("it is empty"));
    }
    let bytes = path.as_os_str().as_encoded_bytes();
    if matches!(
        bytes.rsplit(|byte| *byte == b'/').next(),
        Some(b"" | b"." | b"..")
    ) {
        return Err(invalid("it names a directory, not a file in one"));
    }
    std::path::absolute(path).map_err(|error| {
        // The working directory has been removed, or may not be seen.
        Error::new(
            ErrorKind::Invalid,
            error.into(),
            "find the working directory for the path",
        )
        .on(path)
        .hint("give an absolute path")
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn good_names_pass_and_lose_the_prefix() {
        for name in ["a", "helloworld", "bus/usb.0/ep_1-2", "...", "ttyS0"] {
            assert_eq!(check(name).unwrap(), name);
        }
        assert_eq!(check("/dev/x/y").unwrap(), "x/y");
    }

    #[test]
    fn bad_names_are_refused_with_the_reason() {
        for (name, reason) in [
            ("", "it is empty"),
            ("/dev/", "it is empty"),
            ("/x", "a component is empty"),
            ("a//b", "a component is empty"),
            ("a/", "a component is empty"),
            ("..", "\"..\""),
            ("a/../b", "\"..\""),
            ("./a", "\".\""),
            ("a b", "contains ' '"),
            ("%s%n", "contains '%'"),
            ("ü", "contains 'ü'"),
            ("a\0b", "contains '\\0'"),
        ] {
            let error = check(name).unwrap_err();
            assert_eq!(error.kind(), ErrorKind::Invalid, "{name:?}");
            assert_eq!(error.errno(), Errno::EINVAL, "{name:?}");
            assert!(error.to_string().contains(reason), "{name:?}: {error}");
        }
        assert_eq!(
            check(&"x".repeat(256)).unwrap_err().errno(),
            Errno::ENAMETOOLONG
        );
        assert_eq!(
            check(&"x/".repeat(600)).unwrap_err().errno(),
            Errno::ENAMETOOLONG
        );
    }

    #[test]
    fn paths_name_a_file() {
        assert_eq!(
            check_path(Path::new("/tmp/x")).unwrap(),
            Path::new("/tmp/x")
        );
        assert!(check_path(Path::new("x")).unwrap().is_absolute());
        for bad in ["", "/", "/tmp/", "/tmp/.", "/tmp/..", ".", ".."] {
            assert_eq!(
                check_path(Path::new(bad)).unwrap_err().errno(),
                Errno::EINVAL,
                "{bad:?}"
            );
        }
    }
}
