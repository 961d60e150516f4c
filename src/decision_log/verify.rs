//! Verifying a log: from its segments, the auditors' first key, and whatever checkpoints they kept.
//!
//! One pass in constant memory. Every line is hashed into the tree; every checkpoint in the log must sign the tree as it
//! stands there, with the key of its epoch; every key must be endorsed by the one before and sealed by a last checkpoint
//! of it. The first thing that is wrong ends the verification, with its exact place.

use std::io;
use std::path::Path;

use jiff::civil::Date;
use jiff::tz::TimeZone;
use jiff::{SignedDuration, Timestamp};
use serde::Serialize;

use super::checkpoint::{Checkpoint, CheckpointError, Cosigner, VerifierKey, key_name};
use super::disk::{Layout, read_small};
use super::keys::check_endorsement;
use super::line::{Line, LineError, RecordLine};
use super::reader::{Place, Segments};
use super::record::{CheckpointRecord, Event, KeyRecord, Kind, PurgeRecord};
use super::tree::{Frontier, Hash};

/// Between two checkpoints there is at most an hour; a silence longer than this is reported.
pub const SILENCE_MAX: SignedDuration = SignedDuration::from_hours(2);

/// How far the time of a record may be behind that of one ahead of it: a decision bears the time at which the message was
/// taken up, and a long message on a slow line, or a disk that stalls, takes its time.
pub const LATE_MAX: SignedDuration = SignedDuration::from_hours(1);

/// What the verifier knows from elsewhere than the log.
#[derive(Debug, Clone, Default)]
pub struct Anchors {
    /// The first key, as the auditors wrote it down.
    pub first_key: Option<String>,
    /// Checkpoints that somebody kept, with or without cosignatures.
    pub kept: Vec<String>,
    /// The auditors who countersign.
    pub cosigners: Vec<Cosigner>,
    /// How many cosignatures make a checkpoint a witnessed one.
    pub quorum: usize,
}

/// A checkpoint, for people.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Head {
    /// Number of records signed.
    pub size: u64,
    /// When.
    pub time: Timestamp,
    /// Name and id of the key.
    pub key: String,
}

/// A stretch of time without a checkpoint.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Silence {
    /// The last checkpoint before.
    pub from: Timestamp,
    /// The first checkpoint after.
    pub to: Timestamp,
}

/// What was proven.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
pub struct Verified {
    /// Name of the log.
    pub origin: Option<String>,
    /// Number of records, purged ones included.
    pub records: u64,
    /// Number of purged records.
    pub purged: u64,
    /// What the purges say that they deleted: what was before this day.
    pub purged_before: Option<Date>,
    /// Time of the first record that is still there.
    pub since: Option<Timestamp>,
    /// Time of the last record.
    pub until: Option<Timestamp>,
    /// The first key of the log, a verifier key.
    pub first_key: Option<String>,
    /// Whether it is the auditors' key; when `false`, the log only agrees with itself.
    pub first_key_confirmed: bool,
    /// Number of keys that have signed or are announced.
    pub keys: u64,
    /// Number of checkpoints in the log.
    pub checkpoints: u64,
    /// The last checkpoint.
    pub last: Option<Head>,
    /// The last checkpoint of the key before the present one. What it signs cannot be changed even by who holds the present key.
    pub sealed: Option<Head>,
    /// The largest kept checkpoint that the log agrees with.
    pub anchored: Option<Head>,
    /// The largest checkpoint with a quorum of cosignatures.
    pub cosigned: Option<Head>,
    /// Names of the auditors who countersigned any checkpoint that was given.
    pub cosigners: Vec<String>,
    /// Records after the last checkpoint: in the log, not yet signed.
    pub unsigned: u64,
    /// Silences longer than [`SILENCE_MAX`].
    pub silences: Vec<Silence>,
    /// Number of records that say the clock jumped.
    pub clock_jumps: u64,
    /// Number of records that say something was repaired.
    pub recoveries: u64,
    /// The last line is torn: a writer died, or writes at this moment.
    pub torn: bool,
}

