//! The journal: where records are made durable.
//!
//! [`Journal::append`] resolves when the record is written and `fdatasync` has returned; only then may the mail server
//! be answered. One thread writes for the whole process and commits what has come together in the meantime as one group,
//! so that fifty sessions cost little more than one.
//!
//! After a failed write or `fdatasync` the journal is *poisoned*: every append fails, and the daemon answers 451. What a
//! full disk did is made good by [`Journal::tick`] once there is room; a failed `fdatasync` needs a restart, because the
//! system no longer says what is on the disk. A damaged log is never appended to.

use std::sync::{Arc, mpsc};
use std::thread::JoinHandle;

use jiff::Timestamp;

use super::disk::Layout;
use super::failure::JournalError;
use super::line::{Draft, Reference};
use super::notary::Published;
use super::options::Options;
use super::record::Record;
use super::writer::{Command, Writer};

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
