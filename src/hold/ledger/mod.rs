//! The ledger: what the daemon told the mail server to hold, and how far each message has got.
//!
//! One SQLite file on the gateway itself, in WAL mode with `synchronous=FULL`: a commit is on the
//! disk before the mail server gets its answer. Several processes open it: the daemon only adds entries
//! ([`Writer`]), `release` and `held` read and move them on.
//!
//! The ledger has no member address and no content. It names the sender of a message that waits, for the case that it must
//! be stopped or returned; name and address are erased as soon as the message is concluded.
//!
//! What a [`Ledger`] is asked is in `questions`, what happens to its entries in `changes`, the seeds it keeps for the draws in
//! `seeds`. Beneath them are `schema`, the file and its tables, and `rows`, an entry as one line of them.

mod changes;
mod questions;
mod rows;
mod schema;
mod seeds;
mod writer;

use std::path::{Path, PathBuf};

use rusqlite::{Connection, Transaction, TransactionBehavior};

use super::entry::{EntryNumber, State};

pub use writer::Writer;

/// Why the ledger could not be read or written. None of the texts names a sender or a message.
#[derive(Debug, thiserror::Error)]
pub enum LedgerError {
    /// SQLite reports an error.
    #[error("ledger {path}: {source}")]
    Sqlite {
        /// The file.
        path: PathBuf,
        /// What SQLite says.
        source: rusqlite::Error,
    },
    /// The file cannot be created.
    #[error("ledger {path}: {source}")]
    Create {
        /// The file.
        path: PathBuf,
        /// What the system says.
        source: std::io::Error,
    },
    /// The file is not a ledger, or a newer program made it.
    #[error("{path} is not a ledger of this version: {what}")]
    Foreign {
        /// The file.
        path: PathBuf,
        /// What is unexpected.
        what: String,
    },
    /// A line of the ledger makes no sense.
    #[error("ledger {path}: entry {number} is damaged: {what}")]
    Damaged {
        /// The file.
        path: PathBuf,
        /// The line.
        number: i64,
        /// What is wrong with it.
        what: &'static str,
    },
    /// An entry was no longer in the state from which it was to be moved.
    #[error("ledger entry {number} is no longer {from}: another process has moved it")]
    Moved {
        /// The entry.
        number: EntryNumber,
        /// The state it was expected in.
        from: State,
    },
    /// An earlier write failed on the disk; what reached it is unknown, and nothing more is written until a restart.
    #[error("an earlier write to the ledger failed; it takes no more entries until the daemon is restarted")]
    Broken,
    /// The writer thread has ended.
    #[error("the ledger is closed")]
    Closed,
}

/// An open ledger. Not shared between threads; the daemon uses [`Writer`].
#[derive(Debug)]
pub struct Ledger {
    connection: Connection,
    path: PathBuf,
}

/// The seed of a draw, as it was fixed for one window of one charter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FixedSeed {
    /// The seed.
    pub seed: [u8; 32],
    /// Where it comes from, for people: the checkpoint whose root it is.
    pub source: String,
}

impl Ledger {
    /// Opens the ledger in this file; makes one, readable by its owner alone, where there is none.
    ///
    /// # Errors
    /// [`LedgerError`] when the file cannot be created, read or written, or is not a ledger of this version.
    pub fn open(file: &Path) -> Result<Self, LedgerError> {
        let connection = schema::connect(file)?;
        let mut ledger = Self { connection, path: file.to_owned() };
        ledger.prepare()?;
        Ok(ledger)
    }

    /// Runs one durable transaction.
    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, LedgerError> {
        let run = |connection: &mut Connection| {
            // IMMEDIATE takes the write lock at once; a deferred one could fail half-way with SQLITE_BUSY_SNAPSHOT.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run(&mut self.connection).map_err(|source| self.error(source))
    }

    fn error(&self, source: rusqlite::Error) -> LedgerError {
        LedgerError::Sqlite { path: self.path.clone(), source }
    }
}

#[cfg(test)]
pub(in crate::hold) mod tests;
