//! The handshake: versions and options that kernels offer, and what is agreed on.

use super::*;

const ALL: u64 = u64::MAX;

fn agreed(minor: u32, flags: u64, limits: Limits) -> Negotiated {
    match negotiate(
        Offer {
            major: 7,
            minor,
            flags,
        },
        limits,
    ) {
        Ok(Outcome::Agreed(agreed)) => agreed,
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_recent_kernel_gives_everything() {
    let agreed = agreed(45, ALL, Limits::default());
    assert_eq!(agreed.minor, 40);
    assert_eq!((agreed.max_write, agreed.max_pages), (1 << 20, 256));
    assert!(agreed.parallel_direct_writes && agreed.direct_io_mmap);
    assert_eq!(buffer_size(agreed.max_write), (1 << 20) + 80);
}

#[test]
fn what_would_break_a_device_is_not_asked_for() {
    let agreed = agreed(45, ALL, Limits::default());
    let unwanted = InitFlags::ASYNC_DIO | InitFlags::PARALLEL_DIROPS | InitFlags::HAS_IOCTL_DIR;
    assert!(!agreed.flags.intersects(unwanted));
    assert_eq!(agreed.flags.bits().count_ones(), 5);
}

#[test]
fn nothing_is_asked_for_that_was_not_offered() {
    for bit in 0..u64::BITS {
        let flags = !(1 << bit);
        assert_eq!(
            agreed(40, flags, Limits::default()).flags.bits() & !flags,
            0
        );
    }
    assert!(agreed(40, 0, Limits::default()).flags.is_empty());
}

#[test]
fn the_upper_half_counts_only_when_announced() {
    let flags = ALL & !InitFlags::INIT_EXT.bits();
    assert!(!agreed(40, flags, Limits::default()).direct_io_mmap);
}

#[test]
fn writes_in_parallel_go_before_shared_mappings() {
    let facts = |minor| {
        let agreed = agreed(minor, ALL, Limits::default());
        (agreed.parallel_direct_writes, agreed.direct_io_mmap)
    };
    assert_eq!(facts(37), (false, true));
    assert_eq!(facts(38), (true, true));
    assert_eq!(facts(39), (true, false));
    assert_eq!(facts(40), (true, true));
}

#[test]
fn without_max_pages_a_request_has_32() {
    let flags = ALL & !InitFlags::MAX_PAGES.bits();
    let agreed = agreed(40, flags, Limits::default());
    assert_eq!((agreed.max_write, agreed.max_pages), (128 << 10, 0));
}

#[test]
fn limits_are_brought_into_what_the_kernel_can_do() {
    let with = |max_write, page_size| {
        agreed(
            40,
            ALL,
            Limits {
                max_write,
                page_size,
            },
        )
    };
    assert_eq!(
        (with(1, 4096).max_write, with(1, 4096).max_pages),
        (4096, 1)
    );
    assert_eq!(buffer_size(with(1, 4096).max_write), 8192);
    assert_eq!(with(1 << 20, 65536).max_pages, 16);
    assert_eq!(with(4097, 4096).max_pages, 2);
    assert_eq!(with(u32::MAX, 0).max_pages, u16::MAX);
}

#[test]
fn a_later_major_version_is_told_ours() {
    let offer = Offer {
        major: 8,
        minor: 0,
        flags: 0,
    };
    assert_eq!(negotiate(offer, Limits::default()), Ok(Outcome::OtherMajor));
}

#[test]
fn an_old_kernel_is_refused_with_both_versions() {
    let text = |major, minor| {
        let offer = Offer {
            major,
            minor,
            flags: 0,
        };
        negotiate(offer, Limits::default()).unwrap_err().to_string()
    };
    assert_eq!(
        text(7, 28),
        "this kernel speaks FUSE 7.28, and 7.31 (Linux 5.2) or later is needed"
    );
    assert!(text(6, 99).contains("6.99"));
    assert_eq!(agreed(31, 0, Limits::default()).minor, 31);
}
