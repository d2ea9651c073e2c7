//! The texts of a package: its control file, changelog and copyright.

use std::env;
use std::process::Command;

use anyhow::Result;

use super::output_of;
use super::packages::{Package, VERSION};

/// The control file. `libraries` are the dependencies on libraries, `size` is in KiB.
pub(super) fn control(package: &Package, machine: &str, libraries: &str, size: u64) -> String {
    let mut text = format!(
        "Package: {}\nSource: fusd\nVersion: {VERSION}\nArchitecture: {}\nMaintainer: {}\n\
         Installed-Size: {size}\nSection: {}\nPriority: optional\n",
        package.name,
        package.architecture(machine),
        maintainer(),
        package.section,
    );
    for field in package.fields {
        let field = field.replace("@version@", VERSION);
        text.push_str(&field.replace("@libraries@", libraries));
        text.push('\n');
    }
    // The source of libfusd0 and the others is a package of another name.
    let text = match package.name {
        "fusd" => text.replace("Source: fusd\n", ""),
        _ => text,
    };
    let description = package.description.iter().map(|line| match *line {
        "" => " .\n".to_owned(),
        line => format!(" {line}\n"),
    });
    let description: String = description.collect();
    format!("{text}Description: {}\n{description}", package.summary)
}

/// Who makes the package, as Debian's tools are told.
fn maintainer() -> String {
    let variable = |name: &str, otherwise: &str| {
        let value = env::var(name).ok().filter(|value| !value.is_empty());
        value.unwrap_or_else(|| otherwise.to_owned())
    };
    let name = variable("DEBFULLNAME", "Whoever built this");
    format!("{name} <{}>", variable("DEBEMAIL", "root@localhost"))
}

/// The changelog of a package, whose time is in seconds since 1970.
pub(super) fn changelog(time: u64) -> Result<String> {
    let mut date = Command::new("date");
    date.env("LC_ALL", "C").args(["--utc", "--rfc-email"]);
    let date = output_of(date.arg(format!("--date=@{time}")))?;
    Ok(format!(
        "fusd ({VERSION}) unstable; urgency=medium\n\n  * See CHANGELOG.md in the sources.\n\n -- {}  {}\n",
        maintainer(),
        date.trim()
    ))
}

/// The licences, in the form of DEP-5, with the texts that the system has.
pub(super) const COPYRIGHT: &str = "\
Format: https://www.debian.org/doc/packaging-manuals/copyright-format/1.0/
Upstream-Name: fusd

Files: *
Copyright: the authors of fusd
License: Expat or Apache-2.0

Files: usr/src/kfusd-*
Copyright: the authors of fusd
License: GPL-2
Comment: wire.rs, the protocol, is under GPL-2.0-only WITH Linux-syscall-note, or
 Expat, or Apache-2.0.

License: Expat
@mit@

License: Apache-2.0
 On Debian systems, the text is in /usr/share/common-licenses/Apache-2.0.

License: GPL-2
 On Debian systems, the text is in /usr/share/common-licenses/GPL-2.
";

/// The copyright file; `mit` is the text of that licence.
pub(super) fn copyright(mit: &str) -> String {
    let lines = mit.lines().map(|line| match line.trim() {
        "" => " .".to_owned(),
        line => format!(" {line}"),
    });
    COPYRIGHT.replace("@mit@", &lines.collect::<Vec<_>>().join("\n"))
}

#[cfg(test)]
mod tests {
    use super::super::packages::PACKAGES;
    use super::*;

    #[test]
    fn a_control_file_says_what_dpkg_asks_for() {
        let text = control(&PACKAGES[1], "amd64", "libc6 (>= 2.34)", 7);
        for line in [
            "Package: libfusd0",
            "Source: fusd",
            "Architecture: amd64",
            "Depends: libc6 (>= 2.34)",
            "Installed-Size: 7",
            " .",
        ] {
            assert!(
                text.lines().any(|found| found == line),
                "no {line} in {text}"
            );
        }
        let all = control(&PACKAGES[3], "amd64", "", 7);
        assert!(all.contains("\nArchitecture: all\n"), "{all}");
        let exact = control(&PACKAGES[2], "amd64", "", 7);
        assert!(
            exact.contains(&format!("libfusd0 (= {VERSION})")),
            "{exact}"
        );
    }

    #[test]
    fn the_changelog_has_a_date() {
        let text = changelog(86_400).unwrap();
        assert!(
            text.ends_with("  Fri, 02 Jan 1970 00:00:00 +0000\n"),
            "{text}"
        );
    }

    #[test]
    fn an_empty_line_of_a_licence_is_a_dot() {
        assert!(copyright("a\n\n  b\n").contains("License: Expat\n a\n .\n b\n"));
    }
}
