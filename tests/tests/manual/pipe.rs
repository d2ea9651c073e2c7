//! How to try the examples of fusd-pipe(1).

use crate::Example;

/// Waits until a program has the node ./build open, says something, and ends.
const MAKEFILE: &str = r#"
printf 'all:\n\t@echo compiling\n' >Makefile
printf '\t@until ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q "> $(CURDIR)/build$$"; do sleep 0.02; done\n' >>Makefile
printf '\t@echo a warning; echo the end\n' >>Makefile
"#;

pub(crate) const EXAMPLES: [Example; 5] = [
    Example {
        begins: "fusd-pipe ./jobs",
        before: "",
        stays: &[],
        after: "",
        check: |_| false,
    },
    Example {
        begins: "fusd-pipe --kind ring",
        before: "",
        stays: &[2],
        after: "until_true grep started printed",
        check: |printed| printed.starts_with("20") && printed.ends_with(" bash: started\n"),
    },
    Example {
        begins: "fusd-pipe --kind broadcast --records line --marker /dev/events",
        before: "",
        stays: &[0],
        after: "exec 5</dev/events 6</dev/events; echo news >/dev/events; cat <&5; cat <&6",
        check: |printed| printed == "news\nnews\n",
    },
    Example {
        begins: "fusd-pipe --rate 100K",
        before: "seq 5000 >big",
        stays: &[],
        after: "",
        check: |printed| printed.lines().map(str::parse).eq((1..=5000).map(Ok)),
    },
    Example {
        begins: "make 2>&1",
        before: MAKEFILE,
        stays: &[0],
        after: "wait; cmp log - <<<$'compiling\\na warning\\nthe end' && echo logged",
        check: |printed| {
            let mut lines: Vec<_> = printed.lines().collect();
            lines.sort_unstable();
            lines == ["a warning", "a warning", "compiling", "logged", "the end"]
        },
    },
];
