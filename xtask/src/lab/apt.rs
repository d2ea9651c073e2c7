//! Packages from the distribution's archive, unpacked into a folder; the system stays as it is.
//!
//! A kernel source as new as the lab's is in suites that an older release does not list. This reads
//! them from the archive that apt uses anyway, with lists, sources and settings of its own.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};

use super::step::Log;
use super::version::{Offer, parse_madison};

/// Where new kernels and compilers are.
const SUITES: &str = "sid trixie-backports";

/// What the archive's signatures are checked with.
const KEYRING: &str = "/usr/share/keyrings/debian-archive-keyring.gpg";

/// The settings of the system's apt that say how it reaches its archive, and how fresh a copy of it
/// has to be. Whether signatures are checked is not among them: they are.
const INHERITED: [&str; 4] = [
    "Acquire::http",
    "Acquire::Retries",
    "Acquire::Check-Valid-Until ",
    "Acquire::Check-Date ",
];

/// What to do where this archive cannot be used.
const ADVICE: &str = "unpack a kernel source yourself and name its folder in FUSD_LINUX";

/// The archive, with lists of its own in a folder.
pub(crate) struct Archive<'a> {
    folder: PathBuf,
    log: Log<'a>,
}

impl<'a> Archive<'a> {
    /// Reads the lists of the archive into `folder`.
    pub(crate) fn open(folder: &Path, log: &'a Path) -> Result<Self> {
        let (address, site) = address()?;
        fs::create_dir_all(folder.join("lists/partial"))
            .and_then(|()| fs::create_dir_all(folder.join("archives/partial")))
            .and_then(|()| {
                let sources = format!(
                    "Types: deb\nURIs: {address}\nSuites: {SUITES}\nComponents: main\nSigned-By: {KEYRING}\n"
                );
                fs::write(folder.join("lab.sources"), sources)
            })
            .and_then(|()| fs::write(folder.join("apt.conf"), settings(folder, &dump()?)))
            .with_context(|| format!("cannot write to {}", folder.display()))?;
        let host = site.rsplit("://").next().unwrap_or_default();
        let host = host.split('/').next().unwrap_or_default().to_owned();
        let archive = Self {
            folder: folder.to_owned(),
            log: Log {
                hidden: [address, site, host]
                    .into_iter()
                    .filter(|text| !text.is_empty())
                    .map(|text| (text, "ARCHIVE"))
                    .collect(),
                ..Log::new(log)
            },
        };
        archive
            .log
            .run(
                "reading the archive's lists",
                archive.command("apt-get").arg("update"),
            )
            .with_context(|| format!("cannot read the archive; {ADVICE}"))?;
        Ok(archive)
    }

    /// The versions of `packages` that the archive has.
    pub(crate) fn offers(&self, packages: &[String]) -> Result<Vec<Offer>> {
        let output = self
            .command("apt-cache")
            .arg("madison")
            .args(packages)
            .output()
            .context("cannot run apt-cache")?;
        Ok(parse_madison(&String::from_utf8_lossy(&output.stdout)))
    }

    /// Downloads a package and unpacks it into `target`, without installing it.
    pub(crate) fn unpack(&self, offer: &Offer, target: &Path) -> Result<()> {
        let name = format!("{} {}", offer.package, offer.version);
        let downloads = self.folder.join("downloads");
        fs::create_dir_all(&downloads)
            .with_context(|| format!("cannot make {}", downloads.display()))?;
        super::cache::empty(&downloads)?;
        self.log.run(
            &format!("downloading {name}"),
            self.command("apt-get")
                .current_dir(&downloads)
                .arg("download")
                .arg(format!("{}={}", offer.package, offer.version)),
        )?;
        let file = fs::read_dir(&downloads)?
            .filter_map(|entry| Some(entry.ok()?.path()))
            .find(|path| path.extension().is_some_and(|ending| ending == "deb"))
            .with_context(|| format!("apt-get left no package in {}", downloads.display()))?;
        self.log.run(
            &format!("unpacking {name}"),
            Command::new("dpkg-deb").arg("-x").arg(&file).arg(target),
        )?;
        super::cache::empty(&downloads)
    }

