//! The kernel: its version, what it is built with, and which modules it has.

use std::fs::{self, File};
use std::io::Read;
use std::path::{Path, PathBuf};

use flate2::read::GzDecoder;

/// How the kernel is built, as far as a feature goes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Setting {
    BuiltIn,
    Module,
    Absent,
    /// The kernel does not tell.
    Unknown,
}

impl Setting {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::BuiltIn => "y",
            Self::Module => "m",
            Self::Absent => "n",
            Self::Unknown => "?",
        }
    }
}

/// What matters here of the kernel.
pub(super) struct Kernel {
    /// As uname(2) has it: "7.2.1-generic".
    pub(super) release: String,
    /// What told how it is built.
    pub(super) source: Option<PathBuf>,
    config: String,
    modules: PathBuf,
}

/// The options of the kernel's configuration that matter here.
pub(super) const OPTIONS: [&str; 5] = [
    "CONFIG_RUST",
    "CONFIG_MODULES",
    "CONFIG_CUSE",
    "CONFIG_FUSE_FS",
    "CONFIG_USER_NS",
];

/// The modules that matter here.
pub(super) const MODULES: [&str; 3] = ["kfusd", "cuse", "fuse"];

impl Kernel {
    pub(super) fn look() -> Self {
        let release = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
        let release = release.trim().to_owned();
        let modules = Path::new("/lib/modules").join(&release);
        let sources = [
            PathBuf::from("/proc/config.gz"),
            PathBuf::from(format!("/boot/config-{release}")),
            modules.join("config"),
        ];
        let found = sources
            .into_iter()
            .find_map(|path| Some((read(&path)?, path)));
        let (config, source) =
            found.map_or_else(Default::default, |(text, path)| (text, Some(path)));
        Self {
            release,
            source,
            config,
            modules,
        }
    }

    /// Whether it is older than this version.
    pub(super) fn is_before(&self, major: u32, minor: u32) -> bool {
        version(&self.release).is_some_and(|version| version < (major, minor))
    }

    /// How it is built.
    pub(super) fn setting(&self, option: &str) -> Setting {
        match self.source {
            Some(_) => setting(&self.config, option),
            None => Setting::Unknown,
        }
    }

    /// Whether a module is in the kernel now, be it loaded or built in.
    pub(super) fn has(&self, module: &str) -> bool {
        let loaded = fs::read_to_string("/proc/modules").unwrap_or_default();
        let loaded = loaded
            .lines()
            .any(|line| line.split(' ').next() == Some(module));
        loaded || Path::new("/sys/module").join(module).exists() || self.lists("builtin", module)
    }

    /// Whether a module is there to be loaded.
    pub(super) fn can_load(&self, module: &str) -> bool {
        self.lists("dep", module)
    }

    /// Whether one of the lists of modules names it.
    fn lists(&self, list: &str, module: &str) -> bool {
        let text = fs::read_to_string(self.modules.join(format!("modules.{list}")));
        let name = format!("/{module}.ko");
        text.unwrap_or_default()
            .lines()
            .filter_map(|line| line.split(':').next())
            // There may be an extension more, of a compressed file.
            .any(|path| format!("/{path}").contains(&name))
    }
}

fn read(path: &Path) -> Option<String> {
    let mut text = String::new();
    let file = File::open(path).ok()?;
    match path.extension().is_some_and(|extension| extension == "gz") {
        true => GzDecoder::new(file).read_to_string(&mut text).ok()?,
        false => { file }.read_to_string(&mut text).ok()?,
    };
    Some(text)
}

/// Major and minor number.
fn version(release: &str) -> Option<(u32, u32)> {
    let mut parts = release.split(|letter: char| !letter.is_ascii_digit());
    Some((parts.next()?.parse().ok()?, parts.next()?.parse().ok()?))
}

/// An option in a text of the form of the kernel's .config.
fn setting(config: &str, option: &str) -> Setting {
    let value = config
        .lines()
        .find_map(|line| line.strip_prefix(option)?.strip_prefix('='));
    match value {
        Some("y") => Setting::BuiltIn,
        Some("m") => Setting::Module,
        _ => Setting::Absent,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_by_their_numbers() {
        assert_eq!(version("7.2.1-generic"), Some((7, 2)));
        assert_eq!(version("7.10-rc3"), Some((7, 10)));
        assert_eq!(version("x"), None);
        assert!(version("6.18.44") < Some((7, 2)));
        assert!(version("7.10") > Some((7, 2)));
    }

    #[test]
    fn an_option_is_known_by_its_whole_name() {
        let config = "CONFIG_RUST_IS_AVAILABLE=y\n# CONFIG_RUST is not set\nCONFIG_CUSE=m\nCONFIG_FUSE_FS=y\n";
        assert_eq!(setting(config, "CONFIG_RUST"), Setting::Absent);
        assert_eq!(setting(config, "CONFIG_CUSE"), Setting::Module);
        assert_eq!(setting(config, "CONFIG_FUSE_FS"), Setting::BuiltIn);
    }
}
