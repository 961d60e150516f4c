//! The commands of `charter-milter log`, run as people run them, on a log with two weeks of life in it.

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use charter_milter::charter::Period;
use charter_milter::decision_log::pseudonym::{KeyPeriod, Pseudonymizer};
use charter_milter::decision_log::record::{
    CancelRecord, ConfigRecord, DecisionRecord, DrawRecord, Event, FileDigest, JudgementRecord, QuotaUse, Record,
    ReleaseRecord, RuleOutcomeRecord, StopRecord,
};
use charter_milter::decision_log::{Journal, Options, Reference, Role};
use jiff::civil::date;
use jiff::{SignedDuration, Timestamp};

use crate::log_attacks::Forger;
use crate::log_journal::{at, keeper};

/// A log in a directory, and what is worth remembering of it.
pub struct Life {
    pub dir: tempfile::TempDir,
    /// A message of list A that was held and let go.
    pub held: (String, Reference),
    pub first_key: String,
}

pub fn period() -> KeyPeriod {
    let period = Period { opens: date(2026, 6, 8), closes: date(2026, 6, 21) };
    KeyPeriod::of("cnrs-2026", Some(period), date(2026, 6, 11))
}

pub fn decision(keys: &Pseudonymizer, charter: &str, sender: &str, verdict: &str, message_id: &str) -> DecisionRecord {
    let statistics = charter != "drancy";
    let rule = |rule: &str, outcome: &str| RuleOutcomeRecord {
        rule: rule.into(),
        outcome: outcome.into(),
        clause: Some("cnrs:III.a".into()),
        ..RuleOutcomeRecord::default()
    };
    let mut size = rule("size", if verdict == "reject" { "hit" } else { "miss" });
    size.evidence =
        BTreeMap::from([("bytes".to_owned(), 204_800_u64.into()), ("bytes-max".to_owned(), 100_000_u64.into())]);
    let judgement = JudgementRecord {
        charter: charter.into(),
        list: Some("electeurs-c@elections.example".into()),
        verdict: verdict.into(),
        mode: "enforce".into(),
        inspection: "content".into(),
        reason: (verdict == "reject").then(|| "too-large".into()),
        clause: (verdict == "reject").then(|| "cnrs:III.a".into()),
        statistics,
        sender: Some(keys.pseudonym(&period(), sender).unwrap()),
        proof: Some("sasl".into()),
        quotas: vec![QuotaUse {
            per: "week".into(),
            of: "sender".into(),
            over: "list".into(),
            used: 1,
            max: 2,
            clause: "cnrs:III.a".into(),
        }],
        rules: vec![rule("period", "miss"), rule("sender", "miss"), size],
        ..JudgementRecord::default()
    };
    DecisionRecord {
        reference: format!("R{}", message_id.trim_matches(['<', '>']).replace(['.', '@'], "")),
        verdict: verdict.into(),
        stage: "content".into(),
        judgements: vec![judgement],
        edits: vec!["subject".into(), "footer".into()],
        queue_id: Some("4bXyZ12345z".into()),
        message_bytes: Some(2048),
        recipients: 1,
        message_id: Some(keys.seal(&period(), message_id).unwrap()),
        config: "c0ffee".into(),
        ..DecisionRecord::default()
    }
}

fn append(journal: &Journal, at: Timestamp, event: impl Into<Event>) -> Reference {
    journal.append_blocking(&Record::new(at, event.into())).unwrap()
}

