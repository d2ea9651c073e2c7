//! `cargo xtask man`: makes `man/TOOL.1` from the tool's own options and the prose in `man/TOOL.1.in`.
//!
//! The prose holds three lines that are replaced by a section each: `@name@`, `@synopsis@` and
//! `@options@`. Where the program has commands of its own, a section of these follows the last, with a
//! part for each. The page depends on nothing else, neither on the date nor on the machine.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use anyhow::{Context, Result, bail};
use clap_mangen::Man;

use crate::host;
use crate::tools::{TOOLS, Tool};

/// Make the manual pages from the programs' options and the prose in man/*.1.in.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Write nothing: fail if a page is not what this would write, or if groff complains about it.
    #[arg(long)]
    check: bool,
}

pub(crate) fn run(args: &Args) -> Result<()> {
    if args.check {
        return check();
    }
    for tool in &TOOLS {
        let page = path(tool, "1");
        fs::write(&page, make(tool)?).with_context(|| format!("cannot write {page:?}"))?;
        println!("wrote man/{}.1", tool.name);
    }
    Ok(())
}

/// Compares every page with what would be written, and has groff read it.
pub(crate) fn check() -> Result<()> {
    for tool in &TOOLS {
        if read(path(tool, "1"))? != make(tool)? {
            bail!("man/{}.1 is out of date; run: cargo xtask man", tool.name);
        }
        lint(&path(tool, "1"))?;
    }
    for page in WRITTEN {
        lint(&host::workspace().join("man").join(page))?;
    }
    Ok(())
}

/// The pages that are written by hand. (Those of section 3 come with the library.)
pub(crate) const WRITTEN: [&str; 4] = ["fusd_register.3", "libfusd.3", "kfusd.4", "fusd.7"];

fn path(tool: &Tool, extension: &str) -> PathBuf {
    host::workspace()
        .join("man")
        .join(format!("{}.{extension}", tool.name))
}

fn read(path: PathBuf) -> Result<String> {
    fs::read_to_string(&path).with_context(|| format!("cannot read {}", path.display()))
}

fn make(tool: &Tool) -> Result<String> {
    fill(&read(path(tool, "1.in"))?, (tool.command)())
        .with_context(|| format!("man/{}.1.in", tool.name))
}

/// What clap_mangen puts before every section: apostrophes that stay apostrophes. Once is enough.
const PREAMBLE: &str = ".ie \\n(.g .ds Aq \\(aq\n.el .ds Aq '\n";

/// Left-aligned, and no word is hyphenated (`HY`: not even after an example): names can be copied.
const LAYOUT: &str = ".nr HY 0\n.nh\n.ad l\n";

/// The page: `prose` with its marked lines replaced by what `command` says about itself.
fn fill(prose: &str, command: clap::Command) -> Result<String> {
    let name = command.get_name().to_owned();
    let command = prepare(command);
    let commands = commands(&command)?;
    let man = Man::new(command);
    let mut page = format!(
        ".\\\" Made by \"cargo xtask man\" from the options of {name} and man/{name}.1.in.\n\
         {PREAMBLE}.TH {title} 1 \"\" \"fusd {version}\" \"User Commands\"\n{LAYOUT}",
        title = name.to_uppercase(),
        version = env!("CARGO_PKG_VERSION"),
    );
    let mut missing = vec!["@name@", "@synopsis@", "@options@"];
    for line in prose.lines() {
        let Some(index) = missing.iter().position(|mark| *mark == line) else {
            page.push_str(line);
            page.push('\n');
            continue;
        };
        let mut section = Vec::new();
        match missing.remove(index) {
            "@name@" => man.render_name_section(&mut section),
            "@synopsis@" => man.render_synopsis_section(&mut section),
            _ => man.render_options_section(&mut section),
        }?;
        page.push_str(&nest(&tidy(&String::from_utf8(section)?)));
        if line == "@options@" {
            page.push_str(&commands);
        }
    }
    if !missing.is_empty() {
        bail!("these lines are missing: {}", missing.join(" "));
    }
    Ok(page)
}

/// Replaces the synopsis that lists every option by that of `--help`, and shows the `--` before a
/// command that is run beside the device.
fn prepare(mut command: clap::Command) -> clap::Command {
    command.build();
    let usage = command.render_usage().to_string();
    let usage = usage.trim_start_matches("Usage: ").to_owned();
    command
        .override_usage(usage)
        .mut_args(|arg| match arg.is_last_set() {
            true => arg.value_name("-- COMMAND [ARGS]..."),
            false => arg,
        })
}

