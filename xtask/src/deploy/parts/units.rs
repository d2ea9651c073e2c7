//! A template of a systemd unit for each tool that serves a device.

use std::fs;

use anyhow::{Context, Result};

use crate::deploy::item::{Item, Part};
use crate::deploy::layout::Layout;
use crate::host;
use crate::tools::TOOLS;

/// What a tool has beyond all others.
struct Needs {
    tool: &'static str,
    /// It talks to other machines, if it is told to.
    network: bool,
    capabilities: &'static str,
}

/// Those of all: mount(2) and the control of devices; a node of another owner and mode, and files of any
/// owner; which program a caller is (/proc/PID/exe); an end to commands of another user.
const CAPABILITIES: &str =
    "CAP_SYS_ADMIN CAP_CHOWN CAP_FOWNER CAP_DAC_OVERRIDE CAP_SYS_PTRACE CAP_KILL";

const NEEDS: [Needs; 4] = [
    Needs {
        tool: "fusd-http",
        network: true,
        capabilities: "",
    },
    Needs {
        tool: "fusd-pipe",
        network: true,
        capabilities: "",
    },
    Needs {
        tool: "fusd-prompt",
        network: false,
        // Answers are kept out of swap space.
        capabilities: " CAP_IPC_LOCK",
    },
    Needs {
        tool: "fusd-serial-proxy",
        network: true,
        capabilities: " CAP_SYS_TTY_CONFIG",
    },
];

const OTHERS: Needs = Needs {
    tool: "",
    network: false,
    capabilities: "",
};

pub(super) fn items(layout: &Layout) -> Result<Vec<Item>> {
    let folder = host::workspace().join("system");
    let template = fs::read_to_string(folder.join("device@.service.in"))
        .context("cannot read system/device@.service.in")?;
    let mut items = Vec::new();
    // `fusd` itself serves nothing.
    let names = TOOLS.iter().map(|tool| tool.name);
    for tool in names.filter(|name| name.starts_with("fusd-")) {
        let path = layout.unit(&format!("{tool}@.service"));
        items.push(Item::text(Part::Tools, fill(&template, tool, layout), path));
    }
    let strict = layout.document("examples/strict.conf");
    items.push(Item::copy(Part::Tools, folder.join("strict.conf"), strict));
    Ok(items)
}

fn fill(template: &str, tool: &str, layout: &Layout) -> String {
    let needs = NEEDS.iter().find(|needs| needs.tool == tool);
    let needs = needs.unwrap_or(&OTHERS);
    let capabilities = format!("{CAPABILITIES}{}", needs.capabilities);
    let (families, network, after) = match needs.network {
        true => ("AF_UNIX AF_INET AF_INET6 AF_NETLINK", "", " network.target"),
        false => ("AF_UNIX", "IPAddressDeny=any\n", ""),
    };
    template
        .replace("@tool@", tool)
        .replace("@program@", &layout.program(tool).display().to_string())
        .replace(
            "@examples@",
            &layout.document("examples").display().to_string(),
        )
        .replace("@capabilities@", &capabilities)
        .replace("@families@", families)
        .replace("@network@", network)
        .replace("@after@", after)
}

#[cfg(test)]
mod tests {
    use std::path::Path;

    use super::*;
    use crate::deploy::item::Content;

    fn units() -> Vec<(String, String)> {
        let layout = Layout::new(Path::new("/opt/x"), None).unwrap();
        let items = items(&layout).unwrap().into_iter();
        let units = items.filter_map(|item| match item.content {
            Content::Text(text) => Some((
                item.path.display().to_string(),
                String::from_utf8(text).unwrap(),
            )),
            _ => None,
        });
        units.collect()
    }

    #[test]
    fn each_tool_that_serves_has_a_unit_and_the_front_door_none() {
        let units = units();
        assert_eq!(
            units.len(),
            TOOLS.iter().filter(|tool| tool.name != "fusd").count()
        );
        let (path, text) = &units[0];
        assert_eq!(path, "/opt/x/lib/systemd/system/fusd-echo@.service");
        assert!(
            text.contains("ExecStart=/opt/x/bin/fusd-echo $NODE $ARGS\n"),
            "{text}"
        );
        assert!(
            text.contains("IPAddressDeny=any\n") && text.contains("=AF_UNIX\n"),
            "{text}"
        );
    }

    #[test]
    fn what_a_tool_needs_is_of_a_tool_that_there_is() {
        for needs in &NEEDS {
            assert!(
                TOOLS.iter().any(|tool| tool.name == needs.tool),
                "{}",
                needs.tool
            );
        }
        for (path, text) in units() {
            let marks = [
                "@tool@",
                "@program@",
                "@capabilities@",
                "@after@",
                "@network@",
            ];
            assert!(
                !marks.iter().any(|mark| text.contains(mark)),
                "{path}: {text}"
            );
            // The same in every one: a node has to be seen by all.
            for line in text.lines().filter(|line| !line.starts_with('#')) {
                let hides = ["Protect", "Private", "ReadOnly", "Temporary", "MountFlags"];
                assert!(
                    !hides.iter().any(|word| line.starts_with(word)),
                    "{path}: {line}"
                );
            }
        }
    }
}
