//! The journal on a real disk: groups, several writers, crashes of the tail, the turn of the day.

use std::os::unix::fs::PermissionsExt as _;
use std::path::Path;

use charter_milter::decision_log::disk::list_segments;
use charter_milter::decision_log::failure::Damage;
use charter_milter::decision_log::line::{LINE_BYTES_MAX, Line, Reference};
use charter_milter::decision_log::record::{CheckpointReason, Event, Kind, OperatorRecord, Record};
use charter_milter::decision_log::verify::{Anchors, FaultKind, verify};
use charter_milter::decision_log::{Journal, JournalError, Options, Role};
use jiff::{SignedDuration, Timestamp};

pub const ORIGIN: &str = "gateway.example/charter";

pub fn at(text: &str) -> Timestamp {
    text.parse().unwrap()
}

pub fn noon() -> Timestamp {
    at("2026-06-11T12:00:00Z")
}

pub fn operator(at: Timestamp, command: &str) -> Record {
    let record = OperatorRecord { command: command.into(), user: "postmaster".into(), ..OperatorRecord::default() };
    Record::new(at, Event::Operator(record))
}

pub fn keeper(dir: &Path, now: Timestamp) -> Journal {
    Journal::open(&Options::new(dir, ORIGIN, Role::Keeper, now)).unwrap()
}

/// Every line of the log, in order.
pub fn lines(dir: &Path) -> Vec<String> {
    let segments = dir.join("segments");
    let names = list_segments(&segments).unwrap();
    names
        .iter()
        .flat_map(|name| {
            let text = std::fs::read_to_string(segments.join(name.to_string())).unwrap();
            text.lines().map(str::to_owned).collect::<Vec<_>>()
        })
        .collect()
}

pub fn kinds(dir: &Path) -> Vec<Kind> {
    lines(dir)
        .iter()
        .filter_map(|line| match Line::parse(line.as_bytes()).unwrap() {
            Line::Record(record) => Some(record.kind),
            Line::Purged { .. } => None,
        })
        .collect()
}

fn stands(dir: &Path, reference: Reference) {
    let lines = lines(dir);
    let line = Line::parse(lines[usize::try_from(reference.index).unwrap()].as_bytes()).unwrap();
    assert_eq!((line.index(), line.leaf()), (reference.index, reference.leaf));
}

#[test]
fn fifty_sessions_append_and_each_gets_its_own_place() {
    let dir = tempfile::tempdir().unwrap();
    let journal = keeper(dir.path(), noon());
    let runtime = tokio::runtime::Builder::new_multi_thread().worker_threads(2).build().unwrap();
    let references = runtime.block_on(async {
        let sessions: Vec<_> = (0..50)
            .map(|session| {
                let journal = journal.clone();
                tokio::spawn(async move {
                    let mut references = Vec::new();
                    for _ in 0..20 {
                        let record = operator(noon(), &format!("session {session}"));
                        references.push(journal.append(record).await.unwrap());
                    }
                    references
                })
            })
            .collect();
        let mut all = Vec::new();
        for session in sessions {
            all.extend(session.await.unwrap());
        }
        all
    });
    assert_eq!(references.len(), 1000);
    let lines = lines(dir.path());
    for reference in &references {
        let line = Line::parse(lines[usize::try_from(reference.index).unwrap()].as_bytes()).unwrap();
        assert_eq!((line.index(), line.leaf()), (reference.index, reference.leaf));
    }
    let mut places: Vec<_> = references.iter().map(|reference| reference.index).collect();
    places.sort_unstable();
    places.dedup();
    assert_eq!(places.len(), 1000, "no two records share a place");
}