/// The section of a program's own commands, each with what it does and its options; empty where it has
/// none.
fn commands(command: &clap::Command) -> Result<String> {
    let mut page = String::new();
    for command in command
        .get_subcommands()
        .filter(|command| !command.is_hide_set())
    {
        if page.is_empty() {
            page.push_str(".SH COMMANDS\n");
        }
        let usage = command.clone().render_usage().to_string();
        let usage = usage.trim_start_matches("Usage: ").replace('-', "\\-");
        page.push_str(&format!(".SS \"{usage}\"\n"));
        // Each has it, and the section of options as well.
        let command = command
            .clone()
            .mut_args(|arg| match arg.get_id() == "help" {
                true => arg.hide(true),
                false => arg,
            });
        let man = Man::new(command);
        for render in [Man::render_description_section, Man::render_options_section] {
            let mut section = Vec::new();
            render(&man, &mut section)?;
            let section = tidy(&String::from_utf8(section)?);
            let lines = section.lines().filter(|line| !line.starts_with(".SH "));
            lines.for_each(|line| page.push_str(&format!("{line}\n")));
        }
    }
    Ok(page)
}

/// Takes out what clap_mangen writes in every section, empty lines, and a list set too far right.
fn tidy(section: &str) -> String {
    section
        .replace(PREAMBLE, "")
        .replace(".br\n\n.br\n", ".sp\n")
        .replace(".RS 14\n", ".RS\n")
}

/// Makes the groups of options, which clap_mangen sets as sections, parts of the first section.
fn nest(section: &str) -> String {
    let mut first = true;
    let mut nested = String::new();
    for line in section.lines() {
        match line.strip_prefix(".SH ") {
            Some(heading) if !std::mem::take(&mut first) => {
                let heading = heading.trim_matches('"').to_lowercase();
                let (initial, rest) = heading.split_at(heading.len().min(1));
                nested.push_str(&format!(".SS {}{rest}\n", initial.to_uppercase()));
            }
            _ => {
                nested.push_str(line);
                nested.push('\n');
            }
        }
    }
    nested
}

/// Fails if groff, where it is installed, has anything to say about the page.
fn lint(page: &Path) -> Result<()> {
    if host::find_program("groff").is_none() {
        let page = page.display();
        println!("groff is not installed: {page} was not read with it");
        return Ok(());
    }
    let output = Command::new("groff")
        .args(["-t", "-man", "-ww", "-Tutf8", "-z"])
        .arg(page)
        .stdin(Stdio::null())
        .output()
        .context("cannot run groff")?;
    if !output.status.success() || !output.stderr.is_empty() {
        bail!("groff: {}", String::from_utf8_lossy(&output.stderr).trim());
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn command() -> clap::Command {
        clap::Command::new("fusd-x")
            .about("does x")
            .arg(clap::arg!(-x --example <FILE> "It's an example"))
            .arg(
                clap::Arg::new("COMMAND")
                    .last(true)
                    .num_args(1..)
                    .help("Run it"),
            )
    }

    #[test]
    fn sections_go_where_the_prose_has_their_marks() {
        let page = fill(
            "@name@\n.SH DESCRIPTION\nProse.\n@options@\n@synopsis@\n",
            command(),
        );
        let page = page.unwrap();
        let places = [
            ".TH FUSD-X 1",
            ".SH NAME",
            "Prose.",
            ".SH OPTIONS",
            ".SH SYNOPSIS",
        ]
        .map(|text| {
            page.find(text)
                .unwrap_or_else(|| panic!("no {text} in {page}"))
        });
        assert!(places.is_sorted(), "{page}");
        assert_eq!(page.matches(".ds Aq").count(), 2, "{page}");
        assert!(page.contains("It\\*(Aqs an example"), "{page}");
        assert!(page.contains("\\-\\- COMMAND"), "{page}");
    }

    #[test]
    fn each_command_has_a_part_with_its_options() {
        let go = clap::Command::new("go")
            .about("goes")
            .arg(clap::arg!(-f --far "farther than that"));
        let inner = clap::Command::new("inner").hide(true);
        let command = command()
            .disable_help_subcommand(true)
            .subcommands([go, inner]);
        let page = fill("@name@\n@synopsis@\n@options@\n", command).unwrap();
        let (_, commands) = page.split_once(".SH COMMANDS\n").unwrap();
        assert!(
            commands.starts_with(".SS \"fusd\\-x go [OPTIONS]\"\ngoes\n"),
            "{commands}"
        );
        assert!(commands.contains("farther than that"), "{commands}");
        assert!(
            !commands.contains("help") && !page.contains("inner"),
            "{page}"
        );
    }

    #[test]
    fn a_missing_mark_is_named() {
        let error = fill("@name@\n@options@\n", command()).unwrap_err();
        assert_eq!(error.to_string(), "these lines are missing: @synopsis@");
    }

    #[test]
    fn groups_of_options_are_parts_of_one_section() {
        let section = ".SH OPTIONS\n-h\n.SH NODE\n-m\n";
        assert_eq!(nest(section), ".SH OPTIONS\n-h\n.SS Node\n-m\n");
    }
}
