//! `make run`: the demonstration does what it tells, and leaves nothing behind.

use std::io::{BufRead as _, BufReader};
use std::os::unix::process::CommandExt as _;
use std::path::Path;
use std::process::{Command, Stdio};

use crate::mta::gateway::binary;
use crate::mta::wait_for;

fn demo() -> std::path::PathBuf {
    let demo = binary().parent().unwrap().join("examples/demo");
    assert!(demo.exists(), "cargo builds the examples with the tests: {}", demo.display());
    demo
}

#[test]
fn the_demonstration_shows_what_it_promises() {
    let output = Command::new(demo()).arg("--once").stdin(Stdio::null()).output().unwrap();
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

/// Command lines of the processes that have one of `directories` in theirs.
fn processes_in(directories: &[String]) -> Vec<String> {
    let lines = std::fs::read_dir("/proc").unwrap().filter_map(|entry| {
        let line = std::fs::read(entry.unwrap().path().join("cmdline")).ok()?;
        Some(String::from_utf8_lossy(&line).replace('\0', " "))
    });
    lines.filter(|line| directories.iter().any(|directory| line.contains(directory))).collect()
}

#[test]
fn ctrl_c_ends_the_demonstration_and_everything_it_started() {
    let mut command = Command::new(demo());
    let mut demo = command.stdin(Stdio::null()).stdout(Stdio::piped()).process_group(0).spawn().unwrap();
    let mut said = String::new();
    let mut lines = BufReader::new(demo.stdout.take().unwrap()).lines();
    for line in lines.by_ref() {
        said.push_str(&line.unwrap());
        said.push('\n');
        if said.contains("What arrives is shown here") {
            break;
        }
    }
    let between = |before: &str, after: &str| -> String {
        let text = said.split(before).nth(1).unwrap_or_else(|| panic!("no {before} in {said}"));
        text.split(after).next().unwrap().to_owned()
    };
    let directories = [between("(private, in ", ")"), between("--config ", "/etc/charter-milter.toml")];
    assert!(directories.iter().all(|directory| Path::new(directory).is_dir()), "{directories:?}");
    assert!(processes_in(&directories).len() >= 2, "a Postfix and a daemon run: {:?}", processes_in(&directories));

    // A terminal sends the signal to the whole foreground group.
    let group = rustix::process::Pid::from_child(&demo);
    rustix::process::kill_process_group(group, rustix::process::Signal::INT).unwrap();
    let status = wait_for("the demonstration to end", || demo.try_wait().unwrap());
    assert!(status.success(), "{status}");
    assert!(lines.any(|line| line.unwrap() == "Stopping."));
    wait_for("its processes to end", || processes_in(&directories).is_empty().then_some(()));
    wait_for("its directories to go", || directories.iter().all(|path| !Path::new(path).exists()).then_some(()));
}
