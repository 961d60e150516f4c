//! The end of the log as one process knows it: the open segment and the frontier of the tree.
//!
//! Several processes append to one log. Whoever writes holds an exclusive lock (`flock` on the file `lock`), first reads
//! what others appended, then appends, makes it durable, and unlocks. A segment whose write permission is taken away is
//! sealed: the next one begins where it ends.

use std::fs::File;
use std::io::{self, BufReader, Read as _, Seek as _, SeekFrom};
use std::os::unix::fs::FileExt as _;
use std::sync::Arc;

use data_encoding::HEXLOWER;
use jiff::Timestamp;
use jiff::tz::TimeZone;
use serde::{Deserialize, Serialize};
use sha2::{Digest as _, Sha256};

use super::checkpoint::Checkpoint;
use super::disk::{Layout, Medium, SegmentName, read_small, seal, state_of};
use super::failure::{Damage, JournalError};
use super::line::{Draft, Line, LineError, RecordLine, Reference};
use super::reader::read_line;
use super::record::{ClockRecord, Event, KeyRecord, Kind, RecoveryRecord};
use super::tree::Frontier;
use super::verify::LATE_MAX;

/// `resume.json` holds at most 64 hashes and one note, octets.
const RESUME_BYTES_MAX: u64 = 128 << 10;

/// From where a process that opens the log reads on: the state of the log at its last checkpoint.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Resume {
    /// The tree that was signed.
    pub tree: Frontier,
    /// The segment in which the next record stands.
    pub segment: String,
    /// Where in the segment it stands, octets.
    pub offset: u64,
    /// The checkpoint.
    pub note: String,
    /// The last key announced before it.
    pub key: Option<KeyRecord>,
    /// The latest time of a record before it, since the clock was last set back.
    pub latest: Option<Timestamp>,
}

/// The open segment.
#[derive(Debug)]
struct Open {
    name: SegmentName,
    file: File,
    /// Octets that this process has read or written.
    len: u64,
}

/// The end of the log.
#[derive(Debug)]
pub struct Tail {
    pub(super) layout: Layout,
    pub(super) medium: Arc<dyn Medium>,
    lock: File,
    open: Option<Open>,
    tree: Frontier,
    key: Option<KeyRecord>,
    /// The latest time of a record since the clock was last set back.
    latest: Option<Timestamp>,
    resume: Option<Resume>,
}

impl Tail {
    /// Opens the log: reads from the last checkpoint on, and sets a torn last line aside.
    ///
    /// # Errors
    ///
    /// When the log is damaged, or the disk fails.
    pub fn open(layout: Layout, medium: Arc<dyn Medium>, now: Timestamp) -> Result<Self, JournalError> {
        layout.create().map_err(JournalError::io("create the directory of the log"))?;
        let lock = layout.open_lock(&layout.lock()).map_err(JournalError::io("open the lock"))?;
        let mut tail =
            Self { layout, medium, lock, open: None, tree: Frontier::new(), key: None, latest: None, resume: None };
        tail.locked(|tail| {
            tail.load_resume()?;
            tail.catch_up(now)
        })?;
        Ok(tail)
    }

    /// Runs `work` while holding the lock.
    ///
    /// # Errors
    ///
    /// What `work` returns; when the lock cannot be had.
    pub fn locked<T>(&mut self, work: impl FnOnce(&mut Self) -> Result<T, JournalError>) -> Result<T, JournalError> {
        self.lock.lock().map_err(JournalError::io("lock the log"))?;
        let result = work(self);
        // Closing the file would unlock it too; nothing is lost when this fails.
        let _ = self.lock.unlock();
        result
    }

    /// Number of records.
    #[must_use]
    pub fn size(&self) -> u64 {
        self.tree.size()
    }

    /// The tree.
    #[must_use]
    pub fn tree(&self) -> &Frontier {
        &self.tree
    }

    /// The last key announced.
    #[must_use]
    pub fn key(&self) -> Option<&KeyRecord> {
        self.key.as_ref()
    }

    /// The latest time of a record since the clock was last set back.
    #[must_use]
    pub fn latest(&self) -> Option<Timestamp> {
        self.latest
    }

    /// The state at the last checkpoint.
    #[must_use]
    pub fn resume(&self) -> Option<&Resume> {
        self.resume.as_ref()
    }

