//! Tests of the desk: calls are numbers here, and time is what the test says.

use super::*;
use crate::secret::Secret;
use crate::who::tests::process;

/// One that asks about everybody, each time, without end.
pub(crate) fn policy() -> Policy {
    Policy {
        rules: Rules::default(),
        ignore: Vec::new(),
        content_is_there: false,
        unasked: false,
        once: false,
        remember: None,
        again: Duration::ZERO,
        timeout: None,
        on_timeout: Verdict::Deny,
    }
}

const SECOND: Duration = Duration::from_secs(1);

struct Test {
    desk: Desk<u32>,
    now: Instant,
}

impl Test {
    fn new(policy: Policy) -> Self {
        Self {
            desk: Desk::new(policy),
            now: Instant::now(),
        }
    }

    fn arrive(&mut self, who: Who, call: u32) -> Arrival<u32> {
        let who = Arc::new(who);
        self.desk.arrive(self.now, who, Operation::Open, true, call)
    }

    #[track_caller]
    fn waits(&mut self, who: Who, call: u32) -> Place {
        match self.arrive(who, call) {
            Arrival::Waits(place) => place,
            other => panic!("{other:?}"),
        }
    }

    #[track_caller]
    fn decided(&mut self, who: Who) -> (String, By) {
        match self.arrive(who, 0) {
            Arrival::Decided(decision, _) => (verdict(&decision), decision.by),
            other => panic!("{other:?}"),
        }
    }

    fn answer(&mut self, place: Place, text: &str) -> Vec<(Vec<u32>, String)> {
        let verdict = Verdict::Answer(Arc::new(Secret::of(text.as_bytes())));
        told(
            self.desk
                .decide(self.now, place.prompt, verdict, By::Terminal),
        )
    }
}

fn verdict(decision: &Decision) -> String {
    match &decision.verdict {
        Verdict::Answer(text) => text.text().to_owned(),
        Verdict::Approve => "approved".to_owned(),
        Verdict::Deny => "denied".to_owned(),
    }
}

fn told(closed: Vec<Closed<u32>>) -> Vec<(Vec<u32>, String)> {
    let told = |closed: Closed<u32>| (closed.waiters, verdict(&closed.decision));
    closed.into_iter().map(told).collect()
}

fn one(calls: &[u32], what: &str) -> Vec<(Vec<u32>, String)> {
    vec![(calls.to_vec(), what.to_owned())]
}

#[test]
fn each_process_has_its_own_answer() {
    let mut test = Test::new(policy());
    let first = test.waits(process(1, 0, "/a"), 10);
    let second = test.waits(process(2, 0, "/a"), 20);
    assert_eq!(test.desk.list().len(), 2);
    assert_eq!(test.answer(second, "two"), one(&[20], "two"));
    assert_eq!(test.answer(second, "late"), [], "it has ended");
    assert_eq!(test.answer(first, "one"), one(&[10], "one"));
    assert_eq!(test.desk.next_time(), None);
}

#[test]
fn calls_of_one_process_share_a_prompt_until_the_last_has_gone() {
    let mut test = Test::new(policy());
    let first = test.waits(process(1, 0, "/a"), 10);
    let second = test.waits(process(1, 0, "/a"), 11);
    assert_eq!(first.prompt, second.prompt);
    assert!(matches!(test.desk.withdraw(first), Some((10, None))));
    assert!(test.desk.withdraw(first).is_none());
    assert_eq!(test.desk.waiter(second), Some(&11));
    let third = test.waits(process(1, 0, "/a"), 12);
    assert_eq!(test.answer(third, "x"), one(&[11, 12], "x"));
    let alone = test.waits(process(1, 0, "/a"), 13);
    assert!(matches!(test.desk.withdraw(alone), Some((13, Some(_)))));
    assert!(!test.desk.has(alone.prompt));
}

#[test]
fn a_process_that_cannot_be_told_from_others_shares_nothing() {
    let mut test = Test::new(policy());
    let unknown = Who {
        started: None,
        program: None,
        ..process(0, 0, "")
    };
    let first = test.waits(unknown.clone(), 1);
    assert_ne!(first.prompt, test.waits(unknown, 2).prompt);
}

