//! How to try the examples of fusd-pipe(1).

use crate::Example;

/// Waits until a program has the node ./build open, says something, and ends.
const MAKEFILE: &str = r#"
printf 'all:\n\t@echo compiling\n' >Makefile
printf '\t@until ls -l /proc/[0-9]*/fd 2>/dev/null | grep -q "> $(CURDIR)/build$$"; do sleep 0.02; done\n' >>Makefile
printf '\t@echo a warning; echo the end\n' >>Makefile
"#;

/// Starts the server that the page calls "queue", and gives it work to do.
const WORK: &str = r#"
start_queue
fusd-pipe --nats "$queue" --subject jobs --stream JOBS -r line ./elsewhere -- \
    sh -c 'seq 3 >./elsewhere' 2>elsewhere.log
work() { echo "$1 is done"; }
"#;

pub(crate) const EXAMPLES: [Example; 8] = [
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
        begins: "fusd-pipe -r line --one --persist",
        before: "",
        stays: &[],
        after: "kill -9 $!; wait; fusd-pipe -r line --persist /var/lib/jobs /dev/jobs & \
                until_true ready 2; read -r job </dev/jobs; echo \"$job\"",
        check: |printed| printed == "convert 17\n",
    },
    Example {
        begins: "fusd-pipe --nats nats://queue --subject jobs --stream JOBS --records line",
        before: "start_queue",
        stays: &[],
        after: "for _ in 1 2 3; do read -r job <&5; echo \"$job\"; done 5</dev/jobs",
        check: |printed| printed == "1\n2\n3\n",
    },
    Example {
        begins: "fusd-pipe --nats nats://queue --subject jobs --stream JOBS -r line",
        before: WORK,
        stays: &[1],
        after: "until_true grep '3 is done' printed",
        check: |printed| printed == "1 is done\n2 is done\n3 is done\n",
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
