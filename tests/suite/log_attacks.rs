//! Attacks on a log, each by somebody who may write to every file of it and may hold today's key. `docs/log-format.md` has
//! the table of attacks; each row names a test of this file.

use std::path::{Path, PathBuf};

use charter_milter::decision_log::checkpoint::Checkpoint;
use charter_milter::decision_log::disk::list_segments;
use charter_milter::decision_log::keys::DayKey;
use charter_milter::decision_log::line::{Draft, LINE_BYTES_MAX, purged_line};
use charter_milter::decision_log::record::{
    CheckpointReason, CheckpointRecord, ClockRecord, DecisionRecord, Event, KeyRecord, PurgeRecord,
};
use charter_milter::decision_log::tree::{Frontier, leaf_hash};
use charter_milter::decision_log::verify::{Anchors, Fault, FaultKind, Verified, verify};
use jiff::civil::{Date, date};
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use tempfile::TempDir;

pub const ORIGIN: &str = "log.example";

/// Writes logs line by line, honest or not, with keys that never get lost.
pub struct Forger {
    pub keys: Vec<DayKey>,
    pub lines: Vec<String>,
    pub notes: Vec<String>,
    pub tree: Frontier,
    pub now: Timestamp,
}

impl Forger {
    pub fn new() -> Self {
        let keys = (0..4).map(|_| DayKey::draw(ORIGIN).unwrap().0).collect();
        let now = "2026-06-11T12:00:00Z".parse().unwrap();
        let mut forger = Self { keys, lines: Vec::new(), notes: Vec::new(), tree: Frontier::new(), now };
        forger.first_key(0);
        forger
    }

    pub fn first_key(&mut self, key: usize) {
        let record = KeyRecord { epoch: 0, key: self.keys[key].public.clone(), from: self.now, endorsement: None };
        self.event(&Event::Key(record));
    }

    pub fn event(&mut self, event: &Event) {
        let line = Draft::new(self.now, event).unwrap().line(self.tree.size());
        self.line(line);
    }

    pub fn line(&mut self, line: String) {
        self.tree.push(leaf_hash(line.as_bytes()));
        self.lines.push(line);
        self.now += SignedDuration::from_mins(1);
    }

    pub fn decide(&mut self, verdict: &str) {
        let record = DecisionRecord { verdict: verdict.into(), stage: "content".into(), ..DecisionRecord::default() };
        self.event(&Event::Decision(record));
    }

    pub fn announce(&mut self, by: usize, next: usize, epoch: u64) {
        let record = self.keys[by].announce(&self.keys[next], epoch, self.now).unwrap();
        self.event(&Event::Key(record));
    }

    pub fn checkpoint(&mut self, key: usize, epoch: u64) {
        let note = Checkpoint::of(ORIGIN, &self.tree, self.now).sign(&self.keys[key].signer).unwrap();
        self.note(note, epoch);
    }

    pub fn note(&mut self, note: String, epoch: u64) {
        self.notes.push(note.clone());
        let record = CheckpointRecord { epoch, reason: CheckpointReason::Hourly, charters: Vec::new(), note };
        self.event(&Event::Checkpoint(record));
    }

    /// Two days, a change of keys between them.
    pub fn honest() -> Self {
        Self::two_days(Self::new())
    }

    /// As [`Forger::honest`], with the keys of another.
    pub fn honest_with(other: &Self) -> Self {
        let mut forger = Self::new();
        forger.keys.clone_from(&other.keys);
        forger.lines.clear();
        forger.tree = Frontier::new();
        forger.first_key(0);
        Self::two_days(forger)
    }

    fn two_days(mut forger: Self) -> Self {
        forger.decide("accept");
        forger.decide("reject");
        forger.checkpoint(0, 0);
        forger.decide("hold");
        forger.announce(0, 1, 1);
        forger.checkpoint(0, 0);
        forger.decide("accept");
        forger.checkpoint(1, 1);
        forger
    }