#[test]
fn two_writers_share_one_log_across_the_turn_of_the_day() {
    let dir = tempfile::tempdir().unwrap();
    let daemon = keeper(dir.path(), noon());
    let command = Journal::open(&Options::new(dir.path(), ORIGIN, Role::Appender, noon())).unwrap();
    let mut references = Vec::new();
    for i in 0..10 {
        references.push(daemon.append_blocking(&operator(noon(), "daemon")).unwrap());
        references.push(command.append_blocking(&operator(noon(), "command")).unwrap());
        if i == 4 {
            let published = daemon.tick_blocking(at("2026-06-12T00:00:02Z"), &[]).unwrap();
            assert_eq!(published[0].reason, CheckpointReason::Rotation);
        }
    }
    for reference in references {
        stands(dir.path(), reference);
    }
    let names = list_segments(&dir.path().join("segments")).unwrap();
    assert_eq!(names.len(), 2);
    assert_eq!(names[1].day.to_string(), "2026-06-12");
    let sealed = std::fs::metadata(dir.path().join("segments").join(names[0].to_string())).unwrap();
    assert_eq!(sealed.permissions().mode() & 0o222, 0, "the day before takes no more lines");
    // The last record before the closing checkpoint of a day announces the key of the next.
    let kinds = kinds(dir.path());
    let last = usize::try_from(names[1].first).unwrap();
    assert_eq!(kinds[last - 2..last], [Kind::Key, Kind::Checkpoint]);
    assert!(!dir.path().join("private/retired.key").exists());
    assert!(!dir.path().join("private/next.key").exists());
}

#[test]
fn a_log_reopens_where_it_was_left() {
    let dir = tempfile::tempdir().unwrap();
    let mut expected = 0;
    for day in 11..15 {
        let now = at(&format!("2026-06-{day}T12:00:00Z"));
        let journal = keeper(dir.path(), now);
        journal.tick_blocking(now, &[]).unwrap();
        let reference = journal.append_blocking(&operator(now, "work")).unwrap();
        assert!(reference.index > expected);
        expected = reference.index;
    }
    // Without the note of where to resume, the whole log is read again, to the same end.
    std::fs::remove_file(dir.path().join("resume.json")).unwrap();
    let now = at("2026-06-15T12:00:00Z");
    let journal = keeper(dir.path(), now);
    assert_eq!(journal.append_blocking(&operator(now, "work")).unwrap().index, expected + 2);
}

#[test]
fn a_checkpoint_comes_every_hour_and_at_the_edges_of_a_window() {
    let dir = tempfile::tempdir().unwrap();
    let journal = keeper(dir.path(), noon());
    let window = vec!["cnrs-2018".to_owned()];
    let reasons = |now: &str, windows: &[String]| -> Vec<_> {
        journal.tick_blocking(at(now), windows).unwrap().into_iter().map(|published| published.reason).collect()
    };
    assert_eq!(reasons("2026-06-11T12:00:05Z", &[]), []);
    assert_eq!(reasons("2026-06-11T12:04:05Z", &window), [CheckpointReason::WindowOpened]);
    assert_eq!(reasons("2026-06-11T12:04:10Z", &window), []);
    assert_eq!(reasons("2026-06-11T12:08:10Z", &[]), [CheckpointReason::WindowClosed]);
    // Nothing happened, and the hour is signed all the same; a long sleep of the machine is recorded.
    assert_eq!(reasons("2026-06-11T13:00:01Z", &[]), [CheckpointReason::Hourly]);
    assert_eq!(reasons("2026-06-11T12:59:00Z", &[]), [CheckpointReason::Hourly]);
    assert_eq!(kinds(dir.path()).iter().filter(|kind| **kind == Kind::Clock).count(), 2);
}

#[test]
fn a_torn_last_line_is_set_aside_and_recorded() {
    let dir = tempfile::tempdir().unwrap();
    let kept = keeper(dir.path(), noon()).append_blocking(&operator(noon(), "kept")).unwrap();
    let name = list_segments(&dir.path().join("segments")).unwrap()[0].to_string();
    let path = dir.path().join("segments").join(&name);
    let before = std::fs::read(&path).unwrap();
    let torn = br#"{"v":1,"i":3,"at":"2026-"#;
    std::fs::write(&path, [before.as_slice(), torn].concat()).unwrap();

    let command = Journal::open(&Options::new(dir.path(), ORIGIN, Role::Appender, noon())).unwrap();
    command.append_blocking(&operator(noon(), "after")).unwrap();
    stands(dir.path(), kept);
    let kinds = kinds(dir.path());
    assert_eq!(kinds[kinds.len() - 2..], [Kind::Recovery, Kind::Operator]);
    assert_eq!(std::fs::read(dir.path().join("torn").join(format!("{name}.{}", before.len()))).unwrap(), torn);
}

