//! Stops in SQL. Rows are never deleted: a suspension that was lifted is still part of the story.

use jiff::Timestamp;
use rusqlite::{Connection, Row, params};

use super::quotas::instant;
use super::{Access, Sqlite};
use crate::store::{Lift, NewStop, Stop, StopSubject, Stops, StoreError};

const COLUMNS: &str = "number, kind, name, reason, reference, begins, ends, added_by, added, lifted, lifted_by, lift_reason, lift_reference";

impl Stops for Sqlite {
    async fn in_force(&self, subjects: Vec<StopSubject>, now: Timestamp) -> Result<Vec<Stop>, StoreError> {
        let not_lifted = self.look(not_lifted).await?;
        Ok(not_lifted.into_iter().filter(|stop| stop.is_in_force(now) && subjects.contains(&stop.subject)).collect())
    }

    async fn add(&self, stop: NewStop, now: Timestamp) -> Result<Stop, StoreError> {
        self.call(Access::Flush, move |connection| insert(connection, stop.numbered(0, now))).await
    }

    async fn add_once(&self, stop: NewStop, now: Timestamp) -> Result<Option<Stop>, StoreError> {
        self.call(Access::Flush, move |connection| {
            let stop = stop.numbered(0, now);
            let same = |other: &Stop| other.subject == stop.subject && other.by == stop.by && other.is_in_force(now);
            if not_lifted(connection)?.iter().any(same) {
                return Ok(None);
            }
            insert(connection, stop).map(Some)
        })
        .await
    }

    async fn lift(&self, number: i64, lift: Lift) -> Result<Option<Stop>, StoreError> {
        self.call(Access::Flush, move |connection| {
            let changed = connection
                .prepare_cached(
                    "UPDATE stop SET lifted = ?2, lifted_by = ?3, lift_reason = ?4, lift_reference = ?5 WHERE number = ?1 AND lifted IS NULL",
                )?
                .execute(params![number, lift.at.as_millisecond(), lift.by, lift.reason, lift.reference])?;
            if changed == 0 {
                return Ok(None);
            }
            Ok(select(connection, "ORDER BY number")?.into_iter().find(|stop| stop.number == number))
        })
        .await
    }

    async fn history(&self) -> Result<Vec<Stop>, StoreError> {
        self.call(Access::Read, |connection| select(connection, "ORDER BY number")).await
    }
}

/// The stops that nobody has lifted. Nearly always there is none, and then this is one look at an empty index.
pub(super) fn not_lifted(connection: &Connection) -> Result<Vec<Stop>, StoreError> {
    select(connection, "WHERE lifted IS NULL ORDER BY number")
}

/// Writes the stop, and answers it with its number.
fn insert(connection: &Connection, stop: Stop) -> Result<Stop, StoreError> {
    connection
        .prepare_cached(
            "INSERT INTO stop (kind, name, reason, reference, begins, ends, added_by, added)
             VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8)",
        )?
        .execute(params![
            stop.subject.kind(),
            stop.subject.name(),
            stop.reason,
            stop.reference,
            stop.from.map(Timestamp::as_millisecond),
            stop.until.map(Timestamp::as_millisecond),
            stop.by,
            stop.added.as_millisecond(),
        ])?;
    Ok(Stop { number: connection.last_insert_rowid(), ..stop })
}

fn select(connection: &Connection, which: &str) -> Result<Vec<Stop>, StoreError> {
    let mut statement = connection.prepare_cached(&format!("SELECT {COLUMNS} FROM stop {which}"))?;
    let mut rows = statement.query([])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(read(row)?);
    }
    Ok(found)
}

fn read(row: &Row<'_>) -> Result<Stop, StoreError> {
    let kind: String = row.get("kind")?;
    let name: String = row.get("name")?;
    let optional = |column: &str| -> rusqlite::Result<_> { Ok(row.get::<_, Option<i64>>(column)?.map(instant)) };
    let lifted = match optional("lifted")? {
        None => None,
        Some(at) => Some(Lift {
            at,
            by: row.get("lifted_by")?,
            reason: row.get("lift_reason")?,
            reference: row.get("lift_reference")?,
        }),
    };
    Ok(Stop {
        number: row.get("number")?,
        subject: StopSubject::read(&kind, &name)
            .ok_or_else(|| StoreError::Corrupt("a stop of an unknown kind".into()))?,
        reason: row.get("reason")?,
        reference: row.get("reference")?,
        from: optional("begins")?,
        until: optional("ends")?,
        by: row.get("added_by")?,
        added: instant(row.get("added")?),
        lifted,
    })
}
