//! The tools that have a manual page. A new tool is one more line.

pub(crate) struct Tool {
    pub(crate) name: &'static str,
    /// The definition of its command line.
    pub(crate) command: fn() -> clap::Command,
}

pub(crate) const TOOLS: [Tool; 6] = [
    Tool {
        name: "fusd",
        command: fusd_cli::command,
    },
    Tool {
        name: "fusd-echo",
        command: fusd_echo::command,
    },
    Tool {
        name: "fusd-http",
        command: fusd_http::command,
    },
    Tool {
        name: "fusd-pipe",
        command: fusd_pipe::command,
    },
    Tool {
        name: "fusd-prompt",
        command: fusd_prompt::command,
    },
    Tool {
        name: "fusd-serial-proxy",
        command: fusd_serial_proxy::command,
    },
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;

    use super::*;
    use crate::host;

    /// The options in the tables of CONTRIBUTING.md: "-m --mode", or "--name" without a letter.
    fn documented() -> BTreeSet<String> {
        let text = fs::read_to_string(host::workspace().join("CONTRIBUTING.md")).unwrap();
        let mut options = BTreeSet::new();
        for line in text.lines() {
            let cells: Vec<_> = line.split('|').map(str::trim).collect();
            let &["", letter, option, ..] = &cells[..] else {
                continue;
            };
            let option = option
                .trim_matches('`')
                .split(' ')
                .next()
                .unwrap_or_default();
            if option.starts_with("--") && option.contains(char::is_alphabetic) {
                let letter = letter.trim_matches('`');
                let option = format!("{letter} {option}").trim_start().to_owned();
                assert!(options.insert(option), "twice: {line}");
            }
        }
        options
    }

    #[test]
    fn each_command_line_is_consistent_and_every_option_has_help() {
        for Tool { name, command } in &TOOLS {
            command().debug_assert();
            for argument in command().get_arguments() {
                let has_help = argument.get_help().is_some();
                assert!(has_help, "{name}: {} has no help", argument.get_id());
            }
        }
    }

    #[test]
    fn contributing_has_the_options_of_the_tools_and_no_others() {
        let mut real = BTreeSet::new();
        for tool in &TOOLS {
            let mut command = (tool.command)();
            command.build();
            let commands = std::iter::once(&command).chain(command.get_subcommands());
            for argument in commands.flat_map(clap::Command::get_arguments) {
                let Some(long) = argument.get_long() else {
                    assert!(
                        argument.is_positional(),
                        "{} is short only",
                        argument.get_id()
                    );
                    continue;
                };
                let letter = argument.get_short().map(|letter| format!("-{letter} "));
                real.insert(format!("{}--{long}", letter.unwrap_or_default()));
            }
        }
        assert_eq!(documented(), real);
    }
}