    /// Says in a record that one of the lines 0 to 2 was purged.
    pub fn purge(&mut self) {
        self.purge_before(date(2026, 6, 12));
    }

    fn purge_before(&mut self, before: Date) {
        self.event(&Event::Purge(PurgeRecord { first: 0, last: 2, purged: 1, before, ..PurgeRecord::default() }));
    }

    /// The lines, those of `indices` purged.
    pub fn purged(&self, indices: &[usize]) -> Vec<String> {
        let line = |(i, line): (usize, &String)| {
            if indices.contains(&i) { purged_line(i as u64, &leaf_hash(line.as_bytes())) } else { line.clone() }
        };
        self.lines.iter().enumerate().map(line).collect()
    }

    pub fn dir(&self) -> TempDir {
        dir_of(&self.lines)
    }

    pub fn anchors(&self) -> Anchors {
        Anchors { first_key: Some(self.keys[0].public.clone()), kept: Vec::new(), ..Anchors::default() }
    }

    /// What an auditor has who kept the last checkpoint.
    pub fn anchored(&self) -> Anchors {
        Anchors { kept: vec![self.notes.last().unwrap().clone()], ..self.anchors() }
    }

    fn fault(&self) -> FaultKind {
        verdict(self.dir().path(), &self.anchors()).unwrap_err().what
    }
}

fn segment(dir: &Path) -> PathBuf {
    dir.join("segments/000000000000_2026-06-11.jsonl")
}

pub fn dir_of(lines: &[String]) -> TempDir {
    let dir = tempfile::tempdir_in(scratch()).unwrap();
    std::fs::create_dir(dir.path().join("segments")).unwrap();
    write(dir.path(), lines);
    dir
}

/// Memory, where there is some: thousands of small files are written.
fn scratch() -> PathBuf {
    let memory = PathBuf::from("/dev/shm");
    if memory.is_dir() { memory } else { std::env::temp_dir() }
}

fn write(dir: &Path, lines: &[String]) {
    let text = lines.join("\n") + if lines.is_empty() { "" } else { "\n" };
    std::fs::write(segment(dir), text).unwrap();
}

pub fn verdict(dir: &Path, anchors: &Anchors) -> Result<Verified, Box<Fault>> {
    verify(dir, anchors, |_| ())
}

/// Tries each of `logs` against what an auditor has who kept the last checkpoint; every one must be a fault.
fn all_detected(honest: &Forger, logs: impl Iterator<Item = (String, Vec<u8>)>) {
    let dir = honest.dir();
    let anchors = honest.anchored();
    assert!(verdict(dir.path(), &anchors).is_ok());
    let mut count = 0;
    for (what, log) in logs {
        std::fs::write(segment(dir.path()), log).unwrap();
        assert!(verdict(dir.path(), &anchors).is_err(), "not detected: {what}");
        count += 1;
    }
    assert!(count > 0);
}

fn bytes_of(lines: &[String]) -> Vec<u8> {
    lines.iter().flat_map(|line| format!("{line}\n").into_bytes()).collect()
}

/// The lines that the last checkpoint signs.
fn signed_lines(forger: &Forger) -> usize {
    usize::try_from(Checkpoint::parse(forger.notes.last().unwrap()).unwrap().size).unwrap()
}

#[test]
fn an_honest_log_verifies_and_says_what_is_proven() {
    let forger = Forger::honest();
    let verified = verdict(forger.dir().path(), &forger.anchored()).unwrap();
    assert!(verified.first_key_confirmed);
    assert_eq!((verified.records, verified.keys, verified.checkpoints), (9, 2, 3));
    assert_eq!(verified.last.as_ref().map(|head| head.size), Some(8));
    assert_eq!(verified.sealed.as_ref().map(|head| head.size), Some(6));
    assert_eq!(verified.anchored, verified.last);
    assert_eq!(verified.unsigned, 1);
}

fn flipped(good: &[u8], octet: usize, bit: usize) -> (String, Vec<u8>) {
    let mut log = good.to_vec();
    log[octet] ^= 1 << bit;
    (format!("octet {octet}, bit {bit}"), log)
}