/// What is wrong, and where.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("{}{what}", place.map(|place| format!("{place}: ")).unwrap_or_default())]
pub struct Fault {
    /// Where; `None` when the fault is in no line.
    pub place: Option<Place>,
    /// Index of the record that is wrong, or would come next.
    pub index: u64,
    /// What.
    pub what: FaultKind,
}

/// What can be wrong with a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum FaultKind {
    /// The files cannot be read.
    #[error("cannot be read: {0}")]
    Unreadable(String),
    /// There is nothing.
    #[error("there is no segment")]
    Empty,
    /// A segment is missing, or one too many is there.
    #[error("a segment should begin at record {expected}, this one begins at {found}")]
    Segment {
        /// First index that a segment should have.
        expected: u64,
        /// First index that it has.
        found: u64,
    },
    /// A line is none.
    #[error("{0}")]
    Line(LineError),
    /// A segment that is not the last does not end with a line feed.
    #[error("the segment ends in the middle of a line")]
    Torn,
    /// A line is not the next one.
    #[error("record {found} where {expected} belongs")]
    Index {
        /// Index that belongs here.
        expected: u64,
        /// Index that is here.
        found: u64,
    },
    /// The first key is not the auditors'.
    #[error("the log begins with the key {found}, the auditors hold {expected}")]
    FirstKey {
        /// Name of the key in the log.
        found: String,
        /// Name of the auditors' key.
        expected: String,
    },
    /// A key that is none, or that bears the name of another log.
    #[error("the key announced is no key of this log")]
    Key,
    /// The auditors hold a key and the log has none.
    #[error("the log announces no key")]
    NoKey,
    /// The auditors hold a key, and it signs nothing.
    #[error("nothing in the log is signed")]
    NoCheckpoint,
    /// A key record that does not follow from the one before.
    #[error("key {found} announced where key {expected} belongs")]
    Epoch {
        /// Epoch that belongs here.
        expected: u64,
        /// Epoch that is here.
        found: u64,
    },
    /// The key before has not endorsed this one.
    #[error("the new key is not endorsed by the key before it: {0}")]
    Endorsement(CheckpointError),
    /// A checkpoint by a key outside of its epoch: too old, or not yet sealed in.
    #[error("a checkpoint of epoch {found} in epoch {current}")]
    KeyOutsideEpoch {
        /// The epoch of this part of the log.
        current: u64,
        /// The epoch of the checkpoint.
        found: u64,
    },
    /// A checkpoint that is none, or whose signature is false.
    #[error("{0}")]
    Checkpoint(CheckpointError),
    /// A checkpoint of another log, of another size, or at another time than its record says.
    #[error("the checkpoint does not belong here: {0}")]
    Misplaced(&'static str),
    /// The records are not those that were signed.
    #[error("the records before this checkpoint are not those that were signed")]
    Root,
    /// The time of a checkpoint runs backwards, and no record says that the clock was set back.
    #[error("the time of this checkpoint is before that of the last one")]
    Time,
    /// The time of a record runs backwards by more than [`LATE_MAX`], and no record says that the clock was set back.
    #[error("the time of this record is more than an hour before that of a record ahead of it")]
    Late,
    /// A purged line that no purge record covers.
    #[error("records {first} to {last} are purged, and no purge record says so")]
    Purged {
        /// First index.
        first: u64,
        /// Last index.
        last: u64,
    },
    /// Purged lines that are younger than any purge record allows.
    #[error("records {first} to {last} are purged, and are not older than the day before which records were purged")]
    PurgedEarly {
        /// First index.
        first: u64,
        /// Last index.
        last: u64,
    },
    /// A kept checkpoint is not of this log, or its signature is false.
    #[error("the kept checkpoint of {size} records is not signed by any key of this log")]
    KeptForeign {
        /// Number of records it signs.
        size: u64,
    },
    /// The latest checkpoint that the log itself has beside its segments contradicts them. Nobody outside kept it, so that it proves
    /// nothing where it agrees.
    #[error("the log's own file `checkpoint` contradicts it: {0}")]
    OwnCheckpoint(Box<FaultKind>),
    /// A kept checkpoint signs other records: there are two histories.
    #[error("the kept checkpoint signed at {time} has other records than this log: there are two histories")]
    TwoHistories {
        /// When the kept checkpoint was signed.
        time: Timestamp,
    },
    /// A kept checkpoint signs more records than there are.
    #[error("the checkpoint signed at {time} has {signed} records, this log has {found}: records are missing")]
    Shortened {
        /// When the kept checkpoint was signed.
        time: Timestamp,
        /// Number of records it signs.
        signed: u64,
        /// Number of records there are.
        found: u64,
    },
}

