//! `cargo xtask install`: builds all that users of the project need, puts it where programs look for it,
//! and removes it again.
//!
//! `parts` says what that is and makes it, `layout` where it goes, `place` writes and removes it, by the
//! list that `manifest` has, and `root` asks for the rights where they are needed.

pub(crate) mod item;
pub(crate) mod layout;
mod link;
mod manifest;
pub(crate) mod parts;
pub(crate) mod place;
mod root;

use std::env;
use std::ffi::OsString;
use std::path::{Path, PathBuf};

use anyhow::Result;

use self::item::Part;
use self::layout::Layout;
use self::place::Place;

/// Build all that users of the project need, and install it: tools, C library, manual pages,
/// completions, units, the kernel module's source
///
/// Where this user may not write, sudo is asked for that, after all is built. What was written is
/// listed in PREFIX/share/fusd/installed, and --uninstall removes it.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Where it will be used
    #[arg(long, value_name = "DIR", default_value = "/usr/local")]
    prefix: PathBuf,

    /// The directory of the libraries, if not PREFIX/lib
    #[arg(long, value_name = "DIR")]
    libdir: Option<PathBuf>,

    /// Put before all these paths, to pack it; DESTDIR in the environment is the same. Empty, it is
    /// none
    // As OsString: an empty path would be refused.
    #[arg(long, value_name = "DIR")]
    destdir: Option<OsString>,

    /// This part and no other; may be given more than once
    #[arg(long, value_name = "PART")]
    only: Vec<Part>,

    /// The build that is made for debugging: larger and slower
    #[arg(long)]
    debug: bool,

    /// Remove what was installed there, and the directories that were made for it
    #[arg(long, conflicts_with_all = ["libdir", "only", "debug"])]
    uninstall: bool,

    /// What another process of this program has built
    #[arg(long, hide = true, value_name = "DIR")]
    staged: Option<PathBuf>,

    /// This is what sudo has started: it is not asked again
    #[arg(long, hide = true)]
    by_sudo: bool,
}

const ALL: [Part; 3] = [Part::Tools, Part::Library, Part::Module];

pub(crate) fn run(args: &Args) -> Result<()> {
    let layout = Layout::new(&args.prefix, args.libdir.as_deref())?;
    let destdir = destdir(args.destdir.clone(), env::var_os("DESTDIR"));
    let place = Place(destdir);
    if args.uninstall {
        return uninstall(&layout, &place, args.by_sudo);
    }
    let parts = match args.only.is_empty() {
        true => &ALL[..],
        false => &args.only[..],
    };
    let items = match &args.staged {
        Some(stage) => root::staged(stage)?,
        None => parts::make(parts, &layout, args.debug)?,
    };
    let manifest = layout.manifest();
    let paths = items.iter().map(|item| item.path.as_path());
    if args.staged.is_none()
        && let Some(barrier) = place.barrier(paths.chain([manifest.as_path()]))
    {
        root::install(&items, parts, &layout, &place, &barrier)?;
    } else {
        place.install(&items, parts, &manifest)?;
    }
    if args.staged.is_none() && place.0.is_none() {
        for hint in hints(&layout, parts) {
            println!("{hint}");
        }
    }
    Ok(())
}

fn uninstall(layout: &Layout, place: &Place, by_sudo: bool) -> Result<()> {
    let manifest = layout.manifest();
    let list = manifest.as_path();
    // Without a list there is nothing that rights are needed for.
    let barrier = place.barrier([list].into_iter());
    match barrier.filter(|_| !by_sudo && place.of(list).exists()) {
        Some(barrier) => root::uninstall(layout, place, &barrier),
        None => place.uninstall(list),
    }
}

/// The directory before all paths; packagers who want none may give an empty one.
fn destdir(option: Option<OsString>, environment: Option<OsString>) -> Option<PathBuf> {
    let wanted = option.or(environment)?;
    (!wanted.is_empty()).then(|| wanted.into())
}

/// What is left for the person to do. (A packager's tools do that.)
fn hints(layout: &Layout, parts: &[Part]) -> Vec<String> {
    let mut hints = Vec::new();
    let prefix = layout.prefix().display();
    if parts.contains(&Part::Library) {
        hints.push(library_hint(layout.libdir()));
    }
    if parts.contains(&Part::Tools) {
        hints.push(match layout.is_of_the_system() {
            true => "so that systemd sees the units, run, as root: systemctl daemon-reload".into(),
            false => {
                format!("systemd does not look for units in {prefix}/lib/systemd/system: link them")
            }
        });
    }
    if parts.contains(&Part::Module) {
        let source = layout.source(&parts::module_name());
        hints.push(format!(
            "to build the kernel module, run, as root: dkms install {}",
            source.display()
        ));
        hints.push(match layout.is_of_the_system() {
            true => "to let the group fusd use it, run, as root: systemd-sysusers; udevadm control --reload; \
                     udevadm trigger --sysname-match=fusd-control"
                .into(),
            false => format!("udev does not look for rules in {prefix}/lib/udev/rules.d: copy that one"),
        });
    }
    hints
}

fn library_hint(libdir: &Path) -> String {
    let soname = parts::SONAME;
    let libdir = libdir.display();
    format!(
        "so that programs find {soname}, run ldconfig as root; if {libdir} is not in /etc/ld.so.conf, set \
         LD_LIBRARY_PATH={libdir} for them instead"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_hints_say_what_to_do_where() {
        let layout = Layout::new(Path::new("/opt"), None).unwrap();
        let hints = hints(&layout, &ALL).join("\n");
        assert!(hints.contains("run ldconfig") && hints.contains("LD_LIBRARY_PATH=/opt/lib"));
        assert!(hints.contains("dkms install /opt/src/kfusd-"), "{hints}");
        assert!(hints.contains("does not look for units"), "{hints}");
        let layout = Layout::new(Path::new("/usr/local"), None).unwrap();
        let hints = super::hints(&layout, &[Part::Tools]);
        assert!(
            hints.len() == 1 && hints[0].contains("daemon-reload"),
            "{hints:?}"
        );
    }

    #[test]
    fn an_empty_destdir_is_none() {
        let chosen = |option: Option<&str>, environment: Option<&str>| {
            destdir(option.map(Into::into), environment.map(Into::into))
        };
        assert_eq!(chosen(None, None), None);
        assert_eq!(chosen(None, Some("")), None);
        assert_eq!(chosen(Some(""), Some("/b")), None);
        assert_eq!(chosen(None, Some("/b")), Some("/b".into()));
        assert_eq!(chosen(Some("/a"), Some("/b")), Some("/a".into()));
    }
}
