//! The same under programs that watch memory. On the host alone, with FUSE: they take time, and what
//! they watch is the same everywhere.

use std::env;
use std::os::unix::fs::symlink;
use std::path::PathBuf;
use std::process::Command;

use fusd_tests::{Backend, Case, binaries};

use crate::helper::{Manner, has, in_the_manner, lacks_compiler, program, start_by};
use crate::suite::{bad, examples, modern};

/// Begins the test unless it is for another machine, or its tool is missing.
pub(crate) fn begin(name: &str, tool: &str) -> Option<Case> {
    if env::var_os("FUSD_LAB").is_some() {
        fusd_tests::backend::skip(name, "on the host it is cheaper, and shows as much");
        return None;
    }
    let case = Case::begin(name, Backend::Fuse)?;
    if !has(tool) {
        case.skip(&format!("{tool} is not installed"));
        return None;
    }
    (!lacks_compiler(&case)).then_some(case)
}

/// valgrind, with its complaints as the exit status. (fsopen(2) and its relatives are too new for some
/// versions of it: they fail there, and mount(2) is used.)
const VALGRIND: [&str; 5] = [
    "--vgdb=no",
    "--quiet",
    "--error-exitcode=99",
    "--leak-check=full",
    "--errors-for-leak-kinds=definite",
];

#[test]
fn valgrind_has_no_complaint_about_bad_drivers() {
    let Some(case) = begin("valgrind_has_no_complaint_about_bad_drivers", "valgrind") else {
        return;
    };
    let mut command = case.command("valgrind");
    command.args(VALGRIND).env("NO_DEVICE_IN_CHILD", "1");
    bad::sin(&case, bad::by(&case, command, &bad::plain()));
}

/// How examples are run under it. A signal ends each: an error makes it end before, and the test miss it.
const WATCHED: Manner = Manner {
    compiler: "clang-19",
    variant: "-clang",
    options: &["-std=c99"],
    under: &[
        "valgrind",
        "--vgdb=no",
        "--quiet",
        "--error-exitcode=99",
        "--exit-on-first-error=yes",
    ],
};

/// All that FUSE can serve, as another compiler makes them.
const EXAMPLES: [fn(&Case); 5] = [
    examples::hello_says_hello,
    examples::greetings_are_for_the_caller,
    examples::echo_gives_back_what_it_got,
    examples::the_calculator_calculates,
    examples::the_log_ring_blocks_and_wakes,
];

#[test]
fn valgrind_has_no_complaint_about_examples() {
    let name = "valgrind_has_no_complaint_about_examples";
    let Some(case) = begin(name, "valgrind") else {
        return;
    };
    if !has(WATCHED.compiler) {
        return case.skip(&format!("{} is not installed", WATCHED.compiler));
    }
    for example in EXAMPLES {
        in_the_manner(WATCHED, example, &case);
    }
}

/// Memory is shared by kfusd alone, so this runs where that is.
#[test]
fn valgrind_has_no_complaint_about_shared_memory() {
    let name = "valgrind_has_no_complaint_about_shared_memory";
    let Some(case) = Case::begin(name, Backend::Kfusd) else {
        return;
    };
    for tool in ["valgrind", WATCHED.compiler] {
        if !has(tool) {
            return case.skip(&format!("{tool} is not installed"));
        }
    }
    in_the_manner(WATCHED, examples::a_counter_is_shared, &case);
}

/// The same sources are C++.
#[test]
fn examples_work_in_cpp() {
    let Some(case) = begin("examples_work_in_cpp", "g++") else {
        return;
    };
    let cpp = Manner {
        compiler: "g++",
        variant: "-c++",
        options: &["-x", "c++", "-std=c++17"],
        under: &[],
    };
    for example in EXAMPLES {
        in_the_manner(cpp, example, &case);
    }
}

const SANITIZED: [&str; 2] = ["-fsanitize=address,undefined", "-fno-sanitize-recover=all"];

