//! How to try the examples of fusd-serial-proxy(1).

use crate::Example;

/// A pseudo-terminal that can be taken for the port of the first example, and of the third.
const PORT: &str = r#"
socat pty,rawer,link=/dev/ttyUSB0 pty,rawer,link=./far 2>socat.log &
until_true test -e /dev/ttyUSB0 -a -e ./far
"#;
const OTHER_PORT: &str = r#"
socat pty,rawer,link=/dev/ttyUSB1 pty,rawer,link=./far 2>socat.log &
until_true test -e /dev/ttyUSB1 -a -e ./far
"#;

/// The first, which the README has as well.
pub(crate) const SHARED: Example = Example {
    begins: "fusd-serial-proxy /dev/ttyUSB0",
    before: PORT,
    stays: &[0],
    after: "stat -Lc '%a %G' /dev/ttyGPS; echo good morning >/dev/ttyGPS; head -n 1 <./far",
    check: |printed| printed == "660 dialout\ngood morning\n",
};

pub(crate) const EXAMPLES: [Example; 4] = [
    SHARED,
    Example {
        begins: "fusd-serial-proxy pair",
        before: "",
        stays: &[],
        after: "",
        check: |_| false,
    },
    Example {
        begins: "fusd-serial-proxy /dev/ttyUSB1",
        before: OTHER_PORT,
        stays: &[0],
        after: "echo AT >/dev/vserial; until_true grep -rs '> 41 54 0a' said ./dev; echo seen",
        check: |printed| printed == "seen\n",
    },
    Example {
        begins: "fusd-serial-proxy loop",
        before: "",
        stays: &[],
        after: "",
        check: |_| false,
    },
];