/// A line that is longer than any may be is no torn one as long as something stands behind it: nothing of it is cut off.
#[test]
fn what_stands_before_a_line_is_never_cut_off() {
    let dir = tempfile::tempdir().unwrap();
    keeper(dir.path(), noon()).append_blocking(&operator(noon(), "kept")).unwrap();
    let name = list_segments(&dir.path().join("segments")).unwrap()[0].to_string();
    let path = dir.path().join("segments").join(&name);
    let before = std::fs::read(&path).unwrap();
    let last = before[..before.len() - 1].iter().rposition(|octet| *octet == b'\n').unwrap() + 1;
    let (ahead, line) = before.split_at(last);
    let smuggled = [ahead, vec![b'x'; LINE_BYTES_MAX + 2].as_slice(), line].concat();
    std::fs::write(&path, &smuggled).unwrap();
    assert!(matches!(damage(dir.path()), Damage::BadLine { .. }));
    assert_eq!(std::fs::read(&path).unwrap(), smuggled);
    // With nothing behind it, it was never acknowledged, however long it is: a disk may leave zeros behind.
    let zeros = vec![0; 2 * LINE_BYTES_MAX];
    std::fs::write(&path, [&before, zeros.as_slice()].concat()).unwrap();
    keeper(dir.path(), noon()).append_blocking(&operator(noon(), "after")).unwrap();
    assert!(std::fs::read(&path).unwrap().starts_with(&before));
    assert_eq!(std::fs::read(dir.path().join("torn").join(format!("{name}.{}", before.len()))).unwrap(), zeros);
}

#[test]
fn a_record_behind_its_time_is_told_apart_by_a_record_of_the_clock() {
    let dir = tempfile::tempdir().unwrap();
    let journal = keeper(dir.path(), noon());
    journal.append_blocking(&operator(noon(), "in time")).unwrap();
    journal.append_blocking(&operator(noon() - SignedDuration::from_mins(59), "a little late")).unwrap();
    assert!(!kinds(dir.path()).contains(&Kind::Clock));
    // Another process, whose clock was set back before the daemon saw it; and one that the last checkpoint is ahead of.
    let back = noon() - SignedDuration::from_mins(61);
    let command = Journal::open(&Options::new(dir.path(), ORIGIN, Role::Appender, back)).unwrap();
    let reference = command.append_blocking(&operator(back, "set back")).unwrap();
    stands(dir.path(), reference);
    let count = kinds(dir.path()).len();
    assert_eq!(kinds(dir.path())[count - 2..], [Kind::Clock, Kind::Operator]);
    journal.checkpoint_blocking(back).unwrap();
    journal.append_blocking(&operator(noon(), "forward again")).unwrap();
    drop((journal, command));
    let journal = keeper(dir.path(), back - SignedDuration::from_secs(1));
    journal.checkpoint_blocking(back - SignedDuration::from_secs(2)).unwrap();
    assert!(verify(dir.path(), &Anchors::default(), |_| ()).unwrap().clock_jumps >= 3);
}

fn damage(dir: &Path) -> Damage {
    match Journal::open(&Options::new(dir, ORIGIN, Role::Appender, noon())) {
        Err(JournalError::Damaged(damage)) => damage,
        other => panic!("a damaged log, not {other:?}"),
    }
}

#[test]
fn a_damaged_log_is_not_appended_to() {
    let dir = tempfile::tempdir().unwrap();
    let journal = keeper(dir.path(), noon());
    for _ in 0..5 {
        journal.append_blocking(&operator(noon(), "work")).unwrap();
    }
    drop(journal);
    let name = list_segments(&dir.path().join("segments")).unwrap()[0].to_string();
    let path = dir.path().join("segments").join(name);
    let good = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<_> = good.lines().collect();

    std::fs::write(&path, good.replace(lines[3], "not a record")).unwrap();
    assert!(matches!(damage(dir.path()), Damage::BadLine { .. }));
    std::fs::write(&path, good.replace(&format!("{}\n", lines[3]), "")).unwrap();
    assert!(matches!(damage(dir.path()), Damage::BadLine { why, .. } if why == "record 4 where 3 belongs"));
    std::fs::write(&path, "").unwrap();
    assert!(matches!(damage(dir.path()), Damage::Shortened { found: 0, .. }));
    std::fs::remove_file(&path).unwrap();
    assert_eq!(damage(dir.path()), Damage::MissingSegment { first: 0 });
}

