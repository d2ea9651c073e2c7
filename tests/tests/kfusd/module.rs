//! The module itself: inserted once for all tests, and theirs alone for those that remove it.

use std::env;
use std::sync::{RwLock, RwLockReadGuard, RwLockWriteGuard};

pub(crate) use fusd_tests::module::insert;
use fusd_tests::{Backend, backend, module};

static USERS: RwLock<()> = RwLock::new(());

/// Why these tests cannot run here, if so. Says so for `test`.
fn skips(test: &str) -> bool {
    let missing = if !nix::unistd::geteuid().is_root() {
        Some("inserting a module takes root".to_owned())
    } else {
        module::file()
            .is_none()
            .then(|| format!("{} does not say where kfusd.ko is", module::VARIABLE))
    };
    backend::skips(test, Backend::Kfusd, missing)
}

/// Inserts the module if that has not been done; `None` if it cannot be, and `test` is to return.
/// While the result is held, nobody removes it.
pub(crate) fn present(test: &str) -> Option<RwLockReadGuard<'static, ()>> {
    if skips(test) {
        return None;
    }
    let guard = USERS
        .read()
        .unwrap_or_else(|poisoned| poisoned.into_inner());
    module::provide();
    Some(guard)
}

/// The same, with nobody else using the module.
pub(crate) fn alone(test: &str) -> Option<RwLockWriteGuard<'static, ()>> {
    drop(present(test)?);
    Some(
        USERS
            .write()
            .unwrap_or_else(|poisoned| poisoned.into_inner()),
    )
}

/// A whole number that the environment may give.
pub(crate) fn setting(variable: &str, default: u64) -> u64 {
    env::var(variable).map_or(default, |text| {
        text.parse()
            .unwrap_or_else(|_| panic!("{variable}: {text:?} is no number"))
    })
}

/// A test: its name, and what it does while the module is there.
macro_rules! tests {
    ($($(#[$attribute:meta])* fn $name:ident() $body:block)+) => {$(
        #[test]
        $(#[$attribute])*
        fn $name() {
            let Some(_present) = $crate::module::present(stringify!($name)) else { return };
            $body
        }
    )+};
}
pub(crate) use tests;