#[test]
fn every_flipped_bit_is_detected() {
    let forger = Forger::honest();
    let good = bytes_of(&forger.lines);
    let bits = bytes_of(&forger.lines[..signed_lines(&forger)]).len() * 8;
    // Tens of thousands of logs, each verified from the start: shared among the cores there are.
    let cores = std::thread::available_parallelism().map_or(1, usize::from);
    std::thread::scope(|scope| {
        for core in 0..cores {
            let (forger, good) = (&forger, &good);
            let mine = (core..bits).step_by(cores).map(|i| flipped(good, i / 8, i % 8));
            scope.spawn(move || all_detected(forger, mine));
        }
    });
}

#[test]
fn a_dropped_swapped_duplicated_or_inserted_line_is_detected() {
    let forger = Forger::honest();
    let signed = signed_lines(&forger);
    let lines = &forger.lines;
    let changed = |what: &str, i: usize, change: &dyn Fn(&mut Vec<String>)| {
        let mut log = lines.clone();
        change(&mut log);
        (format!("{what} {i}"), bytes_of(&log))
    };
    all_detected(&forger, (0..signed).map(|i| changed("drop", i, &|log| drop(log.remove(i)))));
    all_detected(&forger, (0..signed - 1).map(|i| changed("swap", i, &|log| log.swap(i, i + 1))));
    all_detected(&forger, (0..signed).map(|i| changed("duplicate", i, &|log| log.insert(i, lines[i].clone()))));
    // An inserted line with a fitting index, and all later ones renumbered, as a forger would.
    let insert = |i: usize| {
        let mut other = Forger::honest();
        other.now = forger.now;
        let record = DecisionRecord { verdict: "accept".into(), ..DecisionRecord::default() };
        let new = Draft::new(forger.now, &Event::Decision(record)).unwrap().line(i as u64);
        let later = lines[i..].iter().enumerate();
        let later =
            later.map(|(n, line)| line.replacen(&format!("\"i\":{}", i + n), &format!("\"i\":{}", i + n + 1), 1));
        let log: Vec<_> = lines[..i].iter().cloned().chain([new]).chain(later).collect();
        (format!("insert {i}"), bytes_of(&log))
    };
    all_detected(&forger, (0..signed).map(insert));
    // Dropped, and all later ones renumbered.
    let remove = |i: usize| {
        let later = lines[i + 1..].iter().enumerate();
        let later =
            later.map(|(n, line)| line.replacen(&format!("\"i\":{}", i + n + 1), &format!("\"i\":{}", i + n), 1));
        let log: Vec<_> = lines[..i].iter().cloned().chain(later).collect();
        (format!("drop and renumber {i}"), bytes_of(&log))
    };
    all_detected(&forger, (0..signed).map(remove));
}

#[test]
fn a_log_cut_at_any_octet_is_detected() {
    let forger = Forger::honest();
    let good = bytes_of(&forger.lines);
    let signed = bytes_of(&forger.lines[..signed_lines(&forger)]).len();
    all_detected(&forger, (0..signed).map(|i| (format!("cut at {i}"), good[..i].to_vec())));
}

#[test]
fn a_cut_log_is_named_so() {
    let forger = Forger::honest();
    let dir = dir_of(&forger.lines[..6]);
    let what = verdict(dir.path(), &forger.anchored()).unwrap_err().what;
    assert!(matches!(what, FaultKind::Shortened { signed: 8, found: 6, .. }), "{what:?}");
    // Without the checkpoint that somebody kept nobody can tell; the verdict says that none was given.
    let verified = verdict(dir.path(), &forger.anchors()).unwrap();
    assert_eq!(verified.anchored, None);
}

