//! The tool's own standard input and output, and copies.

use std::fs;

use crate::helper::{pipe, reader, shell, text, writer};
use fusd_tests::Case;
use fusd_tests::wait::{start, wait_until};

pub(crate) fn standard_input_is_one_more_writer(case: &Case) {
    let mut driver = pipe(case, ["--stdin", "--size", "4096"]).start();
    let input: Vec<u8> = (0..5000)
        .flat_map(|n| format!("{n}\n").into_bytes())
        .collect();
    driver.feed(&input);
    let reader = reader(&driver);
    let mut all = Vec::new();
    loop {
        let piece = reader.start_read(1000).wait().expect("read");
        if piece.is_empty() {
            break;
        }
        all.extend(piece);
    }
    assert!(all == input, "{} bytes of {}", all.len(), input.len());
    drop(reader);
    assert!(driver.wait().success(), "all is read: it ends by itself");
}

pub(crate) fn standard_output_is_one_more_reader(case: &Case) {
    let mut driver = pipe(case, ["--stdout"]).start();
    let writer = writer(&driver);
    writer.write(b"hello\nwor").expect("write");
    assert_eq!(driver.line(), "hello");
    writer.write(b"ld\n").expect("write");
    assert_eq!(driver.line(), "world");
    drop(writer);
    assert!(driver.wait().success(), "the end of the file is its own");
}

pub(crate) fn both_make_a_part_of_a_pipeline(case: &Case) {
    let tool = case.program("fusd-pipe");
    let mut bash = case.command("bash");
    let script = "seq 200000 | \"$0\" -q --backend \"$1\" --stdin --stdout \"$2\" | md5sum; seq 200000 | md5sum";
    bash.args(["-c", script])
        .arg(tool.get_program())
        .arg(case.backend().name())
        .arg(case.node("node"));
    let output = start(move || bash.output()).wait().expect("bash");
    let printed = String::from_utf8_lossy(&output.stdout);
    let sums: Vec<_> = printed.lines().collect();
    assert_eq!(sums.len(), 2, "{}", String::from_utf8_lossy(&output.stderr));
    assert_eq!(sums[0], sums[1]);
}

pub(crate) fn a_copy_has_all_that_was_kept(case: &Case) {
    let copy = case.file("copy", b"before\n");
    let options = [
        "--records",
        "line",
        "--size",
        "2r",
        "--full",
        "drop-new",
        "--tee",
    ];
    let driver = pipe(case, options).arg(&copy).start();
    let writer = writer(&driver);
    writer.write(b"one\ntwo\nthree\n").expect("write");
    assert_eq!(text(&reader(&driver)), "one\ntwo\n");
    writer.write(b"four\n").expect("write");
    wait_until("the copy has it", || {
        let content = fs::read_to_string(&copy).expect("the copy");
        content == "before\none\ntwo\nfour\n"
    });
    driver.stop();
    let refused = shell(
        case,
        &pipe(case, [""; 0]).start(),
        &format!(
            "{} --tee /dev/null ./x 2>&1; echo $?",
            fusd_tests::binaries::find("fusd-pipe").display()
        ),
    );
    assert!(
        refused.contains("/dev/null is no regular file"),
        "{refused}"
    );
    assert!(refused.ends_with("2\n"), "{refused}");
}
