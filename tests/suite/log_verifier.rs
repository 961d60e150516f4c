//! Two verifiers, written in two languages from one page of documentation, agree on every log they are shown.

use std::path::{Path, PathBuf};
use std::process::Command;

use charter_milter::decision_log::checkpoint::sign_text;
use charter_milter::decision_log::keys::DayKey;
use charter_milter::decision_log::line::purged_line;
use charter_milter::decision_log::record::{ClockRecord, Event, PurgeRecord};
use charter_milter::decision_log::verify::Anchors;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

use crate::log_attacks::{Forger, dir_of, verdict};

/// A Python that has the package the verifier needs.
fn python() -> Option<&'static str> {
    let has = |python: &&str| {
        let run = Command::new(python).args(["-c", "import cryptography"]).output();
        run.is_ok_and(|output| output.status.success())
    };
    ["python3", "/usr/bin/python3"].into_iter().find(has)
}

fn script() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/verifier/verify_log.py")
}

/// What Python says of one log, given the key on paper: whether it holds, and its words.
pub fn second_opinion(key: &str, log: &Path) -> (bool, String) {
    let python = python().expect("a Python with the package cryptography: tests/install-packages tools");
    let output = Command::new(python).arg(script()).args(["--key", key]).arg(log).output().unwrap();
    let said = format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    (said.contains("\"result\": \"holds\""), said)
}

/// What Python says of each directory: whether it holds.
fn python_says(python: &str, forger: &Forger, kept: Option<&str>, dirs: &[TempDir]) -> Vec<(bool, String)> {
    let mut command = Command::new(python);
    command.arg(script()).args(["--key", &forger.keys[0].public]);
    let note = tempfile::NamedTempFile::new().unwrap();
    if let Some(kept) = kept {
        std::fs::write(note.path(), kept).unwrap();
        command.arg("--checkpoint").arg(note.path());
    }
    let output = command.args(dirs.iter().map(TempDir::path)).output().unwrap();
    let text = String::from_utf8(output.stdout).unwrap();
    let said: Vec<_> = text.lines().map(|line| (line.contains("\"result\": \"holds\""), line.to_owned())).collect();
    assert_eq!(said.len(), dirs.len(), "{}", String::from_utf8_lossy(&output.stderr));
    said
}

/// Both verifiers judge each of `logs`; they must agree, and some must hold and some not.
pub fn agree(forger: &Forger, kept: Option<&str>, logs: &[Vec<u8>]) {
    let Some(python) = python() else {
        panic!("there is no Python with the package cryptography: run tests/install-packages tools");
    };
    let mut dirs = Vec::new();
    for log in logs {
        let dir = dir_of(&[]);
        std::fs::write(dir.path().join("segments/000000000000_2026-06-11.jsonl"), log).unwrap();
        dirs.push(dir);
    }
    let anchors = Anchors { kept: kept.map(str::to_owned).into_iter().collect(), ..forger.anchors() };
    let said = python_says(python, forger, kept, &dirs);
    let mut held = 0;
    for (dir, (python_holds, python_text)) in dirs.iter().zip(&said) {
        let ours = verdict(dir.path(), &anchors);
        assert_eq!(ours.is_ok(), *python_holds, "we say {ours:?}, Python says {python_text}");
        held += usize::from(*python_holds);
    }
    assert!(held > 0 && held < logs.len(), "{held} of {} hold", logs.len());
}

