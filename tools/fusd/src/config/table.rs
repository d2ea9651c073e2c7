//! From the text to tables: what TOML says of each device, with the lines where it does.

use fusd::inspect;
use toml::Spanned;
use toml::de::{DeTable, DeValue};

use super::{Entry, Fault, Setting, check};
use crate::driver::{TOOLS, full_name};

/// What all devices are below.
const DEVICE: &str = "device";
/// Keys that are no options.
const TOOL: &str = "tool";
const ARGUMENTS: &str = "args";

/// The entries that can be made of a text, and what is wrong with the others.
pub(super) fn read(text: &str) -> (Vec<Entry>, Vec<Fault>) {
    let mut reader = Reader {
        text,
        faults: Vec::new(),
    };
    let mut entries = Vec::new();
    match DeTable::parse(text) {
        Ok(table) => reader.devices(table.get_ref(), &mut entries),
        Err(error) => {
            let line = reader.line(error.span().map_or(0, |span| span.start));
            let text = error.message().replace('\n', ", ");
            reader.faults.push(Fault::new(line, "the file", text));
        }
    }
    entries.sort_by_key(|entry: &Entry| entry.line);
    (entries, reader.faults)
}

struct Reader<'a> {
    text: &'a str,
    faults: Vec<Fault>,
}

impl Reader<'_> {
    /// The number of the line of a byte, from 1.
    fn line(&self, place: usize) -> usize {
        let before = self.text.as_bytes().iter().take(place);
        1 + before.filter(|byte| **byte == b'\n').count()
    }

    fn line_of<T>(&self, value: &Spanned<T>) -> usize {
        self.line(value.span().start)
    }

    fn fault(&mut self, line: usize, key: impl Into<String>, text: impl Into<String>) {
        self.faults.push(Fault::new(line, key, text));
    }

    fn devices(&mut self, root: &DeTable<'_>, entries: &mut Vec<Entry>) {
        const FORM: &str = "each device is a table of its own, [device.NAME]";
        for (key, value) in root.iter() {
            let line = self.line_of(key);
            match value.get_ref().as_table() {
                Some(devices) if key.get_ref() == DEVICE => {
                    for (name, device) in devices.iter() {
                        let line = self.line_of(name);
                        let title = format!("{DEVICE}.{}", name.get_ref());
                        match device.get_ref().as_table() {
                            Some(table) => entries.extend(self.device(line, name.get_ref(), table)),
                            None => self.fault(line, title, format!("it is no table; {FORM}")),
                        }
                    }
                }
                _ if key.get_ref() == DEVICE => {
                    self.fault(line, DEVICE, format!("it is no table; {FORM}"))
                }
                _ => self.fault(
                    line,
                    key.get_ref().as_ref(),
                    format!("there is no such key; {FORM}"),
                ),
            }
        }
    }

    fn device(&mut self, line: usize, name: &str, table: &DeTable<'_>) -> Option<Entry> {
        let title = format!("{DEVICE}.{name}");
        let name = match inspect::device_name(name) {
            Ok(name) => name.to_owned(),
            Err(error) => {
                self.fault(line, title, error.to_string());
                return None;
            }
        };
        let tool = self.tool(line, &title, table)?;
        let mut options = Vec::new();
        let mut arguments = Vec::new();
        for (key, value) in table.iter() {
            let line = self.line_of(key);
            let key = key.get_ref().as_ref();
            let read = match key {
                TOOL => continue,
                ARGUMENTS => strings(value.get_ref()).map(|words| arguments = words),
                _ => check::words(&tool, key, value.get_ref()).map(|words| {
                    options.push(Setting {
                        key: key.to_owned(),
                        words,
                        line,
                    });
                }),
            };
            if let Err(text) = read {
                self.fault(line, key, text);
            }
        }
        options.sort_by_key(|setting| setting.line);
        Some(Entry {
            name,
            tool,
            options,
            arguments,
            line,
        })
    }

    fn tool(&mut self, line: usize, title: &str, table: &DeTable<'_>) -> Option<String> {
        let tools: Vec<&str> = TOOLS.iter().map(|(name, _)| *name).collect();
        let tools = tools.join(", ");
        let Some((key, value)) = table.iter().find(|(key, _)| key.get_ref() == TOOL) else {
            let text =
                format!("there is no key \"tool\"; it is one of {tools}, or the path of a driver");
            self.fault(line, title, text);
            return None;
        };
        let line = self.line_of(key);
        let Some(tool) = value.get_ref().as_str() else {
            let text = format!("it has to be text: one of {tools}, or the path of a driver");
            self.fault(line, TOOL, text);
            return None;
        };
        let tool = full_name(tool);
        if !tool.contains('/') && !TOOLS.iter().any(|(name, _)| *name == tool) {
            let text =
                format!("there is no tool {tool}; it is one of {tools}, or the path of a driver");
            self.fault(line, TOOL, text);
            return None;
        }
        Some(tool.to_owned())
    }
}

/// An array of texts that are no options.
fn strings(value: &DeValue<'_>) -> Result<Vec<String>, String> {
    let words = value.as_array().and_then(|array| {
        let words = array.iter().map(|word| word.get_ref().as_str());
        words
            .map(|word| word.map(str::to_owned))
            .collect::<Option<Vec<_>>>()
    });
    let words = words.ok_or("it has to be an array of texts: [\"...\"]")?;
    match words
        .iter()
        .find(|word| word.len() > 1 && word.starts_with('-'))
    {
        Some(word) => Err(format!(
            "{word:?} would be an option; options are keys of their own"
        )),
        None => Ok(words),
    }
}
