//! The thread that writes: takes commands, commits appends in groups, and lets the notary do what the time demands.

use std::sync::mpsc::Receiver;

use jiff::Timestamp;

use super::disk::Layout;
use super::failure::JournalError;
use super::line::{Draft, Reference};
use super::notary::{Notary, Published};
use super::options::{Options, Role};
use super::record::RecoveryRecord;
use super::tail::Tail;

/// Takes the answer to whoever waits for it.
pub(super) type Reply<T> = Box<dyn FnOnce(Result<T, JournalError>) + Send>;

/// What the writer is asked to do.
pub(super) enum Command {
    /// Append a record.
    Append(Draft, Reply<Reference>),
    /// Do what the time demands.
    Tick(Timestamp, Vec<String>, Reply<Vec<Published>>),
    /// Sign a checkpoint.
    Checkpoint(Timestamp, Reply<Published>),
}

/// The writer of one process.
pub(super) struct Writer {
    tail: Tail,
    notary: Option<Notary>,
    poison: Option<JournalError>,
    options: Options,
}

impl Writer {
    /// Opens the log.
    pub(super) fn open(layout: Layout, options: &Options) -> Result<Self, JournalError> {
        let mut tail = Tail::open(layout, options.medium.clone(), options.now)?;
        let notary = match options.role {
            Role::Keeper => Some(Notary::take_office(&mut tail, options)?),
            Role::Appender => None,
        };
        Ok(Self { tail, notary, poison: None, options: options.clone() })
    }

    /// Works until nobody can send commands any more.
    pub(super) fn run(mut self, commands: &Receiver<Command>, group_records_max: usize) {
        let mut group = Vec::new();
        while let Ok(first) = commands.recv() {
            let mut next = Some(first);
            // An append waits for those that have come in the meantime; anything else goes by itself, in its turn.
            while let Some(command) = next.take() {
                match command {
                    Command::Append(draft, reply) => {
                        group.push((draft, reply));
                        if group.len() < group_records_max {
                            next = commands.try_recv().ok();
                        }
                    }
                    other => {
                        self.commit(&mut group);
                        self.execute(other);
                    }
                }
            }
            self.commit(&mut group);
        }
    }

    fn execute(&mut self, command: Command) {
        match command {
            Command::Append(draft, reply) => self.commit(&mut vec![(draft, reply)]),
            Command::Tick(now, windows, reply) => reply(self.tick(now, &windows)),
            Command::Checkpoint(now, reply) => reply(self.guarded(|tail, notary| notary.on_request(tail, now))),
        }
    }

    /// Commits a group: one write, one `fdatasync`, then the answers.
    fn commit(&mut self, group: &mut Vec<(Draft, Reply<Reference>)>) {
        if group.is_empty() {
            return;
        }
        let (drafts, replies): (Vec<_>, Vec<_>) = group.drain(..).unzip();
        let result = self.append(&drafts);
        match result {
            Ok(references) => replies.into_iter().zip(references).for_each(|(reply, reference)| reply(Ok(reference))),
            Err(error) => replies.into_iter().for_each(|reply| reply(Err(error.clone()))),
        }
    }

    fn append(&mut self, drafts: &[Draft]) -> Result<Vec<Reference>, JournalError> {
        self.refuse_if_poisoned()?;
        let Some(now) = drafts.last().map(|draft| draft.at) else { return Ok(Vec::new()) };
        let result = self.tail.locked(|tail| {
            tail.catch_up(now)?;
            tail.append(drafts)
        });
        self.remember(result)
    }

    /// Runs a task of the notary under the lock.
    fn guarded<T>(
        &mut self,
        task: impl FnOnce(&mut Tail, &mut Notary) -> Result<T, JournalError>,
    ) -> Result<T, JournalError> {
        self.refuse_if_poisoned()?;
        let Some(notary) = &mut self.notary else { return Err(JournalError::NotKeeper) };
        let result = self.tail.locked(|tail| task(tail, notary));
        self.remember(result)
    }

    fn tick(&mut self, now: Timestamp, windows: &[String]) -> Result<Vec<Published>, JournalError> {
        self.heal(now);
        self.guarded(|tail, notary| {
            tail.catch_up(now)?;
            notary.tick(tail, now, windows)
        })
    }

    fn refuse_if_poisoned(&self) -> Result<(), JournalError> {
        match &self.poison {
            Some(error) => Err(JournalError::Poisoned(Box::new(error.clone()))),
            None => Ok(()),
        }
    }

    fn remember<T>(&mut self, result: Result<T, JournalError>) -> Result<T, JournalError> {
        if let Err(error) = &result
            && !matches!(error, JournalError::NotKeeper | JournalError::Draft(_))
        {
            self.poison = Some(error.clone());
        }
        result
    }

    /// After a failed write (a full disk, most often), tries to open the log again; what it finds there is read anew and
    /// compared with the last checkpoint. Other failures stay: after a failed `fdatasync` the page cache may show what the
    /// disk does not have, and a damaged log is for people to look at.
    fn heal(&mut self, now: Timestamp) {
        let Some(JournalError::Write(_) | JournalError::Io { .. }) = &self.poison else { return };
        let Ok(tail) = Tail::open(self.tail.layout.clone(), self.tail.medium.clone(), now) else { return };
        self.tail = tail;
        let segment = self.tail.segment_day().map(|day| day.to_string()).unwrap_or_default();
        let record = RecoveryRecord { what: "write-error".into(), segment, ..RecoveryRecord::default() };
        let Ok(draft) = Draft::new(now, &record.into()) else { return };
        self.poison = None;
        if self.append(&[draft]).is_ok()
            && let Some(notary) = &mut self.notary
            && notary.resume_office(&mut self.tail, &self.options.origin, now).is_err()
        {
            self.poison = Some(JournalError::Write("the signing key cannot be readied".into()));
        }
    }
}
