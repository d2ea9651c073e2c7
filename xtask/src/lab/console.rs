//! The guest's console: what in it means that the kernel found a fault.

/// Words that the kernel prints only when something is wrong with itself.
const FAULTS: [&str; 19] = [
    "BUG:",
    "WARNING:",
    "KASAN:",
    "KCSAN:",
    "UBSAN:",
    "Oops",
    "kernel BUG at",
    "Kernel panic",
    "unable to handle",
    "Unable to handle",
    "general protection fault",
    "blocked for more than",
    "possible circular locking dependency",
    "possible recursive locking",
    "turning off the locking correctness validator",
    "suspicious RCU usage",
    // Of kmemleak: how many there are, and each of them.
    "new suspected memory leaks",
    "unreferenced object",
    // Of the first program in the guest.
    "unkillable task",
];

/// How the allocator begins what it has to say of its objects: `BUG kmalloc-8 (Not tainted): ...`.
const ALLOCATOR: &str = "BUG ";

/// The console's first line that tells of a fault, counted from 0.
pub(crate) fn first_fault(console: &str) -> Option<(usize, &str)> {
    console.lines().enumerate().find(|(_, line)| is_fault(line))
}

/// Whether the kernel tells of a fault in this line.
///
/// Every line of the kernel's log has a time in front; what the host's side of User-Mode Linux says
/// about itself has none.
fn is_fault(line: &str) -> bool {
    let Some(message) = message(line) else {
        return false;
    };
    message.starts_with(ALLOCATOR) || FAULTS.iter().any(|words| message.contains(words))
}

/// What follows the time: `[    0.120000] text`, with or without a thread `[   T12]`.
fn message(line: &str) -> Option<&str> {
    let (time, message) = line.trim_start().strip_prefix('[')?.split_once(']')?;
    time.trim().parse::<f64>().ok()?;
    let message = message.trim_start();
    Some(match message.strip_prefix('[') {
        Some(thread) => thread.split_once(']')?.1.trim_start(),
        None => message,
    })
}

/// The last `count` lines.
pub(crate) fn tail(text: &str, count: usize) -> Vec<&str> {
    let lines: Vec<_> = text.lines().collect();
    lines[lines.len().saturating_sub(count)..].to_vec()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_fault_is_found() {
        let console = "\
Checking for something...OK
[    0.000000] Linux version 7.2.13
[    3.100000] ------------[ cut here ]------------
[    3.110000] WARNING: kernel/x.c:1 at f+0x1/0x2, CPU#0: sh/1
[    3.120000] BUG: later
";
        assert_eq!(
            first_fault(console),
            Some((
                3,
                "[    3.110000] WARNING: kernel/x.c:1 at f+0x1/0x2, CPU#0: sh/1"
            ))
        );
    }

    #[test]
    fn every_kind_of_report_is_a_fault() {
        for text in [
            "BUG: KASAN: slab-use-after-free in f",
            "INFO: task sh:12 blocked for more than 60 seconds.",
            "WARNING: possible circular locking dependency detected",
            "BUG: unable to handle page fault for address: 0",
            "Kernel panic - not syncing: sysrq triggered crash",
            "Oops: 0000 [#1]",
            "BUG kmalloc-64 (Tainted: G    B): Object already free",
            "INFO: trying to register non-static key; turning off the locking correctness validator.",
            "kmemleak: 1 new suspected memory leaks (see /sys/kernel/debug/kmemleak)",
            "lab: unreferenced object 0xffff888100c0ffee (size 64):",
            "lab: unkillable task after 20 s: cat (123, state D)",
        ] {
            assert!(is_fault(&format!("[   12.000001] {text}")), "{text}");
            assert!(is_fault(&format!("[   12.000001][   T1] {text}")), "{text}");
        }
    }

    #[test]
    fn what_is_no_message_of_the_kernel_is_no_fault() {
        assert_eq!(first_fault("WARNING: a program says so\n"), None);
        assert_eq!(first_fault("[main] BUG: a program says so\n"), None);
        assert_eq!(first_fault("[    0.1] debugfs: ready\n"), None);
        assert_eq!(first_fault("[    0.1] DEBUG is off\n"), None);
        assert_eq!(first_fault(""), None);
    }

    #[test]
    fn the_tail_is_no_longer_than_the_text() {
        assert_eq!(tail("a\nb\nc\n", 2), ["b", "c"]);
        assert_eq!(tail("a\n", 30), ["a"]);
    }
}
