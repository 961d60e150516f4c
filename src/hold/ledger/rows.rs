//! An entry as a line of the table `held`: written when the message is entered, read back whenever somebody asks.

use jiff::Timestamp;
use rusqlite::{Row, Transaction, named_params};

use crate::charter::overdue::Overdue;
use crate::hold::entry::PastRelease;
use crate::hold::entry::{Entry, EntryNumber, Held, NotAQueueId, Removal, Sighting, Stage};
use crate::store::ReservationId;

/// Why a line could not be read.
pub(super) enum Unreadable {
    /// SQLite reports an error.
    Sqlite(rusqlite::Error),
    /// The line makes no sense.
    Damaged { number: i64, what: &'static str },
}

impl From<rusqlite::Error> for Unreadable {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sqlite(error)
    }
}

/// Writes a new entry.
pub(super) fn insert(transaction: &Transaction<'_>, held: &Held) -> rusqlite::Result<()> {
    let sql =
        "INSERT INTO held (route, queue_id, arrival, entered, size_bytes, charter, list, sender, reference, registered_as, return_to,
            release_not_before, window_ends, period_ends, beside, reservation, state, since)
        VALUES (:route, :queue_id, :arrival, :entered, :size_bytes, :charter, :list, :sender, :reference, :registered_as, :return_to,
            :release_not_before, :window_ends, :period_ends, :beside, :reservation, 'entered', :entered)";
    let beside = (!held.beside.is_empty()).then(|| serde_json::to_string(&held.beside)).transpose();
    let beside = beside.map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()))?;
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
        ":beside": beside,
        ":reservation": held.reservation.as_ref().map(ReservationId::octets),
    })?;
    Ok(())
}

/// Reads an entry from a line with all columns.
pub(super) fn entry(row: &Row<'_>) -> Result<Entry, Unreadable> {
    let number = row.get("number")?;
    let damaged = |what| Unreadable::Damaged { number, what };
    let time = |milliseconds| Timestamp::from_millisecond(milliseconds).map_err(|_| damaged("a time"));
    let size = |bytes: i64| u64::try_from(bytes).map_err(|_| damaged("a size"));
    let word = |column| row.get::<_, String>(column);
    let sighting = match (row.get("seen_arrival")?, row.get("seen_size_bytes")?) {
        (Some(arrival), Some(bytes)) => Some(Sighting { arrival: time(arrival)?, size_bytes: size(bytes)? }),
        (None, None) => None,
        _ => return Err(damaged("half a sighting")),
    };
    Ok(Entry {
        number: EntryNumber(number),
        held: Held {
            route: word("route")?.parse().map_err(|()| damaged("the route"))?,
            queue_id: word("queue_id")?.parse().map_err(|NotAQueueId| damaged("the queue id"))?,
            arrival: time(row.get("arrival")?)?,
            entered: time(row.get("entered")?)?,
            size_bytes: size(row.get("size_bytes")?)?,
            charter: row.get("charter")?,
            list: row.get("list")?,
            sender: row.get("sender")?,
            reference: row.get("reference")?,
            registered_as: row.get("registered_as")?,
            return_to: row.get("return_to")?,
            release_not_before: time(row.get("release_not_before")?)?,
            window_ends: time(row.get("window_ends")?)?,
            period_ends: row.get::<_, Option<i64>>("period_ends")?.map(time).transpose()?,
            reservation: row.get::<_, Option<[u8; 16]>>("reservation")?.map(ReservationId::new),
            beside: row
                .get::<_, Option<String>>("beside")?
                .map_or(Ok(Vec::new()), |json| serde_json::from_str(&json))
                .map_err(|_| damaged("the charters beside its own"))?,
        },
        state: word("state")?.parse().map_err(|()| damaged("the state"))?,
        since: time(row.get("since")?)?,
        sighting,
        released: row.get::<_, Option<i64>>("released")?.map(time).transpose()?,
        by_order: row.get("by_order")?,
        removal: row
            .get::<_, Option<String>>("removal")?
            .map(|removal| removal_from(&removal).ok_or_else(|| damaged("how it is taken out of the queue")))
            .transpose()?,
    })
}

/// Before version 3 of the tables there was only the state, noted when the sender had been told.
fn removal_from(column: &str) -> Option<Removal> {
    let told = |to| Removal { to, why: Overdue::Order, order: None, silent: false, stage: Stage::Told };
    column.parse().map(told).ok().or_else(|| serde_json::from_str(column).ok())
}

/// Reads a release from a line that names who let go what, and when.
pub(super) fn past_release(row: &Row<'_>) -> Result<PastRelease, Unreadable> {
    let number = row.get("number")?;
    let at = Timestamp::from_millisecond(row.get("released")?)
        .map_err(|_| Unreadable::Damaged { number, what: "the time of release" })?;
    Ok(PastRelease { charter: row.get("charter")?, sender: row.get("sender")?, at })
}

/// SQLite has no unsigned integers; no message has 2^63 octets.
pub(super) fn signed(size_bytes: u64) -> i64 {
    i64::try_from(size_bytes).unwrap_or(i64::MAX)
}
