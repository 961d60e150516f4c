//! A log that a crash, a bad disk or somebody with an editor has damaged: any bytes behind its end, in the place of its end, in
//! its middle, or in the place of what a writer resumes from.
//!
//! Opening it ends. When it fails, not a byte of the lines has changed. When it succeeds, every complete line that was there is
//! still there, in its place; a torn line is set aside and recorded; and the log takes records, none of them joined to half a line. `verify` never passes a log whose
//! signed lines are not what they were, before recovery or after it, and always passes one whose end was only torn.
#![no_main]

mod dice;

mod log;

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};
use std::sync::LazyLock;

use charter_milter::decision_log::Role;
use charter_milter::decision_log::checkpoint::Checkpoint;
use charter_milter::decision_log::line::{Line, LineError};
use charter_milter::decision_log::record::Kind;
use charter_milter::decision_log::verify::{Anchors, verify};
use jiff::Timestamp;
use libfuzzer_sys::fuzz_target;

use self::log::{Change, directory, open, record};

/// A log as its keeper left it: a key, records, a checkpoint that an auditor kept, and records behind it.
struct Honest {
    /// The files, by their path in the directory of the log.
    files: BTreeMap<PathBuf, Vec<u8>>,
    /// The one segment.
    segment: PathBuf,
    /// Its first octets, which the kept checkpoint signs.
    signed: usize,
    /// Where a writer reads on.
    resumed: usize,
    anchors: Anchors,
}

static HONEST: LazyLock<Honest> = LazyLock::new(|| {
    let dir = directory();
    let journal = open(dir.path(), Role::Keeper).expect("a new log");
    journal.append_blocking(&record("signed")).expect("a record");
    let kept = journal.checkpoint_blocking(Timestamp::UNIX_EPOCH).expect("a checkpoint").note;
    for _ in 0..3 {
        journal.append_blocking(&record("unsigned")).expect("a record");
    }
    drop(journal);
    let mut files = BTreeMap::new();
    let mut folders = vec![PathBuf::new()];
    while let Some(folder) = folders.pop() {
        for entry in std::fs::read_dir(dir.path().join(&folder)).expect("a folder") {
            let entry = entry.expect("an entry");
            let path = folder.join(entry.file_name());
            if entry.file_type().expect("a type").is_dir() {
                folders.push(path);
            } else {
                files.insert(path, std::fs::read(entry.path()).expect("a file"));
            }
        }
    }
    let is_segment = |path: &&PathBuf| path.starts_with("segments");
    let segment = files.keys().find(is_segment).expect("one segment").clone();
    let first_key = verify(dir.path(), &Anchors::default(), |_| ()).expect("an honest log").first_key;
    let size = Checkpoint::parse(&kept).expect("a checkpoint").size;
    let lines = files[&segment].split_inclusive(|octet| *octet == b'\n');
    let signed = lines.take(usize::try_from(size).expect("a size")).map(<[u8]>::len).sum();
    let resume: serde_json::Value = serde_json::from_slice(&files[Path::new("resume.json")]).expect("JSON");
    let resumed = usize::try_from(resume["offset"].as_u64().expect("an offset")).expect("a size");
    Honest { files, segment, signed, resumed, anchors: Anchors { first_key, kept: vec![kept], ..Anchors::default() } }
});

/// The octets up to the last line feed.
fn complete(segment: &[u8]) -> &[u8] {
    let end = segment.iter().rposition(|octet| *octet == b'\n').map_or(0, |at| at + 1);
    &segment[..end]
}

fn kinds(lines: &[u8]) -> Result<Vec<Option<Kind>>, LineError> {
    let lines = lines.split(|octet| *octet == b'\n').filter(|line| !line.is_empty());
    lines
        .map(|line| match Line::parse(line)? {
            Line::Record(record) => Ok(Some(record.kind)),
            Line::Purged { .. } => Ok(None),
        })
        .collect()
}

fuzz_target!(|raw: &[u8]| {
    let honest = &*HONEST;
    let Some(change) = Change::read(raw) else { return };
    // One kind more than those of a change: the octets in the place of what a writer resumes from.
    let resume = (change.kind % 6 == 5).then_some(change.octets);
    let lines = if resume.is_some() { honest.lines().to_vec() } else { change.make(honest.lines()) };
    let dir = directory();
    for (path, octets) in &honest.files {
        let path = dir.path().join(path);
        std::fs::create_dir_all(path.parent().expect("a folder")).expect("a folder");
        std::fs::write(path, octets).expect("a file");
    }
    let segment = dir.path().join(&honest.segment);
    std::fs::write(&segment, &lines).expect("a segment");
    if let Some(resume) = resume {
        std::fs::write(dir.path().join("resume.json"), resume).expect("a file");
    }
    let is_signed_whole = lines.starts_with(&honest.lines()[..honest.signed]);
    let only_torn = lines.starts_with(honest.lines()) && complete(&lines) == honest.lines();

    let before = verify(dir.path(), &honest.anchors, |_| ());
    assert!(is_signed_whole || before.is_err(), "a log whose signed lines were changed is passed");
    assert!(!only_torn || before.as_ref().is_ok_and(|found| found.anchored.is_some()), "{before:?}");

    let opened = open(dir.path(), Role::Appender);
    let Ok(journal) = opened else {
        assert_eq!(std::fs::read(&segment).expect("lines"), lines, "a log that does not open was changed");
        assert!(!only_torn || resume.is_some(), "a torn line keeps the log from opening: {opened:?}");
        return;
    };
    journal.append_blocking(&record("after")).expect("a log that opens takes records");
    drop(journal);
    let recovered = std::fs::read(&segment).expect("lines");
    let whole = complete(&lines);
    let added = recovered.strip_prefix(whole).expect("every complete line is still there, in its place");
    let torn = &lines[whole.len()..];
    let expected: &[Option<Kind>] =
        if torn.is_empty() { &[Some(Kind::Operator)] } else { &[Some(Kind::Recovery), Some(Kind::Operator)] };
    // Whatever the writer resumed from, and whatever stood there: what it adds is whole records, joined to no half of a line.
    let mut added = kinds(added).expect("what was added is records");
    // Behind lines from the future, the writer first says that its clock is behind them.
    added.retain(|kind| *kind != Some(Kind::Clock));
    // Who resumes does not read again what comes before; that is for `verify`.
    if lines.starts_with(&honest.lines()[..honest.resumed]) {
        assert_eq!(added, expected);
    }
    if !torn.is_empty() && lines.starts_with(&honest.lines()[..honest.resumed]) {
        let aside =
            std::fs::read_dir(dir.path().join("torn")).expect("a folder").next().expect("a file").expect("a file");
        assert_eq!(std::fs::read(aside.path()).expect("what was torn"), torn, "what was torn is not kept");
    }

    let after = verify(dir.path(), &honest.anchors, |_| ());
    assert!(is_signed_whole || after.is_err(), "recovery hides that signed lines were changed");
    assert!(is_signed_whole || resume.is_some() || !honest.is_resumed_behind(&lines), "a shortened log was opened");
    if only_torn {
        let found = after.expect("a log that was only torn");
        assert_eq!(found.recoveries, u64::from(!torn.is_empty()));
        assert!(found.anchored.is_some() && !found.torn);
    }
});

impl Honest {
    fn lines(&self) -> &[u8] {
        &self.files[&self.segment]
    }

    /// The lines are fewer octets than the checkpoint signed: who resumes from it cannot miss that.
    fn is_resumed_behind(&self, lines: &[u8]) -> bool {
        lines.len() < self.signed
    }
}
