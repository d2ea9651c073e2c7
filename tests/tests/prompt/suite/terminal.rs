//! A person at the terminal, on each backend.

use fusd_tests::Case;

use crate::person::{Caller, Person};

pub(crate) fn a_person_answers_and_refuses(case: &Case) {
    let mut person = Person::start(case, (100, 24), ["--again", "0", "--message", "Say"]);
    let caller = Caller::start(case, person.node());
    person.is_asked();
    for part in ["/cat", "Command    cat ", "(uid 0, gid 0)", "Say"] {
        person.sees(part);
    }
    person.sees(&format!("Process    {} (cat)", caller.pid()));
    person.answers("hellp\x7fo\r");
    assert_eq!(caller.wait(), Ok("hello\n".to_owned()));
    person.is_left_alone();
    let caller = Caller::start(case, person.node());
    person.answers("\x1b");
    let said = caller.wait().expect_err("it is refused");
    assert!(said.contains("Permission denied"), "{said}");
    // Whoever goes is not asked about any more.
    let mut caller = Caller::start(case, person.node());
    person.is_asked();
    assert!(caller.waits());
    caller.kill();
    person.is_left_alone();
    person.sees_no_more("Command");
    person.ends_it();
}