#[test]
fn a_line_rewritten_under_the_daemon_is_never_signed() {
    let dir = tempfile::tempdir().unwrap();
    let journal = keeper(dir.path(), noon());
    journal.append_blocking(&operator(noon(), "honest")).unwrap();
    let name = list_segments(&dir.path().join("segments")).unwrap()[0].to_string();
    let path = dir.path().join("segments").join(name);
    let text = std::fs::read_to_string(&path).unwrap();
    std::fs::write(&path, text.replace("honest", "forged")).unwrap();
    let later = noon().saturating_add(SignedDuration::from_hours(1)).unwrap();
    assert!(matches!(journal.tick_blocking(later, &[]), Err(JournalError::Damaged(Damage::Rewritten { .. }))));
    // And from then on nothing is acknowledged.
    assert!(matches!(journal.append_blocking(&operator(noon(), "after")), Err(JournalError::Poisoned(_))));
}

#[test]
fn nothing_is_joined_to_half_a_line() {
    let dir = tempfile::tempdir().unwrap();
    let journal = keeper(dir.path(), noon());
    journal.append_blocking(&operator(noon(), "work")).unwrap();
    let later = noon().saturating_add(SignedDuration::from_hours(1)).unwrap();
    journal.tick_blocking(later, &[]).unwrap();
    drop(journal);
    let name = list_segments(&dir.path().join("segments")).unwrap()[0].to_string();
    let path = dir.path().join("segments").join(name);
    let resume = std::fs::read_to_string(dir.path().join("resume.json")).unwrap();
    let resume: serde_json::Value = serde_json::from_str(&resume).unwrap();
    // Below the last checkpoint nothing is read again; the end of the last line there is looked at all the same.
    let end = usize::try_from(resume["offset"].as_u64().unwrap()).unwrap();
    let mut octets = std::fs::read(&path).unwrap();
    octets[end - 1] = b' ';
    std::fs::write(&path, octets).unwrap();
    assert!(matches!(damage(dir.path()), Damage::Rewritten { .. }));
}

/// Every file below a directory.
fn files(dir: &Path) -> Vec<std::path::PathBuf> {
    let (mut files, mut places) = (Vec::new(), vec![dir.to_owned()]);
    while let Some(place) = places.pop() {
        for entry in std::fs::read_dir(place).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() { places.push(path) } else { files.push(path) }
        }
    }
    files
}

#[test]
fn the_private_half_of_yesterdays_key_is_nowhere() {
    let dir = tempfile::tempdir().unwrap();
    let journal = keeper(dir.path(), noon());
    let holding = |secret: &str| {
        files(dir.path()).iter().filter(|path| std::fs::read_to_string(path).unwrap().contains(secret)).count()
    };
    let mut secrets = Vec::new();
    for day in 1..4 {
        let key = std::fs::read_to_string(dir.path().join("private/signing.key")).unwrap();
        // `PRIVATE+KEY+<name>+<id>+<base64>`; the base64 may hold plus signs of its own.
        secrets.push(key.trim().splitn(5, '+').last().unwrap().to_owned());
        assert_eq!(holding(secrets.last().unwrap()), 1);
        journal.tick_blocking(noon() + SignedDuration::from_hours(24 * day), &[]).unwrap();
        for secret in &secrets {
            assert_eq!(holding(secret), 0, "a key that signs no more");
        }
    }
}