#[test]
fn writes_are_asked_about_one_by_one() {
    let mut test = Test::new(Policy {
        again: SECOND,
        remember: Some((SECOND, RememberBy::User)),
        ..policy()
    });
    let now = test.now;
    let mut write = |call| {
        let operation = Operation::Write(Arc::from(&b"x"[..]));
        let who = Arc::new(process(1, 0, "/a"));
        match test.desk.arrive(now, who, operation, true, call) {
            Arrival::Waits(place) => place,
            other => panic!("{other:?}"),
        }
    };
    let (first, second) = (write(1), write(2));
    assert_ne!(first.prompt, second.prompt);
    let closed = test
        .desk
        .decide(now, first.prompt, Verdict::Approve, By::Terminal);
    assert_eq!(told(closed), one(&[1], "approved"));
    assert!(test.desk.has(second.prompt));
}

#[test]
fn a_program_is_not_asked_about_twice_within_a_second() {
    let mut test = Test::new(Policy {
        again: SECOND,
        ..policy()
    });
    let place = test.waits(process(1, 0, "/a"), 1);
    test.waits(process(2, 0, "/a"), 2);
    let other = test.waits(process(3, 0, "/b"), 3);
    assert_eq!(
        test.answer(place, "x"),
        [(vec![1], "x".into()), (vec![2], "x".into())],
        "who waits already has come again as well"
    );
    test.desk.withdraw(other);
    assert_eq!(
        test.decided(process(3, 0, "/a")),
        ("x".into(), By::Remembered)
    );
    let elsewhere = Who {
        command: vec!["/a".into(), "-x".into()],
        ..process(4, 0, "/a")
    };
    for who in [process(4, 1, "/a"), process(4, 0, "/b"), elsewhere] {
        let place = test.waits(who, 4);
        test.desk.withdraw(place);
    }
    assert_eq!(test.desk.next_time(), Some(test.now + SECOND));
    test.now += SECOND;
    let place = test.waits(process(3, 0, "/a"), 3);
    let closed = test
        .desk
        .decide(test.now, place.prompt, Verdict::Deny, By::Terminal);
    assert_eq!(told(closed), one(&[3], "denied"));
    assert_eq!(
        test.decided(process(5, 0, "/a")),
        ("denied".into(), By::Remembered)
    );
}

#[test]
fn an_answer_is_remembered_for_whom_it_is_for() {
    for (by, same, other) in [
        (RememberBy::Pid, process(1, 0, "/a"), process(2, 0, "/a")),
        (
            RememberBy::Program,
            process(2, 0, "/a"),
            process(1, 1, "/a"),
        ),
        (RememberBy::User, process(2, 0, "/b"), process(1, 1, "/a")),
    ] {
        let mut test = Test::new(Policy {
            remember: Some((60 * SECOND, by)),
            ..policy()
        });
        let place = test.waits(process(1, 0, "/a"), 1);
        let denied = test
            .desk
            .decide(test.now, place.prompt, Verdict::Deny, By::Terminal);
        assert_eq!(told(denied), one(&[1], "denied"));
        let place = test.waits(process(1, 0, "/a"), 2);
        assert_eq!(test.answer(place, "x"), one(&[2], "x"));
        test.now += 59 * SECOND;
        assert_eq!(test.decided(same.clone()).0, "x", "{by:?}");
        let place = test.waits(other, 3);
        test.desk.withdraw(place);
        test.now += SECOND;
        assert_eq!(test.desk.tick(test.now).len(), 0);
        assert_eq!(test.desk.next_time(), None, "it is forgotten");
        test.waits(same, 4);
    }
}

#[test]
fn a_later_process_with_the_same_number_is_another() {
    let mut test = Test::new(Policy {
        remember: Some((60 * SECOND, RememberBy::Pid)),
        ..policy()
    });
    let place = test.waits(process(1, 0, "/a"), 1);
    test.answer(place, "x");
    let later = Who {
        started: Some(2),
        ..process(1, 0, "/a")
    };
    test.waits(later, 2);
}

