//! What systemd is told: a template of a unit for each tool that serves a device, one for the devices of the
//! configuration file, and what starts all of those.

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

/// The front door becomes any of them.
const ANY: Needs = Needs {
    tool: "fusd",
    network: true,
    capabilities: " CAP_IPC_LOCK CAP_SYS_TTY_CONFIG",
};

const OTHERS: Needs = Needs {
    tool: "",
    network: false,
    capabilities: "",
};

pub(super) fn items(layout: &Layout) -> Result<Vec<Item>> {
    let source = |name: &str| host::workspace().join("system").join(name);
    let read = |name: &str| {
        let path = source(name);
        fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
    };
    let service = read("service.in")?;
    let part = Part::Tools;
    let mut items = Vec::new();
    let template = read("device@.service.in")?;
    // `fusd` itself serves nothing.
    let names = TOOLS.iter().map(|tool| tool.name);
    for tool in names.filter(|name| name.starts_with("fusd-")) {
        let needs = NEEDS.iter().find(|needs| needs.tool == tool);
        let needs = needs.unwrap_or(&OTHERS);
        let text = fill(&template, &service, tool, needs, layout);
        items.push(Item::text(
            part,
            text,
            layout.unit(&format!("{tool}@.service")),
        ));
    }
    let all = fill(&read("fusd@.service.in")?, &service, ANY.tool, &ANY, layout);
    let unit = layout.unit("fusd@.service");
    let generator = read("fusd-generator.in")?
        .replace("@program@", &layout.program(ANY.tool).display().to_string())
        .replace("@unit@", &unit.display().to_string());
    items.push(Item::text(part, all, unit));
    items.push(Item::script(
        part,
        generator,
        layout.generator("fusd-generator"),
    ));
    for (name, path) in [
        ("fusd.target", layout.unit("fusd.target")),
        ("strict.conf", layout.document("examples/strict.conf")),
    ] {
        items.push(Item::copy(part, source(name), path));
    }
    Ok(items)
}

fn fill(template: &str, service: &str, tool: &str, needs: &Needs, layout: &Layout) -> String {
    let capabilities = format!("{CAPABILITIES}{}", needs.capabilities);
    let (families, network, after) = match needs.network {
        true => ("AF_UNIX AF_INET AF_INET6 AF_NETLINK", "", " network.target"),
        false => ("AF_UNIX", "IPAddressDeny=any\n", ""),
    };
    template
        .replace("@service@\n", service)
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
            Content::Text { text, .. } => Some((
                item.path.display().to_string(),
                String::from_utf8(text).unwrap(),
            )),
            _ => None,
        });
        units.collect()
    }

    #[test]
    fn each_tool_has_a_unit_and_so_has_the_configuration_file() {
        let units = units();
        for tool in &TOOLS {
            let unit = format!("/opt/x/lib/systemd/system/{}@.service", tool.name);
            let (_, text) = units.iter().find(|(path, _)| *path == unit).unwrap();
            assert!(
                text.contains("\nRestart=on-failure\n") && text.contains("=AF_UNIX"),
                "{text}"
            );
        }
        let generator = units.iter().find(|(path, _)| path.ends_with("-generator"));
        let (_, text) = generator.unwrap();
        let run = "exec /opt/x/bin/fusd generate /opt/x/lib/systemd/system/fusd@.service ";
        assert!(text.contains(run), "{text}");
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
                "@service@",
                "@unit@",
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
