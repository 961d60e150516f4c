//! Quotas in SQL: confirmed places are summed up in `counter`, reserved ones are rows of `reservation`.

use jiff::Timestamp;
use rusqlite::{Connection, params};

use super::{Access, Sqlite, copies};
use crate::charter::quota::{CounterKey, Demand};
use crate::store::{Quotas, ReservationId, Reserved, StoreError, Usage};

/// How long an expired reservation is remembered, in case its message was let through all the same and is confirmed late:
/// a day, in milliseconds.
pub(super) const EXPIRED_KEPT_MS: i64 = 86_400_000;

impl Quotas for Sqlite {
    async fn reserve(
        &self,
        id: ReservationId,
        demands: Vec<Demand>,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Reserved, StoreError> {
        if demands.is_empty() {
            return Ok(Reserved::Granted { used: Vec::new() });
        }
        self.call(Access::Write, move |connection| reserve(connection, id, &demands, now, expires)).await
    }

    async fn prolong(&self, id: ReservationId) -> Result<bool, StoreError> {
        self.call(Access::Write, move |connection| Ok(prolong(connection, id)? | copies::prolong(connection, id)?))
            .await
    }

    async fn confirm(&self, id: ReservationId) -> Result<bool, StoreError> {
        self.call(Access::Write, move |connection| Ok(confirm(connection, id)? | copies::confirm(connection, id)?))
            .await
    }

    async fn cancel(&self, id: ReservationId) -> Result<bool, StoreError> {
        self.call(Access::Write, move |connection| Ok(remove(connection, id)? | copies::remove(connection, id)?)).await
    }

    async fn usage(&self, charter: &str, now: Timestamp) -> Result<Vec<Usage>, StoreError> {
        let prefix = CounterKey::prefix_of_charter(charter);
        self.call(Access::Read, move |connection| usage(connection, &prefix, now)).await
    }

    async fn forget(&self, before: Timestamp) -> Result<u64, StoreError> {
        self.call(Access::Write, move |connection| {
            let mut statement = connection.prepare_cached("DELETE FROM counter WHERE closes < ?1")?;
            Ok(statement.execute([before.as_millisecond()])? as u64)
        })
        .await
    }
}

fn reserve(
    connection: &Connection,
    id: ReservationId,
    demands: &[Demand],
    now: Timestamp,
    expires: Timestamp,
) -> Result<Reserved, StoreError> {
    remove(connection, id)?;
    let mut read = connection.prepare_cached(
        "SELECT coalesce((SELECT used FROM counter WHERE key = ?1 AND opens = ?2), 0)
              + coalesce((SELECT sum(amount) FROM reservation WHERE key = ?1 AND opens = ?2 AND expires > ?3), 0)",
    )?;
    let mut used = Vec::with_capacity(demands.len());
    let mut exhausted = None;
    for (which, demand) in demands.iter().enumerate() {
        let opens = demand.span.opens.as_millisecond();
        let now = now.as_millisecond();
        let held = to_u64(read.query_row(params![demand.key.as_str(), opens, now], |row| row.get(0))?);
        let after = held.saturating_add(demand.amount);
        if demand.binding && after > demand.limit && exhausted.is_none() {
            exhausted = Some((which, demand.limit));
        }
        used.push(held);
    }
    if let Some((which, limit)) = exhausted {
        return Ok(Reserved::Exhausted { which, used, limit });
    }
    let mut write = connection.prepare_cached(
        "INSERT INTO reservation (id, key, opens, closes, amount, expires) VALUES (?1, ?2, ?3, ?4, ?5, ?6)
         ON CONFLICT (id, key, opens) DO UPDATE SET amount = max(amount, excluded.amount)",
    )?;
    for (demand, used) in demands.iter().zip(&mut used) {
        *used = used.saturating_add(demand.amount);
        write.execute(params![
            id.octets(),
            demand.key.as_str(),
            demand.span.opens.as_millisecond(),
            demand.span.closes.as_millisecond(),
            to_i64(demand.amount),
            expires.as_millisecond(),
        ])?;
    }
    let long_gone = now.as_millisecond().saturating_sub(EXPIRED_KEPT_MS);
    connection.prepare_cached("DELETE FROM reservation WHERE expires < ?1")?.execute([long_gone])?;
    Ok(Reserved::Granted { used })
}

fn prolong(connection: &Connection, id: ReservationId) -> Result<bool, StoreError> {
    let mut statement = connection.prepare_cached("UPDATE reservation SET expires = closes WHERE id = ?1")?;
    Ok(statement.execute([id.octets()])? > 0)
}

fn confirm(connection: &Connection, id: ReservationId) -> Result<bool, StoreError> {
    connection
        .prepare_cached(
            // `WHERE true` keeps the parser from taking `ON CONFLICT` for a join.
            "INSERT INTO counter (key, opens, closes, used)
             SELECT key, opens, closes, amount FROM reservation WHERE id = ?1 AND true
             ON CONFLICT (key, opens) DO UPDATE
             SET used = used + excluded.used, closes = max(closes, excluded.closes)",
        )?
        .execute([id.octets()])?;
    remove(connection, id)
}

fn remove(connection: &Connection, id: ReservationId) -> Result<bool, StoreError> {
    Ok(connection.prepare_cached("DELETE FROM reservation WHERE id = ?1")?.execute([id.octets()])? > 0)
}

fn usage(connection: &Connection, prefix: &str, now: Timestamp) -> Result<Vec<Usage>, StoreError> {
    let mut statement = connection.prepare_cached(
        "SELECT key, opens, max(closes), sum(used) FROM (
             SELECT key, opens, closes, used FROM counter
             UNION ALL
             SELECT key, opens, closes, amount FROM reservation WHERE expires > ?2)
         WHERE substr(key, 1, length(?1)) = ?1
         GROUP BY key, opens ORDER BY key, opens",
    )?;
    let mut rows = statement.query(params![prefix, now.as_millisecond()])?;
    let mut found = Vec::new();
    while let Some(row) = rows.next()? {
        found.push(Usage {
            key: CounterKey::from_stored(row.get(0)?),
            opens: instant(row.get(1)?),
            closes: instant(row.get(2)?),
            used: to_u64(row.get(3)?),
        });
    }
    Ok(found)
}

/// An instant as the tables hold it; beyond the ends of time, the end.
pub(super) fn instant(milliseconds: i64) -> Timestamp {
    let end = if milliseconds < 0 { Timestamp::MIN } else { Timestamp::MAX };
    Timestamp::from_millisecond(milliseconds).unwrap_or(end)
}

/// No message adds more than this; sums of such amounts stay within what SQLite can count.
const AMOUNT_MAX: u64 = 1 << 40;

fn to_i64(amount: u64) -> i64 {
    amount.min(AMOUNT_MAX).cast_signed()
}

fn to_u64(amount: i64) -> u64 {
    u64::try_from(amount).unwrap_or(0)
}
