//! How a log is opened, and by whom.

use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use jiff::Timestamp;

use super::disk::{Disk, Medium};

/// How a log is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// The directory of the log.
    pub dir: PathBuf,
    /// The name of the log, in every checkpoint: a schema-less URL such as `gateway.example/charter`. No spaces, no `+`.
    /// Empty: the name the log already has, or for a new one the host's name followed by `/charter-milter`.
    pub origin: String,
    /// What this process may do.
    pub role: Role,
    /// The clock, now.
    pub now: Timestamp,
    /// At most so many records in one group; 1 turns group commit off, for measuring.
    pub group_records_max: usize,
    /// How often the tree is signed, also when nothing happened.
    pub checkpoint_interval: Duration,
    /// The disk, or a worse one in tests.
    pub medium: Arc<dyn Medium>,
}

impl Options {
    /// The usual options.
    #[must_use]
    pub fn new(dir: impl Into<PathBuf>, origin: &str, role: Role, now: Timestamp) -> Self {
        let (dir, origin) = (dir.into(), origin.to_owned());
        let medium = Arc::new(Disk);
        let checkpoint_interval = CHECKPOINT_INTERVAL;
        Self { dir, origin, role, now, group_records_max: GROUP_RECORDS_MAX, checkpoint_interval, medium }
    }
}

/// How often the tree is signed unless the configuration says otherwise: an auditor who keeps one checkpoint a day can
/// tell every hour of it.
pub const CHECKPOINT_INTERVAL: Duration = Duration::from_hours(1);

/// More records than sessions can wait at once; bounds the memory of a group.
pub const GROUP_RECORDS_MAX: usize = 1024;

/// What a process may do with the log.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// The daemon: appends, signs checkpoints, rotates keys and segments. Only one at a time.
    Keeper,
    /// Everybody else: appends.
    Appender,
}
