//! What the targets of the decision log share: honest logs, and ways to put octets into them.

#![allow(dead_code, reason = "every target uses a part of it")]

use std::path::Path;

use charter_milter::decision_log::record::{Event, OperatorRecord, Record};
use charter_milter::decision_log::{Journal, JournalError, Options, Role};
use jiff::Timestamp;

pub fn record(command: &str) -> Record {
    let record = OperatorRecord { command: command.into(), user: "fuzz".into(), ..OperatorRecord::default() };
    Record::new(Timestamp::UNIX_EPOCH, Event::Operator(record))
}

pub fn open(dir: &Path, role: Role) -> Result<Journal, JournalError> {
    Journal::open(&Options::new(dir, "log.example", role, Timestamp::UNIX_EPOCH))
}

/// In memory where there is such a place: a disk would be slow, and worn for nothing.
pub fn directory() -> tempfile::TempDir {
    let memory = Path::new("/dev/shm");
    let dir = if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    dir.expect("a directory")
}

/// Three octets say what is done with the others, and where.
pub struct Change<'a> {
    pub kind: u8,
    place: u16,
    pub octets: &'a [u8],
}

impl<'a> Change<'a> {
    pub fn read(input: &'a [u8]) -> Option<Self> {
        let ([kind, high, low], octets) = input.split_first_chunk()?;
        Some(Self { kind: *kind, place: u16::from_be_bytes([*high, *low]), octets })
    }

    /// Makes the change in something: appended to it, in the place of its end, of its middle, put between, or cut out.
    pub fn make(&self, whole: &[u8]) -> Vec<u8> {
        let (before, after) = whole.split_at(usize::from(self.place) % (whole.len() + 1));
        match self.kind % 6 {
            0 => [whole, self.octets].concat(),
            1 => [before, self.octets].concat(),
            2 => [before, self.octets, after.get(self.octets.len()..).unwrap_or_default()].concat(),
            3 => [before, self.octets, after].concat(),
            // 5 is free for what a target changes besides.
            _ => {
                let count = usize::from(self.octets.first().copied().unwrap_or(1));
                [before, after.get(count..).unwrap_or_default()].concat()
            }
        }
    }
}
