//! The ledger: what the daemon told the mail server to hold, and how far each message has got.
//!
//! One SQLite file on the gateway itself, in WAL mode with `synchronous=FULL`: a commit is on the
//! disk before the mail server gets its answer. Several processes open it: the daemon only adds entries
//! ([`Writer`]), `release` and `held` read and move them on. A move names the state it starts from, so that two
//! processes can never move the same entry twice.
//!
//! The ledger has no member address and no content. It names the sender of a message that waits, for the case that it must
//! be stopped or returned; name and address are erased as soon as the message is concluded.

mod writer;

use std::fs::{File, OpenOptions};
use std::io;
use std::os::unix::fs::{MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use jiff::Timestamp;
use rusqlite::{Connection, OpenFlags, OptionalExtension, Row, Transaction, TransactionBehavior, named_params, params};

use super::entry::{Entry, EntryNumber, Held, QueueId, Route, Sighting, State};

pub use writer::Writer;

/// How long one process waits for another's transaction; those are short, so a longer wait means that something is stuck.
const BUSY_WAIT: Duration = Duration::from_secs(5);
/// Marks the file as a ledger (SQLite's `application_id`): the letters `ChMl`.
const APPLICATION_ID: i32 = 0x4368_4D6C;
/// The version of the tables below (SQLite's `user_version`).
const SCHEMA_VERSION: i32 = 1;

/// Times are milliseconds since 1970-01-01T00:00:00Z.
const SCHEMA: &str = "
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
    removal            TEXT
) STRICT;
CREATE INDEX held_waiting ON held (list) WHERE state IN ('entered', 'seen-in-queue');
CREATE INDEX held_open ON held (number) WHERE state IN ('entered', 'seen-in-queue', 'released');
CREATE INDEX held_released ON held (charter, released) WHERE released IS NOT NULL;
CREATE TABLE draw (
    charter TEXT    NOT NULL,
    opened  INTEGER NOT NULL,
    seed    BLOB    NOT NULL,
    source  TEXT    NOT NULL,
    PRIMARY KEY (charter, opened)
) STRICT;
";

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

/// A message let go earlier, for the pace and for whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRelease {
    /// The charter.
    pub charter: String,
    /// The sender's pseudonym.
    pub sender: String,
    /// When it was let go.
    pub at: Timestamp,
}

impl Ledger {
    /// Opens the ledger in this file; makes one, readable by its owner alone, where there is none.
    ///
    /// # Errors
    /// [`LedgerError`] when the file cannot be created, read or written, or is not a ledger of this version.
    pub fn open(file: &Path) -> Result<Self, LedgerError> {
        let path = file.to_owned();
        OpenOptions::new()
            .create(true)
            .append(true)
            .mode(0o600)
            .open(&path)
            .and_then(|created| give_to_owner_of_directory(&created, file))
            .map_err(|source| LedgerError::Create { path: path.clone(), source })?;
        let flags = OpenFlags::SQLITE_OPEN_READ_WRITE | OpenFlags::SQLITE_OPEN_NO_MUTEX;
        match Connection::open_with_flags(&path, flags) {
            Ok(connection) => {
                let mut ledger = Self { connection, path };
                ledger.prepare()?;
                Ok(ledger)
            }
            Err(source) => Err(LedgerError::Sqlite { path, source }),
        }
    }

    /// Enters messages that are about to be held; they are on the disk when this returns.
    ///
    /// # Errors
    /// [`LedgerError`]; then none of them is entered.
    pub fn enter(&mut self, messages: &[&Held]) -> Result<(), LedgerError> {
        self.write(|transaction| messages.iter().try_for_each(|held| insert(transaction, held)))
    }