#[test]
fn two_histories_are_detected_by_any_checkpoint_that_was_kept() {
    let mut one = Forger::honest();
    // Who holds today's key writes today anew, consistently.
    let mut other = Forger::new();
    other.keys = one.keys.clone();
    other.lines.clear();
    other.tree = Frontier::new();
    other.now = "2026-06-11T12:00:00Z".parse().unwrap();
    for line in &one.lines[..7] {
        other.line(line.clone());
    }
    other.decide("reject");
    other.checkpoint(1, 1);
    one.decide("accept");
    let dir = other.dir();
    assert!(verdict(dir.path(), &other.anchors()).is_ok());
    let what = verdict(dir.path(), &one.anchored()).unwrap_err().what;
    assert!(matches!(what, FaultKind::TwoHistories { .. }), "{what:?}");
    // The other way round too.
    let what = verdict(one.dir().path(), &other.anchored()).unwrap_err().what;
    assert!(matches!(what, FaultKind::TwoHistories { .. }), "{what:?}");
}

#[test]
fn two_logs_spliced_at_any_line_are_detected() {
    let one = Forger::honest();
    let mut other = Forger::honest();
    other.keys = one.keys.clone();
    for i in 1..signed_lines(&one) {
        let spliced: Vec<_> = one.lines[..i].iter().chain(&other.lines[i..]).cloned().collect();
        assert!(verdict(dir_of(&spliced).path(), &one.anchored()).is_err(), "spliced at {i}");
    }
}

#[test]
fn an_old_key_is_not_accepted_after_the_new_one_has_signed() {
    let mut forger = Forger::honest();
    forger.checkpoint(0, 0);
    assert_eq!(forger.fault(), FaultKind::KeyOutsideEpoch { current: 1, found: 0 });
    // Nor in the name of the present epoch.
    let mut forger = Forger::honest();
    forger.checkpoint(0, 1);
    assert!(matches!(forger.fault(), FaultKind::Checkpoint(_)));
}

#[test]
fn a_new_key_is_not_accepted_before_the_old_one_has_sealed_it_in() {
    let mut forger = Forger::new();
    forger.decide("accept");
    forger.checkpoint(1, 1);
    assert_eq!(forger.fault(), FaultKind::KeyOutsideEpoch { current: 0, found: 1 });
    let mut forger = Forger::new();
    forger.announce(0, 1, 1);
    forger.checkpoint(1, 1);
    assert_eq!(forger.fault(), FaultKind::KeyOutsideEpoch { current: 0, found: 1 });
}

#[test]
fn a_skipped_epoch_is_detected() {
    let mut forger = Forger::new();
    forger.announce(0, 1, 2);
    assert_eq!(forger.fault(), FaultKind::Epoch { expected: 1, found: 2 });
    // Two keys announced, and the first of them never signs.
    let mut forger = Forger::new();
    forger.announce(0, 1, 1);
    forger.checkpoint(0, 0);
    forger.announce(1, 2, 2);
    assert_eq!(forger.fault(), FaultKind::Epoch { expected: 1, found: 2 });
}

#[test]
fn a_key_that_the_one_before_did_not_endorse_is_detected() {
    let mut forger = Forger::new();
    forger.announce(2, 1, 1);
    assert!(matches!(forger.fault(), FaultKind::Endorsement(_)));
}

#[test]
fn a_log_written_anew_under_another_first_key_is_detected() {
    let forger = Forger::honest();
    let anchors = Forger::honest().anchors();
    let what = verdict(forger.dir().path(), &anchors).unwrap_err().what;
    assert!(matches!(what, FaultKind::FirstKey { .. }));
    // A second first key does not help either.
    let mut forger = Forger::new();
    forger.first_key(1);
    assert_eq!(forger.fault(), FaultKind::Epoch { expected: 1, found: 0 });
}

#[test]
fn a_log_without_any_key_is_not_confirmed_by_one() {
    let mut forger = Forger::new();
    forger.lines.clear();
    forger.tree = Frontier::new();
    forger.decide("accept");
    assert_eq!(forger.fault(), FaultKind::NoKey);
}