    fn command(&self, program: &str) -> Command {
        let mut command = Command::new(program);
        command
            .env("APT_CONFIG", self.folder.join("apt.conf"))
            .env("LC_ALL", "C.UTF-8");
        command
    }
}

/// The line of a list of sources for `suite` of the archive.
///
/// # Errors
/// apt knows no archive, or there is no key for its signatures.
pub(crate) fn source(suite: &str) -> Result<String> {
    let (address, _) = address()?;
    Ok(format!("deb [signed-by={KEYRING}] {address} {suite} main"))
}

/// How the system's apt reaches its archive, a setting each.
///
/// # Errors
/// apt does not tell.
pub(crate) fn inherited() -> Result<Vec<String>> {
    let system = dump().context("cannot run apt-config")?;
    let lines = system.lines().filter(|line| is_inherited(line));
    Ok(lines.map(str::to_owned).collect())
}

/// The address of the archive and that of its site, as apt knows them.
fn address() -> Result<(String, String)> {
    let output = Command::new("apt-get")
        .args(["indextargets", "--format", "$(REPO_URI) $(SITE)"])
        .args(["Created-By: Packages", "Origin: Debian", "Label: Debian"])
        .output()
        .with_context(|| format!("cannot run apt-get; {ADVICE}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let Some((address, site)) = text.lines().next().and_then(|line| line.split_once(' ')) else {
        bail!("apt lists no archive of Debian here (has apt-get update run?); {ADVICE}");
    };
    if !Path::new(KEYRING).exists() {
        bail!("no {KEYRING} to check the archive's signatures with; {ADVICE}");
    }
    Ok((address.trim_end_matches('/').to_owned(), site.to_owned()))
}

/// All settings of the system's apt.
fn dump() -> std::io::Result<String> {
    let output = Command::new("apt-config").arg("dump").output()?;
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}

/// apt's settings for `folder`: of the system's only how to reach an archive, and none of its hooks.
fn settings(folder: &Path, system: &str) -> String {
    let folder = folder.display();
    let mut settings = format!(
        "Dir::Etc::Main \"/dev/null\";\n\
         Dir::Etc::Parts \"/dev/null\";\n\
         Dir::Etc::SourceList \"{folder}/lab.sources\";\n\
         Dir::Etc::SourceParts \"/dev/null\";\n\
         Dir::Etc::Preferences \"/dev/null\";\n\
         Dir::Etc::PreferencesParts \"/dev/null\";\n\
         Dir::State::Lists \"{folder}/lists\";\n\
         Dir::Cache::Archives \"{folder}/archives\";\n\
         Dir::Cache::pkgcache \"\";\n\
         Dir::Cache::srcpkgcache \"\";\n\
         Acquire::Languages \"none\";\n\
         APT::Sandbox::User \"\";\n"
    );
    for line in system.lines() {
        if is_inherited(line) {
            settings.push_str(line);
            settings.push('\n');
        }
    }
    settings
}

fn is_inherited(line: &str) -> bool {
    INHERITED.iter().any(|start| line.starts_with(start))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn of_the_systems_settings_only_the_way_to_the_archive_is_kept() {
        let system = "\
APT::Update::Post-Invoke:: \"rm x\";
Acquire::http::Proxy \"p\";
Acquire::AllowInsecureRepositories \"1\";
DPkg::Post-Invoke:: \"y\";
";
        let settings = settings(Path::new("/c"), system);
        assert!(settings.contains("Acquire::http::Proxy \"p\";\n"));
        assert!(!settings.contains("Invoke"));
        assert!(!settings.contains("Insecure"));
        assert!(settings.contains("Dir::State::Lists \"/c/lists\";\n"));
    }
}
