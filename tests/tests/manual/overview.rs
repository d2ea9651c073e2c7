//! How to try the examples of fusd(7).

use crate::Example;

/// Does what the service manager would: runs the unit's command with the variable of its file.
const SYSTEMCTL: &str = r#"
echo good morning >/etc/motd
systemctl() {
    test "$*" = "enable --now fusd-echo@motd"
    fusd-echo --name motd $(sed -n s/^ARGS=//p /etc/fusd/motd.conf) &
    until_true ready 1
}
"#;

/// The same for the devices of the configuration file: asks the generator which units there are, and runs
/// their command.
const TARGET: &str = r#"
mkdir -p /etc/fusd
printf '%s\n' '[device.motd]' 'tool = "echo"' 'args = ["good morning"]' 'path = "/dev/motd"' \
    >/etc/fusd/devices.toml
systemctl() {
    test "$*" = "enable --now fusd.target"
    fusd generate fusd@.service /etc/fusd/devices.toml ./units
    for unit in ./units/fusd.target.wants/fusd@*.service; do
        unit=${unit##*@}
        fusd up --foreground --config /etc/fusd/devices.toml "${unit%.service}" &
    done
    until_true ready 1
}
"#;

pub(crate) const EXAMPLES: [Example; 5] = [
    Example {
        begins: "systemctl enable --now fusd.target",
        before: TARGET,
        stays: &[],
        after: "cat /dev/motd",
        check: |printed| printed == "good morning\n",
    },
    Example {
        begins: "mkdir -p /etc/fusd",
        // The service manager's part is played: it runs the unit's command with the file's variable.
        before: SYSTEMCTL,
        stays: &[],
        after: "cat /dev/motd; stat -c %a /dev/motd",
        check: |printed| printed == "good morning\n644\n",
    },
    Example {
        begins: "unshare",
        before: "",
        stays: &[],
        after: "",
        check: |_| false,
    },
    Example {
        begins: "fusd-echo --path ./answer",
        before: "",
        stays: &[],
        after: "",
        check: |_| false,
    },
    Example {
        begins: "fusd-pipe --records line ./tasks",
        before: "",
        stays: &[],
        after: "until_true grep one printed",
        check: |printed| printed == "done: one\n",
    },
];
