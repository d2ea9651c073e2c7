//! How to try the examples of fusd-echo(1).

use crate::Example;

pub(crate) const EXAMPLES: [Example; 6] = [
    Example {
        begins: "fusd-echo --name helloworld",
        before: "",
        stays: &[],
        after: "",
        check: |_| false,
    },
    Example {
        begins: "fusd-echo --path ./server.ini",
        before: "echo port=80 >default.ini; printf '#!/bin/sh\\ncat ./server.ini\\n' >server; \
                 chmod +x server",
        stays: &[],
        after: "test -e ./server.ini || echo gone",
        check: |printed| printed == "port=80\ngone\n",
    },
    Example {
        begins: "fusd-echo --name whoami",
        before: "",
        stays: &[0],
        after: "cat /dev/whoami; setpriv --reuid=65534 --clear-groups cat /dev/whoami",
        check: |printed| printed == "root\nnobody\n",
    },
    Example {
        begins: "fusd-echo --name motd",
        before: "echo good morning >/etc/motd",
        stays: &[0],
        after: "cat /dev/motd; stat -c '%a %G' /dev/motd; echo good night >/etc/motd; \
                until_true grep night /dev/motd; cat /dev/motd",
        check: |printed| printed == "good morning\n640 staff\ngood night\n",
    },
    Example {
        begins: "fusd-echo --name echo --on-write replace",
        before: "",
        stays: &[],
        after: "",
        check: |_| false,
    },
    Example {
        begins: "fusd-echo --path ./lines",
        before: "",
        stays: &[],
        after: "",
        check: |printed| printed.len() == 1 << 20 && printed.starts_with("one line\none line\n"),
    },
];
