//! How to try the examples of fusd(1).

use crate::Example;

/// The file of the page.
const FILE: &str = "printf '%s\\n' '[device.motd]' 'tool = \"echo\"' 'args = [\"Good morning!\"]' \
                    '[device.events]' 'tool = \"pipe\"' 'kind = \"broadcast\"' 'mode = \"0666\"' \
                    >devices.toml";

pub(crate) const EXAMPLES: [Example; 4] = [
    Example {
        begins: "fusd run -d 'ttyUSB0",
        before: "",
        stays: &[],
        after: "",
        check: |_| false,
    },
    Example {
        begins: "fusd run -d 'urandom",
        before: "",
        stays: &[],
        after: "",
        check: |_| false,
    },
    Example {
        begins: "fusd check",
        before: FILE,
        stays: &[],
        after: "",
        check: |_| false,
    },
    Example {
        begins: "fusd doctor",
        before: "",
        stays: &[],
        after: "",
        check: |printed| {
            let works = |kind| printed.contains(&format!("{kind:6} works: "));
            works("kfusd") && works("cuse") && works("fuse")
        },
    },
];
