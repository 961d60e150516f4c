//! The seed of each draw, fixed once for each window of a charter.

use jiff::Timestamp;
use rusqlite::{OptionalExtension, params};

use super::{FixedSeed, Ledger, LedgerError};

impl Ledger {
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
}