    fn load_resume(&mut self) -> Result<(), JournalError> {
        let text = match read_small(&self.layout.resume(), RESUME_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            other => other.map_err(JournalError::io("read resume.json"))?,
        };
        let resume: Resume = serde_json::from_str(&text).map_err(|_| Damage::Resume)?;
        let name: SegmentName = resume.segment.parse().map_err(|()| Damage::Resume)?;
        let signed = Checkpoint::parse(&resume.note).map_err(|_| Damage::Resume)?;
        let tree = &resume.tree;
        if !tree.is_sound() || signed.size != tree.size() || signed.root != tree.root() {
            return Err(Damage::Resume.into());
        }
        if !self.layout.segments().join(&resume.segment).exists() {
            return Err(Damage::MissingSegment { first: name.first }.into());
        }
        let file = self.layout.open_segment(&*self.medium, &name).map_err(JournalError::io("open a segment"))?;
        if !ends_line(&file, resume.offset).map_err(JournalError::io("read a segment"))? {
            return Err(Damage::Rewritten { size: tree.size() }.into());
        }
        self.open = Some(Open { name, file, len: resume.offset });
        self.tree = tree.clone();
        self.key.clone_from(&resume.key);
        self.latest = resume.latest;
        self.resume = Some(resume);
        Ok(())
    }

    /// Reads what other processes appended. Only under the lock.
    ///
    /// # Errors
    ///
    /// When the log is damaged, or the disk fails.
    pub fn catch_up(&mut self, now: Timestamp) -> Result<(), JournalError> {
        loop {
            let Some(open) = &self.open else {
                self.next_segment(now)?;
                continue;
            };
            let (len, sealed) = state_of(&open.file).map_err(JournalError::io("look at a segment"))?;
            if len < open.len {
                let segment = open.name.to_string();
                return Err(Damage::Shortened { segment, expected: open.len, found: len }.into());
            }
            if len > open.len {
                self.read_on(now)?;
            }
            if !sealed {
                return Ok(());
            }
            self.next_segment(now)?;
        }
    }

    /// Opens the segment that begins with the next record; creates it when there is none.
    fn next_segment(&mut self, now: Timestamp) -> Result<(), JournalError> {
        let names = self.layout.list_segments().map_err(JournalError::io("list the segments"))?;
        let size = self.tree.size();
        let last_day = names.last().map(|name| name.day);
        let name = match names.iter().find(|name| name.first == size && !self.is_open(name)) {
            Some(name) => *name,
            None if names.last().is_some_and(|last| last.first >= size && !self.is_open(last)) => {
                return Err(Damage::MissingSegment { first: size }.into());
            }
            None => {
                let today = now.to_zoned(TimeZone::UTC).date();
                SegmentName { first: size, day: last_day.map_or(today, |day| day.max(today)) }
            }
        };
        let file = self.layout.open_segment(&*self.medium, &name).map_err(JournalError::io("open a segment"))?;
        self.open = Some(Open { name, file, len: 0 });
        Ok(())
    }

    fn is_open(&self, name: &SegmentName) -> bool {
        self.open.as_ref().is_some_and(|open| open.name == *name)
    }

    /// Reads the open segment from where this process stopped.
    fn read_on(&mut self, now: Timestamp) -> Result<(), JournalError> {
        let Some(mut open) = self.open.take() else { return Ok(()) };
        let torn = self.read_lines(&mut open);
        self.open = Some(open);
        if torn? { self.set_aside(now) } else { Ok(()) }
    }

    /// Takes in the complete lines; whether something stands after the last line feed.
    fn read_lines(&mut self, open: &mut Open) -> Result<bool, JournalError> {
        let mut file = &open.file;
        file.seek(SeekFrom::Start(open.len)).map_err(JournalError::io("read a segment"))?;
        let mut reader = BufReader::with_capacity(1 << 16, file);
        let mut line = Vec::new();
        while let Some(octets) = read_line(&mut reader, &mut line).map_err(JournalError::io("read a segment"))? {
            if !octets.complete {
                return Ok(true);
            }
            let bytes = line.strip_suffix(b"\n").unwrap_or(&line);
            let bad = |why| Damage::BadLine { segment: open.name.to_string(), offset: open.len, why };
            let parsed = Line::parse(bytes).map_err(|error| bad(error.to_string()))?;
            if parsed.index() != self.tree.size() {
                return Err(bad(format!("record {} where {} belongs", parsed.index(), self.tree.size())).into());
            }
            if let Line::Record(record) = &parsed {
                self.note(record).map_err(|error| bad(error.to_string()))?;
            }
            self.tree.push(parsed.leaf());
            open.len += octets.all;
        }
        Ok(false)
    }

