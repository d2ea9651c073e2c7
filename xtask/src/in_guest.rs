//! Which tests run in guests of the lab, how many at once and for how long; and runs them, as root.

mod guest;
mod listener;

use anyhow::Result;

use crate::lab::{self, Kernel};
use crate::programs::{CONFORMANCE, Program, Which};
use crate::results::{Place, Results};
use guest::Guest;

/// The backends that have to work in a guest.
const REQUIRED: &str = "fuse,cuse,kfusd";

/// How long all tests may take together, in seconds, also where others use the processors: with half
/// of one to itself, `x86` has taken 70 minutes, and `kasan` 27 for those of the module alone.
fn limit(kernel: Kernel) -> u64 {
    match kernel {
        Kernel::Um => 20 * 60,
        Kernel::X86 => 2 * 60 * 60,
        Kernel::Kasan => 4 * 60 * 60,
    }
}

/// Which of a program's tests have something to do in a guest: from end to end, all; else those that
/// not everybody could run on the host.
fn which(program: &Program) -> Which {
    match program.is_end_to_end {
        true => Which::All,
        false => Which::Root,
    }
}

/// How many of a program's tests run at once. From end to end, they mostly wait for other processes;
/// but where QEMU interprets all instructions the two processors are never idle, and more at once
/// only bring each nearer to its deadline. Those of a crate that need root fork themselves: at this
/// speed a fork would hold what another test has just closed open for long.
fn threads(kernel: Kernel, program: &Program) -> &'static str {
    match (program.is_end_to_end, kernel.is_for_qemu()) {
        (false, _) => "1",
        (true, true) => "3",
        (true, false) => "8",
    }
}

/// How many processors a guest for these programs has. A second one costs User-Mode Linux a third more time
/// for the same work: there it is for the module's own tests, which look for races.
fn cpus(kernel: Kernel, programs: &[&Program]) -> u32 {
    let is_module = programs.iter().any(|program| program.title == MODULE);
    match kernel.is_for_qemu() || is_module {
        true => 2,
        false => 1,
    }
}

/// Options by which a program leaves tests out. `kasan` watches this project's code in the kernel: what
/// does not get there, through the kernel's own FUSE, it would only slow down.
fn left_out(kernel: Kernel) -> &'static str {
    match kernel {
        Kernel::Um | Kernel::X86 => "",
        Kernel::Kasan => "--skip=fuse:: --skip=cuse:: --skip=mounted::",
    }
}

/// Whether a program is worth its time in a kernel, by its title. Where QEMU interprets all instructions
/// that is what depends on the processor, or watches the module: 32-bit programs, a suspend, the UART.
/// The tools are the same everywhere, and many times faster in User-Mode Linux.
fn is_worth_it(kernel: Kernel, title: &str) -> bool {
    match kernel {
        Kernel::Um => true,
        Kernel::X86 => [CONFORMANCE, MODULE, SERIAL].contains(&title),
        Kernel::Kasan => [CONFORMANCE, MODULE].contains(&title),
    }
}

/// The titles of the module's own tests, and of those that can use a UART.
const MODULE: &str = "tests: kfusd";
const SERIAL: &str = "tests: serial";

/// The programs that have something to do in a guest: with a filter, whatever it asks for.
///
/// # Errors
///
/// A program cannot be run.
pub(crate) fn choose<'a>(
    kernel: Kernel,
    programs: &'a [Program],
    filter: &str,
) -> Result<Vec<&'a Program>> {
    let mut chosen = Vec::new();
    for program in programs {
        let is_wanted = !filter.is_empty() || is_worth_it(kernel, &program.title);
        if is_wanted && program.has(which(program), filter)? {
            chosen.push(program);
        }
    }
    Ok(chosen)
}

/// Runs the programs in guests that have the project's module at hand, shows their output as it
/// comes, and adds up what they tell.
///
/// # Errors
///
/// No guest can be started. A guest that ends early, or a module that cannot be built, is a failure
/// that is counted.
pub(crate) fn run(
    kernel: Kernel,
    programs: &[&Program],
    filter: &str,
    results: &mut Results,
) -> Result<()> {
    let place = Place::Guest(kernel.name());
    let module = match lab::module(kernel) {
        Ok(module) => module,
        Err(error) => {
            results.fail(format!("{}{error:#}", place.prefix()));
            return Ok(());
        }
    };
    let guests = shares(kernel, programs)
        .into_iter()
        .map(|programs| Guest::start(kernel, &module, programs, filter))
        .collect::<Result<Vec<_>>>()?;
    for guest in guests {
        guest.listen(place, results)?;
    }
    Ok(())
}

/// The programs by the guests that run them at the same time. Most tests wait, and one guest of
/// User-Mode Linux leaves much of two processors idle.
fn shares<'a>(kernel: Kernel, programs: &[&'a Program]) -> Vec<Vec<&'a Program>> {
    let mut shares = vec![Vec::new(); 4];
    for program in programs {
        shares[share(kernel, &program.title)].push(*program);
    }
    shares.retain(|share| !share.is_empty());
    shares
}

/// The guest for a program, 0 to 3: each of them has about a quarter of what there is to do. One of
/// QEMU's keeps the processors busy alone.
fn share(kernel: Kernel, title: &str) -> usize {
    match (kernel, title) {
        (Kernel::X86 | Kernel::Kasan, _) | (Kernel::Um, CONFORMANCE) => 0,
        (Kernel::Um, MODULE) => 1,
        (Kernel::Um, "tests: echo" | "tests: pipe" | "tests: prompt" | SERIAL) => 2,
        (Kernel::Um, _) => 3,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::path::Path;

    use crate::host::workspace;

    pub(super) fn program(title: &str) -> Program {
        Program {
            title: title.to_owned(),
            folder: Path::new("/").to_owned(),
            file: Path::new("/bin/true").to_owned(),
            is_end_to_end: true,
        }
    }

    #[test]
    fn qemu_has_what_depends_on_the_processor() {
        for title in [CONFORMANCE, MODULE, SERIAL] {
            assert!(is_worth_it(Kernel::X86, title));
            let name = title.strip_prefix("tests: ").unwrap();
            let tests = workspace().join("tests/tests");
            let is_there =
                ["/main.rs", ".rs"].map(|end| tests.join(format!("{name}{end}")).exists());
            assert!(is_there.contains(&true), "{title} is no program");
        }
        assert!(!is_worth_it(Kernel::X86, "tests: pipe"));
    }

    #[test]
    fn programs_are_shared_among_guests_where_that_helps() {
        let programs = [CONFORMANCE, "p", "tests: kfusd", "q"].map(program);
        let programs: Vec<_> = programs.iter().collect();
        let sizes = |kernel, programs: &[&Program]| -> Vec<usize> {
            shares(kernel, programs).iter().map(Vec::len).collect()
        };
        assert_eq!(sizes(Kernel::Um, &programs), [1, 1, 2]);
        assert_eq!(sizes(Kernel::Um, &programs[1..]), [1, 2]);
        assert_eq!(sizes(Kernel::X86, &programs), [4]);
        let cpus = |kernel| -> Vec<u32> {
            let shares = shares(kernel, &programs);
            shares.iter().map(|share| cpus(kernel, share)).collect()
        };
        assert_eq!(cpus(Kernel::Um), [1, 2, 1]);
        assert_eq!(cpus(Kernel::X86), [2]);
    }
}