/// Two weeks: two lists of candidates write every day, one message is held until night, some are too large; a union under
/// a charter without statistics writes too.
pub fn two_weeks() -> Life {
    let dir = tempfile::tempdir().unwrap();
    let start = at("2026-06-08T08:00:00Z");
    let journal = keeper(dir.path(), start);
    let keys = Pseudonymizer::open(dir.path()).unwrap();
    let file = |name: &str, sha256: &str| FileDigest { name: name.into(), sha256: sha256.into() };
    let files = vec![file("charters/cnrs.toml", "aa"), file("charter-milter.toml", "bb")];
    let config = ConfigRecord { digest: "c0ffee".into(), files, version: "0.1.0".into() };
    append(&journal, start, config);
    let mut held = None;
    for day in 0..14 {
        let now = start + SignedDuration::from_hours(24 * day);
        journal.tick_blocking(now, &[]).unwrap();
        let mut releases = Vec::new();
        for (n, sender) in ["liste-a@candidats.example", "liste-b@candidats.example"].into_iter().enumerate() {
            let id = format!("<{day}.{n}@candidats.example>");
            let verdict = if day % 5 == 3 { "reject" } else { "hold" };
            let mut decision = decision(&keys, "cnrs-2026", sender, verdict, &id);
            if (day, n) == (0, 0) {
                // The sender's second address.
                decision.judgements[0].from = Some(keys.pseudonym(&period(), "secretaire@candidats.example").unwrap());
            }
            let decided = append(&journal, now, decision);
            if verdict == "hold" {
                let opens = at("2026-06-08T20:00:00Z") + SignedDuration::from_hours(24 * day);
                if n == 0 {
                    let seed = "5eed".repeat(16);
                    let charter = "cnrs-2026".to_owned();
                    append(&journal, now, DrawRecord { charter, window_opens: opens, seed, order: Vec::new() });
                }
                let rank = u32::try_from(n).unwrap() + 1;
                let left = opens + SignedDuration::from_mins(i64::from(rank));
                let record = ReleaseRecord {
                    queue_id: "4bXyZ12345z".into(),
                    charter: "cnrs-2026".into(),
                    list: "electeurs-c@elections.example".into(),
                    sender: Some(keys.pseudonym(&period(), sender).unwrap()),
                    statistics: true,
                    decision: Some(decided.index),
                    arrived: now,
                    window_opens: Some(opens),
                    rank: Some(rank),
                    reason: "window".into(),
                };
                releases.push((left, record));
                held = Some((id, decided));
            }
        }
        append(
            &journal,
            now,
            self::decision(&keys, "drancy", "syndicat@ville.example", "accept", &format!("<d{day}@ville.example>")),
        );
        for (left, record) in releases {
            append(&journal, left, record);
        }
    }
    let stop = StopRecord {
        action: "stop".into(),
        target: "sender".into(),
        charter: Some("cnrs-2026".into()),
        sender: Some(keys.pseudonym(&period(), "liste-b@candidats.example").unwrap()),
        reason: "order".into(),
        reference: Some("Commission 2026-17".into()),
        ..StopRecord::default()
    };
    let end = at("2026-06-21T23:00:00Z");
    append(&journal, end, stop);
    journal.tick_blocking(end, &[]).unwrap();
    drop(journal);
    let (out, _) = ran(&log(dir.path(), &["init-auditor"]), 0);
    let first_key = out.lines().find(|line| line.matches('+').count() >= 2).unwrap().to_owned();
    Life { dir, held: held.unwrap(), first_key }
}

pub fn log(dir: &Path, arguments: &[&str]) -> Output {
    let program = env!("CARGO_BIN_EXE_charter-milter");
    Command::new(program).arg("log").args(arguments).arg("--dir").arg(dir).output().unwrap()
}

pub fn ran(output: &Output, code: i32) -> (String, String) {
    let text = |bytes: &[u8]| String::from_utf8(bytes.to_vec()).unwrap();
    let (out, err) = (text(&output.stdout), text(&output.stderr));
    assert_eq!(output.status.code(), Some(code), "{out}\n{err}");
    (out, err)
}

pub fn path(dir: &Path, name: &str) -> (PathBuf, String) {
    let path = dir.join(name);
    (path.clone(), path.display().to_string())
}

#[test]
fn an_auditor_verifies_an_export_with_the_key_on_paper() {
    let life = two_weeks();
    let copy = tempfile::tempdir().unwrap();
    let (copied, to) = path(copy.path(), "copy");
    ran(&log(life.dir.path(), &["export", &to]), 0);
    assert!(!copied.join("private").exists(), "no private key leaves the house");
    let kept = copied.join("checkpoint").display().to_string();
    let (out, _) = ran(&log(&copied, &["verify", "--key", &life.first_key, "--checkpoint", &kept]), 0);
    assert!(out.starts_with("VERIFIED\n"), "{out}");
    assert!(out.contains("Kept checkpoint agrees"), "{out}");
    let (out, _) = ran(&log(&copied, &["verify"]), 0);
    assert!(out.starts_with("CONSISTENT, but not confirmed by a key"), "{out}");
    let (out, _) = ran(&log(&copied, &["verify", "--json"]), 0);
    assert_eq!(serde_json::from_str::<serde_json::Value>(&out).unwrap()["result"], "consistent");
    let (out, _) = ran(&log(&copied, &["verify", "--json", "--key", &life.first_key]), 0);
    let json: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!((&json["result"], &json["keys"]), (&"verified".into(), &14.into()));
    // The log is long silent.
    let (out, _) = ran(&log(&copied, &["verify", "--max-silence", "2h"]), 1);
    assert!(out.lines().next().is_some_and(|title| title.ends_with("SILENT for too long")), "{out}");
    ran(&log(&copied, &["verify", "--max-silence=-2h"]), 2);
    // Another key, and a changed record, with its place.
    let other = "PeterNeumann+c74f20a3+ARpc2QcUPDhMQegwxbzhKqiBfsVkmqq/LDE4izWy10TW";
    assert!(ran(&log(&copied, &["verify", "--key", other]), 1).0.starts_with("NOT VERIFIED"));
    // A slip in copying the key accuses nobody.
    let (out, err) = ran(&log(&copied, &["verify", "--key", &life.first_key.replace("+A", "+B")]), 2);
    assert!(out.is_empty() && err.contains("copied wrongly"), "{out}{err}");
    let segment = std::fs::read_dir(copied.join("segments")).unwrap().map(|entry| entry.unwrap().path()).min().unwrap();
    let text = std::fs::read_to_string(&segment).unwrap();
    std::fs::remove_file(&segment).unwrap();
    std::fs::write(&segment, text.replacen("too-large", "too-small", 1).replacen("\"hold\"", "\"accept\"", 1)).unwrap();
    let (out, _) = ran(&log(&copied, &["verify", "--key", &life.first_key]), 1);
    assert!(out.contains("line ") && out.contains("not those that were signed"), "{out}");
    ran(&log(&copied.join("nothing"), &["verify"]), 2);
}

