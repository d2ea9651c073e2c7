//! ~/.netrc: users and passwords by host.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};

use nix::libc::{O_NOFOLLOW, O_NONBLOCK};
use nix::unistd::{Uid, User};

use super::secret::failure;
use crate::failure::Failure;

/// The largest file that is read, in bytes.
const LARGEST: u64 = 1 << 20;

/// USER:PASSWORD for `host`, if the file has one: `path`, or, where that is empty, the file in the home
/// of the caller, or else of who runs this.
///
/// # Errors
/// The file cannot be read.
pub(super) fn find(
    path: &Path,
    host: &str,
    caller: Option<u32>,
) -> Result<Option<Vec<u8>>, Failure> {
    let own = path.as_os_str().is_empty();
    let path = match own {
        true => home(caller)?.join(".netrc"),
        false => path.to_owned(),
    };
    let text = match caller.filter(|_| own) {
        Some(uid) => read_of(&path, uid),
        None => fs::read_to_string(&path),
    };
    let text =
        text.map_err(|error| failure(&format!("cannot read {}: {error}", path.display())))?;
    Ok(look_up(&text, host).map(String::into_bytes))
}

fn home(caller: Option<u32>) -> Result<PathBuf, Failure> {
    let home = match caller {
        Some(uid) => {
            let user = User::from_uid(Uid::from_raw(uid)).ok().flatten();
            user.map(|user| user.dir)
        }
        None => std::env::var_os("HOME").map(PathBuf::from),
    };
    home.ok_or_else(|| failure("there is no home for .netrc to be in"))
}

/// A file of the user's own: not another's, to which the user has made a link.
fn read_of(path: &Path, uid: u32) -> io::Result<String> {
    let mut options = OpenOptions::new();
    let file: File = options
        .read(true)
        .custom_flags(O_NOFOLLOW | O_NONBLOCK)
        .open(path)?;
    let about = file.metadata()?;
    if about.uid() != uid || !about.is_file() {
        return Err(io::Error::other("it is not the caller's own file"));
    }
    let mut text = String::new();
    file.take(LARGEST).read_to_string(&mut text)?;
    Ok(text)
}

/// The first entry for `host`, or the default one.
fn look_up(text: &str, host: &str) -> Option<String> {
    let words = words(text);
    let mut words = words.iter().map(String::as_str);
    let (mut here, mut login, mut password) = (false, None, None);
    while let Some(word) = words.next() {
        match word {
            "machine" | "default" => {
                if here && password.is_some() {
                    break;
                }
                (login, password) = (None, None);
                here = word == "default" || words.next().is_some_and(|it| it == host);
            }
            "login" if here => login = words.next(),
            "password" if here => password = words.next(),
            "login" | "password" | "account" => {
                words.next();
            }
            _ => {}
        }
    }
    let password = password.filter(|_| here)?;
    Some(format!("{}:{password}", login.unwrap_or_default()))
}

/// The words; one in quotes may have spaces. `macdef` goes up to an empty line.
fn words(text: &str) -> Vec<String> {
    let mut words = Vec::new();
    let mut in_macro = false;
    for line in text.lines() {
        if in_macro {
            in_macro = !line.trim().is_empty();
            continue;
        }
        // Elsewhere it is a letter as good as others, of passwords for example.
        if line.trim_start().starts_with('#') {
            continue;
        }
        let mut letters = line.trim_start().chars().peekable();
        while let Some(first) = letters.next() {
            match first {
                '"' => {
                    let mut word = String::new();
                    while let Some(letter) = letters.next().filter(|it| *it != '"') {
                        match letter {
                            '\\' => word.extend(letters.next()),
                            letter => word.push(letter),
                        }
                    }
                    words.push(word);
                }
                first if first.is_whitespace() => {}
                first => {
                    let mut word = String::from(first);
                    while let Some(letter) = letters.next_if(|it| !it.is_whitespace()) {
                        word.push(letter);
                    }
                    if word == "macdef" {
                        in_macro = true;
                        break;
                    }
                    words.push(word);
                }
            }
        }
    }
    words
}

#[cfg(test)]
mod tests {
    use super::*;

    const FILE: &str = "# machine commented login x password y\n\
        machine one login me password secret\n\
        machine two\n  login \"a b\"\n  password \"c\\\"d\"\n\
        macdef init\nmachine three password no\n\n\
        default login anonymous password guest\n";

    #[test]
    fn hosts_have_their_users() {
        for (host, pair) in [
            ("one", "me:secret"),
            ("two", "a b:c\"d"),
            ("three", "anonymous:guest"),
            ("commented", "anonymous:guest"),
        ] {
            assert_eq!(look_up(FILE, host).as_deref(), Some(pair), "{host}");
        }
        assert_eq!(look_up("machine one password x", "two"), None);
        assert_eq!(
            look_up("machine one password #abc", "one").as_deref(),
            Some(":#abc")
        );
        assert_eq!(
            look_up("machine one password x", "one").as_deref(),
            Some(":x")
        );
    }

    #[test]
    fn a_link_to_the_file_of_another_is_refused() {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("secret");
        fs::write(&file, FILE).unwrap();
        let link = folder.path().join("link");
        std::os::unix::fs::symlink(&file, &link).unwrap();
        let me = nix::unistd::geteuid().as_raw();
        assert!(read_of(&file, me).is_ok());
        assert!(read_of(&link, me).is_err());
        assert!(read_of(&file, me + 1).is_err());
    }
}
