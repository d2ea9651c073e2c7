//! Many callers at once.

use fusd_tests::Case;
use fusd_tests::client::open_with;
use nix::errno::Errno;
use nix::fcntl::OFlag;

use crate::person::{Caller, Person};

/// The number after "Process" on a screen: who is asked about.
fn shown(lines: &[String]) -> Option<u32> {
    let line = lines.iter().find_map(|line| line.strip_prefix("Process"))?;
    line.split_whitespace().next()?.parse().ok()
}

pub(crate) fn fifty_callers_of_whom_half_are_killed(case: &Case) {
    let mut person = Person::start(case, (100, 40), ["--again", "0", "--ignore", "head"]);
    let mut callers: Vec<_> = (0..50)
        .map(|_| Caller::start(case, person.node()))
        .collect();
    person.sees("50 programs ask");
    // One of them is answered while all others wait.
    person.is_asked();
    let number = callers.len();
    for number in (0..number).rev().step_by(2) {
        callers.remove(number).kill();
    }
    person.sees("25 programs ask");
    assert!(callers.iter_mut().all(Caller::waits));
    // Who is refused, and who must not wait, does not wait for any of them.
    let mut head = case.command("head");
    head.arg(person.node());
    let said = Caller::run(head).wait().expect_err("it is ignored");
    assert!(said.contains("Permission denied"), "{said}");
    let nonblocking = open_with(person.node(), OFlag::O_RDONLY | OFlag::O_NONBLOCK);
    assert_eq!(nonblocking.map(drop), Err(Errno::EAGAIN));
    for round in 0..4 {
        person.is_asked();
        let terminal = &mut person.terminal;
        let before = terminal.find_on_screen("a process", shown);
        // The person picks one: the screen says which.
        let keys = ["", "\t", "\x1b[Z", "\x1b[Z"][round];
        terminal.press(keys);
        let pid = terminal.find_on_screen("the one that is picked", |lines| {
            shown(lines).filter(|pid| keys.is_empty() == (*pid == before))
        });
        person.is_asked();
        let place = callers.iter().position(|caller| caller.pid() == pid);
        let caller = callers.remove(place.expect("one of those that live"));
        person.terminal.press(&format!("for {pid}\r"));
        assert_eq!(caller.wait(), Ok(format!("for {pid}\n")));
        person.sees(&format!("{} programs ask", callers.len()));
    }
    assert!(callers.iter_mut().all(Caller::waits));
    person.ends_it();
    for caller in callers {
        assert!(caller.wait().is_err());
    }
}