/// What a command shows on a terminal, which script(1) makes.
pub fn on_a_terminal(dir: &Path, arguments: &str) -> String {
    let program = env!("CARGO_BIN_EXE_charter-milter");
    let command = format!("exec {program} log {arguments} --dir {}", dir.display());
    let output = Command::new("script").args(["-qec", &command, "/dev/null"]).stdin(Stdio::null()).output().unwrap();
    ran(&output, 0).0
}

/// On a terminal a bar shows how far a log of megabytes is read, and is gone at the end; elsewhere there is none.
#[test]
fn verify_shows_its_progress_on_a_terminal_alone() {
    let mut forger = Forger::new();
    for _ in 0..25_000 {
        forger.decide("accept");
    }
    forger.checkpoint(0, 0);
    let dir = forger.dir();
    let output = log(dir.path(), &["verify"]);
    let (out, err) = ran(&output, 0);
    assert!(out.starts_with("CONSISTENT") && err.is_empty(), "{out} {err}");
    let shown = on_a_terminal(dir.path(), "verify");
    let (bar, verdict) = shown.split_once("CONSISTENT").unwrap();
    assert!(bar.contains('░') && bar.contains(" MiB/"), "{bar:?}");
    assert!(bar.ends_with("\u{1b}[2K"), "the line is wiped: {bar:?}");
    assert!(!verdict.contains('░'));
}

#[test]
fn a_candidate_proves_what_happened_to_a_message() {
    let life = two_weeks();
    let (id, reference) = &life.held;
    let work = tempfile::tempdir().unwrap();
    let (_, proof) = path(work.path(), "message.tlog-proof");
    ran(&log(life.dir.path(), &["prove", "--message-id", id, "--out", &proof]), 0);
    let quoted = reference.to_string();
    let check = ["check-proof", &proof, "--key", &life.first_key, "--message-id", id, "--reference", &quoted];
    let (out, _) = ran(&log(work.path(), &check), 0);
    assert!(out.starts_with("THE PROOF HOLDS"), "{out}");
    assert!(out.contains("Message-ID    is the one given"), "{out}");
    let other = ["check-proof", &proof, "--message-id", "<another@candidats.example>"];
    assert!(ran(&log(work.path(), &other), 1).0.contains("not about this Message-ID"));
    assert!(
        !std::fs::read_to_string(&proof).unwrap().contains(id.as_str()),
        "the proof itself does not name the message"
    );
    // The proof shows one record and nothing of any other.
    ran(&log(life.dir.path(), &["prove", "--message-id", "<none@candidats.example>"]), 1);
    // By reference, against the checkpoint that somebody kept.
    let kept = life.dir.path().join("checkpoint").display().to_string();
    ran(&log(life.dir.path(), &["prove", "--reference", &quoted, "--checkpoint", &kept, "--out", &proof]), 0);
    ran(&log(work.path(), &["check-proof", &proof, "--checkpoint", &kept, "--message-id", id]), 0);
    let (out, _) = ran(&log(life.dir.path(), &["show", &quoted]), 0);
    assert!(out.contains("hold at content"), "{out}");
    // Against a later checkpoint than the one that somebody kept: no sign of anything.
    let (older, older_name) = path(work.path(), "older");
    std::fs::copy(&kept, &older).unwrap();
    keeper(life.dir.path(), at("2026-06-21T23:10:00Z")).checkpoint_blocking(at("2026-06-21T23:10:00Z")).unwrap();
    ran(&log(life.dir.path(), &["prove", "--message-id", id, "--out", &proof]), 0);
    let (out, _) = ran(&log(work.path(), &["check-proof", &proof, "--checkpoint", &older_name]), 1);
    assert!(out.starts_with("THE PROOF IS AGAINST ANOTHER CHECKPOINT") && !out.contains("DOES NOT HOLD"), "{out}");
    ran(&log(work.path(), &["check-proof", &proof, "--checkpoint", &kept]), 0);
    // By the message's own reference.
    let own = format!("R{}", id.trim_matches(['<', '>']).replace(['.', '@'], ""));
    assert_eq!(ran(&log(life.dir.path(), &["show", &own, "--json"]), 0).0.lines().count(), 1);
    ran(&log(life.dir.path(), &["show", "Rnone"]), 1);
    ran(&log(work.path(), &["check-proof", &proof, "--reference", &own]), 0);
    assert!(
        ran(&log(work.path(), &["check-proof", &proof, "--reference", "Rnone"]), 1).0.contains("another reference")
    );
    let wrong = format!("{}-0000000000000000", reference.index);
    let (out, _) = ran(&log(life.dir.path(), &["show", &wrong]), 1);
    assert!(out.contains("another one than the reference quotes"), "{out}");
}

