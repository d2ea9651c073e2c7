//! How to try the examples of fusd-prompt(1).

use crate::Example;

/// A helper in the place of the person, for there is no terminal; what else a shell does before.
macro_rules! answered {
    ($answer:literal, $before:literal) => {
        concat!(
            "real=$(command -v fusd-prompt); mkdir bin; ",
            "printf '#!/bin/sh\nexec %s --no-terminal --helper \"%s\" \"$@\"\n' ",
            "\"$real\" '",
            $answer,
            "' >bin/fusd-prompt; chmod +x bin/fusd-prompt; PATH=$PWD/bin:$PATH; ",
            $before
        )
    };
}

pub(crate) use answered;

/// Examples that say in the page what they print.
const fn told(begins: &'static str, before: &'static str) -> Example {
    Example {
        begins,
        before,
        stays: &[],
        after: "",
        check: |_| false,
    }
}

pub(crate) const EXAMPLES: [Example; 5] = [
    told(
        "fusd-prompt --ask secret --message",
        answered!("echo hunter2; :", ""),
    ),
    told(
        "fusd-prompt --ask secret --template",
        answered!("echo hunter2; :", ""),
    ),
    told(
        "fusd-prompt --ask confirm",
        answered!("true", "echo secret token >token"),
    ),
    told(
        "fusd-prompt --answer-file token --allow",
        "echo secret token >token",
    ),
    told("fusd-prompt --on-write approve", answered!("true", "")),
];