    /// Remembers what writers need to know of a record.
    fn note(&mut self, record: &RecordLine<'_>) -> Result<(), LineError> {
        match record.kind {
            Kind::Key | Kind::Clock => match record.event()? {
                Event::Key(key) => self.key = Some(key),
                Event::Clock(clock) if clock.now < clock.before => self.latest = None,
                _ => {}
            },
            _ => {}
        }
        self.latest = self.latest.max(Some(record.at));
        Ok(())
    }

    /// Sets a torn line aside and records it. It was never acknowledged: its writer died before its line feed was durable.
    fn set_aside(&mut self, now: Timestamp) -> Result<(), JournalError> {
        let Some(open) = &self.open else { return Ok(()) };
        let torn = &read_from(&open.file, open.len).map_err(JournalError::io("read a segment"))?;
        let record = RecoveryRecord {
            what: "torn-line".into(),
            segment: open.name.to_string(),
            offset: open.len,
            bytes: torn.len() as u64,
            sha256: HEXLOWER.encode(&Sha256::digest(torn)),
        };
        let path = self.layout.torn().join(format!("{}.{}", open.name, open.len));
        self.layout.replace(&*self.medium, &path, torn, false).map_err(JournalError::io("set a torn line aside"))?;
        self.medium.truncate(&open.file, open.len).map_err(JournalError::io("cut a torn line"))?;
        self.append(&[Draft::new(now, &record.into())?])?;
        Ok(())
    }

    /// Appends records and makes them durable. Only under the lock, after [`Tail::catch_up`].
    ///
    /// # Errors
    ///
    /// When they are not durable. They are then not in the log, as far as the disk lets itself be told so.
    pub fn append(&mut self, drafts: &[Draft]) -> Result<Vec<Reference>, JournalError> {
        let Some(open) = &mut self.open else { return Err(JournalError::Closed) };
        let (mut tree, mut latest) = (self.tree.clone(), self.latest);
        let mut bytes = Vec::with_capacity(drafts.len() * 1024);
        let mut references = Vec::with_capacity(drafts.len());
        let mut write = |draft: &Draft| {
            let line = draft.line(tree.size());
            let leaf = super::tree::leaf_hash(line.as_bytes());
            let reference = Reference { index: tree.size(), leaf };
            tree.push(leaf);
            bytes.extend_from_slice(line.as_bytes());
            bytes.push(b'\n');
            reference
        };
        for draft in drafts {
            if let Some(said) = set_back(latest, draft)? {
                write(&said);
                latest = None;
            }
            if draft.sets_back {
                latest = None;
            }
            latest = latest.max(Some(draft.at));
            references.push(write(draft));
        }
        if let Err(error) = self.medium.append(&open.file, &bytes) {
            // Nothing of this group was acknowledged: what got to the disk of it is cut off again. When that fails too,
            // the next one to open the log finds a torn line, or lines nobody was promised.
            let _ = self.medium.truncate(&open.file, open.len);
            return Err(JournalError::Write(error.to_string()));
        }
        if let Err(error) = self.medium.sync(&open.file) {
            // A failed fsync is never retried: the system may have dropped the pages and would report success.
            let _ = self.medium.truncate(&open.file, open.len);
            return Err(JournalError::Sync(error.to_string()));
        }
        open.len += bytes.len() as u64;
        (self.tree, self.latest) = (tree, latest);
        Ok(references)
    }

    /// Remembers a key that was appended by this process.
    pub fn announced(&mut self, key: KeyRecord) {
        self.key = Some(key);
    }

