//! The examples of the manual pages and of the README, taken from there and run by a shell.
//!
//! On the machine itself what they put below /dev goes to a directory of the test's own, through FUSE;
//! in a guest of the lab nothing is changed, and the best backend serves.

mod echo;
mod front;
mod http;
mod markdown;
mod overview;
mod page;
mod pipe;
mod prompt;
mod readme;
mod scene;
mod serial;

use std::collections::BTreeSet;
use std::sync::{Mutex, PoisonError};

use fusd_tests::{Backend, Case};

use self::page::Block;
use self::scene::Scene;

/// In a guest all pages put their nodes at the same places, and some look at what there is at all.
static ALONE: Mutex<()> = Mutex::new(());

/// How to try an example.
pub(crate) struct Example {
    /// How its first line begins, after the prompt.
    begins: &'static str,
    /// What a shell does before: files that the example takes for granted.
    before: &'static str,
    /// Lines, from 0, that a person would leave running and go to another terminal.
    stays: &'static [usize],
    /// What a shell does afterwards, to see what the example has done.
    after: &'static str,
    /// Whether that is what all of it has printed, if the page itself does not say what is printed.
    check: fn(&str) -> bool,
}

/// Runs all examples of a page.
fn run(name: &str, page: &str, examples: &[Example]) {
    try_all(name, &page::blocks(page), examples);
}

/// Runs these blocks. Each has to be known, and none else.
fn try_all(name: &str, blocks: &[Block], examples: &[Example]) {
    let alone = || ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let _alone = scene::is_guest().then(alone);
    let backend = match scene::is_guest() {
        true => Backend::Kfusd,
        false => Backend::Fuse,
    };
    let Some(case) = Case::begin(name, backend) else {
        return;
    };
    let mut known: BTreeSet<_> = examples.iter().map(|example| example.begins).collect();
    for (number, block) in blocks.iter().enumerate() {
        let example = examples.iter().find(|it| block.begins(it.begins));
        let example = example.unwrap_or_else(|| panic!("nobody knows how to try {block:?}"));
        assert!(known.remove(example.begins), "twice: {block:?}");
        try_out(&case, number, block, example);
    }
    assert!(known.is_empty(), "not in the page: {known:?}");
}

fn try_out(case: &Case, number: usize, block: &Block, example: &Example) {
    let scene = Scene::new(case, number);
    let Some(printed) = scene.run(block, example) else {
        return;
    };
    let said = scene.said();
    let right = match block.output.is_empty() {
        true => (example.check)(&printed),
        false => printed.lines().eq(&block.output),
    };
    assert!(right, "{block:?} has printed\n{printed}and said\n{said}");
    for bad in ["panicked", "command not found", "rror"] {
        assert!(!said.contains(bad), "{block:?} has said\n{said}");
    }
}

#[test]
fn the_examples_of_the_overview_work() {
    let page = include_str!("../../../man/fusd.7");
    run(
        "the_examples_of_the_overview_work",
        page,
        &overview::EXAMPLES,
    );
}

#[test]
fn the_examples_of_the_readme_work() {
    let blocks = markdown::examples(readme::TEXT);
    try_all(
        "the_examples_of_the_readme_work",
        &blocks,
        &readme::EXAMPLES,
    );
}

#[test]
fn the_examples_of_fusd_pipe_work() {
    let page = include_str!("../../../man/fusd-pipe.1.in");
    run("the_examples_of_fusd_pipe_work", page, &pipe::EXAMPLES);
}

#[test]
fn the_examples_of_fusd_http_work() {
    let page = include_str!("../../../man/fusd-http.1.in");
    run("the_examples_of_fusd_http_work", page, &http::EXAMPLES);
}

#[test]
fn the_examples_of_fusd_echo_work() {
    let page = include_str!("../../../man/fusd-echo.1.in");
    run("the_examples_of_fusd_echo_work", page, &echo::EXAMPLES);
}

#[test]
fn the_examples_of_fusd_prompt_work() {
    let page = include_str!("../../../man/fusd-prompt.1.in");
    run("the_examples_of_fusd_prompt_work", page, &prompt::EXAMPLES);
}

#[test]
fn the_examples_of_fusd_serial_proxy_work() {
    let page = include_str!("../../../man/fusd-serial-proxy.1.in");
    run(
        "the_examples_of_fusd_serial_proxy_work",
        page,
        &serial::EXAMPLES,
    );
}

#[test]
fn the_examples_of_fusd_work() {
    let name = "the_examples_of_fusd_work";
    if !scene::is_guest() {
        // Elsewhere, paths below /dev would have to be others, and here they are what it is about.
        fusd_tests::backend::skip(name, "/dev is the machine's own");
        return;
    }
    let page = include_str!("../../../man/fusd.1.in");
    run(name, page, &front::EXAMPLES);
}
