//! The embedded store: one SQLite file, one thread that owns the connection.
//!
//! Whoever asks something sends a job to the thread and waits. The thread runs everything that waits in one transaction
//! (group commit), so that a busy gateway pays for one commit where it has dozens of messages in flight. A job that
//! fails takes back its own changes and no other's; when the transaction itself fails, everybody in it is told.
//!
//! What every message asks, and nearly always finds nothing, is looked up in place on a connection that only reads: the way to
//! the thread and back, with a wait on each side, costs more than the look.
//!
//! WAL lets commands read and write beside the daemon. Commits survive the death of the process; a power cut may lose the
//! last moments of counting, never the consistency of the file. Stops are flushed before they are acknowledged.

mod copies;
mod quotas;
mod schema;
mod stops;

use std::path::Path;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use rusqlite::{Connection, ErrorCode, OpenFlags};
use tokio::sync::{mpsc, oneshot};

use super::StoreError;
use crate::ownership;

/// How many jobs may wait. Sessions beyond it wait for a place, which is the back-pressure the gateway needs.
const JOBS_WAITING_MAX: usize = 4096;

/// How many jobs one transaction takes at most, so that the first of them does not wait for all the others: at some
/// 10 µs a job this is a few milliseconds.
const JOBS_PER_TRANSACTION_MAX: usize = 512;

/// How the store is opened.
#[derive(Debug, Clone)]
pub struct Options {
    /// Make the file when it is missing. Commands leave that to the daemon, whose user then owns the file.
    pub create: bool,
    /// How long to wait for another process that writes.
    pub busy_timeout: Duration,
    /// Open for reading alone.
    pub read_only: bool,
    /// The greatest size of the file, in pages of 4096 octets; `None` for what the disk gives.
    pub pages_max: Option<u32>,
}

impl Default for Options {
    fn default() -> Self {
        Self { create: true, busy_timeout: Duration::from_secs(5), read_only: false, pages_max: None }
    }
}

/// A handle to the store; clones share the thread, which ends with the last of them.
#[derive(Debug, Clone)]
pub struct Sqlite {
    jobs: mpsc::Sender<Box<dyn Job>>,
    /// Connections that only read, as many as there are processors to look at once.
    readers: Arc<Mutex<Vec<Connection>>>,
}

impl Sqlite {
    /// Opens the store in this file, and makes it if it is not there.
    ///
    /// # Errors
    /// [`StoreError`]: what is there cannot be opened, is damaged, or belongs to somebody else.
    pub fn open(file: &Path) -> Result<Self, StoreError> {
        Self::open_with(file, &Options::default())
    }

    /// Opens the store in this file, in another than the usual way.
    ///
    /// # Errors
    /// As [`Self::open`].
    pub fn open_with(file: &Path, options: &Options) -> Result<Self, StoreError> {
        let mut flags = OpenFlags::SQLITE_OPEN_NO_MUTEX;
        flags |= if options.read_only { OpenFlags::SQLITE_OPEN_READ_ONLY } else { OpenFlags::SQLITE_OPEN_READ_WRITE };
        if options.create {
            flags |= OpenFlags::SQLITE_OPEN_CREATE;
            // Why it cannot be made is for SQLite to say.
            let _ = ownership::open(file);
        }
        let mut connection = Connection::open_with_flags(file, flags)?;
        schema::prepare(&mut connection, options)?;
        let processors = std::thread::available_parallelism().map_or(1, usize::from);
        let readers = (0..processors).map(|_| schema::reader(file, flags - OpenFlags::SQLITE_OPEN_CREATE));
        let readers = Arc::new(Mutex::new(readers.collect::<Result<_, _>>()?));
        let (jobs, waiting) = mpsc::channel(JOBS_WAITING_MAX);
        std::thread::Builder::new()
            .name("store".into())
            .spawn(move || run(&connection, waiting))
            .map_err(|error| StoreError::Unavailable(error.to_string()))?;
        Ok(Self { jobs, readers })
    }

    /// Looks something up in place, as it was last committed by whatever process; or in the store's thread, when nobody can look
    /// here at once or the look fails. `work` is asked no more than it takes to read a page or two that the system has in
    /// memory, and waits for no lock.
    async fn look<T: Send + 'static>(
        &self,
        work: impl Fn(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        match self.look_here(&work) {
            Some(found) => Ok(found),
            None => self.call(Access::Read, move |connection| work(connection)).await,
        }
    }

    fn look_here<T>(&self, work: impl Fn(&Connection) -> Result<T, StoreError>) -> Option<T> {
        let readers = || self.readers.lock().unwrap_or_else(PoisonError::into_inner);
        let connection = readers().pop()?;
        let found = work(&connection).ok();
        readers().push(connection);
        found
    }

    /// Whether the thread answers.
    ///
    /// # Errors
    /// Any [`StoreError`].
    pub async fn works(&self) -> Result<(), StoreError> {
        self.call(Access::Read, |connection| stops::not_lifted(connection).map(drop)).await
    }

