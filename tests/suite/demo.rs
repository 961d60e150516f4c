//! `make run`: the demonstration does what it tells, and leaves nothing behind.

use std::process::{Command, Stdio};

use crate::mta::gateway::binary;

#[test]
fn the_demonstration_shows_what_it_promises() {
    let demo = binary().parent().unwrap().join("examples/demo");
    assert!(demo.exists(), "cargo builds the examples with the tests: {}", demo.display());
    let output = Command::new(demo).arg("--once").stdin(Stdio::null()).output().unwrap();
    let said = String::from_utf8_lossy(&output.stdout);
    assert!(output.status.success(), "{said}{}", String::from_utf8_lossy(&output.stderr));
    for promise in [
        "waits for the night",
        "sender-not-proven",
        "cnrs:III.i",
        "period-closed",
        "byte for byte",
        "attachments-removed",
    ] {
        assert!(said.contains(promise), "{promise} is missing:\n{said}");
    }
    let directory = said.split("(private, in ").nth(1).unwrap().split(')').next().unwrap();
    assert!(!std::path::Path::new(directory).exists(), "{directory} is gone");
}
