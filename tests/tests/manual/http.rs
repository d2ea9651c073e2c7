//! How to try the examples of fusd-http(1).

use crate::Example;

/// Examples that end by themselves, and say in the page what they print.
const fn told(begins: &'static str) -> Example {
    Example {
        begins,
        before: "start_pages",
        stays: &[],
        after: "",
        check: |_| false,
    }
}

pub(crate) const EXAMPLES: [Example; 7] = [
    Example {
        check: |printed| printed == "done\n",
        ..told("fusd-http http://127.0.0.1:8080/big.tar")
    },
    told("fusd-http http://127.0.0.1:8080/weather /dev/weather"),
    Example {
        after: "until_true grep . posted; cat posted",
        check: |printed| printed == "backup done\n",
        ..told("fusd-http -X POST --send line")
    },
    told("fusd-http -X POST http://127.0.0.1:8080/upper"),
    Example {
        before: "start_pages; echo secret >token",
        ..told("fusd-http --bearer")
    },
    told("fusd-http --poll-interval 1m --jq .degrees"),
    Example {
        check: |printed| printed == "now: one\nnow: two\n",
        ..told("fusd-http --sse data --follow")
    },
];