/// A folder with the library as it is when the sanitizer watches it as well as the drivers. `None`, with a
/// word on that, where this toolchain cannot build it.
fn sanitized(case: &Case) -> Option<PathBuf> {
    let version = Command::new("rustc").arg("-vV").output().ok();
    let version = version.map(|output| String::from_utf8_lossy(&output.stdout).into_owned());
    let target = version.as_deref().and_then(|text| {
        let mut lines = text.lines();
        lines.find_map(|line| line.strip_prefix("host: "))
    });
    let Some(target) = target else {
        case.skip("rustc is not installed");
        return None;
    };
    let folder = binaries::directory().join("capi/sanitized");
    // With a target named, what runs at build time is not watched. The option is not stable yet.
    let output = Command::new(env::var_os("CARGO").unwrap_or_else(|| "cargo".into()))
        .current_dir(concat!(env!("CARGO_MANIFEST_DIR"), "/.."))
        .args(["build", "--package", "fusd-c", "--target", target])
        .env("CARGO_TARGET_DIR", &folder)
        .env("CARGO_INCREMENTAL", "0")
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .env("RUSTC_BOOTSTRAP", "1")
        .env("RUSTFLAGS", "-Zsanitizer=address")
        .output()
        .expect("cargo can be run");
    let errors = String::from_utf8_lossy(&output.stderr);
    if !output.status.success() && errors.contains("sanitizer") {
        case.skip("this toolchain has no address sanitizer for this machine");
        return None;
    }
    assert!(output.status.success(), "{errors}");
    let built = folder.join(target).join("debug");
    let link = case.directory().join("libfusd.so.0");
    symlink(built.join("libfusd.so"), link).expect("a link");
    Some(case.directory().to_owned())
}

/// The sanitizer watches the library as well, not the drivers alone.
#[test]
fn the_address_sanitizer_has_no_complaint_about_the_library() {
    let name = "the_address_sanitizer_has_no_complaint_about_the_library";
    let Some(case) = begin(name, "gcc") else {
        return;
    };
    let Some(folder) = sanitized(&case) else {
        return;
    };
    let command = || {
        let mut command = case.command("env");
        command
            .env("ASAN_OPTIONS", "detect_leaks=0")
            .env("LD_LIBRARY_PATH", &folder);
        command
    };
    let bad = program(&bad::source(), "-asan", &SANITIZED);
    bad::sin(&case, bad::by(&case, command(), &bad));
    let good = program(&modern::source(), "-asan", &SANITIZED);
    modern::serve(&case, bad::by(&case, command(), &good));
}

#[test]
fn the_address_sanitizer_has_no_complaint_about_bad_drivers() {
    let name = "the_address_sanitizer_has_no_complaint_about_bad_drivers";
    let Some(case) = begin(name, "gcc") else {
        return;
    };
    let program = program(&bad::source(), "-asan", &SANITIZED);
    let mut command = case.command("env");
    command.env("ASAN_OPTIONS", "detect_leaks=0");
    bad::sin(&case, bad::by(&case, command, &program));
}

#[test]
fn valgrind_has_no_complaint_about_modern_ones() {
    let Some(case) = begin("valgrind_has_no_complaint_about_modern_ones", "valgrind") else {
        return;
    };
    let mut command = case.command("valgrind");
    command.args(VALGRIND).arg(modern::driver());
    modern::serve(&case, start_by(&case, command));
}

#[test]
fn the_address_sanitizer_has_no_complaint_about_modern_ones() {
    let name = "the_address_sanitizer_has_no_complaint_about_modern_ones";
    let Some(case) = begin(name, "gcc") else {
        return;
    };
    let program = program(&modern::source(), "-asan", &SANITIZED);
    let command = case.command(program.to_str().expect("UTF-8"));
    modern::serve(&case, start_by(&case, command));
}