impl FaultKind {
    fn nowhere(self, index: u64) -> Fault {
        Fault { place: None, index, what: self }
    }
}

/// Verifies the log in `dir`. `progress` is told the octets read, now and then.
///
/// # Errors
///
/// The first thing that is wrong.
pub fn verify(dir: &Path, anchors: &Anchors, mut progress: impl FnMut(u64)) -> Result<Verified, Box<Fault>> {
    let unreadable = |error: io::Error| Box::new(FaultKind::Unreadable(error.to_string()).nowhere(0));
    // Before the segments, which may grow meanwhile.
    let own = match read_small(&Layout::at(dir).checkpoint(), NOTE_BYTES_MAX) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => None,
        other => Some(other.map_err(unreadable)?),
    };
    let segments = Segments::open(dir).map_err(unreadable)?;
    let Some(last) = segments.names().last().copied() else { return Err(Box::new(FaultKind::Empty.nowhere(0))) };
    let mut pass = Pass::new(anchors, own.as_deref())?;
    let mut done = 0;
    for name in segments.names() {
        let expected = pass.tree.size();
        if name.first != expected {
            let place = Some(Place { segment: *name, line: 1, offset: 0 });
            let what = FaultKind::Segment { expected, found: name.first };
            return Err(Box::new(Fault { place, index: expected, what }));
        }
        let mut lines = segments.lines(*name).map_err(unreadable)?;
        while let Some(raw) = lines.next_line().map_err(unreadable)? {
            let index = pass.tree.size();
            let at = |what| Box::new(Fault { place: Some(raw.place), index, what });
            if !raw.complete {
                // A torn line was never acknowledged: only the very last one may be torn.
                if *name != last {
                    return Err(at(FaultKind::Torn));
                }
                pass.seen.torn = true;
                continue;
            }
            pass.line(raw.bytes).map_err(at)?;
            done += raw.bytes.len() as u64 + 1;
            if index.is_multiple_of(PROGRESS_RECORDS) {
                progress(done);
            }
        }
    }
    progress(done);
    pass.finish().map_err(Box::new)
}

/// No checkpoint is longer, however many signed it.
const NOTE_BYTES_MAX: u64 = 1 << 16;

/// How often progress is told, records.
const PROGRESS_RECORDS: u64 = 4096;

/// A kept checkpoint.
struct Kept<'a> {
    note: &'a str,
    head: Checkpoint,
    agrees: bool,
    /// The log's own, which nobody else kept.
    is_own: bool,
}

impl<'a> Kept<'a> {
    fn new(note: &'a str, is_own: bool) -> Result<Self, FaultKind> {
        let head = Checkpoint::parse(note).map_err(FaultKind::Checkpoint);
        let head = head.map_err(|fault| if is_own { FaultKind::OwnCheckpoint(Box::new(fault)) } else { fault })?;
        Ok(Self { note, head, agrees: false, is_own })
    }

