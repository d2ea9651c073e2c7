//! `fusd doctor`.

use fusd_tests::Case;
use fusd_tests::user::World;
use serde_json::Value;

use crate::helper::{end, fusd};

fn verdict<'a>(report: &'a Value, backend: &str) -> &'a Value {
    let verdicts = report["backends"].as_array().expect("an array");
    let of_it = |verdict: &&Value| verdict["backend"] == backend;
    verdicts.iter().find(of_it).expect("a verdict")
}

pub(crate) fn it_works(case: &Case) {
    let name = case.backend().name();
    let report = fusd(case, &["doctor", "--json"]).with(0);
    let report: Value = serde_json::from_str(&report.out).expect("JSON");
    let verdict = verdict(&report, name);
    assert_eq!(verdict["works"], true, "{verdict}");
    assert_eq!(report["user"]["uid"], 0);
    let text = fusd(case, &["doctor"]).with(0).out;
    assert!(
        text.contains(&format!("{name:6} works: made and read ")),
        "{text}"
    );
}

pub(crate) fn no_backend_is_an_exit_status_with_advice(case: &Case) {
    let world = World::without_fuse(case);
    let report = end(world.user("fusd").args(["doctor", "--json"])).with(69);
    let report: Value = serde_json::from_str(&report.out).expect("JSON");
    for backend in ["kfusd", "cuse", "fuse"] {
        let verdict = verdict(&report, backend);
        assert_eq!(verdict["works"], false, "{verdict}");
        let why = verdict["why_not"].as_str().expect("a reason");
        assert!(why.contains("ENOENT"), "{why}");
    }
    let world = World::plain(case);
    let report = end(world.user("fusd").args(["doctor", "--json"])).with(69);
    let report: Value = serde_json::from_str(&report.out).expect("JSON");
    let verdict = verdict(&report, "fuse");
    let why = verdict["why_not"].as_str().expect("a reason");
    assert!(why.contains("/dev/fuse") && why.contains("EACCES"), "{why}");
    assert_eq!(verdict["advice"][0], "run as root");
}
