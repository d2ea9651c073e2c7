//! What is installed works from where it is, and goes again, all of it and nothing else. (What of it the
//! C library is has tests in `capi`.)

use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use fusd_tests::{Backend, Case, backend};

const TOOLS: [&str; 6] = [
    "fusd",
    "fusd-echo",
    "fusd-http",
    "fusd-pipe",
    "fusd-prompt",
    "fusd-serial-proxy",
];

/// Begins a test that needs no kernel of the lab.
fn begin(name: &str) -> Option<Case> {
    if env::var_os("FUSD_LAB").is_some() {
        backend::skip(name, "on the host it is cheaper, and shows as much");
        return None;
    }
    Some(Case::new(name, Backend::Fuse))
}

fn has(program: &str) -> bool {
    let path = env::var_os("PATH").unwrap_or_default();
    env::split_paths(&path).any(|folder| folder.join(program).is_file())
}

/// Runs a command to its end, which has to be a good one.
#[track_caller]
fn run(command: &mut Command) -> Output {
    let output = command.output().expect("the command can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{command:?}:\n{errors}");
    output
}

fn text(output: &Output) -> String {
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// All that is below a folder.
fn below(folder: &Path) -> BTreeSet<PathBuf> {
    let mut found = BTreeSet::new();
    for entry in fs::read_dir(folder)
        .expect("the folder can be read")
        .flatten()
    {
        let path = entry.path();
        if entry.file_type().expect("its kind").is_dir() {
            found.extend(below(&path));
        }
        found.insert(path);
    }
    found
}

/// xtask in the place of the installed one, with what cargo has built by now.
fn install(case: &Case, prefix: &Path, options: &[&str]) -> Command {
    let mut command = case.program("xtask");
    command
        .arg("install")
        .args(options)
        .args(["--destdir", "", "--prefix"])
        .arg(prefix);
    command
}

#[test]
fn what_is_installed_works_and_goes() {
    let Some(case) = begin("what_is_installed_works_and_goes") else {
        return;
    };
    let prefix = case.directory().join("usr");
    let others = prefix.join("bin/others");
    fs::create_dir_all(prefix.join("bin")).expect("a directory");
    fs::write(&others, "").expect("a file");
    let before = below(&prefix);

    let options = ["--debug", "--only", "tools", "--only", "module"];
    let said = text(&run(&mut install(&case, &prefix, &options)));
    let installed = below(&prefix);
    for path in installed.difference(&before).filter(|path| !path.is_dir()) {
        let is_list = path.ends_with("share/fusd/installed");
        let line = path.display().to_string();
        assert!(
            is_list || said.lines().any(|it| it == line),
            "nothing is said of {line}"
        );
    }
    for tool in TOOLS {
        for file in [
            format!("bin/{tool}"),
            format!("share/man/man1/{tool}.1"),
            format!("share/bash-completion/completions/{tool}"),
            format!("share/zsh/site-functions/_{tool}"),
            format!("share/fish/vendor_completions.d/{tool}.fish"),
            format!("lib/systemd/system/{tool}@.service"),
        ] {
            assert!(prefix.join(&file).is_file(), "{file} is not installed");
        }
        let program = prefix.join("bin").join(tool);
        let version = text(&run(Command::new(&program).arg("--version")));
        assert!(version.starts_with(tool), "{version}");
    }
    a_node_is_served(&case, &prefix);
    the_generator_finds_its_program(&prefix);
    bash_completes(&prefix);
    units_are_understood(&case, &prefix);

    // Again, with less: what is not asked for stays.
    run(&mut install(&case, &prefix, &["--only", "module"]));
    assert_eq!(below(&prefix), installed);
    run(&mut install(&case, &prefix, &["--uninstall"]));
    assert_eq!(below(&prefix), before);
}

fn a_node_is_served(case: &Case, prefix: &Path) {
    if let Some(reason) = Backend::Fuse.missing() {
        return backend::weaker(
            case.name(),
            &format!("no installed tool has made a node: {reason}"),
        );
    }
    let node = case.node("node");
    let mut command = case.command(prefix.join("bin/fusd-echo").to_str().expect("UTF-8"));
    command
        .arg("--path")
        .arg(&node)
        .args(["installed", "--", "cat"])
        .arg(&node);
    assert_eq!(text(&run(&mut command)), "installed\n");
}

/// What systemd's generator does where there is no configuration file, as on most machines: nothing.
fn the_generator_finds_its_program(prefix: &Path) {
    let generator = prefix.join("lib/systemd/system-generators/fusd-generator");
    let text = fs::read_to_string(&generator).expect("the generator is a script");
    assert!(text.contains(&format!("exec {}/bin/fusd generate", prefix.display())));
    if Path::new("/etc/fusd/devices.toml").exists() {
        return; // the machine's own
    }
    let output = run(Command::new(&generator).args(["/nowhere/1", "/nowhere/2", "/nowhere/3"]));
    assert_eq!((output.stdout.len(), output.stderr.len()), (0, 0));
}

/// Asks bash for what follows an option.
fn bash_completes(prefix: &Path) {
    let script = r#"
. "$1/share/bash-completion/completions/fusd-echo"
COMP_WORDS=(fusd-echo --on-write "") COMP_CWORD=2
function=$(complete -p fusd-echo | grep -o -- '-F [^ ]*')
${function#-F } fusd-echo "" --on-write
echo "${COMPREPLY[*]}"
"#;
    let mut bash = Command::new("bash");
    let words = text(&run(bash.args(["-ec", script, "bash"]).arg(prefix)));
    assert_eq!(words, "deny discard replace append\n");
}

fn units_are_understood(case: &Case, prefix: &Path) {
    if !has("systemd-analyze") {
        return backend::weaker(
            case.name(),
            "nobody read the units: systemd-analyze is not installed",
        );
    }
    let folder = prefix.join("lib/systemd/system");
    let mut units = TOOLS
        .map(|tool| folder.join(format!("{tool}@.service")))
        .to_vec();
    units.push(folder.join("fusd.target"));
    let output = run(Command::new("systemd-analyze")
        .args(["verify", "--man=no"])
        .args(units));
    let said = String::from_utf8_lossy(&output.stderr);
    // It may have complaints about other units of the machine.
    let ours: Vec<_> = said.lines().filter(|line| line.contains("fusd-")).collect();
    assert!(ours.is_empty(), "{ours:?}");
}

#[test]
fn an_installation_that_cannot_be_is_refused() {
    let Some(case) = begin("an_installation_that_cannot_be_is_refused") else {
        return;
    };
    let missing = case.directory().join("missing");
    for (arguments, says) in [
        (
            &["--prefix", "usr"][..],
            "--prefix usr: give an absolute path",
        ),
        (
            &["--uninstall", "--prefix", missing.to_str().expect("UTF-8")],
            "nothing to remove: there is no list",
        ),
        (&["--uninstall", "--only", "tools"], "cannot be used with"),
    ] {
        let output = case
            .program("xtask")
            .arg("install")
            .args(arguments)
            .output()
            .expect("xtask can be run");
        let errors = String::from_utf8_lossy(&output.stderr);
        assert!(
            !output.status.success() && errors.contains(says),
            "{arguments:?}: {errors}"
        );
    }
    assert!(!missing.exists());
}

/// A folder that a kernel was built in, as far as the module's Makefile looks.
fn kernel(case: &Case, release: &str, options: &str, has_metadata: bool) -> PathBuf {
    let folder = case
        .directory()
        .join(format!("linux-{release}-{}", options.len()));
    for part in ["include/config", "rust"] {
        fs::create_dir_all(folder.join(part)).expect("a directory");
    }
    for (file, content) in [
        ("Makefile", ""),
        ("include/config/kernel.release", release),
        ("include/config/auto.conf", options),
    ] {
        fs::write(folder.join(file), content).expect("a file");
    }
    if has_metadata {
        fs::write(folder.join("rust/libkernel.rmeta"), "").expect("a file");
    }
    folder
}

#[test]
fn the_module_says_in_a_line_what_a_kernel_lacks() {
    let name = "the_module_says_in_a_line_what_a_kernel_lacks";
    let Some(case) = begin(name) else { return };
    if !has("make") {
        return case.skip("make is not installed");
    }
    const RUST: &str = "CONFIG_RUST=y\nCONFIG_MODULES=y\n";
    let other = format!("{RUST}CONFIG_RUSTC_VERSION_TEXT=\"rustc 1.0.0\"\n");
    let same = format!("{RUST}CONFIG_RUSTC_VERSION_TEXT=\"rustc 1.2.3\"\n");
    let rustc = case.file("rustc", b"#!/bin/sh\necho rustc 1.2.3\n");
    run(Command::new("chmod").arg("+x").arg(&rustc));
    let kernels = [
        (case.directory().join("none"), Some("no built kernel in ")),
        (
            kernel(&case, "6.1.0-30", RUST, true),
            Some("is too old: 7.2 or later is needed"),
        ),
        (
            kernel(&case, "7.2.0", "CONFIG_MODULES=y\n", true),
            Some("without Rust or modules"),
        ),
        (
            kernel(&case, "7.2.1", RUST, false),
            Some("has no Rust metadata"),
        ),
        (
            kernel(&case, "7.2.2", &other, true),
            Some("takes modules of rustc 1.0.0"),
        ),
        (kernel(&case, "7.2.3", &same, true), None),
        (kernel(&case, "7.3.4", &same, true), None),
    ];
    for (folder, lacks) in kernels {
        let output = Command::new("make")
            .args([
                "--silent",
                "-C",
                concat!(env!("CARGO_MANIFEST_DIR"), "/../kfusd"),
                "check",
            ])
            .arg(format!("KDIR={}", folder.display()))
            .arg(format!("RUSTC={}", rustc.display()))
            .env_remove("MAKEFLAGS")
            .output()
            .expect("make can be run");
        let errors = String::from_utf8_lossy(&output.stderr);
        let ours: Vec<_> = errors
            .lines()
            .filter(|line| line.starts_with("kfusd: "))
            .collect();
        match lacks {
            None => assert!(output.status.success() && errors.is_empty(), "{errors}"),
            Some(text) => {
                assert!(!output.status.success(), "{folder:?} passes");
                assert!(
                    ours.len() == 1 && ours[0].contains(text),
                    "{text}: {errors}"
                );
            }
        }
    }
    // DKMS passes over headers that cannot do, so that the upgrade of such a kernel does not fail.
    for (folder, is_excluded) in [
        (kernel(&case, "7.2.4", RUST, false), true),
        (kernel(&case, "7.2.5", RUST, true), false),
    ] {
        let script =
            r#"kernel_source_dir=$1; . "$2"; [[ 7.2.1-amd64 =~ $BUILD_EXCLUSIVE_KERNEL ]]"#;
        let status = Command::new("bash")
            .args(["-c", script, "bash"])
            .arg(&folder)
            .arg(concat!(env!("CARGO_MANIFEST_DIR"), "/../kfusd/dkms.conf"))
            .status()
            .expect("bash can be run");
        assert_eq!(status.success(), !is_excluded, "{folder:?}");
    }
    let newer = kernel(&case, "9.0.0", &same, true);
    let output = run(Command::new("make")
        .args([
            "--silent",
            "-C",
            concat!(env!("CARGO_MANIFEST_DIR"), "/../kfusd"),
            "check",
        ])
        .arg(format!("KDIR={}", newer.display()))
        .arg(format!("RUSTC={}", rustc.display()))
        .env_remove("MAKEFLAGS"));
    let errors = String::from_utf8_lossy(&output.stderr);
    assert!(errors.contains("9.0.0 is newer than 7.3"), "{errors}");
}
