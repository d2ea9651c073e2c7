//! Messages of the program, while the monitor has the terminal that they are for.

use std::time::SystemTime;

use super::ring::Ring;
use super::screen;

/// Shows messages as the others that go through.
pub(super) struct Said(pub(super) Ring);

impl fusd_tool::Screen for Said {
    fn show(&self, lines: &[u8]) {
        let now = SystemTime::now();
        for line in String::from_utf8_lossy(lines).lines() {
            self.0.say(&plain(line), now);
        }
    }

    fn leave(&self) {
        screen::leave();
    }
}

/// A line without colours (ECMA-48, CSI), and without the time that the log begins with: it has one.
fn plain(line: &str) -> String {
    let mut text = String::new();
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("\x1b[") {
        text.push_str(before);
        let end = after.find(|letter| matches!(letter, '@'..='~'));
        rest = end.map_or("", |end| &after[end + 1..]);
    }
    text.push_str(rest);
    match text.split_once(' ') {
        Some((time, rest)) if humantime::parse_rfc3339(time).is_ok() => {
            rest.trim_start().to_owned()
        }
        _ => text,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lines_of_the_log_are_shown_without_colours_and_a_second_time() {
        let line = "\x1b[2m2026-01-02T03:04:05.678901Z\x1b[0m \x1b[33m WARN\x1b[0m it is lost";
        assert_eq!(plain(line), "WARN it is lost");
        assert_eq!(plain("the node is ready"), "the node is ready");
        assert_eq!(plain("torn \x1b[3"), "torn ");
    }
}
