//! The daemon's way into the ledger: one thread owns the connection and commits all entries that wait in one transaction,
//! so that thousands of sessions a second share the cost of reaching the disk.

use std::path::Path;
use std::thread;

use tokio::sync::{mpsc, oneshot};

use super::{Ledger, LedgerError};
use crate::hold::entry::Held;

/// At most so many entries wait for the writer; more sessions than this wait for their place in the line.
const WAITING_ENTRIES_MAX: usize = 4096;
/// At most so many entries in one transaction, which bounds how long `release` waits for its own.
const GROUP_ENTRIES_MAX: usize = 512;

enum Request {
    Enter(Box<Held>, oneshot::Sender<Result<(), LedgerError>>),
    Waiting(String, oneshot::Sender<Result<u64, LedgerError>>),
}

/// A handle on the writer thread; cheap to clone. The thread ends when the last handle is dropped.
#[derive(Debug, Clone)]
pub struct Writer {
    requests: mpsc::Sender<Request>,
}

impl Writer {
    /// Opens the ledger and starts the thread.
    ///
    /// # Errors
    /// [`LedgerError`] when the ledger cannot be opened.
    pub fn start(file: &Path) -> Result<Self, LedgerError> {
        let ledger = Ledger::open(file)?;
        let path = ledger.path.clone();
        let (requests, inbox) = mpsc::channel(WAITING_ENTRIES_MAX);
        thread::Builder::new()
            .name("ledger".to_owned())
            .spawn(move || write_all(ledger, inbox))
            .map_err(|source| LedgerError::Create { path, source })?;
        Ok(Self { requests })
    }

    /// Enters a message that is about to be held; it is on the disk when this returns.
    ///
    /// # Errors
    /// [`LedgerError`]: the message is not entered, and must not be accepted.
    pub async fn enter(&self, held: Held) -> Result<(), LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Enter(Box::new(held), answer)).await?;
        answered.await.map_err(|_| LedgerError::Closed)?
    }

    /// How many messages to this list (its main address) wait for their turn; entries made before are counted.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub async fn waiting(&self, list: &str) -> Result<u64, LedgerError> {
        let (answer, answered) = oneshot::channel();
        self.ask(Request::Waiting(list.to_owned(), answer)).await?;
        answered.await.map_err(|_| LedgerError::Closed)?
    }

    async fn ask(&self, request: Request) -> Result<(), LedgerError> {
        self.requests.send(request).await.map_err(|_| LedgerError::Closed)
    }
}

/// The thread: takes what waits, commits it, answers everybody.
fn write_all(mut ledger: Ledger, mut inbox: mpsc::Receiver<Request>) {
    let mut broken = false;
    let mut batch = Vec::with_capacity(GROUP_ENTRIES_MAX);
    while inbox.blocking_recv_many(&mut batch, GROUP_ENTRIES_MAX) > 0 {
        let (entries, questions): (Vec<_>, Vec<_>) =
            batch.drain(..).partition(|request| matches!(request, Request::Enter(..)));
        commit(&mut ledger, &mut broken, entries);
        for question in questions {
            if let Request::Waiting(list, answer) = question {
                // A session that has ended does not wait for its answer.
                let _ = answer.send(ledger.waiting(&list));
            }
        }
    }
}

/// Commits a group of entries. A failed write is never repeated for another answer: when the disk itself failed, nobody knows what
/// reached it, and the ledger stays closed until a restart has read it anew.
fn commit(ledger: &mut Ledger, broken: &mut bool, requests: Vec<Request>) {
    let (messages, answers): (Vec<_>, Vec<_>) = requests
        .into_iter()
        .filter_map(|request| match request {
            Request::Enter(held, answer) => Some((held, answer)),
            Request::Waiting(..) => None,
        })
        .unzip();
    if messages.is_empty() {
        return;
    }
    let outcome = if *broken {
        Err(LedgerError::Broken)
    } else {
        let messages: Vec<&Held> = messages.iter().map(Box::as_ref).collect();
        ledger.enter(&messages)
    };
    *broken |= matches!(&outcome, Err(LedgerError::Sqlite { source, .. }) if is_disk_failure(source));
    for answer in answers {
        let copy = match &outcome {
            Ok(()) => Ok(()),
            Err(error) => Err(duplicate(error)),
        };
        let _ = answer.send(copy);
    }
}

fn is_disk_failure(error: &rusqlite::Error) -> bool {
    matches!(
        error.sqlite_error_code(),
        Some(
            rusqlite::ErrorCode::SystemIoFailure
                | rusqlite::ErrorCode::DatabaseCorrupt
                | rusqlite::ErrorCode::NotADatabase
        )
    )
}

/// The same error for each member of the group; SQLite's cannot be cloned, so its code and text are carried over.
fn duplicate(error: &LedgerError) -> LedgerError {
    match error {
        LedgerError::Sqlite { path, source } => {
            let source = match source {
                rusqlite::Error::SqliteFailure(code, text) => rusqlite::Error::SqliteFailure(*code, text.clone()),
                other => rusqlite::Error::ToSqlConversionFailure(other.to_string().into()),
            };
            LedgerError::Sqlite { path: path.clone(), source }
        }
        _ => LedgerError::Broken,
    }
}

#[cfg(test)]
mod tests {
    use super::super::tests::held;
    use super::*;
    use rusqlite::ffi;

    #[test]
    fn a_failing_disk_is_told_from_a_full_one() {
        let failure = |code| is_disk_failure(&rusqlite::Error::SqliteFailure(ffi::Error::new(code), None));
        assert!(failure(ffi::SQLITE_IOERR) && failure(ffi::SQLITE_CORRUPT) && failure(ffi::SQLITE_IOERR_FSYNC));
        assert!(!failure(ffi::SQLITE_FULL) && !failure(ffi::SQLITE_BUSY) && !failure(ffi::SQLITE_CONSTRAINT));
    }

    #[test]
    fn after_a_failed_write_nothing_is_entered_until_a_restart() {
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("ledger.sqlite");
        let mut ledger = Ledger::open(&file).unwrap();
        let (answer, answered) = oneshot::channel();
        commit(&mut ledger, &mut true, vec![Request::Enter(Box::new(held("3F2A41C2B", "p1")), answer)]);
        assert!(matches!(answered.blocking_recv().unwrap(), Err(LedgerError::Broken)));
        assert_eq!(Ledger::open(&file).unwrap().all_entries().unwrap(), []);
    }
}
