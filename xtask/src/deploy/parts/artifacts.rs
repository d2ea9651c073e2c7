//! What cargo has built, by what it says itself.

use std::path::PathBuf;
use std::process::Stdio;

use anyhow::{Context, Result, bail};
use serde_json::Value;

use crate::check::cargo;

/// Runs `cargo build` with these arguments, for speed unless `debug`; gives what it says of each thing it
/// has built.
pub(super) fn build(arguments: &[&str], debug: bool) -> Result<Vec<Value>> {
    let mut command = cargo(&["build"]);
    let output = command
        .args(arguments)
        .args((!debug).then_some("--release"))
        .arg("--message-format=json-render-diagnostics")
        .stdout(Stdio::piped())
        .spawn()
        .and_then(|child| child.wait_with_output())
        .context("cannot run cargo")?;
    if !output.status.success() {
        bail!("cargo build has failed: {}", output.status);
    }
    let messages = String::from_utf8_lossy(&output.stdout);
    let messages = messages
        .lines()
        .filter_map(|line| serde_json::from_str::<Value>(line).ok());
    Ok(messages
        .filter(|message| message["reason"] == "compiler-artifact")
        .collect())
}

/// The programs among them, each with its name.
pub(super) fn programs(artifacts: &[Value]) -> impl Iterator<Item = (&str, PathBuf)> {
    artifacts.iter().filter_map(|artifact| {
        let is_program = artifact["target"]["kind"][0] == "bin";
        let file = artifact["executable"].as_str().filter(|_| is_program)?;
        Some((artifact["target"]["name"].as_str()?, PathBuf::from(file)))
    })
}

/// The static library among them.
pub(super) fn archive(artifacts: &[Value]) -> Result<PathBuf> {
    let mut artifacts = artifacts.iter();
    let library = artifacts
        .find(|message| message["target"]["crate_types"][0] == "cdylib")
        .context("cargo has built no library")?;
    let files = library["filenames"].as_array().into_iter().flatten();
    let mut files = files.filter_map(|name| name.as_str());
    let archive = files.find(|name| name.ends_with(".a"));
    archive.map(PathBuf::from).context("cargo has built no .a")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_and_libraries_are_told_apart() {
        let artifacts: Vec<Value> = [
            r#"{"target":{"kind":["bin"],"name":"x"},"executable":"/t/x"}"#,
            r#"{"target":{"kind":["lib"],"crate_types":["cdylib"],"name":"y"},"executable":null,
                "filenames":["/t/y.so","/t/y.a"]}"#,
        ]
        .iter()
        .map(|text| serde_json::from_str(text).unwrap())
        .collect();
        let found: Vec<_> = programs(&artifacts).collect();
        assert_eq!(found, [("x", PathBuf::from("/t/x"))]);
        assert_eq!(archive(&artifacts).unwrap(), PathBuf::from("/t/y.a"));
        assert!(archive(&artifacts[..1]).is_err());
    }
}
