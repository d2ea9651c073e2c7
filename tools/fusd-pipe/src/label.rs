//! What is put before a record: who wrote it, and when.

use std::fmt::Write;
use std::time::SystemTime;

use fusd::Caller;

use crate::settings::Label;

/// The labels of a record that `caller` writes now: separated by spaces, and ended by ": ".
pub(crate) fn text(labels: &[Label], caller: &Caller) -> Vec<u8> {
    let mut text = String::new();
    for (index, label) in labels.iter().enumerate() {
        if index > 0 {
            text.push(' ');
        }
        // Writing to a string does not fail.
        let _ = match label {
            Label::Time => {
                let now = humantime::format_rfc3339_millis(SystemTime::now());
                write!(text, "{now}")
            }
            Label::Pid => write!(text, "{}", caller.pid()),
            Label::Uid => write!(text, "{}", caller.uid),
            Label::Program => {
                let program = caller.program();
                write!(text, "{}", program.as_deref().unwrap_or("?"))
            }
        };
    }
    if !labels.is_empty() {
        text.push_str(": ");
    }
    text.into_bytes()
}
