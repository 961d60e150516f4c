//! The tables, and the settings of a connection.

use std::path::Path;

use rusqlite::{Connection, OpenFlags, TransactionBehavior};

use super::Options;
use crate::store::StoreError;

/// Marks the file as ours (`PRAGMA application_id`): "chmi".
const APPLICATION_ID: i64 = 0x6368_6D69;

/// The version of the tables (`PRAGMA user_version`).
const VERSION: i64 = 1;

/// Instants are milliseconds since 1970. Amounts are never negative.
pub(super) const TABLES: &str = "
CREATE TABLE counter (
    key    TEXT    NOT NULL,
    opens  INTEGER NOT NULL,
    closes INTEGER NOT NULL,
    used   INTEGER NOT NULL CHECK (used >= 0),
    PRIMARY KEY (key, opens)
) STRICT, WITHOUT ROWID;
CREATE INDEX counter_by_end ON counter (closes);

CREATE TABLE reservation (
    id      BLOB    NOT NULL,
    key     TEXT    NOT NULL,
    opens   INTEGER NOT NULL,
    closes  INTEGER NOT NULL,
    amount  INTEGER NOT NULL CHECK (amount >= 0),
    expires INTEGER NOT NULL,
    PRIMARY KEY (id, key, opens)
) STRICT, WITHOUT ROWID;
CREATE INDEX reservation_by_counter ON reservation (key, opens, expires, amount);
CREATE INDEX reservation_by_expiry ON reservation (expires);

-- A fingerprint is there once, and found through its bands. `pending` is when it is forgotten unless it is confirmed.
CREATE TABLE copy (
    number      INTEGER PRIMARY KEY,
    scope       TEXT    NOT NULL,
    fingerprint BLOB    NOT NULL,
    reservation BLOB    NOT NULL,
    seen        INTEGER NOT NULL,
    forget      INTEGER NOT NULL,
    pending     INTEGER
) STRICT;
CREATE INDEX copy_by_reservation ON copy (reservation);
CREATE INDEX copy_by_age ON copy (forget);
CREATE TABLE copy_band (
    band BLOB    NOT NULL,
    copy INTEGER NOT NULL REFERENCES copy ON DELETE CASCADE,
    PRIMARY KEY (band, copy)
) STRICT, WITHOUT ROWID;
CREATE INDEX copy_band_by_copy ON copy_band (copy);

CREATE TABLE stop (
    number      INTEGER PRIMARY KEY AUTOINCREMENT,
    kind        TEXT    NOT NULL,
    name        TEXT    NOT NULL,
    reason      TEXT    NOT NULL CHECK (reason <> ''),
    reference   TEXT    NOT NULL CHECK (reference <> ''),
    begins      INTEGER,
    ends        INTEGER,
    added_by    TEXT    NOT NULL,
    added       INTEGER NOT NULL,
    lifted      INTEGER,
    lifted_by   TEXT,
    lift_reason TEXT,
    lift_reference TEXT
) STRICT;
CREATE INDEX stop_not_lifted ON stop (kind, name) WHERE lifted IS NULL;
";

/// Sets up a new connection, and a new file's tables.
pub(super) fn prepare(connection: &mut Connection, options: &Options) -> Result<(), StoreError> {
    connection.busy_timeout(options.busy_timeout)?;
    connection.set_prepared_statement_cache_capacity(64);
    // A stranger's file is not touched, not even to switch it to WAL.
    let fresh = check_owner(connection)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    connection.pragma_update(None, "foreign_keys", true)?;
    if options.read_only {
        return if fresh { Err(StoreError::Unavailable("the store is empty".into())) } else { Ok(()) };
    }
    let mode: String = connection.pragma_update_and_check(None, "journal_mode", "WAL", |row| row.get(0))?;
    if mode != "wal" {
        return Err(StoreError::Unavailable(format!("journal mode {mode} instead of wal")));
    }
    connection.pragma_update(None, "synchronous", "NORMAL")?;
    if let Some(pages) = options.pages_max {
        connection.pragma_update_and_check(None, "max_page_count", pages, |_| Ok(()))?;
    }
    // Two processes may come at once: the second finds the tables made.
    let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
    if check_owner(&transaction)? {
        transaction.execute_batch(TABLES)?;
        transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
        transaction.pragma_update(None, "user_version", VERSION)?;
    }
    Ok(transaction.commit()?)
}

/// One more connection to a file that is set up, for reading. It waits for nobody: who finds it locked asks elsewhere.
pub(super) fn reader(file: &Path, flags: OpenFlags) -> Result<Connection, StoreError> {
    let connection = Connection::open_with_flags(file, flags)?;
    connection.busy_timeout(std::time::Duration::ZERO)?;
    connection.pragma_update(None, "query_only", true)?;
    connection.pragma_update(None, "trusted_schema", false)?;
    connection.pragma_update(None, "cell_size_check", true)?;
    Ok(connection)
}

/// Answers whether the file is empty.
fn check_owner(connection: &Connection) -> Result<bool, StoreError> {
    let number = |pragma: &str| connection.pragma_query_value(None, pragma, |row| row.get::<_, i64>(0));
    let tables: i64 = connection.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
    match (number("application_id")?, number("user_version")?) {
        (0, 0) if tables == 0 => Ok(true),
        (APPLICATION_ID, version) if (1..=VERSION).contains(&version) => Ok(false),
        (APPLICATION_ID, found) => Err(StoreError::TooNew { found, known: VERSION }),
        _ => Err(StoreError::Foreign),
    }
}
