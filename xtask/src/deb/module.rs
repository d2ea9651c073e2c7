//! Has DKMS build the kernel module in the fresh system. The folder of a kernel of the lab, which was built
//! with Rust, is there what the headers of such a kernel are elsewhere.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::Result;

use super::check::enter;
use super::output_of;
use crate::lab::build;
use crate::lab::kernel::Kernel;

/// # Errors
/// It does not, or it does for a kernel that cannot take the module.
pub(super) fn run(root: &Path) -> Result<()> {
    let Some((built, source)) = build::find_with_source(Kernel::Um)? else {
        println!("-- no kernel to build the module for: run `cargo xtask lab build um` --");
        return Ok(());
    };
    let mut rustc = Command::new("rustc");
    let rust = PathBuf::from(output_of(rustc.args(["--print", "sysroot"]))?.trim());
    if rust == Path::new("/usr") {
        println!(
            "-- the module is not built: this system's own rustc is not that of the fresh one --"
        );
        return Ok(());
    }
    fs::write(root.join("fusd/module"), BUILD)?;
    enter(root, "module", &[&built, &source.folder, &rust])
}

/// Its arguments are the folders of the kernel's build, of its source, and of Rust.
const BUILD: &str = r#"
cd /fusd
say() { echo "-- $* --"; }
fail() { echo "$*" >&2; exit 1; }
built=$1
export PATH="$3/bin:$PATH" ARCH=um
version=$(dkms status | sed -n 's|^kfusd/\([^,:]*\).*|\1|p' | head -n 1)
kernel=$(cat "$built/include/config/kernel.release")

say "the module for Linux $kernel"
dkms build -m kfusd -v "$version" -k "$kernel" --kernelsourcedir "$built"
dkms status -k "$kernel" | grep 'kfusd.*: built'
module=$(find "/var/lib/dkms/kfusd/$version/$kernel" -name 'kfusd.ko*')
modinfo -F vermagic "$module" | grep "^$kernel "

say 'a kernel without Rust'
mkdir -p plain/include/config
sed 's/^CONFIG_RUST=y/# CONFIG_RUST is not set/' "$built/.config" >plain/.config
grep -v '^CONFIG_RUST=' "$built/include/config/auto.conf" >plain/include/config/auto.conf
echo "$kernel" >plain/include/config/kernel.release
: >plain/Makefile
if dkms build -m kfusd -v "$version" -k "$kernel-plain" --kernelsourcedir /fusd/plain >said 2>&1; then
    fail "it is built: $(cat said)"
fi
grep BUILD_EXCLUSIVE said
say 'headers without metadata, as those of distributions'
cp "$built/.config" plain/.config
if dkms build -m kfusd -v "$version" -k "$kernel-plain" --kernelsourcedir /fusd/plain >said 2>&1; then
    fail "it is built: $(cat said)"
fi
grep BUILD_EXCLUSIVE said
if make --silent -C "/usr/src/kfusd-$version" check KDIR=/fusd/plain 2>said; then
    fail 'the module would take a kernel without Rust'
fi
grep 'was built without Rust' said
"#;