/// How often checkpoints are made is configured; what is not signed yet promises nothing about when it will be.
#[test]
fn what_is_not_signed_yet_is_proven_after_the_next_checkpoint_whenever_that_is() {
    let life = two_weeks();
    let keys = Pseudonymizer::open(life.dir.path()).unwrap();
    let later = at("2026-06-21T23:10:00Z");
    let journal = Journal::open(&Options::new(life.dir.path(), "", Role::Appender, later)).unwrap();
    let late = decision(&keys, "cnrs-2026", "liste-a@candidats.example", "reject", "<late@candidats.example>");
    append(&journal, later, late);
    let (_, err) = ran(&log(life.dir.path(), &["prove", "--message-id", "<late@candidats.example>"]), 1);
    assert!(err.contains("not signed yet; prove it once the next checkpoint is made"), "{err}");
    assert!(err.contains("checkpoint_interval") && !err.contains("hour"), "{err}");
}

#[test]
fn a_changed_proof_does_not_hold() {
    let life = two_weeks();
    let work = tempfile::tempdir().unwrap();
    let (file, proof) = path(work.path(), "message.tlog-proof");
    ran(&log(life.dir.path(), &["prove", "--message-id", &life.held.0, "--out", &proof]), 0);
    let good = charter_milter::decision_log::prove::Proof::parse(&std::fs::read_to_string(&file).unwrap()).unwrap();
    let against = charter_milter::decision_log::prove::Against {
        first_key: Some(life.first_key.clone()),
        message_id: Some(life.held.0.clone()),
        ..Default::default()
    };
    assert!(good.check(&against).is_ok());
    let mut changed = Vec::new();
    let mut one = |change: &dyn Fn(&mut charter_milter::decision_log::prove::Proof)| {
        let mut proof = good.clone();
        change(&mut proof);
        changed.push(proof);
    };
    one(&|proof| proof.index += 1);
    one(&|proof| proof.extra.record = proof.extra.record.replace("hold", "keep"));
    one(&|proof| proof.path[0][0] ^= 1);
    one(&|proof| proof.path.truncate(proof.path.len() - 1));
    one(&|proof| proof.extra.endorsements.truncate(proof.extra.endorsements.len() - 1));
    one(&|proof| proof.extra.endorsements.swap(0, 1));
    one(&|proof| proof.extra.opening_key = None);
    one(&|proof| proof.extra.first_key = proof.extra.first_key.replace('a', "b"));
    one(&|proof| proof.note = proof.note.replacen("time 2026", "time 2027", 1));
    for (n, proof) in changed.iter().enumerate() {
        assert!(proof.check(&against).is_err(), "change {n} was not noticed");
        // What is written and read again is the same.
        if let Ok(text) = proof.to_text() {
            assert_eq!(charter_milter::decision_log::prove::Proof::parse(&text).unwrap(), *proof);
        }
    }
}

