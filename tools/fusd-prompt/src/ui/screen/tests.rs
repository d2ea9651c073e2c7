//! Tests of what is on the screen.

use std::sync::Arc;
use std::time::Duration;

use clap::Parser;

use super::*;
use crate::Args;
use crate::ui::keys::Key;
use crate::who::Who;
use crate::who::tests::process;

fn asked(number: u64, operation: Operation, now: Instant) -> Asked {
    let mut who = process(u32::try_from(number).unwrap(), 0, "/usr/bin/\x1b[31mevil");
    who.command = vec!["evil".into(), "-x\n".into()];
    Asked {
        number,
        who: Arc::new(who),
        operation,
        since: now,
        deadline: Some(now + Duration::from_secs(100)),
    }
}

fn screen(line: &[&str], operation: Operation, size: (u16, u16), text: &str) -> Screen {
    let line = [&["fusd-prompt", "--name", "x", "--message", "Say"], line].concat();
    let settings = Settings::new(&Args::try_parse_from(line).unwrap()).unwrap();
    let now = Instant::now();
    let list: Vec<_> = (1..=3)
        .map(|number| asked(number, operation.clone(), now))
        .collect();
    let mut form = Form::new(&settings, &list[1]);
    for letter in text.chars() {
        form.press(Key::Letter(letter), &settings);
    }
    let view = View {
        settings: &settings,
        list: &list,
        place: 1,
        form: &form,
        guarded: false,
        now: now + Duration::from_secs(75),
    };
    Screen::of(&view, size)
}

#[test]
fn all_sizes_have_the_caller_the_field_and_no_row_too_many() {
    let kinds = [
        &[][..],
        &["-a", "secret"],
        &["-a", "multiline"],
        &["-a", "confirm"],
        &["--choices", "one,two,three,four,five,six,seven"],
    ];
    for size in [
        (20, 5),
        (1, 1),
        (20, 3),
        (44, 13),
        (80, 24),
        (200, 60),
        (44, 12),
    ] {
        for kind in kinds {
            for operation in [
                Operation::Open,
                Operation::Write(Arc::from(&b"a\nb\nc\nd"[..])),
            ] {
                let screen = screen(kind, operation, size, "漢字漢字漢字漢字漢字漢字漢字");
                assert!(
                    screen.rows.len() <= usize::from(size.1),
                    "{size:?} {screen:?}"
                );
                for (_, row) in &screen.rows {
                    assert!(
                        field::width(row) < usize::from(size.0).max(2),
                        "{size:?} {row}"
                    );
                    assert!(!row.contains(char::is_control), "{row:?}");
                }
                if size.1 >= 5 {
                    let all: Vec<_> = screen.rows.iter().map(|(_, row)| row.as_str()).collect();
                    assert!(all.iter().any(|row| row.starts_with("> ")), "{all:?}");
                    assert!(all.iter().any(|row| row.contains("\\e[31")), "{all:?}");
                }
                let (column, row) = screen.cursor;
                assert!(column < size.0.max(4) && row < size.1.max(1), "{size:?}");
            }
        }
    }
}

#[test]
fn what_is_written_is_seen_whole_or_known_not_to_be() {
    let shows = |size, text: &str| {
        let data = Operation::Write(Arc::from(text.as_bytes()));
        let screen = screen(&["-w", "approve"], data, size, "");
        let rows = screen.rows.iter().filter(|(_, row)| row.starts_with("| "));
        (rows.count(), screen.shows_end)
    };
    assert_eq!(shows((20, 5), "a"), (1, true));
    assert_eq!(shows((20, 5), "a\nb"), (1, false));
    assert_eq!(shows((80, 40), "a\nb"), (2, true));
    assert!(!shows((80, 40), &"a\n".repeat(100)).1);
    assert!(!shows((20, 2), "a").1);
}

#[test]
fn the_question_is_there_in_a_small_window_with_a_queue() {
    for size in [(44, 13), (44, 14), (80, 15)] {
        let screen = screen(&[], Operation::Open, size, "");
        let has = |text: &str| screen.rows.iter().any(|(_, row)| row.starts_with(text));
        assert!(has("> ") && has("Enter"), "{size:?}: {screen:?}");
    }
}

#[test]
fn there_is_room_for_all_about_the_caller() {
    let screen = screen(&[], Operation::Open, (80, 24), "hello");
    let text: Vec<_> = screen.rows.iter().map(|(_, row)| row.as_str()).collect();
    for part in [
        "3 programs ask; this is number 2",
        "Program    /usr/bin/\\e[31mevil",
        "Command    evil -x\\n",
        "Process    2 (x)",
        "User       0 (uid 0, gid 0)",
        "Directory  /",
        "Waiting    1:15 min, 25 s left",
        "Say",
        "> hello",
    ] {
        assert!(
            text.iter().any(|row| row.starts_with(part)),
            "{part}: {text:#?}"
        );
    }
}

#[test]
fn a_secret_is_nowhere() {
    for (echo, row) in [("mask", "> *******"), ("off", "> ")] {
        let screen = screen(
            &["-a", "secret", "--echo", echo],
            Operation::Open,
            (80, 24),
            "hunter2",
        );
        let drawn = String::from_utf8(screen.draw().unwrap()).unwrap();
        assert!(!drawn.contains("hunter2"));
        assert!(screen.rows.iter().any(|(_, it)| it == row), "{screen:?}");
    }
}

#[test]
fn pages_leave_nothing_out_about_the_caller() {
    for size in [(20, 5), (44, 12), (44, 13), (80, 24)] {
        let line = ["fusd-prompt", "--name", "x"];
        let settings = Settings::new(&Args::try_parse_from(line).unwrap()).unwrap();
        let now = Instant::now();
        let mut long = asked(7, Operation::Open, now);
        let mut who = Who::clone(&long.who);
        who.command = vec!["evil".into(), "x".repeat(310).into(), "end".into()];
        long.who = Arc::new(who);
        let mut form = Form::new(&settings, &long);
        let mut seen = String::new();
        loop {
            let view = View {
                settings: &settings,
                list: std::slice::from_ref(&long),
                place: 0,
                form: &form,
                guarded: false,
                now,
            };
            let screen = Screen::of(&view, size);
            let rows = screen.rows.iter().map(|(_, row)| row.as_str());
            let rows: Vec<_> = rows.collect();
            assert!(rows.len() <= usize::from(size.1), "{size:?}: {rows:?}");
            assert!(rows.iter().any(|row| row.starts_with("> ")), "{rows:?}");
            seen.push_str(&rows.concat());
            form.pages = screen.pages;
            let before = form.page;
            form.press(Key::PageDown, &settings);
            if form.page == before {
                break;
            }
        }
        for part in [
            "Program: /usr/bin/",
            " end",
            "Process: 7 (x)",
            "(uid 0",
            "Waiting: ",
        ] {
            assert!(seen.contains(part), "{size:?}: {part}: {seen}");
        }
        form.press(Key::PageUp, &settings);
        assert!(form.page + 1 < form.pages);
    }
}