    /// What is wrong with it in a log of these keys and so many records.
    fn judge(&self, keys: &[VerifierKey], records: u64) -> Result<Head, FaultKind> {
        let (size, time) = (self.head.size, self.head.time);
        let opened = keys.iter().find(|key| Checkpoint::open_with(self.note, key).is_ok());
        let fault = match opened {
            None => FaultKind::KeptForeign { size },
            Some(_) if size > records => FaultKind::Shortened { time, signed: size, found: records },
            Some(_) if !self.agrees => FaultKind::TwoHistories { time },
            Some(key) => return Ok(Head { size, time, key: key_name(key.text()) }),
        };
        Err(if self.is_own { FaultKind::OwnCheckpoint(Box::new(fault)) } else { fault })
    }
}

/// The state of one pass over the log.
struct Pass<'a> {
    anchors: &'a Anchors,
    /// Sorted by size; those before `kept_next` have been compared.
    kept: Vec<Kept<'a>>,
    kept_next: usize,
    tree: Frontier,
    /// Every key announced so far, by epoch.
    keys: Vec<VerifierKey>,
    /// The epoch whose key signs now.
    epoch: usize,
    /// The key after the present one is announced, and a checkpoint of the present one signs that.
    sealed_in: bool,
    /// Index of the record that announced the last key.
    announced_at: u64,
    /// The latest time of a record since the clock was last set back.
    latest: Option<Timestamp>,
    /// A record since the last checkpoint says the clock was set back.
    clock_set_back: bool,
    purged_ranges: Vec<PurgedRange>,
    purge_records: Vec<PurgeRecord>,
    seen: Verified,
}

/// Purged lines next to each other.
struct PurgedRange {
    first: u64,
    last: u64,
    /// They are no older than this: the latest record ahead of them, less what a record may be late.
    since: Option<Timestamp>,
}

impl<'a> Pass<'a> {
    fn new(anchors: &'a Anchors, own: Option<&'a str>) -> Result<Self, Box<Fault>> {
        let notes = anchors.kept.iter().map(|note| Kept::new(note, false)).chain(own.map(|note| Kept::new(note, true)));
        let kept: Result<Vec<_>, FaultKind> = notes.collect();
        let mut kept = kept.map_err(|what| Box::new(what.nowhere(0)))?;
        kept.sort_by_key(|kept| kept.head.size);
        let mut pass = Self {
            anchors,
            kept,
            kept_next: 0,
            tree: Frontier::new(),
            keys: Vec::new(),
            epoch: 0,
            sealed_in: false,
            announced_at: 0,
            latest: None,
            clock_set_back: false,
            purged_ranges: Vec::new(),
            purge_records: Vec::new(),
            seen: Verified::default(),
        };
        pass.compare_kept();
        Ok(pass)
    }

    /// Takes in one line.
    fn line(&mut self, bytes: &[u8]) -> Result<(), FaultKind> {
        let line = Line::parse(bytes).map_err(FaultKind::Line)?;
        let expected = self.tree.size();
        if line.index() != expected {
            return Err(FaultKind::Index { expected, found: line.index() });
        }
        match &line {
            Line::Record(record) => self.record(record)?,
            Line::Purged { index, .. } => self.purged(*index),
        }
        self.tree.push(line.leaf());
        self.compare_kept();
        Ok(())
    }

    fn record(&mut self, record: &RecordLine<'_>) -> Result<(), FaultKind> {
        self.seen.since.get_or_insert(record.at);
        self.seen.until = Some(record.at);
        if record.kind != Kind::Clock {
            self.in_time(record.at)?;
        }
        // What stands in the others was held against the table of fields when the line was read; nothing here depends on it.
        if !matches!(record.kind, Kind::Key | Kind::Checkpoint | Kind::Purge | Kind::Clock | Kind::Recovery) {
            return Ok(());
        }
        match record.event().map_err(FaultKind::Line)? {
            Event::Key(key) => self.key(key, record.index),
            Event::Checkpoint(checkpoint) => self.checkpoint(&checkpoint, record),
            Event::Purge(purge) => {
                self.seen.purged_before = self.seen.purged_before.max(Some(purge.before));
                self.purge_records.push(purge);
                Ok(())
            }
            Event::Clock(clock) => {
                self.seen.clock_jumps += 1;
                if clock.now < clock.before {
                    self.clock_set_back = true;
                    self.latest = None;
                }
                self.in_time(record.at)
            }
            Event::Recovery(_) => {
                self.seen.recoveries += 1;
                Ok(())
            }
            _ => Ok(()),
        }
    }

