//! The ledger's file: its tables, how it is made, and how a file that is no ledger of this version is told.

use std::path::Path;
use std::time::Duration;

use rusqlite::{Connection, OpenFlags};

use super::{Ledger, LedgerError};
use crate::ownership;

/// How long one process waits for another's transaction; those are short, so a longer wait means that something is stuck.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Marks the file as a ledger (SQLite's `application_id`): the letters `ChMl`.
const APPLICATION_ID: i32 = 0x4368_4D6C;
/// The version of the tables below (SQLite's `user_version`).
const SCHEMA_VERSION: i32 = 3;
/// What makes tables of version 1 tables of version 2.
const TO_VERSION_2: &str = "ALTER TABLE held ADD COLUMN beside TEXT; ALTER TABLE held ADD COLUMN reservation BLOB";

/// [`State::is_waiting`](crate::hold::State::is_waiting), as a condition on `held`.
pub(super) const WAITING: &str = "state IN ('entered', 'seen-in-queue')";
/// [`State::is_open`](crate::hold::State::is_open), as a condition on `held`.
pub(super) const OPEN: &str = "state IN ('entered', 'seen-in-queue', 'released')";

/// The tables. Times are milliseconds since 1970-01-01T00:00:00Z; `removal` and `beside` are JSON. SQLite uses an index on some
/// rows only for a question that has the very condition of the index.
fn tables() -> String {
    format!(
        "
CREATE TABLE held (
    number             INTEGER PRIMARY KEY AUTOINCREMENT,
    route              TEXT    NOT NULL,
    queue_id           TEXT    NOT NULL,
    arrival            INTEGER NOT NULL,
    entered            INTEGER NOT NULL,
    size_bytes         INTEGER NOT NULL,
    charter            TEXT    NOT NULL,
    list               TEXT    NOT NULL,
    sender             TEXT    NOT NULL,
    reference          TEXT    NOT NULL,
    registered_as      TEXT,
    return_to          TEXT,
    release_not_before INTEGER NOT NULL,
    window_ends        INTEGER NOT NULL,
    period_ends        INTEGER,
    state              TEXT    NOT NULL,
    since              INTEGER NOT NULL,
    seen_arrival       INTEGER,
    seen_size_bytes    INTEGER,
    released           INTEGER,
    by_order           INTEGER NOT NULL DEFAULT 0,
    removal            TEXT,
    beside             TEXT,
    reservation        BLOB
) STRICT;
CREATE INDEX held_waiting ON held (list) WHERE {WAITING};
CREATE INDEX held_open ON held (number) WHERE {OPEN};
CREATE INDEX held_released ON held (charter, released) WHERE released IS NOT NULL;
CREATE TABLE draw (
    charter TEXT    NOT NULL,
    opened  INTEGER NOT NULL,
    seed    BLOB    NOT NULL,
    source  TEXT    NOT NULL,
    PRIMARY KEY (charter, opened)
) STRICT;
"
    )
}

/// Opens the file; makes one, readable by its owner alone, where there is none.
pub(super) fn connect(file: &Path) -> Result<Connection, LedgerError> {
    ownership::open(file).map_err(|source| LedgerError::Create { path: file.to_owned(), source })?;
    let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
    Connection::open_with_flags(file, flags).map_err(|source| LedgerError::Sqlite { path: file.to_owned(), source })
}

impl Ledger {
    /// Sets the connection up and makes the tables where there are none.
    pub(super) fn prepare(&mut self) -> Result<(), LedgerError> {
        let connection = &self.connection;
        let setup = || -> rusqlite::Result<()> {
            connection.busy_timeout(BUSY_WAIT)?;
            connection.pragma_update(None, "journal_mode", "WAL")?;
            connection.pragma_update(None, "synchronous", "FULL")?;
            connection.pragma_update(None, "trusted_schema", false)
        };
        setup().map_err(|source| self.error(source))?;
        // Two processes may open a new file at the same time: look and make within one transaction.
        let (application, version) = self.write(|transaction| {
            let read = |name: &str| transaction.pragma_query_value(None, name, |row| row.get::<_, i32>(0));
            let present: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if present == 0 && read("application_id")? == 0 {
                transaction.execute_batch(&tables())?;
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            } else if read("application_id")? == APPLICATION_ID && matches!(read("user_version")?, 1 | 2) {
                if read("user_version")? == 1 {
                    transaction.execute_batch(TO_VERSION_2)?;
                }
                // What version 2 wrote into `removal` is still understood; it would not understand what version 3 writes.
                transaction.pragma_update(None, "user_version", SCHEMA_VERSION)?;
            }
            Ok((read("application_id")?, read("user_version")?))
        })?;
        if application != APPLICATION_ID {
            return Err(self.foreign("its application_id is another program's".to_owned()));
        }
        if version != SCHEMA_VERSION {
            return Err(self.foreign(format!("its tables have version {version}, this program knows {SCHEMA_VERSION}")));
        }
        Ok(())
    }

    fn foreign(&self, what: String) -> LedgerError {
        LedgerError::Foreign { path: self.path.clone(), what }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::hold::State;

    #[test]
    fn the_conditions_name_the_states_that_the_program_calls_waiting_and_open() {
        for state in State::ALL {
            let quoted = format!("'{state}'");
            assert_eq!(WAITING.contains(&quoted), state.is_waiting(), "{state}");
            assert_eq!(OPEN.contains(&quoted), state.is_open(), "{state}");
        }
    }
}
