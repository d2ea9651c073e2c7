//! Messages of every kind, decoded: what is in them, and what is refused.

use super::goldens::{self, READ, frame};
use super::*;

fn flaw_of(bytes: &[u8]) -> Flaw {
    decode(bytes).unwrap_err().flaw()
}

/// A golden request as it is with `change` made and its length counted anew.
fn changed(opcode: u32, change: impl FnOnce(&mut Vec<u8>)) -> Vec<u8> {
    let mut bytes = goldens::all()
        .into_iter()
        .map(|golden| golden.bytes)
        .find(|bytes| bytes[4..8] == opcode.to_le_bytes())
        .unwrap();
    change(&mut bytes);
    let len = u32::try_from(bytes.len()).unwrap();
    bytes[..4].copy_from_slice(&len.to_le_bytes());
    bytes
}

#[test]
fn every_kind_is_decoded() {
    for golden in goldens::all() {
        assert_eq!(decode(&golden.bytes), Ok(frame(golden.body)));
    }
}

#[test]
fn data_is_found_in_the_buffer() {
    let data: Vec<_> = goldens::all()
        .into_iter()
        .filter_map(|golden| Some(golden.bytes[golden.body.data_range()?].to_vec()))
        .collect();
    let forgotten: Vec<u8> = [5u64, 1, 6, 2]
        .into_iter()
        .flat_map(|number| number.to_le_bytes())
        .collect();
    assert_eq!(
        data,
        [&b"hello"[..], b"abc", &[0x2a, 0, 0, 0], &forgotten, b"ab"]
    );
}

#[test]
fn four_kinds_get_no_answer() {
    let silent: Vec<_> = goldens::all()
        .into_iter()
        .filter(|golden| !golden.body.expects_reply())
        .map(|golden| golden.bytes[4])
        .collect();
    assert_eq!(silent, [2, 42, 36, 41]);
}

#[test]
fn a_cut_request_is_refused_at_every_length() {
    for golden in goldens::all() {
        for len in 0..golden.bytes.len() {
            let expected = match len {
                0..HEADER_SIZE => Flaw::Header { got: len },
                _ => Flaw::Length {
                    announced: u32::try_from(golden.bytes.len()).unwrap(),
                    got: len,
                },
            };
            assert_eq!(flaw_of(&golden.bytes[..len]), expected);
        }
    }
}

#[test]
fn a_body_must_hold_its_structure() {
    let bytes = changed(15, |bytes| bytes.truncate(79));
    assert_eq!(
        flaw_of(&bytes),
        Flaw::Body {
            expected: 40,
            got: 39
        }
    );
}

#[test]
fn a_body_may_be_longer_than_its_structure() {
    let bytes = changed(15, |bytes| bytes.extend([0xff; 16]));
    assert_eq!(
        decode(&bytes).map(|frame| frame.body),
        decode(&READ).map(|frame| frame.body)
    );
}

#[test]
fn data_must_be_as_long_as_announced() {
    let longer = changed(16, |bytes| bytes.push(b'!'));
    assert_eq!(
        flaw_of(&longer),
        Flaw::Data {
            expected: 5,
            got: 6
        }
    );
    let shorter = changed(39, |bytes| bytes.truncate(74));
    assert_eq!(
        flaw_of(&shorter),
        Flaw::Data {
            expected: 4,
            got: 2
        }
    );
    let forgets = changed(42, |bytes| bytes[40..44].fill(0xff));
    assert_eq!(
        flaw_of(&forgets),
        Flaw::Data {
            expected: 0xffff_ffff_usize.saturating_mul(16),
            got: 32
        }
    );
}

#[test]
fn extensions_must_fit_and_are_not_part_of_the_body() {
    let all_of_it = changed(15, |bytes| bytes[36] = 5);
    assert_eq!(
        flaw_of(&all_of_it),
        Flaw::Body {
            expected: 40,
            got: 0
        }
    );
    let more = changed(15, |bytes| bytes[36] = 6);
    assert_eq!(
        flaw_of(&more),
        Flaw::Extensions {
            announced: 48,
            got: 40
        }
    );
}

#[test]
fn the_upper_flags_need_the_long_init() {
    let short = changed(26, |bytes| bytes.truncate(56));
    assert_eq!(
        flaw_of(&short),
        Flaw::Body {
            expected: 64,
            got: 16
        }
    );
    let not_said = changed(26, |bytes| bytes[55] = 0);
    let Ok(Frame {
        body: Body::Init { flags, .. },
        ..
    }) = decode(&not_said)
    else {
        panic!()
    };
    assert_eq!(flags, 9);
}

#[test]
fn only_a_known_request_that_waits_is_answered() {
    assert_eq!(decode(&READ[..39]).unwrap_err().answerable(), None);
    let read = changed(15, |bytes| bytes.truncate(40));
    assert_eq!(
        decode(&read).unwrap_err().answerable(),
        Some(0x0102_0304_0506_0708)
    );
    let forget = changed(2, |bytes| bytes.truncate(40));
    assert_eq!(decode(&forget).unwrap_err().answerable(), None);
    let nameless = changed(15, |bytes| {
        bytes.truncate(40);
        bytes[8..16].fill(0);
    });
    assert_eq!(decode(&nameless).unwrap_err().answerable(), None);
}

#[test]
fn a_broken_request_is_answered_as_a_whole_one() {
    for golden in goldens::all() {
        let mut bytes = golden.bytes;
        bytes[36..38].fill(0xff);
        let answered = decode(&bytes).unwrap_err().answerable().is_some();
        assert_eq!(answered, golden.body.expects_reply(), "{:?}", golden.body);
    }
}

#[test]
fn errors_name_the_kind_and_both_lengths() {
    let text = |bytes: &[u8]| decode(bytes).unwrap_err().to_string();
    assert_eq!(
        text(&[]),
        "FUSE request: 0 bytes, and the header alone has 40"
    );
    let body = changed(14, |bytes| {
        bytes.truncate(44);
        bytes[8..16].copy_from_slice(&6u64.to_le_bytes());
    });
    assert_eq!(
        text(&body),
        "FUSE_OPEN request 6: 4 bytes after the header, at least 8 expected"
    );
    let data = changed(16, |bytes| {
        bytes.push(0);
        bytes[8..16].copy_from_slice(&6u64.to_le_bytes());
    });
    assert_eq!(
        text(&data),
        "FUSE_WRITE request 6: 5 bytes of data announced, 6 there"
    );
    let unknown = changed(200, |bytes| {
        bytes[8..16].copy_from_slice(&6u64.to_le_bytes());
        bytes[36] = 1;
    });
    assert_eq!(
        text(&unknown),
        "FUSE request 6 of unknown kind 200: 8 bytes of extensions announced, 0 after the header"
    );
}
