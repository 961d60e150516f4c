//! The journal: where records are made durable.
//!
//! [`Journal::append`] resolves when the record is written and `fdatasync` has returned; only then may the mail server
//! be answered. One thread writes for the whole process and commits what has come together in the meantime as one group,
//! so that fifty sessions cost little more than one.
//!
//! After a failed write or `fdatasync` the journal is *poisoned*: every append fails, and the daemon answers 451. What a
//! full disk did is made good by [`Journal::tick`] once there is room; a failed `fdatasync` needs a restart, because the
//! system no longer says what is on the disk. A damaged log is never appended to.

use std::io;
use std::path::PathBuf;
use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;
use std::time::Duration;

use jiff::Timestamp;

use super::checkpoint::CheckpointError;
use super::disk::{Disk, Layout, Medium};
use super::keys::KeyError;
use super::line::{Draft, DraftError, Reference};
use super::notary::Published;
use super::record::Record;
use super::tail::Damage;
use super::writer::{Command, Writer};

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

/// A log open for appending. Clones share it; the last one to go ends the writer.
#[derive(Debug, Clone)]
pub struct Journal {
    commands: Arc<Commands>,
}

#[derive(Debug)]
struct Commands {
    sender: Option<mpsc::Sender<Command>>,
    thread: Option<JoinHandle<()>>,
}

impl Drop for Commands {
    fn drop(&mut self) {
        // The writer ends when nobody can send any more; what was sent before is still written.
        drop(self.sender.take());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Journal {
    /// Opens the log, creating it when it is not there: reads what was appended since the last checkpoint, sets a torn
    /// last line aside. A keeper also readies the signing key and signs a checkpoint.
    ///
    /// # Errors
    ///
    /// When the log is damaged, another daemon keeps it, its signing key is lost, or the disk fails.
    pub fn open(options: &Options) -> Result<Self, JournalError> {
        let layout = Layout::at(&options.dir);
        let writer = Writer::open(layout, options)?;
        let (sender, receiver) = mpsc::channel();
        let group_records_max = options.group_records_max.max(1);
        let thread = std::thread::Builder::new()
            .name("decision-log".into())
            .spawn(move || writer.run(&receiver, group_records_max))
            .map_err(JournalError::io("start the writer"))?;
        Ok(Self { commands: Arc::new(Commands { sender: Some(sender), thread: Some(thread) }) })
    }

    fn send(&self, command: Command) -> Result<(), JournalError> {
        let sender = self.commands.sender.as_ref().ok_or(JournalError::Closed)?;
        sender.send(command).map_err(|_| JournalError::Closed)
    }

    /// Appends a record. It is durable when this returns its reference.
    ///
    /// # Errors
    ///
    /// When it is not durable; for mail to a protected list, answer 451.
    pub async fn append(&self, record: Record) -> Result<Reference, JournalError> {
        let draft = Draft::new(record.at, &record.event)?;
        let (sender, receiver) = tokio::sync::oneshot::channel();
        self.send(Command::Append(draft, Box::new(move |result| drop(sender.send(result)))))?;
        receiver.await.map_err(|_| JournalError::Closed)?
    }

    /// Appends a record, for callers that are not asynchronous.
    ///
    /// # Errors
    ///
    /// When it is not durable.
    pub fn append_blocking(&self, record: &Record) -> Result<Reference, JournalError> {
        let draft = Draft::new(record.at, &record.event)?;
        let (sender, receiver) = mpsc::channel();
        self.send(Command::Append(draft, Box::new(move |result| drop(sender.send(result)))))?;
        receiver.recv().map_err(|_| JournalError::Closed)?
    }

    /// Does what the time demands: a checkpoint every hour and whenever a night window opens or closes, a new key and a
    /// new segment every day (UTC), a record when the clock has jumped; and tries to open a log again whose disk was full.
    /// To be called every few seconds by the daemon, with the ids of the charters whose window is open.
    ///
    /// Returns the checkpoints made, to be sent to the auditors.
    ///
    /// # Errors
    ///
    /// When the journal is poisoned or the log damaged. An alarm; for mail to a protected list, answer 451.
    pub async fn tick(&self, now: Timestamp, open_windows: &[String]) -> Result<Vec<Published>, JournalError> {
        let (sender, receiver) = tokio::sync::oneshot::channel();
        let reply = Box::new(move |result| drop(sender.send(result)));
        self.send(Command::Tick(now, open_windows.to_vec(), reply))?;
        receiver.await.map_err(|_| JournalError::Closed)?
    }

    /// As [`Journal::tick`], for callers that are not asynchronous.
    ///
    /// # Errors
    ///
    /// As [`Journal::tick`].
    pub fn tick_blocking(&self, now: Timestamp, open_windows: &[String]) -> Result<Vec<Published>, JournalError> {
        let (sender, receiver) = mpsc::channel();
        let reply = Box::new(move |result| drop(sender.send(result)));
        self.send(Command::Tick(now, open_windows.to_vec(), reply))?;
        receiver.recv().map_err(|_| JournalError::Closed)?
    }

    /// Signs a checkpoint now: when the daemon stops, or a command asks for it.
    ///
    /// # Errors
    ///
    /// As [`Journal::tick`]; when this process is no keeper.
    pub fn checkpoint_blocking(&self, now: Timestamp) -> Result<Published, JournalError> {
        let (sender, receiver) = mpsc::channel();
        self.send(Command::Checkpoint(now, Box::new(move |result| drop(sender.send(result)))))?;
        receiver.recv().map_err(|_| JournalError::Closed)?
    }
}

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