/// The key on paper is no secret: anybody can write a log that begins with it.
#[test]
fn a_log_that_nothing_signs_is_not_confirmed_by_its_key() {
    let mut forger = Forger::new();
    for _ in 0..5 {
        forger.decide("accept");
    }
    assert_eq!(forger.fault(), FaultKind::NoCheckpoint);
    assert!(!verdict(forger.dir().path(), &Anchors::default()).unwrap().first_key_confirmed);
    forger.checkpoint(0, 0);
    assert!(verdict(forger.dir().path(), &forger.anchors()).unwrap().first_key_confirmed);
}

#[test]
fn a_checkpoint_in_another_place_or_of_another_log_is_detected() {
    let mut forger = Forger::honest();
    let old = forger.notes[2].clone();
    forger.note(old, 1);
    assert!(matches!(forger.fault(), FaultKind::Misplaced("it is of another size")));
    let mut forger = Forger::honest();
    let foreign = Checkpoint::of("other.example", &forger.tree, forger.now).sign(&forger.keys[1].signer).unwrap();
    forger.note(foreign, 1);
    assert!(matches!(forger.fault(), FaultKind::Misplaced("it is of another log")));
    let mut forger = Forger::honest();
    let early = Checkpoint::of(ORIGIN, &forger.tree, forger.now - SignedDuration::from_secs(1));
    let early = early.sign(&forger.keys[1].signer).unwrap();
    forger.note(early, 1);
    assert!(matches!(forger.fault(), FaultKind::Misplaced("it was signed at another time")));
}

#[test]
fn a_checkpoint_that_is_no_extension_is_detected() {
    let mut forger = Forger::new();
    forger.decide("accept");
    let mut other = Frontier::new();
    other.push(leaf_hash(b"something"));
    other.push(leaf_hash(b"else"));
    let note = Checkpoint::of(ORIGIN, &other, forger.now).sign(&forger.keys[0].signer).unwrap();
    forger.note(note, 0);
    assert_eq!(forger.fault(), FaultKind::Root);
}

#[test]
fn a_silence_is_reported_and_time_does_not_run_backwards_unsaid() {
    let mut forger = Forger::honest();
    forger.now += SignedDuration::from_hours(5);
    forger.checkpoint(1, 1);
    let verified = verdict(forger.dir().path(), &forger.anchors()).unwrap();
    assert_eq!(verified.silences.len(), 1);

    let back = |forger: &mut Forger| forger.now -= SignedDuration::from_hours(1);
    let mut forger = Forger::honest();
    back(&mut forger);
    forger.checkpoint(1, 1);
    assert_eq!(forger.fault(), FaultKind::Time);
    let mut forger = Forger::honest();
    let before = forger.now;
    back(&mut forger);
    forger.event(&Event::Clock(ClockRecord { before, now: forger.now, jump: "back".into() }));
    forger.checkpoint(1, 1);
    assert_eq!(verdict(forger.dir().path(), &forger.anchors()).unwrap().clock_jumps, 1);
}

#[test]
fn a_record_dated_back_or_ahead_is_detected() {
    let minutes = SignedDuration::from_mins;
    // A little late: a message that took its time.
    let mut forger = Forger::honest();
    forger.now -= minutes(60);
    forger.decide("accept");
    assert!(verdict(forger.dir().path(), &forger.anchors()).is_ok());
    let mut forger = Forger::honest();
    forger.now -= minutes(63);
    forger.decide("accept");
    assert_eq!(forger.fault(), FaultKind::Late);
    // What is dated ahead is noticed by what stands behind it.
    let mut forger = Forger::honest();
    forger.now += minutes(120);
    forger.decide("accept");
    assert!(verdict(forger.dir().path(), &forger.anchors()).is_ok());
    forger.now -= minutes(120);
    forger.decide("accept");
    assert_eq!(forger.fault(), FaultKind::Late);
    // Whoever says that the clock was set back says it in a record, which is counted.
    let mut forger = Forger::honest();
    let before = forger.now;
    forger.now -= minutes(120);
    forger.event(&Event::Clock(ClockRecord { before, now: forger.now, jump: "back".into() }));
    forger.decide("accept");
    assert_eq!(verdict(forger.dir().path(), &forger.anchors()).unwrap().clock_jumps, 1);
    // A jump forward is no leave to go back.
    let mut forger = Forger::honest();
    let before = forger.now;
    forger.now -= minutes(120);
    forger.event(&Event::Clock(ClockRecord { before, now: before + minutes(5), jump: "forward".into() }));
    assert_eq!(forger.fault(), FaultKind::Late);
}

