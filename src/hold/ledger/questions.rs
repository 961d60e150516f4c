//! What the ledger is asked: how many messages wait, which entries there are, what was let go.

use jiff::Timestamp;
use rusqlite::{Params, Row};

use super::rows::{self, Unreadable};
use super::schema::{OPEN, WAITING};
use super::{Ledger, LedgerError};
use crate::hold::entry::PastRelease;
use crate::hold::entry::{Entry, QueueId};

impl Ledger {
    /// How many messages to this list (its main address) wait for their turn.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn waiting(&self, list: &str) -> Result<u64, LedgerError> {
        let sql = format!("SELECT count(*) FROM held WHERE list = ?1 AND {WAITING}");
        self.connection
            .prepare_cached(&sql)
            .and_then(|mut statement| statement.query_row([list], |row| row.get::<_, i64>(0)))
            .map(|count| u64::try_from(count).unwrap_or(0))
            .map_err(|source| self.error(source))
    }

    /// The entries that need attention: those waiting, those on their way, and those that vanished after `vanished_since`,
    /// which may yet turn up again. Oldest first.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn open_entries(&self, vanished_since: Timestamp) -> Result<Vec<Entry>, LedgerError> {
        self.select(&format!("{OPEN} OR (state = 'vanished' AND since >= ?1)"), [vanished_since.as_millisecond()])
    }

    /// Every entry, concluded ones included, oldest first.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn all_entries(&self) -> Result<Vec<Entry>, LedgerError> {
        self.select("1", [])
    }

    /// The entries with this queue id, oldest first; there can be several when ids are reused.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn entries_named(&self, queue_id: &QueueId) -> Result<Vec<Entry>, LedgerError> {
        self.select("queue_id = ?1", [queue_id.as_str()])
    }

    /// What was let go at or after an instant, oldest first.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn releases_since(&self, since: Timestamp) -> Result<Vec<PastRelease>, LedgerError> {
        let sql = "SELECT number, charter, sender, released FROM held WHERE released >= ?1 ORDER BY released, number";
        self.read(sql, [since.as_millisecond()], rows::past_release)
    }

    /// The entries that meet a condition, oldest first.
    fn select(&self, condition: &str, parameters: impl Params) -> Result<Vec<Entry>, LedgerError> {
        self.read(&format!("SELECT * FROM held WHERE {condition} ORDER BY number"), parameters, rows::entry)
    }

    fn read<T>(
        &self,
        sql: &str,
        parameters: impl Params,
        line: fn(&Row<'_>) -> Result<T, Unreadable>,
    ) -> Result<Vec<T>, LedgerError> {
        let read = || -> Result<Vec<T>, Unreadable> {
            self.connection.prepare_cached(sql)?.query_and_then(parameters, line)?.collect()
        };
        read().map_err(|unreadable| match unreadable {
            Unreadable::Sqlite(source) => self.error(source),
            Unreadable::Damaged { number, what } => LedgerError::Damaged { path: self.path.clone(), number, what },
        })
    }
}
