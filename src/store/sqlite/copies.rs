//! Fingerprints in SQL: an index of bands finds those that may be alike, and only they are compared.

use jiff::Timestamp;
use rusqlite::{Connection, ToSql, params};

use super::quotas::EXPIRED_KEPT_MS;
use super::{Access, Sqlite};
use crate::charter::copies::{BANDS, Fingerprint, similar};
use crate::store::{Copies, NewCopy, ReservationId, StoreError};

impl Copies for Sqlite {
    async fn count_and_remember(&self, copy: NewCopy, now: Timestamp, expires: Timestamp) -> Result<u64, StoreError> {
        self.call(Access::Write, move |connection| {
            let mut earlier = connection.prepare_cached("DELETE FROM copy WHERE reservation = ?1 AND scope = ?2")?;
            earlier.execute(params![copy.id.octets(), copy.scope])?;
            let others = count(connection, &copy, now)?;
            remember(connection, &copy, now, expires)?;
            Ok(others.saturating_add(1))
        })
        .await
    }
}

fn count(connection: &Connection, copy: &NewCopy, now: Timestamp) -> Result<u64, StoreError> {
    // A text that was seen "later than now" was seen before the clock was set back: it counts.
    let since = now.as_millisecond().saturating_sub(window_ms(copy));
    let mut statement = connection.prepare_cached(&candidates())?;
    let bands: Vec<[u8; 8]> = copy.fingerprint.bands().collect();
    let now = now.as_millisecond();
    let mut values: Vec<&dyn ToSql> = vec![&copy.scope, &since, &now];
    values.extend(bands.iter().map(|band| band as &dyn ToSql));
    let mut rows = statement.query(values.as_slice())?;
    let mut counted = 0;
    while counted + 1 < copy.count_max
        && let Some(row) = rows.next()?
    {
        let octets = row.get_ref(0)?.as_blob().map_err(rusqlite::Error::from)?;
        let other = Fingerprint::from_bytes(octets)
            .ok_or_else(|| StoreError::Corrupt("a fingerprint of another length".into()))?;
        counted += u64::from(similar(&copy.fingerprint, &other));
    }
    Ok(counted)
}

/// The question for those that may be alike: scope, since when, now, and the bands.
fn candidates() -> String {
    let placeholders = (4..4 + BANDS).map(|n| format!("?{n}")).collect::<Vec<_>>().join(", ");
    format!(
        "SELECT fingerprint FROM copy
         WHERE number IN (SELECT copy FROM copy_band WHERE band IN ({placeholders}))
           AND scope = ?1 AND seen > ?2 AND (pending IS NULL OR pending > ?3)"
    )
}

fn remember(connection: &Connection, copy: &NewCopy, now: Timestamp, expires: Timestamp) -> Result<(), StoreError> {
    let now = now.as_millisecond();
    connection
        .prepare_cached(
            "INSERT INTO copy (scope, fingerprint, reservation, seen, forget, pending) VALUES (?1, ?2, ?3, ?4, ?5, ?6)",
        )?
        .execute(params![
            copy.scope,
            copy.fingerprint.as_bytes().as_slice(),
            copy.id.octets(),
            now,
            now.saturating_add(window_ms(copy)),
            expires.as_millisecond(),
        ])?;
    let number = connection.last_insert_rowid();
    let mut band = connection.prepare_cached("INSERT INTO copy_band (band, copy) VALUES (?1, ?2)")?;
    for key in copy.fingerprint.bands() {
        band.execute(params![key.as_slice(), number])?;
    }
    let long_gone = now.saturating_sub(EXPIRED_KEPT_MS);
    connection.prepare_cached("DELETE FROM copy WHERE forget < ?1")?.execute([long_gone])?;
    Ok(())
}

/// Keeps what is remembered under `id`; answers whether there was anything.
/// Remembers what the message says for as long as the window, unless it is taken back.
pub(super) fn prolong(connection: &Connection, id: ReservationId) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("UPDATE copy SET pending = forget WHERE reservation = ?1")?;
    Ok(statement.execute([id.octets()])? > 0)
}

pub(super) fn confirm(connection: &Connection, id: ReservationId) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("UPDATE copy SET pending = NULL WHERE reservation = ?1")?;
    Ok(statement.execute([id.octets()])? > 0)
}

/// Forgets what is remembered under `id`; answers whether there was anything.
pub(super) fn remove(connection: &Connection, id: ReservationId) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("DELETE FROM copy WHERE reservation = ?1")?.execute([id.octets()])? > 0)
}

fn window_ms(copy: &NewCopy) -> i64 {
    i64::try_from(copy.window.as_millis()).unwrap_or(i64::MAX).max(0)
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used, reason = "a test stops where it fails")]

    use super::*;
    use crate::store::sqlite::{Options, schema};

    #[test]
    fn near_copies_are_found_by_index() {
        let mut connection = Connection::open_in_memory().unwrap();
        // WAL needs a file; the tables are what matters here.
        let _ = schema::prepare(&mut connection, &Options::default());
        connection.execute_batch(schema::TABLES).unwrap();
        let mut plan = connection.prepare(&format!("EXPLAIN QUERY PLAN {}", candidates())).unwrap();
        let steps: Vec<String> = plan
            .query_map(rusqlite::params_from_iter((0..3 + BANDS).map(|_| 0)), |row| row.get("detail"))
            .unwrap()
            .map(Result::unwrap)
            .collect();
        assert!(steps.iter().any(|step| step.contains("copy_band USING PRIMARY KEY (band=?)")), "{steps:?}");
        assert!(!steps.iter().any(|step| step.starts_with("SCAN copy")), "{steps:?}");
    }
}