    /// Whether a record fits the times of those ahead of it.
    fn in_time(&mut self, at: Timestamp) -> Result<(), FaultKind> {
        let latest = *self.latest.get_or_insert(at);
        if latest.duration_since(at) > LATE_MAX {
            return Err(FaultKind::Late);
        }
        self.latest = Some(latest.max(at));
        Ok(())
    }

    fn purged(&mut self, index: u64) {
        self.seen.purged += 1;
        match self.purged_ranges.last_mut() {
            Some(range) if range.last + 1 == index => range.last = index,
            _ => {
                let since = self.latest.and_then(|latest| latest.checked_sub(LATE_MAX).ok());
                self.purged_ranges.push(PurgedRange { first: index, last: index, since });
            }
        }
    }

    fn key(&mut self, key: KeyRecord, index: u64) -> Result<(), FaultKind> {
        let expected = self.keys.len() as u64;
        if key.epoch != expected {
            return Err(FaultKind::Epoch { expected, found: key.epoch });
        }
        let verifier = VerifierKey::parse(&key.key).map_err(|_| FaultKind::Key)?;
        match self.keys.last() {
            None => {
                if let Some(paper) = &self.anchors.first_key {
                    if paper.trim() != key.key {
                        let (found, expected) = (key_name(&key.key), key_name(paper.trim()));
                        return Err(FaultKind::FirstKey { found, expected });
                    }
                    self.seen.first_key_confirmed = true;
                }
                let unendorsed = key.endorsement.is_none();
                if !unendorsed {
                    return Err(FaultKind::Endorsement(CheckpointError::Malformed));
                }
                self.seen.origin = Some(verifier.name().to_owned());
                self.seen.first_key = Some(key.key);
            }
            // Two keys ahead of the one that signs would let a stolen key skip a day.
            Some(_) if self.epoch + 1 != self.keys.len() => {
                return Err(FaultKind::Epoch { expected: self.epoch as u64 + 1, found: key.epoch });
            }
            Some(before) => {
                check_endorsement(&key, before.text()).map_err(FaultKind::Endorsement)?;
                if verifier.name() != before.name() {
                    return Err(FaultKind::Key);
                }
            }
        }
        self.keys.push(verifier);
        self.announced_at = index;
        self.sealed_in = false;
        self.seen.keys += 1;
        Ok(())
    }

    fn checkpoint(&mut self, checkpoint: &CheckpointRecord, record: &RecordLine<'_>) -> Result<(), FaultKind> {
        let current = self.epoch as u64;
        let next = checkpoint.epoch == current + 1 && self.sealed_in;
        let outside = FaultKind::KeyOutsideEpoch { current, found: checkpoint.epoch };
        if checkpoint.epoch != current && !next {
            return Err(outside);
        }
        let slot = if next { self.epoch + 1 } else { self.epoch };
        let Some(key) = self.keys.get(slot) else { return Err(outside) };
        let head = Checkpoint::open_with(&checkpoint.note, key).map_err(FaultKind::Checkpoint)?;
        if Some(&head.origin) != self.seen.origin.as_ref() {
            return Err(FaultKind::Misplaced("it is of another log"));
        }
        if head.size != record.index {
            return Err(FaultKind::Misplaced("it is of another size"));
        }
        if head.time != record.at {
            return Err(FaultKind::Misplaced("it was signed at another time"));
        }
        if head.root != self.tree.root() {
            return Err(FaultKind::Root);
        }
        let signed = Head { size: head.size, time: head.time, key: key_name(key.text()) };
        self.check_time(&signed)?;
        if next {
            self.epoch += 1;
            self.sealed_in = false;
            self.seen.sealed = self.seen.last.take();
        } else if self.epoch + 1 < self.keys.len() && head.size > self.announced_at {
            self.sealed_in = true;
        }
        self.seen.last = Some(signed);
        self.seen.checkpoints += 1;
        Ok(())
    }