#[test]
fn the_report_counts_senders_alike_and_keeps_silent_where_it_must() {
    let life = two_weeks();
    let (out, _) = ran(
        &log(life.dir.path(), &["report", "--format", "json", "--time-zone", "Europe/Paris", "--key", &life.first_key]),
        0,
    );
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["key_confirmed"], true);
    let charters = report["charters"].as_array().unwrap();
    let cnrs = charters.iter().find(|charter| charter["charter"] == "cnrs-2026").unwrap();
    assert_eq!(cnrs["verdicts"]["messages"], 28);
    assert_eq!(cnrs["verdicts"]["refused"], 6);
    assert_eq!(cnrs["reasons"][0]["reason"], "too-large");
    let senders = cnrs["senders"].as_array().unwrap();
    assert_eq!(senders.len(), 2);
    for sender in senders {
        assert_eq!((&sender["verdicts"]["held"], &sender["released"]), (&11.into(), &11.into()));
    }
    let mut ranks: Vec<_> = senders.iter().map(|sender| sender["mean_rank"].as_f64().unwrap()).collect();
    ranks.sort_by(f64::total_cmp);
    assert_eq!(ranks, [1.0, 2.0]);
    assert_eq!(senders[0]["quotas"][0]["max"], 2);
    assert_eq!(cnrs["nights"].as_array().unwrap().len(), 11);
    let drancy = charters.iter().find(|charter| charter["charter"] == "drancy").unwrap();
    assert_eq!(drancy["verdicts"]["accepted"], 14);
    assert_eq!(drancy["senders"].as_array().unwrap().len(), 0, "drancy:III.3.d");
    assert_eq!(report["stops"][0]["reference"], "Commission 2026-17");
    assert_eq!(report["configurations"][0]["changed"].as_array().unwrap().len(), 2);

    let days = ["report", "--format", "json", "--from", "2026-06-10", "--to", "2026-06-10", "--charter", "cnrs-2026"];
    let (out, _) = ran(&log(life.dir.path(), &days), 0);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    assert_eq!(report["charters"][0]["verdicts"]["messages"], 2);
    let (_, err) = ran(&log(life.dir.path(), &["report", "--from", "2026-06-11", "--to", "2026-06-10"]), 2);
    assert!(err.contains("--from 2026-06-11 is later than --to 2026-06-10"), "{err}");
    let (_, err) = ran(&log(life.dir.path(), &["report", "--charter", "cnrs-2062"]), 2);
    assert!(err.contains("no record of these days names a charter `cnrs-2062`"), "{err}");
    let (out, _) = ran(&log(life.dir.path(), &["report", "--format", "csv"]), 0);
    assert_eq!(out.lines().count(), 1 + 2 + 1, "{out}");
    let (out, _) = ran(&log(life.dir.path(), &["report", "--language", "fr"]), 0);
    assert!(out.contains("Égalité de traitement") && out.contains("arrêt expéditeur"), "{out}");
    assert!(out.contains("6  Le message est trop volumineux. (too-large)  cnrs:III.a"), "{out}");
    let (out, _) = ran(
        &log(life.dir.path(), &["report", "--language", "en", "--time-zone", "Europe/Paris", "--key", &life.first_key]),
        0,
    );
    assert!(out.contains("2026-06-08 22:00:00 +02:00  Released: 2, 2026-06-08 22:01:00 +02:00 –"), "{out}");
    assert!(out.contains("Equality of treatment") && out.contains("stop sender"), "{out}");
    assert!(out.contains("6  The message is too large. (too-large)  cnrs:III.a"), "{out}");
    let (out, _) = ran(&log(life.dir.path(), &["report", "--language", "en", "--format", "html"]), 0);
    assert!(out.contains("<html lang=\"en\">") && !out.contains("Égalité"), "{out}");
    assert!(out.contains("The message is too large. <code>too-large</code>"), "{out}");
}

/// drancy:III.3.d: where statistics are forbidden, no report in any format tells one sender from another.
#[test]
fn a_charter_without_statistics_names_no_sender_in_any_format() {
    let life = two_weeks();
    let keys = Pseudonymizer::open(life.dir.path()).unwrap();
    let sender = keys.pseudonym(&period(), "syndicat@ville.example").unwrap();
    let now = at("2026-06-21T23:10:00Z");
    let journal = keeper(life.dir.path(), now);
    let release = ReleaseRecord {
        charter: "drancy".into(),
        list: "agents@ville.example".into(),
        sender: Some(sender.clone()),
        arrived: now,
        window_opens: Some(now),
        rank: Some(1),
        reason: "window".into(),
        ..ReleaseRecord::default()
    };
    append(&journal, now, release.clone());
    append(&journal, now, ReleaseRecord { queue_id: "4bXyZ12346z".into(), window_opens: None, rank: None, ..release });
    let stop = StopRecord {
        action: "breaker".into(),
        target: "sender".into(),
        sender: Some(sender.clone()),
        reason: "flood".into(),
        ..StopRecord::default()
    };
    append(&journal, now, StopRecord { charter: Some("drancy".into()), ..stop.clone() });
    append(&journal, now, stop);
    journal.checkpoint_blocking(now).unwrap();
    drop(journal);
    assert!(ran(&log(life.dir.path(), &["show", "--json"]), 0).0.contains(&sender), "the records themselves name it");
    for format in ["text", "json", "csv", "html"] {
        let (out, _) = ran(&log(life.dir.path(), &["report", "--format", format]), 0);
        assert!(out.contains("drancy") && !out.contains(&sender), "{format}: {out}");
        assert!(format != "csv" || out.contains("drancy,,,14,14,"), "{out}");
    }
    let (out, _) = ran(&log(life.dir.path(), &["report", "--format", "json", "--charter", "drancy"]), 0);
    let report: serde_json::Value = serde_json::from_str(&out).unwrap();
    let drancy = &report["charters"][0];
    assert_eq!((&drancy["statistics"], &drancy["senders"]), (&false.into(), &serde_json::json!([])));
    assert_eq!(drancy["nights"][0]["releases"][0]["sender"], serde_json::Value::Null);
    assert_eq!(report["stops"][0]["whom"], serde_json::Value::Null);
    let (out, _) = ran(&log(life.dir.path(), &["report"]), 0);
    assert!(out.contains("Trop de messages en trop peu de temps : le disjoncteur s'est ouvert. (flood)"), "{out}");
}

