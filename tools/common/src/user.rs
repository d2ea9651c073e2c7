//! `--owner` and `--group`: names of the machine's users and groups, or numbers.

use nix::unistd::{Group, User};

/// Reads a user: a number as it is, anything else by its name.
///
/// # Errors
/// There is none; what to give instead.
pub fn owner(text: &str) -> Result<u32, String> {
    id(text, "user", "passwd", |name| {
        Ok(User::from_name(name)?.map(|user| user.uid.as_raw()))
    })
}

/// Reads a group: a number as it is, anything else by its name.
///
/// # Errors
/// There is none; what to give instead.
pub fn group(text: &str) -> Result<u32, String> {
    id(text, "group", "group", |name| {
        Ok(Group::from_name(name)?.map(|group| group.gid.as_raw()))
    })
}

fn id(
    text: &str,
    what: &str,
    database: &str,
    look_up: impl FnOnce(&str) -> nix::Result<Option<u32>>,
) -> Result<u32, String> {
    if !text.is_empty() && text.bytes().all(|byte| byte.is_ascii_digit()) {
        // The largest number means "leave it" to chown(2): nobody has it.
        let number = text.parse().ok().filter(|number| *number != u32::MAX);
        return number.ok_or_else(|| format!("no {what} has that number"));
    }
    match look_up(text) {
        Ok(Some(id)) => Ok(id),
        Ok(None) => Err(format!(
            "there is no {what} of that name; give one that `getent {database}` lists, or a number"
        )),
        Err(errno) => Err(format!(
            "the {what} cannot be looked up: {}; give the number instead",
            errno.desc()
        )),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_and_numbers_are_known() {
        assert_eq!(owner("root"), Ok(0));
        assert_eq!(group("root"), Ok(0));
        assert_eq!(owner("1234567"), Ok(1_234_567));
        assert_eq!(group("0"), Ok(0));
    }

    #[test]
    fn what_nobody_has_is_refused() {
        let error = owner("no-such-user").unwrap_err();
        assert!(error.contains("no user of that name"), "{error}");
        let error = group("no-such-group").unwrap_err();
        assert!(error.contains("getent group"), "{error}");
        for text in ["4294967295", "4294967296", "99999999999999999999"] {
            assert!(owner(text).unwrap_err().contains("that number"), "{text}");
        }
        for text in ["", "-1", "+1", " 0", "root "] {
            assert!(owner(text).is_err(), "{text:?}");
        }
    }
}