    fn check_time(&mut self, head: &Head) -> Result<(), FaultKind> {
        if let Some(last) = &self.seen.last {
            if head.time < last.time && !self.clock_set_back {
                return Err(FaultKind::Time);
            }
            if head.time.duration_since(last.time) > SILENCE_MAX {
                self.seen.silences.push(Silence { from: last.time, to: head.time });
            }
        }
        self.clock_set_back = false;
        Ok(())
    }

    /// Compares the kept checkpoints of the size that the tree has now.
    fn compare_kept(&mut self) {
        let size = self.tree.size();
        let mut root: Option<Hash> = None;
        while let Some(kept) = self.kept.get_mut(self.kept_next)
            && kept.head.size == size
        {
            if *root.get_or_insert_with(|| self.tree.root()) == kept.head.root {
                kept.agrees = true;
            }
            self.kept_next += 1;
        }
    }

    fn finish(mut self) -> Result<Verified, Fault> {
        let records = self.tree.size();
        self.seen.records = records;
        if self.anchors.first_key.is_some() && self.keys.is_empty() {
            return Err(FaultKind::NoKey.nowhere(records));
        }
        // That a log names the auditors' key is no proof of anything; anybody can copy a public key.
        if self.anchors.first_key.is_some() && self.seen.checkpoints == 0 {
            return Err(FaultKind::NoCheckpoint.nowhere(records));
        }
        self.check_purges().map_err(|what| what.nowhere(records))?;
        self.judge_kept().map_err(|what| what.nowhere(records))?;
        self.seen.unsigned = records - self.seen.last.as_ref().map_or(0, |last| last.size.min(records));
        Ok(self.seen)
    }

    fn check_purges(&self) -> Result<(), FaultKind> {
        for &PurgedRange { first, last, since } in &self.purged_ranges {
            let mut covering = self.purge_records.iter().filter(|purge| purge.first <= first && last <= purge.last);
            let was_old = |purge: &PurgeRecord| {
                let day = purge.before.to_zoned(TimeZone::UTC);
                since.is_none_or(|since| day.is_ok_and(|day| since < day.timestamp()))
            };
            let Some(any) = covering.next() else { return Err(FaultKind::Purged { first, last }) };
            if !was_old(any) && !covering.any(was_old) {
                return Err(FaultKind::PurgedEarly { first, last });
            }
        }
        Ok(())
    }

    /// A kept checkpoint must be signed by a key of this log, and sign the records of this log.
    fn judge_kept(&mut self) -> Result<(), FaultKind> {
        for kept in &self.kept {
            let head = kept.judge(&self.keys, self.tree.size())?;
            if kept.is_own {
                continue;
            }
            // Auditors return their signatures one by one: what counts is who signed this head, in whichever note.
            let same = |other: &&Kept<'_>| other.head == kept.head;
            let signed = |cosigner: &&Cosigner| {
                self.kept.iter().filter(same).any(|other| cosigner.cosigned(other.note).is_some())
            };
            let witnesses: Vec<_> = self.anchors.cosigners.iter().filter(signed).collect();
            for witness in &witnesses {
                if !self.seen.cosigners.iter().any(|name| name == witness.name()) {
                    self.seen.cosigners.push(witness.name().to_owned());
                }
            }
            if self.anchors.quorum > 0 && witnesses.len() >= self.anchors.quorum {
                self.seen.cosigned = Some(head.clone());
            }
            self.seen.anchored = Some(head);
        }
        Ok(())
    }
}
