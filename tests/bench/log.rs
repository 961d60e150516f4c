//! Speed of the decision log: appends with and without group commit beside what the disk itself can make durable, records
//! verified a second, time of a report. `cargo bench --bench log [-- RECORDS]`; by default a million records.
//!
//! Prints a table. The log is written under the target directory: what is measured is a disk, not memory.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::print_stdout,
    clippy::cast_precision_loss,
    reason = "a measurement stops at the first surprise, and prints"
)]

use std::fs::File;
use std::io::Write as _;
use std::path::Path;
use std::time::{Duration, Instant};

use charter_milter::decision_log::record::{
    Commitment, DecisionRecord, Event, JudgementRecord, Record, RuleOutcomeRecord,
};
use charter_milter::decision_log::report::data::{Question, report};
use charter_milter::decision_log::report::{pages, words};
use charter_milter::decision_log::verify::{Anchors, verify};
use charter_milter::decision_log::{Journal, Options, Role};
use charter_milter::wording::Language;
use jiff::{SignedDuration, Timestamp};

/// How long each way of appending is measured.
const SPAN: Duration = Duration::from_secs(3);
/// Sessions that append at once.
const SESSIONS: usize = 50;
/// Rules whose outcome an ordinary record holds.
const RULES: [&str; 12] = [
    "recipient-state",
    "stop",
    "period",
    "sender",
    "identity",
    "reply",
    "recipients",
    "size",
    "quota",
    "structure",
    "attachments",
    "night-window",
];

fn main() {
    let records = std::env::args().find_map(|argument| argument.parse().ok()).unwrap_or(1_000_000_u64);
    let base = Path::new(env!("CARGO_TARGET_TMPDIR"));
    let dir = tempfile::tempdir_in(base).unwrap();
    println!("{:<58}{:>14}", "what", "a second");
    line("fdatasync of one record, alone", disk_alone(dir.path()));
    line("append, one session", appends(&dir.path().join("one"), 1, usize::MAX));
    line("append, 50 sessions, no group commit", appends(&dir.path().join("single"), SESSIONS, 1));
    line("append, 50 sessions, group commit", appends(&dir.path().join("group"), SESSIONS, usize::MAX));

    let log = dir.path().join("large");
    let bytes = fill(&log, records);
    println!("{records} records, {} MB", bytes / 1_000_000);
    forget_peak_memory();
    let busy = cpu_time();
    let (verified, took) = timed(|| verify(&log, &Anchors::default(), |_| ()).unwrap());
    let busy = cpu_time().saturating_sub(busy);
    assert!(verified.records >= records);
    line("records verified, by the clock", verified.records as f64 / took.as_secs_f64());
    line("records verified, by the time of one core", verified.records as f64 / busy.as_secs_f64());
    println!("{:<58}{:>11} MB", "most memory used, verifying", peak_memory_mb());
    let question = Question {
        from: None,
        to: None,
        charters: Vec::new(),
        time_zone: jiff::tz::TimeZone::get("Europe/Paris").unwrap(),
        names: std::collections::HashMap::new(),
    };
    let (counted, took) = timed(|| report(&log, &question, u64::MAX).unwrap());
    println!("{:<58}{:>11.2} s", "report, counting", took.as_secs_f64());
    let (page, took) = timed(|| pages::html(&counted, words::words(Language::French)).unwrap());
    println!("{:<58}{:>11.2} s", format!("report, drawing the page ({} kB)", page.len() / 1000), took.as_secs_f64());
    println!("{:<58}{:>11} MB", "most memory used, reporting", peak_memory_mb());
}

fn line(what: &str, rate: f64) {
    println!("{what:<58}{rate:>14.0}");
}

fn timed<T>(work: impl FnOnce() -> T) -> (T, Duration) {
    let start = Instant::now();
    (work(), start.elapsed())
}

fn start() -> Timestamp {
    "2026-06-11T00:00:00Z".parse().unwrap()
}

