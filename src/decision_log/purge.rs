//! Retention: deleting old lines for good while the rest still verifies and old proofs still hold.
//!
//! A purged line is replaced by its leaf hash. Lines that carry the chain of keys and checkpoints stay, and so do the
//! traces of operators for five years (am:A3). The keys of pseudonyms whose period is over are destroyed with the lines.
//! The purge itself is a record, durable before the first line is touched: purged lines that no record covers are a fault.

use std::fs::{File, OpenOptions};
use std::io::{self, BufWriter, Write as _};

use jiff::Timestamp;
use jiff::civil::Date;
use jiff::tz::TimeZone;

use super::disk::{Disk, Layout, Medium as _, SegmentName, seal};
use super::failure::JournalError;
use super::journal::Journal;
use super::keys::KeyError;
use super::line::{Line, purged_line};
use super::pseudonym::{KeyPeriod, Pseudonymizer};
use super::reader::{ReadError, Segments};
use super::record::{Kind, PurgeRecord, Record};

/// Why a purge did not come to its end. It may be repeated.
#[derive(Debug, thiserror::Error)]
pub enum PurgeError {
    /// The log cannot be read.
    #[error(transparent)]
    Read(#[from] ReadError),
    /// The purge cannot be recorded.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// A period key cannot be destroyed.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A segment cannot be rewritten.
    #[error("cannot rewrite a segment: {0}")]
    Io(#[from] io::Error),
}

/// What a purge would do.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Plan {
    segments: Vec<SegmentName>,
    first: u64,
    last: u64,
    /// Lines to be deleted.
    pub purged: u64,
    /// Lines of the range that stay.
    pub kept: u64,
    /// Period keys to be destroyed.
    pub keys: Vec<KeyPeriod>,
    cutoff: Cutoff,
}

/// What counts as old, days in UTC.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Cutoff {
    /// Lines before this day go.
    pub before: Date,
    /// Except the traces of operators, which go when they are older than this day (am:A3: five years).
    pub operators_before: Date,
}

impl Plan {
    /// Finds what is older than `cutoff`; never in the segment that is being written.
    ///
    /// # Errors
    ///
    /// When the log cannot be read.
    pub fn new(layout: &Layout, pseudonyms: &Pseudonymizer, cutoff: Cutoff) -> Result<Self, PurgeError> {
        let segments = Segments::open(layout.root())?;
        let mut plan = Self { cutoff, ..Self::default() };
        // The range always begins with the log: lines of an earlier purge lie next to those of this one.
        plan.first = segments.names().first().map_or(0, |name| name.first);
        let (nexts, mut kept) = (segments.names().iter().skip(1), 0);
        for (name, next) in segments.names().iter().zip(nexts) {
            let mut purged = 0;
            let mut lines = segments.lines(*name)?;
            while let Some(raw) = lines.next_line()? {
                let line = Line::parse(raw.bytes).map_err(|error| ReadError::Line(raw.place, error))?;
                match goes(&line, cutoff) {
                    Some(true) => purged += 1,
                    Some(false) => kept += 1,
                    None => {}
                }
            }
            if purged > 0 {
                plan.segments.push(*name);
                plan.purged += purged;
                (plan.last, plan.kept) = (next.first.saturating_sub(1), kept);
            }
        }
        plan.keys = pseudonyms.periods()?.into_iter().filter(|period| period.to < cutoff.before).collect();
        Ok(plan)
    }

    /// Whether there is nothing to do.
    #[must_use]
    pub fn is_empty(&self) -> bool {
        self.purged == 0 && self.keys.is_empty()
    }

    /// Records the purge, deletes the lines, destroys the keys.
    ///
    /// # Errors
    ///
    /// When it cannot be recorded or the disk fails. What was not done yet is done by the next purge.
    pub fn carry_out(
        &self,
        layout: &Layout,
        journal: &Journal,
        pseudonyms: &Pseudonymizer,
        now: Timestamp,
    ) -> Result<(), PurgeError> {
        let record = PurgeRecord {
            before: self.cutoff.before,
            first: self.first,
            last: self.last,
            purged: self.purged,
            kept: self.kept,
            keys: self.keys.iter().map(ToString::to_string).collect(),
        };
        journal.append_blocking(&Record::new(now, record.into()))?;
        let segments = Segments::open(layout.root())?;
        for name in &self.segments {
            rewrite(layout, &segments, *name, self.cutoff)?;
        }
        for period in &self.keys {
            pseudonyms.destroy(period)?;
        }
        Ok(())
    }
}

/// Whether a line is deleted by a purge; `None` when it already is. Its own time counts: the day in a segment's name is not
/// signed, and a name is easily changed.
fn goes(line: &Line<'_>, cutoff: Cutoff) -> Option<bool> {
    let Line::Record(record) = line else { return None };
    let day = record.at.to_zoned(TimeZone::UTC).date();
    if record.kind == Kind::Operator {
        return Some(day < cutoff.operators_before);
    }
    Some(!record.kind.outlives_purge() && day < cutoff.before)
}

/// Writes a segment anew without the lines that go, beside it, and puts it in its place.
fn rewrite(layout: &Layout, segments: &Segments, name: SegmentName, cutoff: Cutoff) -> Result<(), PurgeError> {
    let path = segments.path(name);
    let draft = path.with_extension("jsonl.new");
    let file = OpenOptions::new().create(true).truncate(true).write(true).open(&draft)?;
    let mut out = BufWriter::new(&file);
    let mut lines = segments.lines(name)?;
    while let Some(raw) = lines.next_line()? {
        let line = Line::parse(raw.bytes).map_err(|error| ReadError::Line(raw.place, error))?;
        if goes(&line, cutoff) == Some(true) {
            out.write_all(purged_line(line.index(), &line.leaf()).as_bytes())?;
        } else {
            out.write_all(raw.bytes)?;
        }
        out.write_all(b"\n")?;
    }
    out.flush()?;
    drop(out);
    file.sync_all()?;
    layout.own(&draft)?;
    seal(&file)?;
    std::fs::rename(&draft, &path)?;
    Disk.sync_dir(&layout.segments())?;
    // Torn lines that were set aside from this segment go with it.
    let prefix = format!("{name}.");
    for entry in std::fs::read_dir(layout.torn())? {
        let entry = entry?;
        if entry.file_name().to_string_lossy().starts_with(&prefix) {
            std::fs::remove_file(entry.path())?;
        }
    }
    drop(File::open(layout.torn())?.sync_all());
    Ok(())
}
