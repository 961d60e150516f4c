//! Reading a log line by line, in constant memory. Takes no lock and writes nothing: what auditors have is a copy.

use std::fs::File;
use std::io::{self, BufRead, BufReader, Read as _};
use std::path::{Path, PathBuf};

use jiff::Timestamp;

use super::checkpoint::Checkpoint;
use super::disk::{SegmentName, list_segments};
use super::line::{LINE_BYTES_MAX, Line, LineError};
use super::record::{Event, Kind};

/// Where a line stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Place {
    /// The segment.
    pub segment: SegmentName,
    /// Number of the line in the segment, from 1, as editors count.
    pub line: u64,
    /// Where the line begins in the segment, octets.
    pub offset: u64,
}

impl std::fmt::Display for Place {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}, line {} (octet {})", self.segment, self.line, self.offset)
    }
}

/// The segments of a log, in order.
#[derive(Debug)]
pub struct Segments {
    dir: PathBuf,
    names: Vec<SegmentName>,
}

impl Segments {
    /// Lists the segments of the log in `dir` (the directory that has `segments/`, or that directory itself, which is what
    /// an auditor may have been given).
    ///
    /// # Errors
    ///
    /// When the directory cannot be read, or holds a file that is no segment.
    pub fn open(dir: &Path) -> io::Result<Self> {
        let inner = dir.join("segments");
        let dir = if inner.is_dir() { inner } else { dir.to_owned() };
        let names = list_segments(&dir)?;
        Ok(Self { dir, names })
    }

    /// The names.
    #[must_use]
    pub fn names(&self) -> &[SegmentName] {
        &self.names
    }

    /// The path of a segment.
    #[must_use]
    pub fn path(&self, name: SegmentName) -> PathBuf {
        self.dir.join(name.to_string())
    }

    /// Octets of all segments together.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn bytes(&self) -> io::Result<u64> {
        self.names.iter().map(|name| std::fs::metadata(self.path(*name)).map(|meta| meta.len())).sum()
    }

    /// The lines of one segment.
    ///
    /// # Errors
    ///
    /// When it cannot be opened.
    pub fn lines(&self, name: SegmentName) -> io::Result<SegmentLines> {
        let reader = BufReader::with_capacity(1 << 18, File::open(self.path(name))?);
        Ok(SegmentLines { reader, buffer: Vec::new(), next: Place { segment: name, line: 1, offset: 0 } })
    }

    /// Visits every complete line of the log in order. Bodies are not looked into: whoever wants one reads it, once, with
    /// [`RecordLine::event`](super::line::RecordLine::event).
    ///
    /// # Errors
    ///
    /// What `visit` returns; when the disk fails or a line is none.
    pub fn for_each(
        &self,
        mut visit: impl FnMut(Place, &Line<'_>, &[u8]) -> Result<(), ReadError>,
    ) -> Result<(), ReadError> {
        for name in &self.names {
            let mut lines = self.lines(*name)?;
            while let Some(raw) = lines.next_line()? {
                if !raw.complete {
                    continue;
                }
                let line = Line::frame(raw.bytes).map_err(|error| ReadError::Line(raw.place, error))?;
                visit(raw.place, &line, raw.bytes)?;
            }
        }
        Ok(())
    }
}

/// The last checkpoint signed before `time`; `None` when there is none. Looks at the newest segments first.
///
/// # Errors
///
/// When the log cannot be read.
pub fn last_checkpoint_before(dir: &Path, time: Timestamp) -> Result<Option<Checkpoint>, ReadError> {
    let segments = Segments::open(dir)?;
    for name in segments.names().iter().rev() {
        let mut last = None;
        let mut lines = segments.lines(*name)?;
        while let Some(raw) = lines.next_line()? {
            if !raw.complete {
                continue;
            }
            let bad = |error| ReadError::Line(raw.place, error);
            let Line::Record(record) = Line::frame(raw.bytes).map_err(bad)? else { continue };
            if record.kind != Kind::Checkpoint || record.at >= time {
                continue;
            }
            if let Event::Checkpoint(checkpoint) = record.event().map_err(bad)? {
                last = Checkpoint::parse(&checkpoint.note).ok().or(last);
            }
        }
        if last.is_some() {
            return Ok(last);
        }
    }
    Ok(None)
}

/// Why a log cannot be read.
#[derive(Debug, thiserror::Error)]
pub enum ReadError {
    /// The disk fails.
    #[error("cannot read the log: {0}")]
    Io(#[from] io::Error),
    /// A line is none.
    #[error("{0}: {1}")]
    Line(Place, LineError),
    /// The work on the lines failed.
    #[error("{0}")]
    Work(String),
}

/// The lines of one segment.
#[derive(Debug)]
pub struct SegmentLines {
    reader: BufReader<File>,
    buffer: Vec<u8>,
    next: Place,
}

/// A line as it stands on the disk.
#[derive(Debug)]
pub struct RawLine<'a> {
    /// Where.
    pub place: Place,
    /// Its octets, without the line feed.
    pub bytes: &'a [u8],
    /// Whether it ends with a line feed.
    pub complete: bool,
}

impl SegmentLines {
    /// The next line.
    ///
    /// # Errors
    ///
    /// What the system says.
    pub fn next_line(&mut self) -> io::Result<Option<RawLine<'_>>> {
        let Some(octets) = read_line(&mut self.reader, &mut self.buffer)? else { return Ok(None) };
        let place = self.next;
        self.next = Place { line: place.line + 1, offset: place.offset + octets.all, ..place };
        let bytes = self.buffer.strip_suffix(b"\n").unwrap_or(&self.buffer);
        Ok(Some(RawLine { place, bytes, complete: octets.complete }))
    }
}

/// How much of a file a line takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Octets {
    /// With its line feed, octets.
    pub all: u64,
    /// Whether it ends with a line feed.
    pub complete: bool,
}

/// Reads one line with its line feed into `line`; `None` at the end of the file. Of what is longer than a line may be, the rest
/// is read and forgotten: `line` is then longer than [`LINE_BYTES_MAX`] and no line for whoever parses it.
pub(super) fn read_line(reader: &mut impl BufRead, line: &mut Vec<u8>) -> io::Result<Option<Octets>> {
    line.clear();
    let limit = LINE_BYTES_MAX as u64 + 2;
    let mut all = reader.take(limit).read_until(b'\n', line)? as u64;
    let mut complete = line.ends_with(b"\n");
    while !complete && all >= limit {
        let part = reader.fill_buf()?;
        let end = part.iter().position(|octet| *octet == b'\n');
        let used = end.map_or(part.len(), |end| end + 1);
        if used == 0 {
            break;
        }
        reader.consume(used);
        all += used as u64;
        complete = end.is_some();
    }
    Ok((all > 0).then_some(Octets { all, complete }))
}