pub fn bytes_of(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

#[test]
fn they_agree_on_flipped_bits_and_cuts() {
    let forger = Forger::honest();
    let good = bytes_of(&forger.lines);
    // Every seventh octet; without a kept checkpoint, so that the unsigned end is judged by its form alone.
    let flips = (0..good.len()).step_by(7).map(|i| {
        let mut log = good.clone();
        log[i] ^= 1 << (i % 8);
        log
    });
    let cuts = (0..good.len()).step_by(97).map(|i| good[..i].to_vec());
    let logs: Vec<_> = std::iter::once(good.clone()).chain(flips).chain(cuts).collect();
    agree(&forger, None, &logs);
}

#[test]
fn they_agree_on_dropped_swapped_and_repeated_lines() {
    let forger = Forger::honest();
    let lines = &forger.lines;
    let mut logs = vec![bytes_of(lines)];
    for i in 0..lines.len() {
        let mut less = lines.clone();
        less.remove(i);
        let mut more = lines.clone();
        more.insert(i, lines[i].clone());
        let mut swapped = lines.clone();
        swapped.swap(i, (i + 1) % lines.len());
        logs.extend([less, more, swapped].iter().map(|lines| bytes_of(lines)));
    }
    let kept = forger.notes.last().cloned();
    agree(&forger, kept.as_deref(), &logs);
}

#[test]
fn they_agree_on_keys_used_wrongly() {
    let honest = Forger::honest();
    let mut logs = vec![bytes_of(&honest.lines)];
    // The last step of each differs; all have the keys of `honest`, so one paper key serves all.
    let steps: [&dyn Fn(&mut Forger); 8] = [
        &|forger| forger.checkpoint(0, 0),
        &|forger| forger.checkpoint(0, 1),
        &|forger| forger.checkpoint(2, 2),
        &|forger| forger.announce(1, 2, 3),
        &|forger| forger.announce(0, 2, 2),
        &|forger| forger.announce(1, 2, 2),
        &|forger| forger.first_key(1),
        &|forger| forger.checkpoint(1, 1),
    ];
    let mut last = None;
    for step in steps {
        let mut forger = Forger::honest_with(&honest);
        step(&mut forger);
        logs.push(bytes_of(&forger.lines));
        last = Some(forger);
    }
    assert!(last.is_some());
    agree(&honest, None, &logs);
}

#[test]
fn they_agree_on_purges() {
    let mut forger = Forger::honest();
    let unsaid = forger.purged(&[2]);
    forger.purge();
    forger.checkpoint(1, 1);
    let said = forger.purged(&[2]);
    let beyond = forger.purged(&[2, 4]);
    let mut false_hash = said.clone();
    false_hash[2] = purged_line(2, &[1; 32]);
    let logs = [&forger.lines, &unsaid, &said, &beyond, &false_hash].map(|lines| bytes_of(lines)).to_vec();
    agree(&forger, None, &logs);
    // Lines written some hours after noon of 11 June, under a purge of what was before the 12th.
    let honest = Forger::honest();
    let logs = [0, 11, 12, 13, 36].map(|hours| {
        let mut forger = Forger::honest_with(&honest);
        forger.now = "2026-06-11T12:00:00Z".parse::<Timestamp>().unwrap() + SignedDuration::from_hours(hours);
        forger.checkpoint(1, 1);
        let index = forger.lines.len();
        forger.decide("accept");
        let (last, before) = (index as u64, jiff::civil::date(2026, 6, 12));
        forger.event(&Event::Purge(PurgeRecord { last, purged: 1, before, ..PurgeRecord::default() }));
        bytes_of(&forger.purged(&[index]))
    });
    agree(&honest, None, &logs);
}

#[test]
fn they_agree_on_times_keys_and_notes() {
    let honest = Forger::honest();
    let mut logs = vec![bytes_of(&honest.lines)];
    let hours = SignedDuration::from_hours;
    let back = |forger: &mut Forger, jump: i64| {
        let before = forger.now;
        forger.now += hours(jump);
        forger.event(&Event::Clock(ClockRecord { before, now: forger.now, jump: "x".into() }));
    };
    let head = |forger: &Forger, text: &str| {
        let root = data_encoding::BASE64.encode(&forger.tree.root());
        let (size, now) = (forger.tree.size(), forger.now);
        let text = text.replace("SIZE", &size.to_string()).replace("ROOT", &root).replace("TIME", &now.to_string());
        sign_text(text.as_bytes(), &forger.keys[1].signer).unwrap()
    };
    let texts = [
        "log.example\nSIZE\nROOT\ntime TIME\n",
        "log.example\n0SIZE\nROOT\ntime TIME\n",
        "log.example\n+SIZE\nROOT\ntime TIME\n",
        "log.example\nSIZE\nROOT=\ntime TIME\n",
        "log.example\nSIZE\nROOT\n",
        "log.example\nSIZE\nROOT\ntime TIME\nmore\n",
        "log.example\nSIZE\nROOT\ntime TIME \n",
        "other.example\nSIZE\nROOT\ntime TIME\n",
    ];
    let steps: [&dyn Fn(&mut Forger); 13] = [
        &|forger| forger.now -= hours(2),
        &|forger| back(forger, -2),
        &|forger| back(forger, 2),
        &|forger| {
            back(forger, 2);
            forger.now -= hours(3);
        },
        &|forger| {
            forger.now += hours(2);
            forger.decide("accept");
            forger.now -= hours(2);
        },
        &|forger| forger.now -= SignedDuration::from_mins(30),
        &|forger| {
            forger.now -= SignedDuration::from_mins(30);
            forger.checkpoint(1, 1);
        },
        &|forger| {
            forger.keys[2] = DayKey::draw("other.example").unwrap().0;
            forger.announce(1, 2, 2);
        },
        // Two signatures of one key, of which one is false; and one of a stranger whose name is none.
        &|forger| {
            let good = head(forger, texts[0]);
            let line = good.lines().last().unwrap().to_owned();
            let bad = head(forger, texts[7]).lines().last().unwrap().to_owned();
            forger.note(good.replace(&line, &format!("{line}\n{bad}")), 1);
        },
        &|forger| {
            let good = head(forger, texts[0]);
            let line = good.lines().last().unwrap().to_owned();
            let bad = head(forger, texts[7]).lines().last().unwrap().to_owned();
            forger.note(good.replace(&line, &format!("{bad}\n{line}")), 1);
        },
        &|forger| forger.note(head(forger, texts[0]) + "— stran+ger AAAAAAAA\n", 1),
        &|forger| forger.note(head(forger, texts[0]) + "— stranger AAAAAAAA\n", 1),
        &|forger| forger.note(head(forger, texts[0]) + &"— stranger AAAAAAAA\n".repeat(100), 1),
    ];
    let mut run = |step: &dyn Fn(&mut Forger)| {
        let mut forger = Forger::honest_with(&honest);
        step(&mut forger);
        forger.decide("accept");
        logs.push(bytes_of(&forger.lines));
    };
    for step in steps {
        run(step);
    }
    for text in texts {
        run(&|forger| forger.note(head(forger, text), 1));
    }
    agree(&honest, None, &logs);
}

#[test]
fn python_checks_a_proof() {
    let Some(python) = python() else {
        panic!("there is no Python with the package cryptography: run tests/install-packages tools");
    };
    let forger = Forger::honest();
    let dir = forger.dir();
    let target = charter_milter::decision_log::prove::Target::Index(4);
    let proof = charter_milter::decision_log::prove::prove(dir.path(), &target, None, None).unwrap().remove(0);
    let file = tempfile::NamedTempFile::new().unwrap();
    let check = |text: &str, key: &str| {
        std::fs::write(file.path(), text).unwrap();
        let run = Command::new(python).arg(script()).args(["--key", key, "--proof"]).arg(file.path()).output().unwrap();
        assert!(run.stderr.is_empty(), "{}", String::from_utf8_lossy(&run.stderr));
        run.status.success()
    };
    let text = proof.to_text().unwrap();
    assert!(check(&text, &forger.keys[0].public));
    assert!(!check(&text, &forger.keys[1].public));
    assert!(!check(&text.replacen("index 4", "index 3", 1), &forger.keys[0].public));
    let mut other = proof.clone();
    other.extra.record = forger.lines[3].clone();
    assert!(!check(&other.to_text().unwrap(), &forger.keys[0].public));
}
