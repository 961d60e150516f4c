//! Any bytes at the end of a log, as a crash or a bad disk leaves them: opening it ends, either with an error or with a log that
//! verifies, takes records, and still has every line that was there before.
#![no_main]

use std::sync::OnceLock;

use charter_milter::decision_log::record::{Event, OperatorRecord, Record};
use charter_milter::decision_log::verify::{Anchors, verify};
use charter_milter::decision_log::{Journal, Options, Role};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

fn record(command: &str) -> Record {
    let record = OperatorRecord { command: command.into(), user: "fuzz".into(), ..OperatorRecord::default() };
    Record::new(Timestamp::UNIX_EPOCH, Event::Operator(record))
}

fn open(dir: &std::path::Path) -> Result<Journal, charter_milter::decision_log::JournalError> {
    Journal::open(&Options::new(dir, "log.example", Role::Appender, Timestamp::UNIX_EPOCH))
}

/// A few honest lines and the name of their segment.
fn honest() -> &'static (Vec<u8>, String) {
    static HONEST: OnceLock<(Vec<u8>, String)> = OnceLock::new();
    HONEST.get_or_init(|| {
        let dir = tempfile::tempdir_in("/dev/shm").expect("a directory");
        let journal = open(dir.path()).expect("a new log");
        for _ in 0..3 {
            journal.append_blocking(&record("before")).expect("a record");
        }
        let segment = std::fs::read_dir(dir.path().join("segments")).expect("segments").next().expect("one").expect("one");
        (std::fs::read(segment.path()).expect("lines"), segment.file_name().to_string_lossy().into_owned())
    })
}

fuzz_target!(|raw: &[u8]| {
    let (lines, name) = honest();
    let dir = tempfile::tempdir_in("/dev/shm").expect("a directory");
    std::fs::create_dir(dir.path().join("segments")).expect("a directory");
    let segment = dir.path().join("segments").join(name);
    std::fs::write(&segment, [lines.as_slice(), raw].concat()).expect("a segment");
    let Ok(journal) = open(dir.path()) else { return };
    journal.append_blocking(&record("after")).expect("a log that opens takes records");
    drop(journal);
    assert!(std::fs::read(&segment).expect("lines").starts_with(lines));
    // A line of another kind may have been appended by the fuzzer, and be in order; a false checkpoint or key is a fault.
    if let Err(fault) = verify(dir.path(), &Anchors::default(), |_| ()) {
        assert!(fault.place.is_some() || !raw.is_empty(), "{fault}");
    }
});