    /// Runs `work` in the store's thread, inside a transaction, and waits until that is committed.
    async fn call<T: Send + 'static>(
        &self,
        access: Access,
        work: impl FnOnce(&Connection) -> Result<T, StoreError> + Send + 'static,
    ) -> Result<T, StoreError> {
        let (answer, answered) = oneshot::channel();
        let job = Task { access, work: Some(work), result: None, answer };
        self.jobs.send(Box::new(job)).await.map_err(|_| StoreError::Closed)?;
        answered.await.map_err(|_| StoreError::Closed)?
    }
}

/// What a job does to the file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    /// It only reads.
    Read,
    /// It writes; a power cut may lose it.
    Write,
    /// It writes, and is flushed to the disk before it is acknowledged.
    Flush,
}

/// Something to do in a transaction, and somebody to tell when that is committed.
trait Job: Send {
    fn access(&self) -> Access;
    /// Does it; on an error its changes are taken back.
    fn run(&mut self, connection: &Connection) -> Result<(), StoreError>;
    /// Tells what came of it. `commit` is what came of the transaction.
    fn finish(self: Box<Self>, commit: Result<(), StoreError>);
}

struct Task<T, W> {
    access: Access,
    work: Option<W>,
    /// What came of it; `None` until it has been run.
    result: Option<Result<T, StoreError>>,
    answer: oneshot::Sender<Result<T, StoreError>>,
}

impl<T: Send, W: FnOnce(&Connection) -> Result<T, StoreError> + Send> Job for Task<T, W> {
    fn access(&self) -> Access {
        self.access
    }

    fn run(&mut self, connection: &Connection) -> Result<(), StoreError> {
        let Some(work) = self.work.take() else { return Ok(()) };
        let result = work(connection);
        let done = result.as_ref().map(|_| ()).map_err(Clone::clone);
        self.result = Some(result);
        done
    }

    fn finish(self: Box<Self>, commit: Result<(), StoreError>) {
        // Whoever asked may have left; nobody has to be told then.
        let result = match (self.result, commit) {
            (Some(result), Ok(())) => result,
            // Its own error says more than that of the transaction it ended.
            (Some(Err(error)), Err(_)) | (_, Err(error)) => Err(error),
            (None, Ok(())) => Err(StoreError::Closed),
        };
        let _ = self.answer.send(result);
    }
}

fn run(connection: &Connection, mut waiting: mpsc::Receiver<Box<dyn Job>>) {
    let mut jobs = Vec::with_capacity(JOBS_PER_TRANSACTION_MAX);
    while let Some(first) = waiting.blocking_recv() {
        jobs.push(first);
        while jobs.len() < JOBS_PER_TRANSACTION_MAX {
            match waiting.try_recv() {
                Ok(job) => jobs.push(job),
                Err(_) => break,
            }
        }
        let commit = transaction(connection, &mut jobs);
        for job in jobs.drain(..) {
            job.finish(commit.clone());
        }
    }
}

fn transaction(connection: &Connection, jobs: &mut [Box<dyn Job>]) -> Result<(), StoreError> {
    let writes = jobs.iter().any(|job| job.access() != Access::Read);
    let flush = jobs.iter().any(|job| job.access() == Access::Flush);
    if flush {
        connection.pragma_update(None, "synchronous", "FULL")?;
    }
    let outcome = begin_and_commit(connection, jobs, writes);
    if outcome.is_err() && !connection.is_autocommit() {
        let _ = connection.execute_batch("ROLLBACK");
    }
    if flush {
        connection.pragma_update(None, "synchronous", "NORMAL")?;
    }
    outcome
}

fn begin_and_commit(connection: &Connection, jobs: &mut [Box<dyn Job>], writes: bool) -> Result<(), StoreError> {
    // The write lock is taken at once: two connections that both read first and then write could not both go on.
    execute(connection, if writes { "BEGIN IMMEDIATE" } else { "BEGIN" })?;
    for job in jobs.iter_mut() {
        let writes = job.access() != Access::Read;
        if writes {
            execute(connection, "SAVEPOINT job")?;
        }
        let done = job.run(connection);
        if connection.is_autocommit() {
            // Some errors (no space, I/O) end the transaction, with the changes of the jobs before this one.
            return Err(done.err().unwrap_or_else(|| StoreError::Unavailable("the transaction ended early".into())));
        }
        if writes {
            if done.is_err() {
                execute(connection, "ROLLBACK TO job")?;
            }
            execute(connection, "RELEASE job")?;
        }
    }
    execute(connection, "COMMIT")
}

fn execute(connection: &Connection, sql: &str) -> Result<(), StoreError> {
    connection.prepare_cached(sql)?.execute([])?;
    Ok(())
}

impl From<rusqlite::Error> for StoreError {
    fn from(error: rusqlite::Error) -> Self {
        // SQLite's own words name tables and columns, never values.
        match error.sqlite_error_code() {
            Some(ErrorCode::DiskFull) => Self::Full,
            Some(ErrorCode::ReadOnly) => Self::ReadOnly,
            // Without a code of SQLite's, a value in the file is not what this program writes.
            Some(ErrorCode::DatabaseCorrupt | ErrorCode::NotADatabase) | None => Self::Corrupt(error.to_string()),
            Some(ErrorCode::DatabaseBusy | ErrorCode::DatabaseLocked) => Self::Locked,
            Some(_) => Self::Unavailable(error.to_string()),
        }
    }
}

#[cfg(test)]
mod tests;