    /// Reads again, from the disk, what was appended since the last checkpoint, and compares it with what this process
    /// believes: a tree that is no extension of the last one signed is never signed.
    ///
    /// # Errors
    ///
    /// [`Damage::Rewritten`] when they differ; when the log is damaged otherwise, or the disk fails.
    pub fn confirm(&self) -> Result<(), JournalError> {
        let published = self.published()?;
        let names = self.layout.list_segments().map_err(JournalError::io("list the segments"))?;
        let mut tree = Frontier::new();
        let mut start = None;
        if let Some(resume) = &self.resume {
            tree = resume.tree.clone();
            start = resume.segment.parse::<SegmentName>().ok().map(|name| (name, resume.offset));
        }
        for name in names {
            let offset = match &start {
                Some((first, _)) if name < *first => continue,
                Some((first, offset)) if name == *first => *offset,
                _ if name.first != tree.size() => return Err(Damage::MissingSegment { first: tree.size() }.into()),
                _ => 0,
            };
            let path = self.layout.segments().join(name.to_string());
            let mut file = File::open(path).map_err(JournalError::io("read a segment"))?;
            file.seek(SeekFrom::Start(offset)).map_err(JournalError::io("read a segment"))?;
            let mut reader = BufReader::with_capacity(1 << 16, file);
            let mut line = Vec::new();
            while read_line(&mut reader, &mut line).map_err(JournalError::io("read a segment"))?.is_some() {
                let bytes = line.strip_suffix(b"\n").unwrap_or(&line);
                let leaf = Line::parse(bytes).map(|line| line.leaf());
                tree.push(leaf.map_err(|_| Damage::Rewritten { size: self.tree.size() })?);
                if let Some(head) =
                    published.as_ref().filter(|head| head.size == tree.size() && head.root != tree.root())
                {
                    return Err(Damage::Contradicted { signed: head.size }.into());
                }
            }
        }
        if let Some(head) = published.filter(|head| head.size > tree.size()) {
            return Err(Damage::Contradicted { signed: head.size }.into());
        }
        if tree == self.tree { Ok(()) } else { Err(Damage::Rewritten { size: self.tree.size() }.into()) }
    }

    /// The latest checkpoint that was published, which outlives `resume.json`; what is no checkpoint signs nothing.
    fn published(&self) -> Result<Option<Checkpoint>, JournalError> {
        match read_small(&self.layout.checkpoint(), RESUME_BYTES_MAX) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
            other => Ok(Checkpoint::parse(&other.map_err(JournalError::io("read the latest checkpoint"))?).ok()),
        }
    }

    /// Notes that `note` signs the tree as it is now, for those who open the log later. Only under the lock.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn signed(&mut self, note: &str) -> Result<(), JournalError> {
        let Some(open) = &self.open else { return Err(JournalError::Closed) };
        let resume = Resume {
            tree: self.tree.clone(),
            segment: open.name.to_string(),
            offset: open.len,
            note: note.to_owned(),
            key: self.key.clone(),
            latest: self.latest,
        };
        let json = serde_json::to_string(&resume).map_err(|_| Damage::Resume)?;
        self.layout
            .replace(&*self.medium, &self.layout.checkpoint(), note.as_bytes(), false)
            .and_then(|()| self.layout.replace(&*self.medium, &self.layout.resume(), json.as_bytes(), false))
            .map_err(JournalError::io("write the checkpoint"))?;
        self.resume = Some(resume);
        Ok(())
    }

    /// Seals the open segment, so that the next record begins a new one. Only under the lock.
    ///
    /// # Errors
    ///
    /// When the disk fails.
    pub fn seal(&mut self, now: Timestamp) -> Result<(), JournalError> {
        let Some(open) = &self.open else { return Ok(()) };
        if open.name.first == self.tree.size() {
            // An empty segment is not worth sealing, and two segments cannot begin at one record.
            return Ok(());
        }
        seal(&open.file).map_err(JournalError::io("seal a segment"))?;
        self.next_segment(now)
    }

    /// The day the open segment was begun.
    #[must_use]
    pub fn segment_day(&self) -> Option<jiff::civil::Date> {
        self.open.as_ref().map(|open| open.name.day)
    }
}

/// The record that has to stand before `draft`, when its time is so far behind that a verifier would ask why: the clock was set
/// back, and the daemon has not seen it yet.
fn set_back(latest: Option<Timestamp>, draft: &Draft) -> Result<Option<Draft>, JournalError> {
    let Some(before) = latest.filter(|latest| latest.duration_since(draft.at) > LATE_MAX && !draft.sets_back) else {
        return Ok(None);
    };
    let record = ClockRecord { before, now: draft.at, jump: "back".into() };
    Ok(Some(Draft::new(draft.at, &record.into())?))
}

/// What stands in a segment from this octet on.
fn read_from(segment: &File, offset: u64) -> io::Result<Vec<u8>> {
    let (mut segment, mut rest) = (segment, Vec::new());
    segment.seek(SeekFrom::Start(offset))?;
    segment.read_to_end(&mut rest)?;
    Ok(rest)
}

/// Whether a line ends at this octet, or the segment before it: what is appended must not be joined to half a line.
fn ends_line(segment: &File, offset: u64) -> io::Result<bool> {
    let mut last = [0];
    let Some(at) = offset.checked_sub(1) else { return Ok(true) };
    let read = segment.read_at(&mut last, at)?;
    Ok(read == 0 || last == *b"\n")
}