#[test]
fn a_report_counts_what_its_checkpoint_signs_and_nothing_after_it() {
    let life = two_weeks();
    let count = || {
        let (out, _) = ran(&log(life.dir.path(), &["report", "--format", "json", "--charter", "cnrs-2026"]), 0);
        let report: serde_json::Value = serde_json::from_str(&out).unwrap();
        let messages = report["charters"][0]["verdicts"]["messages"].as_u64().unwrap();
        (messages, report["checkpoint"]["size"].as_u64().unwrap())
    };
    let before = count();
    let later = at("2026-06-21T23:10:00Z");
    let journal = Journal::open(&Options::new(life.dir.path(), "", Role::Appender, later)).unwrap();
    let keys = Pseudonymizer::open(life.dir.path()).unwrap();
    let late = decision(&keys, "cnrs-2026", "liste-a@candidats.example", "reject", "<late@candidats.example>");
    append(&journal, later, late);
    assert_eq!(count(), before, "it is in the log, and not signed yet");
    // Each command that is asked leaves a record.
    let left_out = |format: &str| {
        let (out, _) = ran(&log(life.dir.path(), &["report", "--language", "en", "--format", format]), 0);
        let (_, rest) = out.split_once("not counted, commands like this one included").unwrap();
        let digits = rest.trim_start_matches(|c: char| !c.is_ascii_digit());
        digits.chars().take_while(char::is_ascii_digit).collect::<String>().parse::<u64>().unwrap()
    };
    let many = left_out("text");
    assert!(many > 2 && left_out("html") == many + 1, "{many}");
    keeper(life.dir.path(), later).checkpoint_blocking(later).unwrap();
    let after = count();
    assert!(after.0 == before.0 + 1 && after.1 > before.1, "{after:?}");
    assert!(left_out("text") < many);
}

/// Killed at the wrong moment, a release or cancellation is recorded twice; who used a sender's address is not that sender.
#[test]
fn a_report_counts_each_step_once_and_no_impostor_as_a_candidate() {
    let life = two_weeks();
    let keys = Pseudonymizer::open(life.dir.path()).unwrap();
    let report = || -> serde_json::Value {
        let asked = ["report", "--format", "json", "--charter", "cnrs-2026"];
        serde_json::from_str(&ran(&log(life.dir.path(), &asked), 0).0).unwrap()
    };
    let before = report();
    let later = at("2026-06-21T23:10:00Z");
    let journal = keeper(life.dir.path(), later);
    let mut forged = decision(&keys, "cnrs-2026", "liste-a@candidats.example", "reject", "<forged@ailleurs.example>");
    forged.judgements[0].reason = Some("sender-not-proven".into());
    forged.judgements[0].proof = None;
    append(&journal, later, forged);
    for decision in [7, 7, 8] {
        let (charter, list) = ("cnrs-2026".to_owned(), "electeurs-c@elections.example".to_owned());
        let sender = Some(keys.pseudonym(&period(), "liste-b@candidats.example").unwrap());
        let (queue_id, decision) = ("4bXyZ12345y".to_owned(), Some(decision));
        let cancel = CancelRecord {
            queue_id: queue_id.clone(),
            charter: charter.clone(),
            list: list.clone(),
            sender: sender.clone(),
            decision,
            reason: "period-over".into(),
            reference: None,
        };
        append(&journal, later, cancel);
        let release = ReleaseRecord {
            queue_id,
            charter,
            list,
            sender,
            statistics: true,
            decision,
            arrived: later - SignedDuration::from_secs(100),
            window_opens: None,
            rank: None,
            reason: if decision == Some(7) { "operator" } else { "no-window" }.into(),
        };
        append(&journal, later, release);
    }
    journal.checkpoint_blocking(later).unwrap();
    drop(journal);
    let after = report();
    let figure = |report: &serde_json::Value, path: &str| report.pointer(path).unwrap().as_u64().unwrap();
    let grew = |path: &str| figure(&after, path) - figure(&before, path);
    assert_eq!((grew("/charters/0/cancelled"), grew("/charters/0/released_by_order")), (2, 1));
    assert_eq!((grew("/charters/0/verdicts/messages"), grew("/charters/0/verdicts/refused")), (1, 1));
    for sender in [0, 1] {
        assert_eq!(grew(&format!("/charters/0/senders/{sender}/verdicts/messages")), 0);
    }
    let released = |report: &serde_json::Value| -> u64 {
        [0, 1].map(|sender| figure(report, &format!("/charters/0/senders/{sender}/released"))).iter().sum()
    };
    assert_eq!(released(&after) - released(&before), 2);
}

