//! Makes tests of the bodies of a suite, for one backend.

/// Makes a test of each body that is listed, as `FILE: TEST, TEST;`, in a module that is named after
/// its backend. A body is a function of `crate::suite::FILE` that takes a [`Case`](crate::Case).
#[macro_export]
#[expect(
    clippy::crate_in_macro_def,
    reason = "the bodies are the test program's own"
)]
macro_rules! cases {
    ($module:ident, $backend:expr; $($file:ident: $($test:ident),+;)+) => {
        $($(
            #[test]
            fn $test() {
                let name = concat!(stringify!($module), "::", stringify!($test));
                if let Some(case) = $crate::Case::begin(name, $backend) {
                    crate::suite::$file::$test(&case);
                }
            }
        )+)+
    };
}