#[test]
fn once_is_for_all_who_wait_and_who_come() {
    let mut test = Test::new(Policy {
        once: true,
        ..policy()
    });
    let first = test.waits(process(1, 0, "/a"), 1);
    test.waits(process(2, 1, "/b"), 2);
    let closed = test.answer(first, "x");
    assert_eq!(closed, [(vec![1], "x".into()), (vec![2], "x".into())]);
    assert_eq!(
        test.decided(process(3, 2, "/c")),
        ("x".into(), By::Remembered)
    );
    test.desk.forget();
    test.waits(process(3, 2, "/c"), 3);
}

#[test]
fn time_runs_out_for_each_by_itself() {
    let mut test = Test::new(Policy {
        timeout: Some(10 * SECOND),
        on_timeout: Verdict::Answer(Arc::new(Secret::of(b"default"))),
        ..policy()
    });
    test.waits(process(1, 0, "/a"), 1);
    test.now += 5 * SECOND;
    test.waits(process(2, 0, "/a"), 2);
    test.now += 5 * SECOND;
    assert_eq!(told(test.desk.tick(test.now)), one(&[1], "default"));
    assert_eq!(test.desk.next_time(), Some(test.now + 5 * SECOND));
    let write = Operation::Write(Arc::from(&b"x"[..]));
    let who = Arc::new(process(3, 0, "/a"));
    test.desk.arrive(test.now, who, write, true, 3);
    test.now += 10 * SECOND;
    let closed = told(test.desk.tick(test.now));
    assert_eq!(
        closed,
        [(vec![2], "default".into()), (vec![3], "denied".into())]
    );
}

#[test]
fn what_must_not_wait_does_not() {
    let mut test = Test::new(policy());
    let who = Arc::new(process(1, 0, "/a"));
    let arrival = test.desk.arrive(test.now, who, Operation::Open, false, 1);
    assert!(matches!(arrival, Arrival::WouldWait(1)));
    assert!(test.desk.list().is_empty());
}

#[test]
fn ignored_programs_are_refused_before_all_else() {
    let mut test = Test::new(Policy {
        ignore: vec!["git".into()],
        unasked: true,
        ..policy()
    });
    assert_eq!(
        test.decided(process(1, 0, "/usr/bin/git")),
        ("denied".into(), By::Ignored)
    );
    assert_eq!(
        test.decided(process(1, 0, "/usr/bin/cat")),
        ("approved".into(), By::File)
    );
    assert!(test.desk.refuses(&process(1, 0, "/usr/bin/git")).is_some());
    assert!(test.desk.refuses(&process(1, 0, "/usr/bin/cat")).is_none());
    let unseen = Who {
        program: None,
        ..process(1, 0, "")
    };
    assert_eq!(
        test.decided(unseen),
        ("denied".into(), By::Ignored),
        "it might be git"
    );
}

#[test]
fn writes_are_asked_about_also_where_the_answer_is_there() {
    let mut test = Test::new(Policy {
        unasked: true,
        content_is_there: true,
        ..policy()
    });
    let write = Operation::Write(Arc::from(&b"x"[..]));
    let who = Arc::new(process(1, 0, "/a"));
    let arrival = test.desk.arrive(test.now, who, write, true, 1);
    assert!(matches!(arrival, Arrival::Waits(_)), "{arrival:?}");
}

#[test]
fn where_nobody_is_left_to_ask_all_are_refused() {
    let mut test = Test::new(policy());
    test.waits(process(1, 0, "/a"), 1);
    test.waits(process(2, 0, "/a"), 2);
    let closed = told(test.desk.abandon(test.now));
    assert_eq!(
        closed,
        [(vec![1], "denied".into()), (vec![2], "denied".into())]
    );
    assert_eq!(
        test.decided(process(1, 0, "/a")),
        ("denied".into(), By::Nobody)
    );
}
