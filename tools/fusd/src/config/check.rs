//! Whether a tool takes what a table says: its own command line is asked.

use clap::error::{ContextKind, ContextValue};
use clap::{Arg, ArgAction, Command};
use toml::de::DeValue;

use super::{Entry, Fault};
use crate::driver::TOOLS;

/// Options that a table has another place for, or no use, and why.
const OTHERS: [(&str, &str); 4] = [
    (
        "name",
        "the table's name is the device's: write [device.NAME]",
    ),
    ("ready-fd", "fusd itself waits for the device"),
    ("help", "it is for the command line alone"),
    ("version", "it is for the command line alone"),
];

/// The command line of a tool of the project. That of another driver is not known.
fn command(tool: &str) -> Option<Command> {
    let (_, command) = TOOLS.iter().find(|(name, _)| *name == tool)?;
    Some(command())
}

/// The words that a key and its value become.
///
/// # Errors
/// What is wrong, and what is allowed.
pub(super) fn words(tool: &str, key: &str, value: &DeValue<'_>) -> Result<Vec<String>, String> {
    if let Some((_, why)) = OTHERS.iter().find(|(name, _)| *name == key) {
        return Err(format!("it cannot be given here: {why}"));
    }
    let Some(command) = command(tool) else {
        return plain(key, value, None);
    };
    let options = || {
        command
            .get_arguments()
            .filter_map(|arg| Some((arg.get_long()?, arg)))
    };
    match options().find(|(long, _)| *long == key) {
        Some((_, arg)) => plain(key, value, Some(arg)),
        None => {
            let names = options().map(|(long, _)| long);
            let mut names: Vec<&str> = names
                .filter(|name| !OTHERS.iter().any(|(other, _)| other == name))
                .collect();
            names.extend(["args", "tool"]);
            names.sort_unstable();
            Err(format!(
                "{tool} has no such option; there are {}",
                names.join(", ")
            ))
        }
    }
}

fn plain(key: &str, value: &DeValue<'_>, arg: Option<&Arg>) -> Result<Vec<String>, String> {
    let action = arg.map(Arg::get_action);
    let takes_value = action.is_none_or(ArgAction::takes_values);
    let counts = matches!(action, Some(ArgAction::Count));
    let one = |text: &dyn std::fmt::Display| match takes_value {
        true => Ok(vec![format!("--{key}={text}")]),
        false => Err("it is true or false".to_owned()),
    };
    match value {
        DeValue::Boolean(true) if arg.is_some() && takes_value => {
            Err("it takes a value, as text or a number".to_owned())
        }
        DeValue::Boolean(true) => Ok(vec![format!("--{key}")]),
        DeValue::Boolean(false) => Ok(Vec::new()),
        DeValue::Integer(number) if counts => match number.to_string().parse::<u8>() {
            Ok(count) => Ok(vec![format!("--{key}"); usize::from(count)]),
            Err(_) => Err("it is true, false, or how often the option is given".to_owned()),
        },
        DeValue::String(text) => one(text),
        DeValue::Integer(number) => one(number),
        DeValue::Float(number) => one(&number.as_str()),
        DeValue::Array(values) => {
            if values.len() > 1 && action.is_some_and(|action| !matches!(action, ArgAction::Append))
            {
                return Err("it can be given once only".to_owned());
            }
            let mut words = Vec::new();
            for value in values.iter() {
                words.extend(plain(key, value.get_ref(), arg)?);
            }
            Ok(words)
        }
        DeValue::Datetime(_) | DeValue::Table(_) => {
            Err("it has to be text, a number, true, false, or an array of these".to_owned())
        }
    }
}

/// What the tool says of all of them together: the first thing that is wrong, as a command line has it.
pub(super) fn faults(entry: &Entry) -> Option<Fault> {
    let command = command(&entry.tool)?;
    let tool = vec![entry.tool.clone()];
    let words = [tool, entry.place(), entry.others(&[])].concat();
    let error = command.try_get_matches_from(words).err()?;
    let named = named(&error);
    let setting = named.and_then(|name| entry.setting(&name));
    let (line, key) = match setting {
        Some(setting) => (setting.line, setting.key.clone()),
        None => (entry.line, format!("device.{}", entry.name)),
    };
    Some(Fault::new(line, key, fusd_tool::fault(error)))
}

/// The option that an error is about.
fn named(error: &clap::Error) -> Option<String> {
    let text = match error.get(ContextKind::InvalidArg)? {
        ContextValue::String(text) => text,
        ContextValue::Strings(texts) => texts.first()?,
        _ => return None,
    };
    let option = text.split_ascii_whitespace().next()?;
    let option = option.split('=').next()?;
    option.strip_prefix("--").map(str::to_owned)
}
