//! Links the shared library that is installed: what cargo has made cannot have versions of its symbols,
//! see `libfusd/c/build.rs`.

use std::env;
use std::path::Path;
use std::process::Command;

use anyhow::{Context, Result, bail};

/// Makes the shared library `to`, with this soname, of all that `archive` has. `map` is the linker's
/// version script, `libraries` are those that it needs, as options.
///
/// # Errors
/// There is no C compiler, or it has failed.
pub(super) fn shared(
    archive: &Path,
    map: &Path,
    libraries: &str,
    soname: &str,
    to: &Path,
) -> Result<()> {
    let compiler = env::var_os("CC").unwrap_or_else(|| "cc".into());
    let mut script = std::ffi::OsString::from("-Wl,--version-script=");
    script.push(map);
    let output = Command::new(&compiler)
        .args(["-shared", "-o"])
        .arg(to)
        .arg(format!("-Wl,-soname,{soname}"))
        .arg(script)
        .args(["-Wl,-z,nodelete,-z,relro,-z,now", "-Wl,--gc-sections"])
        .args(["-Wl,--as-needed", "-Wl,--whole-archive"])
        .arg(archive)
        .arg("-Wl,--no-whole-archive")
        .args(libraries.split_whitespace())
        .output()
        .with_context(|| {
            let compiler = compiler.display();
            format!("cannot run {compiler}, which links the library; install a C compiler, or name it in CC")
        })?;
    if !output.status.success() {
        let errors = String::from_utf8_lossy(&output.stderr);
        bail!(
            "cannot link the library: {} {}\n{errors}",
            compiler.display(),
            output.status
        );
    }
    Ok(())
}
