//! Names of nodes and of features.

use crate::wire::*;

#[test]
fn names() {
    for good in ["a", "helloworld", "bus/usb.0/ep_1-2", "...", "ttyS0"] {
        assert!(is_name(good.as_bytes()), "{good}");
    }
    let bad: &[&[u8]] = &[
        b"",
        b"/",
        b"/a",
        b"a/",
        b"a//b",
        b".",
        b"..",
        b"./a",
        b"a/..",
        b"a/../b",
        b"a b",
        b"%s%n",
        b"a\0",
        b"\0",
        b"a\n",
        b"a!b",
        b"\xc3\xbc",
        b"\xff",
        b"a\\b",
        b"a*",
        b"~",
        b"a:b",
    ];
    for bad in bad {
        assert!(!is_name(bad), "{bad:?}");
    }
}

#[test]
fn features_have_names() {
    assert_eq!(feature_name(FEATURES), Some("exchange"));
    assert_eq!(feature_name(FEATURE_COPY), Some("copy"));
    assert_eq!(feature_name(1 << 63), None);
    assert_eq!(feature_name(0), None);
    let mut rest = FEATURES;
    while rest != 0 {
        assert!(feature_name(rest).is_some(), "{rest:#x}");
        rest &= rest - 1;
    }
}