/// Mail that the next server does not take in its window is called back, and let go in the next, or returned in the end.
#[test]
fn a_report_counts_no_message_twice_and_none_that_went_back_as_released() {
    let life = two_weeks();
    let keys = Pseudonymizer::open(life.dir.path()).unwrap();
    let sender = keys.pseudonym(&period(), "liste-b@candidats.example").unwrap();
    let figures = || {
        let asked = ["report", "--format", "json", "--charter", "cnrs-2026"];
        let report: serde_json::Value = serde_json::from_str(&ran(&log(life.dir.path(), &asked), 0).0).unwrap();
        let charter = &report["charters"][0];
        let senders = charter["senders"].as_array().unwrap();
        let of = senders.iter().find(|of| of["sender"] == sender.as_str()).unwrap();
        let nights = charter["nights"].as_array().unwrap();
        let left: usize = nights.iter().map(|night| night["releases"].as_array().unwrap().len()).sum();
        let number = |value: &serde_json::Value| value.as_u64().unwrap();
        (number(&of["released"]), left as u64, number(&charter["cancelled"]), number(&of["wait"]["max"]))
    };
    let before = figures();
    let first = at("2026-06-21T20:10:00Z");
    let second = first + SignedDuration::from_hours(24);
    let arrived = first - SignedDuration::from_hours(1_000);
    let journal = keeper(life.dir.path(), first);
    let (charter, list) = ("cnrs-2026".to_owned(), "electeurs-c@elections.example".to_owned());
    for night in [first, second] {
        for decision in [7, 8] {
            let release = ReleaseRecord {
                queue_id: "4bXyZ12345y".to_owned(),
                charter: charter.clone(),
                list: list.clone(),
                sender: Some(sender.clone()),
                statistics: true,
                decision: Some(decision),
                arrived,
                window_opens: Some(night),
                rank: Some(1),
                reason: "window".into(),
            };
            append(&journal, night, release);
        }
    }
    let cancel = CancelRecord {
        queue_id: "4bXyZ12345y".to_owned(),
        charter,
        list,
        sender: Some(sender.clone()),
        decision: Some(8),
        reason: "period-over".into(),
        reference: None,
    };
    append(&journal, second, cancel);
    journal.checkpoint_blocking(second).unwrap();
    drop(journal);
    let after = figures();
    assert_eq!((after.0 - before.0, after.1 - before.1, after.2 - before.2), (1, 1, 1), "{before:?} {after:?}");
    assert_eq!(after.3, 1_024 * 3_600, "it waited until the night in which it left");
}

#[test]
fn every_use_of_the_log_is_in_the_log() {
    let life = two_weeks();
    let before = ran(&log(life.dir.path(), &["show", "--kind", "operator", "--json"]), 0).0.lines().count();
    ran(&log(life.dir.path(), &["person", "liste-a@candidats.example", "--reference", "RGPD-3"]), 0);
    ran(&log(life.dir.path(), &["report"]), 0);
    ran(&log(life.dir.path(), &["show", "--last", "1"]), 0);
    let (out, _) = ran(&log(life.dir.path(), &["show", "--kind", "operator", "--json"]), 0);
    assert_eq!(out.lines().count(), before + 4);
    assert!(out.contains("\"log person\"") && out.contains("RGPD-3"), "{out}");
    assert!(!out.contains("liste-a"), "no address gets into the log");
}

#[test]
fn a_person_sees_what_is_recorded_of_them_and_a_purge_ends_it() {
    let life = two_weeks();
    let person = ["person", "liste-a@CANDIDATS.example"];
    let (out, _) = ran(&log(life.dir.path(), &person), 0);
    assert_eq!(out.lines().filter(|line| line.contains("\"kind\":\"decision\"")).count(), 14);
    assert!(ran(&log(life.dir.path(), &["person", "stranger@candidats.example"]), 1).0.is_empty());
    // What became of the messages as well, also when it names the sender by another of the sender's addresses.
    assert_eq!(out.lines().filter(|line| line.contains("\"kind\":\"release\"")).count(), 11);
    let (out, _) = ran(&log(life.dir.path(), &["person", "secretaire@candidats.example"]), 0);
    assert_eq!(out.lines().filter(|line| line.contains("\"kind\":\"release\"")).count(), 1);
    assert_eq!(out.lines().filter(|line| line.contains("\"kind\":\"decision\"")).count(), 1);
    // A proof from before the purge.
    let work = tempfile::tempdir().unwrap();
    let (_, proof) = path(work.path(), "old.tlog-proof");
    ran(&log(life.dir.path(), &["prove", "--message-id", &life.held.0, "--out", &proof]), 0);
    let kept = std::fs::read_to_string(life.dir.path().join("checkpoint")).unwrap();

    // A day begins, so that yesterday's segment is closed; then everything before it goes.
    let later = at("2026-06-22T08:00:00Z");
    keeper(life.dir.path(), later).tick_blocking(later, &[]).unwrap();
    let (out, _) = ran(&log(life.dir.path(), &["purge", "--before", "2026-06-22", "--dry-run"]), 0);
    assert!(out.contains("key to destroy: cnrs-2026_2026-06-08_2026-06-21"), "{out}");
    ran(&log(life.dir.path(), &["purge", "--before", "2026-06-22"]), 0);
    let (note, note_name) = path(work.path(), "kept");
    std::fs::write(&note, kept).unwrap();
    let verify = ["verify", "--json", "--key", &life.first_key, "--checkpoint", &note_name];
    let json: serde_json::Value = serde_json::from_str(&ran(&log(life.dir.path(), &verify), 0).0).unwrap();
    assert!(json["purged"].as_u64().unwrap() > 60 && json["purged_before"] == "2026-06-22", "{json}");
    assert_eq!(json["first_key_confirmed"], true);
    ran(&log(work.path(), &["check-proof", &proof, "--key", &life.first_key, "--message-id", &life.held.0]), 0);
    ran(&log(life.dir.path(), &person), 1);
    ran(&log(life.dir.path(), &["prove", "--message-id", &life.held.0]), 1);
    let left = crate::log_journal::lines(life.dir.path()).join("\n");
    assert!(!left.contains("electeurs-c"), "no line of a message is left");
    // Nothing is left to purge, and the log goes on.
    let (out, _) = ran(&log(life.dir.path(), &["purge", "--before", "2026-06-22"]), 0);
    assert!(!out.contains("done"), "{out}");
    keeper(life.dir.path(), later).checkpoint_blocking(later).unwrap();
    ran(&log(life.dir.path(), &["verify", "--key", &life.first_key]), 0);
}