fn record(n: u64) -> DecisionRecord {
    let rules = RULES.map(|rule| RuleOutcomeRecord {
        rule: rule.into(),
        outcome: "miss".into(),
        ..RuleOutcomeRecord::default()
    });
    let verdict = if n.is_multiple_of(9) { "reject" } else { "accept" };
    let judgement = JudgementRecord {
        charter: "cnrs-2026".into(),
        list: Some("electeurs-c@elections.example".into()),
        verdict: verdict.into(),
        mode: "enforce".into(),
        inspection: "content".into(),
        reason: Some("too-large".into()),
        clause: Some("cnrs:III.a".into()),
        statistics: true,
        sender: Some(format!("sender{:010}", n % 40)),
        proof: Some("sasl".into()),
        rules: rules.to_vec(),
        ..JudgementRecord::default()
    };
    let text = "A".repeat(43);
    DecisionRecord {
        reference: "R7TQ2M5KXA".into(),
        verdict: verdict.into(),
        stage: "content".into(),
        judgements: vec![judgement],
        queue_id: Some("4bXyZ12345z".into()),
        message_bytes: Some(2048),
        recipients: 1,
        message_id: Some(Commitment {
            nonce: "A".repeat(22),
            seal: text.clone(),
            key: "cnrs-2026_2026-06-08_2026-06-21".into(),
        }),
        config: "c0ffee".into(),
        ..DecisionRecord::default()
    }
}

/// What the disk can do by itself: one record's worth of octets, made durable, again and again.
fn disk_alone(dir: &Path) -> f64 {
    let mut file = File::create(dir.join("alone")).unwrap();
    let octets = vec![b'x'; 1200];
    let start = Instant::now();
    let mut count = 0_u32;
    while start.elapsed() < SPAN {
        file.write_all(&octets).unwrap();
        file.sync_data().unwrap();
        count += 1;
    }
    f64::from(count) / start.elapsed().as_secs_f64()
}

fn appends(dir: &Path, sessions: usize, group_records_max: usize) -> f64 {
    let options = Options { group_records_max, ..Options::new(dir, "bench.example", Role::Keeper, start()) };
    let journal = Journal::open(&options).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).enable_all().build().unwrap();
    runtime.block_on(async {
        let begin = Instant::now();
        let tasks: Vec<_> = (0..sessions)
            .map(|_| {
                let journal = journal.clone();
                tokio::spawn(async move {
                    let mut count = 0_u64;
                    while begin.elapsed() < SPAN {
                        journal.append(Record::new(start(), Event::Decision(record(count)))).await.unwrap();
                        count += 1;
                    }
                    count
                })
            })
            .collect();
        let mut total = 0;
        for task in tasks {
            total += task.await.unwrap();
        }
        total as f64 / begin.elapsed().as_secs_f64()
    })
}

/// A log of two months with a checkpoint every hour; returns its size in octets.
fn fill(dir: &Path, records: u64) -> u64 {
    let journal = Journal::open(&Options::new(dir, "bench.example", Role::Keeper, start())).unwrap();
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let hours = 24 * 60;
    runtime.block_on(async {
        for hour in 0..hours {
            let now = start() + SignedDuration::from_hours(hour);
            journal.tick(now, &[]).await.unwrap();
            let mut waiting = Vec::new();
            for n in 0..records.div_ceil(u64::try_from(hours).unwrap()) {
                let journal = journal.clone();
                waiting.push(tokio::spawn(async move {
                    journal.append(Record::new(now, Event::Decision(record(n)))).await
                }));
            }
            for task in waiting {
                task.await.unwrap().unwrap();
            }
        }
    });
    drop(journal);
    let segments = std::fs::read_dir(dir.join("segments")).unwrap();
    segments.map(|entry| entry.unwrap().metadata().unwrap().len()).sum()
}

/// What this thread has had of a core, as Linux counts it: on a machine with other work, less than the clock says.
fn cpu_time() -> Duration {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").unwrap();
    Duration::from_nanos(text.split_whitespace().next().unwrap().parse().unwrap())
}

/// Lets Linux count anew: what filling the log took is nobody's question (proc(5), `clear_refs`).
fn forget_peak_memory() {
    std::fs::write("/proc/self/clear_refs", "5").unwrap();
}

/// The most memory this process had since then, as Linux counts it.
fn peak_memory_mb() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").unwrap_or_default();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap_or_default();
    line.split_whitespace().next().and_then(|kb| kb.parse::<u64>().ok()).unwrap_or(0) / 1000
}
