//! The bits of a poll state, and their text.

use std::ffi::CStr;

use fusd_rust::PollEvents;

/// A read will not wait.
pub(crate) const INPUT: u32 = 1;
/// A write will not wait.
pub(crate) const OUTPUT: u32 = 2;
/// Something exceptional.
pub(crate) const EXCEPT: u32 = 4;
/// All of them.
pub(crate) const ALL: u32 = INPUT | OUTPUT | EXCEPT;

/// What clients see of a state.
pub(crate) fn events(state: u32) -> PollEvents {
    let mut events = PollEvents::empty();
    events.set(PollEvents::READ, state & INPUT != 0);
    events.set(PollEvents::WRITE, state & OUTPUT != 0);
    events.set(PollEvents::PRIORITY, state & EXCEPT != 0);
    events
}

/// "RWE", with "-" for each bit that is not set.
pub(crate) fn text(state: u32) -> &'static CStr {
    match state & ALL {
        0 => c"---",
        1 => c"R--",
        2 => c"-W-",
        3 => c"RW-",
        4 => c"--E",
        5 => c"R-E",
        6 => c"-WE",
        _ => c"RWE",
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_and_events_follow_the_bits() {
        for state in 0..=ALL {
            let bits = [(INPUT, 'R'), (OUTPUT, 'W'), (EXCEPT, 'E')];
            let expected: String = bits
                .iter()
                .map(|(bit, letter)| if state & bit != 0 { *letter } else { '-' })
                .collect();
            assert_eq!(text(state).to_str(), Ok(&*expected));
            assert_eq!(events(state).contains(PollEvents::READ), state & INPUT != 0);
        }
        assert_eq!(text(0xff), c"RWE");
    }
}