    /// How many messages to this list (its main address) wait for their turn.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn waiting(&self, list: &str) -> Result<u64, LedgerError> {
        let sql = "SELECT count(*) FROM held WHERE list = ?1 AND state IN ('entered', 'seen-in-queue')";
        self.connection
            .prepare_cached(sql)
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
        self.select(
            "state IN ('entered', 'seen-in-queue', 'released') OR (state = 'vanished' AND since >= ?1)",
            params![vanished_since.as_millisecond()],
        )
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
        let read = || -> rusqlite::Result<Vec<(String, String, i64)>> {
            let sql = "SELECT charter, sender, released FROM held WHERE released >= ?1 ORDER BY released, number";
            self.connection
                .prepare_cached(sql)?
                .query_map([since.as_millisecond()], |row| Ok((row.get(0)?, row.get(1)?, row.get(2)?)))?
                .collect()
        };
        let rows = read().map_err(|source| self.error(source))?;
        rows.into_iter()
            .map(|(charter, sender, at)| {
                let at = Timestamp::from_millisecond(at).map_err(|_| self.damaged(0, "the time of release"))?;
                Ok(PastRelease { charter, sender, at })
            })
            .collect()
    }

    /// Notes what the queue listing showed when the message was first seen, and moves it from `from` to `seen-in-queue`.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the entry is not in state `from` any more.
    pub fn see(&mut self, number: EntryNumber, from: State, seen: Sighting, now: Timestamp) -> Result<(), LedgerError> {
        let changed = self.write(|transaction| {
            transaction.execute(
                "UPDATE held SET state = 'seen-in-queue', since = :now, seen_arrival = :arrival, seen_size_bytes = :size
                 WHERE number = :number AND state = :from",
                named_params! {
                    ":now": now.as_millisecond(),
                    ":arrival": seen.arrival.as_millisecond(),
                    ":size": signed(seen.size_bytes),
                    ":number": number.0,
                    ":from": from.as_str(),
                },
            )
        })?;
        moved(changed, number, from)
    }

    /// Moves an entry from one state to another. `released` keeps the time for pace and turns; a concluded entry
    /// forgets who sent it.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the entry is not in state `from` any more.
    pub fn advance(&mut self, number: EntryNumber, from: State, to: State, now: Timestamp) -> Result<(), LedgerError> {
        let changed = self.write(|transaction| {
            transaction.execute(
                "UPDATE held SET state = :to, since = :now,
                    released = CASE WHEN :to = 'released' THEN :now ELSE released END,
                    registered_as = CASE WHEN :open THEN registered_as ELSE NULL END,
                    return_to = CASE WHEN :open THEN return_to ELSE NULL END
                 WHERE number = :number AND state = :from",
                named_params! {
                    ":to": to.as_str(),
                    ":now": now.as_millisecond(),
                    // A vanished message may turn up again and still have to be returned.
                    ":open": to.is_open() || to == State::Vanished,
                    ":number": number.0,
                    ":from": from.as_str(),
                },
            )
        })?;
        moved(changed, number, from)
    }

    /// Marks an entry as let go by order of the postmaster: no window, pace or turn applies to it any more.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the entry is not in state `from` any more.
    pub fn release_by_order(&mut self, number: EntryNumber, from: State, now: Timestamp) -> Result<(), LedgerError> {
        let changed = self.write(|transaction| {
            transaction.execute(
                "UPDATE held SET state = 'released', since = ?1, released = ?1, by_order = 1 WHERE number = ?2 AND state = ?3",
                params![now.as_millisecond(), number.0, from.as_str()],
            )
        })?;
        moved(changed, number, from)
    }

    /// Notes that a message is about to be deleted from the queue, and how it is then to be concluded: a crash between the
    /// deletion and the conclusion must not look as if the message had vanished, and its sender is told once.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the entry is not in state `from` any more.
    pub fn begin_removal(&mut self, number: EntryNumber, from: State, to: State) -> Result<(), LedgerError> {
        let changed = self.write(|transaction| {
            transaction.execute(
                "UPDATE held SET removal = ?1 WHERE number = ?2 AND state = ?3",
                params![to.as_str(), number.0, from.as_str()],
            )
        })?;
        moved(changed, number, from)
    }

    /// Puts back a message that was marked as released and never left the hold queue: it waits again, and the mark
    /// counts neither for the pace nor as the sender's turn.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the entry is not `released` any more.
    pub fn put_back(&mut self, number: EntryNumber, now: Timestamp) -> Result<(), LedgerError> {
        let changed = self.write(|transaction| {
            transaction.execute(
                "UPDATE held SET state = 'seen-in-queue', since = ?1, released = NULL WHERE number = ?2 AND state = 'released'",
                params![now.as_millisecond(), number.0],
            )
        })?;
        moved(changed, number, State::Released)
    }

    /// The seed fixed for the window of a charter that opened at `opened`, if one was.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn seed(&self, charter: &str, opened: Timestamp) -> Result<Option<FixedSeed>, LedgerError> {
        self.connection
            .query_row(
                "SELECT seed, source FROM draw WHERE charter = ?1 AND opened = ?2",
                params![charter, opened.as_millisecond()],
                |row| Ok(FixedSeed { seed: row.get(0)?, source: row.get(1)? }),
            )
            .optional()
            .map_err(|source| self.error(source))
    }

    /// Fixes the seed of a window; the first one stays, whatever comes later. Returns the one that is in force.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn fix_seed(&mut self, charter: &str, opened: Timestamp, seed: &FixedSeed) -> Result<FixedSeed, LedgerError> {
        self.write(|transaction| {
            transaction.execute(
                "INSERT INTO draw (charter, opened, seed, source) VALUES (?1, ?2, ?3, ?4) ON CONFLICT DO NOTHING",
                params![charter, opened.as_millisecond(), seed.seed, seed.source],
            )
        })?;
        Ok(self.seed(charter, opened)?.unwrap_or_else(|| seed.clone()))
    }

    /// Forgets entries concluded before an instant, and the seeds of windows that opened before it. Returns how many entries went.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn forget_before(&mut self, before: Timestamp) -> Result<usize, LedgerError> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM draw WHERE opened < ?1", [before.as_millisecond()])?;
            transaction.execute(
                "DELETE FROM held WHERE since < ?1 AND state NOT IN ('entered', 'seen-in-queue', 'released')",
                [before.as_millisecond()],
            )
        })
    }

    /// Sets the connection up and makes the tables where there are none.
    fn prepare(&mut self) -> Result<(), LedgerError> {
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
            let tables: i64 = transaction.query_row("SELECT count(*) FROM sqlite_schema", [], |row| row.get(0))?;
            if tables == 0 && read("application_id")? == 0 {
                transaction.execute_batch(SCHEMA)?;
                transaction.pragma_update(None, "application_id", APPLICATION_ID)?;
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

    /// Runs one durable transaction.
    fn write<T>(&mut self, work: impl FnOnce(&Transaction<'_>) -> rusqlite::Result<T>) -> Result<T, LedgerError> {
        let path = &self.path;
        let run = |connection: &mut Connection| {
            // IMMEDIATE takes the write lock at once; a deferred one could fail half-way with SQLITE_BUSY_SNAPSHOT.
            let transaction = connection.transaction_with_behavior(TransactionBehavior::Immediate)?;
            let value = work(&transaction)?;
            transaction.commit()?;
            Ok(value)
        };
        run(&mut self.connection).map_err(|source| LedgerError::Sqlite { path: path.clone(), source })
    }

    fn select(&self, condition: &str, parameters: impl rusqlite::Params) -> Result<Vec<Entry>, LedgerError> {
        let read = || -> rusqlite::Result<Vec<RawEntry>> {
            let sql = format!("SELECT * FROM held WHERE {condition} ORDER BY number");
            self.connection.prepare_cached(&sql)?.query_map(parameters, RawEntry::read)?.collect()
        };
        let rows = read().map_err(|source| self.error(source))?;
        rows.into_iter()
            .map(|raw| {
                let number = raw.number;
                raw.into_entry().map_err(|what| self.damaged(number, what))
            })
            .collect()
    }

    fn error(&self, source: rusqlite::Error) -> LedgerError {
        LedgerError::Sqlite { path: self.path.clone(), source }
    }

    fn foreign(&self, what: String) -> LedgerError {
        LedgerError::Foreign { path: self.path.clone(), what }
    }

    fn damaged(&self, number: i64, what: &'static str) -> LedgerError {
        LedgerError::Damaged { path: self.path.clone(), number, what }
    }
}

/// A ledger that root makes in the daemon's own directory must be the daemon's: it could not write to it otherwise. (The two
/// files that SQLite keeps beside it follow the owner of the ledger by themselves.)
fn give_to_owner_of_directory(created: &File, file: &Path) -> io::Result<()> {
    let directory = file.parent().filter(|parent| !parent.as_os_str().is_empty()).unwrap_or(Path::new("."));
    let (directory, own) = (std::fs::metadata(directory)?, created.metadata()?);
    if own.len() == 0 && own.uid() == 0 && directory.uid() != 0 && rustix::process::geteuid().is_root() {
        std::os::unix::fs::fchown(created, Some(directory.uid()), Some(directory.gid()))?;
    }
    Ok(())
}

fn moved(changed: usize, number: EntryNumber, from: State) -> Result<(), LedgerError> {
    if changed == 1 { Ok(()) } else { Err(LedgerError::Moved { number, from }) }
}

fn insert(transaction: &Transaction<'_>, held: &Held) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO held (route, queue_id, arrival, entered, size_bytes, charter, list, sender, reference, registered_as, return_to,
            release_not_before, window_ends, period_ends, state, since)
        VALUES (:route, :queue_id, :arrival, :entered, :size_bytes, :charter, :list, :sender, :reference, :registered_as, :return_to,
            :release_not_before, :window_ends, :period_ends, 'entered', :entered)";
    transaction.prepare_cached(sql)?.execute(named_params! {
        ":route": held.route.as_str(),
        ":queue_id": held.queue_id.as_str(),
        ":arrival": held.arrival.as_millisecond(),
        ":entered": held.entered.as_millisecond(),
        ":size_bytes": signed(held.size_bytes),
        ":charter": held.charter,
        ":list": held.list,
        ":sender": held.sender,
        ":reference": held.reference,
        ":registered_as": held.registered_as,
        ":return_to": held.return_to,
        ":release_not_before": held.release_not_before.as_millisecond(),
        ":window_ends": held.window_ends.as_millisecond(),
        ":period_ends": held.period_ends.map(Timestamp::as_millisecond),
    })?;
    Ok(())
}

/// SQLite has no unsigned integers; no message has 2^63 octets.
fn signed(size_bytes: u64) -> i64 {
    i64::try_from(size_bytes).unwrap_or(i64::MAX)
}

/// A row as SQLite gives it.
struct RawEntry {
    number: i64,
    route: String,
    queue_id: String,
    arrival: i64,
    entered: i64,
    size_bytes: i64,
    charter: String,
    list: String,
    sender: String,
    reference: String,
    registered_as: Option<String>,
    return_to: Option<String>,
    release_not_before: i64,
    window_ends: i64,
    period_ends: Option<i64>,
    state: String,
    since: i64,
    seen_arrival: Option<i64>,
    seen_size_bytes: Option<i64>,
    released: Option<i64>,
    by_order: bool,
    removal: Option<String>,
}

impl RawEntry {
    fn read(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self {
            number: row.get("number")?,
            route: row.get("route")?,
            queue_id: row.get("queue_id")?,
            arrival: row.get("arrival")?,
            entered: row.get("entered")?,
            size_bytes: row.get("size_bytes")?,
            charter: row.get("charter")?,
            list: row.get("list")?,
            sender: row.get("sender")?,
            reference: row.get("reference")?,
            registered_as: row.get("registered_as")?,
            return_to: row.get("return_to")?,
            release_not_before: row.get("release_not_before")?,
            window_ends: row.get("window_ends")?,
            period_ends: row.get("period_ends")?,
            state: row.get("state")?,
            since: row.get("since")?,
            seen_arrival: row.get("seen_arrival")?,
            seen_size_bytes: row.get("seen_size_bytes")?,
            released: row.get("released")?,
            by_order: row.get("by_order")?,
            removal: row.get("removal")?,
        })
    }

    fn into_entry(self) -> Result<Entry, &'static str> {
        let time = |milliseconds| Timestamp::from_millisecond(milliseconds).map_err(|_| "a time");
        let size = |bytes| u64::try_from(bytes).map_err(|_| "a size");
        let sighting = match (self.seen_arrival, self.seen_size_bytes) {
            (Some(arrival), Some(bytes)) => Some(Sighting { arrival: time(arrival)?, size_bytes: size(bytes)? }),
            (None, None) => None,
            _ => return Err("half a sighting"),
        };
        Ok(Entry {
            number: EntryNumber(self.number),
            held: Held {
                route: Route::from_str(&self.route).map_err(|()| "the route")?,
                queue_id: QueueId::from_str(&self.queue_id).map_err(|_| "the queue id")?,
                arrival: time(self.arrival)?,
                entered: time(self.entered)?,
                size_bytes: size(self.size_bytes)?,
                charter: self.charter,
                list: self.list,
                sender: self.sender,
                reference: self.reference,
                registered_as: self.registered_as,
                return_to: self.return_to,
                release_not_before: time(self.release_not_before)?,
                window_ends: time(self.window_ends)?,
                period_ends: self.period_ends.map(time).transpose()?,
            },
            state: State::from_str(&self.state).map_err(|()| "the state")?,
            since: time(self.since)?,
            sighting,
            released: self.released.map(time).transpose()?,
            by_order: self.by_order,
            removal: self
                .removal
                .map(|state| State::from_str(&state).map_err(|()| "the state it is to be removed to"))
                .transpose()?,
        })
    }
}

#[cfg(test)]
mod tests;