#[test]
fn auditors_countersign_and_the_gateway_counts_them() {
    let life = two_weeks();
    let work = tempfile::tempdir().unwrap();
    let (_, copy) = path(work.path(), "copy");
    ran(&log(life.dir.path(), &["export", &copy]), 0);
    let (_, private) = path(work.path(), "commission.key");
    let (public, _) =
        ran(&log(work.path(), &["cosign", "new-key", "--name", "commission.example", "--out", &private]), 0);
    let checkpoint = format!("{copy}/checkpoint");
    let sign = ["cosign", "sign", &checkpoint, "--with", &private, "--key", &life.first_key];
    let (cosigned, _) = ran(&log(Path::new(&copy), &sign), 0);
    let (file, returned) = path(work.path(), "returned.eml");
    std::fs::write(&file, format!("From: commission@elections.example\nSubject: Re\n\n{cosigned}")).unwrap();
    ran(&log(life.dir.path(), &["cosign", "store", &returned]), 1);
    ran(&log(life.dir.path(), &["cosign", "trust", public.trim()]), 0);
    ran(&log(life.dir.path(), &["cosign", "store", &returned]), 0);
    let verify = ["verify", "--json", "--key", &life.first_key];
    let json: serde_json::Value = serde_json::from_str(&ran(&log(life.dir.path(), &verify), 0).0).unwrap();
    assert_eq!(json["cosigners"][0], "commission.example");
    assert!(json["cosigned"]["size"].as_u64().unwrap() > 0);
    let two = ["verify", "--json", "--key", &life.first_key, "--quorum", "2"];
    let json: serde_json::Value = serde_json::from_str(&ran(&log(life.dir.path(), &two), 0).0).unwrap();
    assert_eq!(json["cosigned"], serde_json::Value::Null, "one of two is not enough");
    // The second auditor's signature comes by itself; given beside the first it counts, and so it does when it is kept.
    let (_, second) = path(work.path(), "comite.key");
    let new_key = ["cosign", "new-key", "--name", "comite.example", "--out", &second];
    let (public, _) = ran(&log(work.path(), &new_key), 0);
    let sign = ["cosign", "sign", &checkpoint, "--with", &second, "--key", &life.first_key];
    let (cosigned, _) = ran(&log(Path::new(&copy), &sign), 0);
    let (file, also_returned) = path(work.path(), "also-returned");
    std::fs::write(&file, cosigned).unwrap();
    ran(&log(life.dir.path(), &["cosign", "trust", public.trim()]), 0);
    let beside = [two.as_slice(), &["--checkpoint", &also_returned]].concat();
    let json: serde_json::Value = serde_json::from_str(&ran(&log(life.dir.path(), &beside), 0).0).unwrap();
    assert!(json["cosigned"]["size"].as_u64().unwrap() > 0, "two of two: {json}");
    ran(&log(life.dir.path(), &["cosign", "store", &also_returned]), 0);
    let json: serde_json::Value = serde_json::from_str(&ran(&log(life.dir.path(), &two), 0).0).unwrap();
    assert!(json["cosigned"]["size"].as_u64().unwrap() > 0, "both are kept: {json}");
    let three = ["verify", "--json", "--key", &life.first_key, "--quorum", "3"];
    let json: serde_json::Value = serde_json::from_str(&ran(&log(life.dir.path(), &three), 0).0).unwrap();
    assert_eq!(json["cosigned"], serde_json::Value::Null, "the same auditor does not count twice");
    // An auditor does not countersign what does not verify under the key on paper.
    let other = two_weeks();
    let wrong = ["cosign", "sign", &checkpoint, "--with", &private, "--key", &other.first_key];
    ran(&log(Path::new(&copy), &wrong), 1);
}
