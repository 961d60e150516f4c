//! Why a log cannot be opened, or a record is not durable.

use std::io;

use super::checkpoint::CheckpointError;
use super::keys::KeyError;
use super::line::DraftError;

/// Why a record is not durable, or a log cannot be opened.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum JournalError {
    /// The log is not as it was left.
    #[error("the decision log is damaged: {0}")]
    Damaged(#[from] Damage),
    /// A write failed: the disk may be full.
    #[error("the decision log cannot be written: {0}")]
    Write(String),
    /// An `fdatasync` failed.
    #[error("the decision log cannot be made durable: {0}")]
    Sync(String),
    /// An earlier failure has not been made good.
    #[error("the decision log is out of service since an earlier failure: {0}")]
    Poisoned(Box<JournalError>),
    /// Something else failed on the disk.
    #[error("cannot {what}: {why}")]
    Io {
        /// What was being done.
        what: &'static str,
        /// What the system says.
        why: String,
    },
    /// A key cannot be had.
    #[error(transparent)]
    Key(#[from] KeyError),
    /// A checkpoint cannot be signed.
    #[error("a checkpoint cannot be signed: {0}")]
    Checkpoint(#[from] CheckpointError),
    /// The record cannot be written as a line.
    #[error(transparent)]
    Draft(#[from] DraftError),
    /// Another daemon keeps this log.
    #[error("another daemon keeps this log")]
    AlreadyKept,
    /// Only the daemon signs checkpoints.
    #[error("only the daemon signs checkpoints")]
    NotKeeper,
    /// The log has another name than the configuration says.
    #[error("this log is named {found}, not {expected}")]
    Origin {
        /// Its name.
        found: String,
        /// The name in the options.
        expected: String,
    },
    /// The writer has ended.
    #[error("the decision log is closed")]
    Closed,
}

impl JournalError {
    /// For `map_err`: an error of the system while doing `what`.
    pub(super) fn io(what: &'static str) -> impl Fn(io::Error) -> Self {
        move |error| Self::Io { what, why: error.to_string() }
    }
}

/// What is wrong with a log that was not left so by a crash. Nothing is appended to such a log.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum Damage {
    /// A complete line that is not a record of the log, or not the next one.
    #[error("{segment}, octet {offset}: {why}")]
    BadLine {
        /// The segment's file name.
        segment: String,
        /// Where the line begins, octets.
        offset: u64,
        /// What is wrong with it.
        why: String,
    },
    /// Fewer records than a checkpoint has signed, or than this process has seen.
    #[error("{segment}: records are missing at the end, {expected} octets were there, {found} are")]
    Shortened {
        /// The segment's file name.
        segment: String,
        /// Length it had, octets.
        expected: u64,
        /// Length it has, octets.
        found: u64,
    },
    /// The lines on disk are not those that were signed or written.
    #[error("the first {size} records are not those that were written")]
    Rewritten {
        /// Number of records.
        size: u64,
    },
    /// A segment that should be there is not, or one that should not be is.
    #[error("no segment begins at record {first}")]
    MissingSegment {
        /// Index of its first record.
        first: u64,
    },
    /// The lines on disk are not those that `log/checkpoint` signs.
    #[error(
        "the file `checkpoint` of the log signs {signed} records, and the log has others or fewer: bring the segments back from a \
         copy; a daemon that goes on from here signs a second history, and auditors who kept that checkpoint will see it"
    )]
    Contradicted {
        /// Number of records that it signs.
        signed: u64,
    },
    /// `resume.json` contradicts itself.
    #[error("resume.json is malformed; remove it to have the whole log read again")]
    Resume,
}
