//! A purge that is killed at any step: what is left verifies, old proofs hold, and the next purge finishes the work.

use std::path::Path;
use std::process::Command;

use charter_milter::decision_log::disk::{SegmentName, list_segments};

use crate::log_cli::{Life, log, ran, two_weeks};
use crate::log_journal::{at, keeper, lines};
use crate::mta::gateway::binary;
use crate::mta::program;

/// The day after the last that is purged.
const BEFORE: &str = "2026-06-22";

fn purge(dir: &Path) -> String {
    ran(&log(dir, &["purge", "--before", BEFORE]), 0).0
}

/// Purges a copy of the log in `life` and kills the purge at the `when`th use of a system call; `false` when it had ended before.
fn killed(life: &Life, dir: &Path, call: &str, when: usize) -> bool {
    let copied = Command::new("cp").arg("-a").arg(life.dir.path()).arg(dir).status().unwrap();
    assert!(copied.success());
    let output = Command::new(program("strace", "strace"))
        .args(["-f", "-qq", "-o", "/dev/null", "-e", &format!("trace={call}")])
        .args(["-e", &format!("inject={call}:signal=SIGKILL:when={when}")])
        .arg(binary())
        .args(["log", "purge", "--before", BEFORE, "--dir"])
        .arg(dir)
        .output()
        .unwrap();
    let done = String::from_utf8_lossy(&output.stdout).contains("done\n");
    assert_eq!(done, output.status.success(), "{output:?}");
    !done
}

#[test]
fn a_purge_killed_at_any_step_leaves_a_log_that_holds_and_is_finished_by_the_next() {
    let life = two_weeks();
    let work = tempfile::tempdir().unwrap();
    let proof = work.path().join("old.tlog-proof").display().to_string();
    ran(&log(life.dir.path(), &["prove", "--message-id", &life.held.0, "--out", &proof]), 0);
    let kept = work.path().join("kept").display().to_string();
    std::fs::copy(life.dir.path().join("checkpoint"), &kept).unwrap();
    let later = at("2026-06-22T08:00:00Z");
    keeper(life.dir.path(), later).tick_blocking(later, &[]).unwrap();

    let (verify, check) = (
        ["verify", "--key", &life.first_key, "--checkpoint", &kept],
        ["check-proof", &proof, "--key", &life.first_key, "--message-id", &life.held.0],
    );
    let mut kills = 0;
    for (call, step) in [("rename", 4), ("fsync", 9), ("unlink", 1), ("fdatasync", 1), ("fchmod", 5)] {
        for when in (1..).step_by(step) {
            let dir = work.path().join(format!("{call}-{when}"));
            let was_killed = killed(&life, &dir, call, when);
            kills += usize::from(was_killed);
            ran(&log(&dir, &verify), 0);
            ran(&log(&dir, &check), 0);
            purge(&dir);
            ran(&log(&dir, &verify), 0);
            let left = crate::log_journal::lines(&dir).join("\n");
            assert!(!left.contains("electeurs-c"), "{call} {when}: a line of a message is left");
            assert!(!keys(&dir).contains("cnrs-2026"), "{call} {when}: a key is left: {}", keys(&dir));
            assert!(!purge(&dir).contains("done"), "{call} {when}: nothing is left to do");
            std::fs::remove_dir_all(&dir).unwrap();
            if !was_killed {
                break;
            }
        }
    }
    assert!(kills > 8, "only {kills} kills");
}

#[test]
fn nothing_is_deleted_by_a_slip_or_from_a_log_in_doubt() {
    let life = two_weeks();
    let dir = life.dir.path();
    let before = lines(dir);
    for arguments in
        [&["purge", "--before", "2962-06-22"][..], &["purge", "--operators-before", "2962-06-22", "--before", BEFORE]]
    {
        let (_, err) = ran(&log(dir, arguments), 2);
        assert!(err.contains("2962-06-22 has not come yet"), "{err}");
    }
    // A segment under the name of an older day is as young as its records.
    let segments = dir.join("segments");
    let names = list_segments(&segments).unwrap();
    for name in &names {
        let older = SegmentName { first: name.first, day: jiff::civil::date(2026, 1, 1) };
        std::fs::rename(segments.join(name.to_string()), segments.join(older.to_string())).unwrap();
    }
    let first_day = names[0].day.to_string();
    ran(&log(dir, &["purge", "--before", &first_day]), 0);
    assert_eq!(lines(dir), before);
    let segment = dir.join("segments").join(list_segments(&dir.join("segments")).unwrap()[0].to_string());
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::write(&segment, text.replacen("\"accept\"", "\"reject\"", 1)).unwrap();
    let changed = lines(dir);
    assert_ne!(changed, before);
    let (_, err) = ran(&log(dir, &["purge", "--before", BEFORE]), 1);
    assert!(err.contains("nothing is deleted from a log that does not verify"), "{err}");
    assert_eq!(lines(dir), changed);
}

/// Names of the period keys that are left.
fn keys(dir: &Path) -> String {
    let mut names = Vec::new();
    let mut places = vec![dir.join("private")];
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                places.push(path);
            } else {
                names.push(path.file_name().unwrap().to_string_lossy().into_owned());
            }
        }
    }
    names.join(" ")
}