/// Only the very last octets of a log may be half a line: nothing hides in front of a line, however long it is.
#[test]
fn octets_before_a_line_are_no_torn_line() {
    let forger = Forger::honest();
    let mut logs = Vec::new();
    for octets in [1, LINE_BYTES_MAX, LINE_BYTES_MAX + 1, LINE_BYTES_MAX + 2, 3 * LINE_BYTES_MAX] {
        for at in [0, forger.lines.len() / 2, forger.lines.len() - 1] {
            let (before, after) = forger.lines.split_at(at);
            let log = [bytes_of(before), vec![b'x'; octets], bytes_of(after)].concat();
            logs.push((format!("{octets} octets before line {at}"), log));
        }
    }
    // In the unsigned end as well: here nothing but the form of the lines can tell.
    let dir = forger.dir();
    for (what, log) in &logs {
        std::fs::write(segment(dir.path()), log).unwrap();
        assert!(verdict(dir.path(), &forger.anchors()).is_err(), "not detected: {what}");
    }
    all_detected(&forger, logs.into_iter().filter(|(what, _)| !what.ends_with("line 8")));
    // What was never acknowledged is torn, however much it is.
    let torn = [bytes_of(&forger.lines), vec![0; 2 * LINE_BYTES_MAX]].concat();
    std::fs::write(segment(dir.path()), torn).unwrap();
    assert!(verdict(dir.path(), &forger.anchored()).unwrap().torn);
}

#[test]
fn a_key_of_another_name_or_none_at_all_is_detected() {
    let mut forger = Forger::new();
    forger.lines.clear();
    forger.tree = Frontier::new();
    let key = |key: &str| KeyRecord { key: key.into(), from: Timestamp::UNIX_EPOCH, ..KeyRecord::default() };
    forger.event(&Event::Key(key("log.example+00000000+AAAA")));
    let what = verdict(forger.dir().path(), &Anchors::default()).unwrap_err().what;
    assert_eq!(what, FaultKind::Key);
    let mut forger = Forger::new();
    forger.keys[1] = DayKey::draw("other.example").unwrap().0;
    forger.announce(0, 1, 1);
    assert_eq!(forger.fault(), FaultKind::Key);
}

#[test]
fn a_purge_that_no_record_covers_is_detected() {
    let mut forger = Forger::honest();
    let lines = forger.purged(&[1]);
    let what = verdict(dir_of(&lines).path(), &forger.anchored()).unwrap_err().what;
    assert_eq!(what, FaultKind::Purged { first: 1, last: 1 });
    // With the record it verifies, and the hash must still be the right one.
    forger.purge();
    let mut lines = forger.purged(&[1]);
    assert_eq!(verdict(dir_of(&lines).path(), &forger.anchored()).unwrap().purged, 1);
    lines[1] = purged_line(1, &[0; 32]);
    assert_eq!(verdict(dir_of(&lines).path(), &forger.anchored()).unwrap_err().what, FaultKind::Root);
}

#[test]
fn a_purge_of_younger_lines_than_its_record_says_is_detected() {
    let mut forger = Forger::honest();
    let day = forger.now.to_zoned(TimeZone::UTC).date();
    forger.purge_before(day);
    let what = verdict(dir_of(&forger.purged(&[1, 2])).path(), &forger.anchored()).unwrap_err().what;
    assert_eq!(what, FaultKind::PurgedEarly { first: 1, last: 2 });
    forger.purge_before(day.tomorrow().unwrap());
    assert_eq!(verdict(dir_of(&forger.purged(&[1, 2])).path(), &forger.anchored()).unwrap().purged, 2);
}