/// Whoever puts back an older copy of everything, keys and all, gets a daemon that goes on from there, since it cannot know. The
/// auditors do: the checkpoint they keep is of records that are no longer there, or of others.
#[test]
fn an_older_copy_in_the_place_of_the_log_is_told_by_a_kept_checkpoint() {
    let (dir, old) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
    let copy = |from: &Path, to: &Path| {
        std::fs::remove_dir_all(to).unwrap();
        assert!(std::process::Command::new("cp").arg("-a").args([from, to]).status().unwrap().success());
    };
    keeper(dir.path(), noon()).append_blocking(&operator(noon(), "work")).unwrap();
    copy(dir.path(), old.path());
    let later = noon() + SignedDuration::from_mins(10);
    let journal = keeper(dir.path(), later);
    journal.append_blocking(&operator(later, "unwelcome")).unwrap();
    let kept = vec![journal.checkpoint_blocking(later).unwrap().note];
    drop(journal);
    copy(old.path(), dir.path());
    let anchors = Anchors { kept, ..Anchors::default() };
    let fault = || verify(dir.path(), &anchors, |_| ()).unwrap_err().what;
    assert!(matches!(fault(), FaultKind::Shortened { .. }), "{:?}", fault());
    let journal = keeper(dir.path(), later);
    for _ in 0..9 {
        journal.append_blocking(&operator(later, "welcome")).unwrap();
    }
    assert!(matches!(fault(), FaultKind::TwoHistories { .. }), "{:?}", fault());
}

/// A partial restore: records that a checkpoint signs are gone, and so is what would have told the daemon at once.
#[test]
fn a_daemon_never_goes_on_from_less_than_its_latest_checkpoint_signs() {
    let dir = tempfile::tempdir().unwrap();
    let journal = keeper(dir.path(), noon());
    for _ in 0..9 {
        journal.append_blocking(&operator(noon(), "work")).unwrap();
    }
    journal.checkpoint_blocking(noon()).unwrap();
    drop(journal);
    let name = list_segments(&dir.path().join("segments")).unwrap()[0].to_string();
    let path = dir.path().join("segments").join(name);
    let whole = std::fs::read_to_string(&path).unwrap();
    let lines: Vec<&str> = whole.split_inclusive('\n').collect();
    let other = whole.replace("work", "play");
    for damaged in [lines[..lines.len() - 3].concat(), other] {
        std::fs::remove_file(dir.path().join("resume.json")).unwrap();
        std::fs::write(&path, &damaged).unwrap();
        let opened = Journal::open(&Options::new(dir.path(), ORIGIN, Role::Keeper, noon()));
        let error = opened.unwrap_err();
        assert!(matches!(error, JournalError::Damaged(Damage::Contradicted { .. })), "{error}");
        let fault = verify(dir.path(), &Anchors::default(), |_| ()).unwrap_err().what;
        assert!(!matches!(fault, FaultKind::Empty | FaultKind::Unreadable(_)), "{fault}");
        // Whoever brings the records back goes on.
        std::fs::write(&path, &whole).unwrap();
        drop(keeper(dir.path(), noon()));
        std::fs::write(&path, &whole).unwrap();
        std::fs::write(dir.path().join("checkpoint"), latest_note(&whole)).unwrap();
    }
    std::fs::write(&path, lines[..lines.len() - 3].concat()).unwrap();
    let fault = verify(dir.path(), &Anchors::default(), |_| ()).unwrap_err().what;
    assert!(
        matches!(&fault, FaultKind::OwnCheckpoint(what) if matches!(**what, FaultKind::Shortened { .. })),
        "{fault}"
    );
}

/// The note of the last checkpoint record of a segment.
fn latest_note(segment: &str) -> String {
    let records = segment.lines().map(|line| serde_json::from_str::<serde_json::Value>(line).unwrap());
    let mut notes = records.filter_map(|record| Some(record["body"]["note"].as_str()?.to_owned()));
    notes.next_back().unwrap()
}

#[test]
fn one_daemon_keeps_a_log() {
    let dir = tempfile::tempdir().unwrap();
    let journal = keeper(dir.path(), noon());
    let second = Journal::open(&Options::new(dir.path(), ORIGIN, Role::Keeper, noon()));
    assert_eq!(second.unwrap_err(), JournalError::AlreadyKept);
    drop(journal);
    let renamed = Journal::open(&Options::new(dir.path(), "other.example", Role::Keeper, noon()));
    assert!(matches!(renamed, Err(JournalError::Origin { .. })));
}

#[test]
fn days_on_which_nothing_happens_verify_too() {
    let dir = tempfile::tempdir().unwrap();
    let journal = keeper(dir.path(), noon());
    for day in 1..5 {
        journal.tick_blocking(noon() + SignedDuration::from_hours(24 * day), &[]).unwrap();
    }
    assert_eq!(verify(dir.path(), &Anchors::default(), |_| ()).unwrap().keys, 5);
}