#[test]
fn a_missing_renamed_or_added_segment_is_detected() {
    let forger = Forger::honest();
    let dir = tempfile::tempdir().unwrap();
    let segments = dir.path().join("segments");
    std::fs::create_dir(&segments).unwrap();
    let write = |name: &str, lines: &[String]| std::fs::write(segments.join(name), bytes_of(lines)).unwrap();
    write("000000000000_2026-06-11.jsonl", &forger.lines[..4]);
    write("000000000004_2026-06-12.jsonl", &forger.lines[4..7]);
    write("000000000007_2026-06-13.jsonl", &forger.lines[7..]);
    assert!(verdict(dir.path(), &forger.anchored()).is_ok());
    assert_eq!(list_segments(&segments).unwrap().len(), 3);
    let middle = segments.join("000000000004_2026-06-12.jsonl");
    std::fs::rename(&middle, segments.join("000000000005_2026-06-12.jsonl")).unwrap();
    let what = verdict(dir.path(), &forger.anchored()).unwrap_err().what;
    assert_eq!(what, FaultKind::Segment { expected: 4, found: 5 });
    std::fs::remove_file(segments.join("000000000005_2026-06-12.jsonl")).unwrap();
    let what = verdict(dir.path(), &forger.anchored()).unwrap_err().what;
    assert_eq!(what, FaultKind::Segment { expected: 4, found: 7 });
    // A torn line is only ever the last of all.
    write("000000000004_2026-06-12.jsonl", &forger.lines[4..7]);
    let text = std::fs::read(&middle).unwrap();
    std::fs::write(&middle, &text[..text.len() - 1]).unwrap();
    assert_eq!(verdict(dir.path(), &forger.anchored()).unwrap_err().what, FaultKind::Torn);
}

#[test]
fn a_kept_checkpoint_of_no_key_of_this_log_is_an_alarm() {
    let forger = Forger::honest();
    let mut anchors = forger.anchors();
    let stranger = DayKey::draw(ORIGIN).unwrap().0;
    anchors.kept = vec![Checkpoint::of(ORIGIN, &forger.tree, forger.now).sign(&stranger.signer).unwrap()];
    let what = verdict(forger.dir().path(), &anchors).unwrap_err().what;
    assert_eq!(what, FaultKind::KeptForeign { size: 9 });
}

#[test]
fn every_attack_of_the_documented_table_is_played() {
    let page = include_str!("../../docs/log-format.md");
    let table = page
        .split("## What attacks a verifier must detect")
        .nth(1)
        .and_then(|rest| rest.split("\n## ").next())
        .unwrap();
    let sources = [include_str!("log_attacks.rs"), include_str!("log_cli.rs"), include_str!("log_journal.rs")].concat();
    let (mut rows, mut tests) = (0, 0);
    for row in table.lines().filter(|line| line.starts_with("| ") && line.contains('`')) {
        rows += 1;
        for name in
            row.split('`').skip(1).step_by(2).filter(|name| Path::new(name).extension().is_none_or(|e| e != "rs"))
        {
            assert!(sources.contains(&format!("#[test]\nfn {name}() {{")), "{name} is no test");
            tests += 1;
        }
    }
    assert!(rows > 20 && tests > 22, "{rows} rows, {tests} tests");
}

#[test]
fn the_fault_is_named_with_its_exact_place() {
    let forger = Forger::honest();
    let mut lines = forger.lines.clone();
    lines[3] = lines[3].replace("checkpoint", "cuckoo");
    let fault = verdict(dir_of(&lines).path(), &forger.anchored()).unwrap_err();
    let place = fault.place.unwrap();
    assert_eq!((place.line, fault.index), (4, 3));
    assert_eq!(place.offset, bytes_of(&lines[..3]).len() as u64);
    assert!(fault.to_string().starts_with("000000000000_2026-06-11.jsonl, line 4 (octet "));
}
