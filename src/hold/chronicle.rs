//! What hold and release write into the decision log, and the seed they take from it. A trait, so that the tests can let the
//! log fail at each step in turn.

use std::path::PathBuf;

use data_encoding::HEXLOWER;
use jiff::Timestamp;

use super::entry::{Entry, Sighting};
use super::ledger::FixedSeed;
use super::plan::Missing;
use crate::charter::overdue::Overdue;
use crate::closed_list::closed_list;
use crate::decision_log::reader::{ReadError, last_checkpoint_before};
use crate::decision_log::record::{CancelRecord, DrawRecord, GoneRecord, LEFT_QUEUE, ReleaseRecord, SeenInQueueRecord};
use crate::decision_log::{Event, Journal, JournalError, Record};

closed_list! {
    /// Why a message was let go.
    Cause {
        /// Its window is open and its turn had come.
        Window = "window",
        /// Its charter has no night window any more.
        NoWindow = "no-window",
        /// The postmaster let it go by order.
        Order = "operator",
    }
}

/// Why the decision log could not be written or read.
#[derive(Debug, thiserror::Error)]
pub enum ChronicleError {
    /// A record is not durable.
    #[error(transparent)]
    Journal(#[from] JournalError),
    /// The checkpoints cannot be read.
    #[error("no seed for the draw: {0}")]
    Read(#[from] ReadError),
}

/// The decision log, as hold and release use it.
pub trait Chronicle {
    /// Makes a record durable.
    ///
    /// # Errors
    /// [`ChronicleError`]; then what the record says must not be done.
    fn record(&mut self, at: Timestamp, event: Event) -> Result<(), ChronicleError>;

    /// The root of the last checkpoint signed before an instant; `None` when there is none.
    ///
    /// # Errors
    /// [`ChronicleError::Read`].
    fn seed_before(&mut self, instant: Timestamp) -> Result<Option<FixedSeed>, ChronicleError>;
}

/// The decision log itself.
#[derive(Debug)]
pub struct DecisionLog {
    /// For writing.
    pub journal: Journal,
    /// For reading.
    pub directory: PathBuf,
}

impl Chronicle for DecisionLog {
    fn record(&mut self, at: Timestamp, event: Event) -> Result<(), ChronicleError> {
        self.journal.append_blocking(&Record::new(at, event))?;
        Ok(())
    }

    fn seed_before(&mut self, instant: Timestamp) -> Result<Option<FixedSeed>, ChronicleError> {
        let checkpoint = last_checkpoint_before(&self.directory, instant)?;
        Ok(checkpoint.map(|checkpoint| FixedSeed {
            seed: checkpoint.root,
            source: format!("checkpoint of {} lines, signed {}", checkpoint.size, checkpoint.time),
        }))
    }
}

/// The record of a message seen on hold.
#[must_use]
pub fn seen(entry: &Entry, sighting: Sighting) -> Event {
    let held = &entry.held;
    Event::SeenInQueue(SeenInQueueRecord {
        queue_id: held.queue_id.to_string(),
        charter: held.charter.clone(),
        list: held.list.clone(),
        sender: Some(held.sender.clone()),
        decision: decision(entry),
        arrived: sighting.arrival,
        message_bytes: sighting.size_bytes,
    })
}

/// The record of a draw.
#[must_use]
pub fn draw(charter: &str, window_opens: Timestamp, seed: &FixedSeed) -> Event {
    let (charter, seed) = (charter.to_owned(), HEXLOWER.encode(&seed.seed));
    Event::Draw(DrawRecord { charter, window_opens, seed, order: Vec::new() })
}

/// The record of a release.
#[must_use]
pub fn release(entry: &Entry, cause: Cause, statistics: bool, window: Option<(Timestamp, u32)>) -> Event {
    let held = &entry.held;
    Event::Release(ReleaseRecord {
        queue_id: held.queue_id.to_string(),
        charter: held.charter.clone(),
        list: held.list.clone(),
        sender: Some(held.sender.clone()),
        statistics,
        decision: decision(entry),
        arrived: entry.known().arrival,
        window_opens: window.map(|(opened, _)| opened),
        rank: window.map(|(_, rank)| rank),
        reason: cause.as_str().to_owned(),
    })
}

/// The record of a message that is missing; without a cause: it was let go and has left.
#[must_use]
pub fn gone(entry: &Entry, missing: Option<Missing>) -> Event {
    let held = &entry.held;
    Event::Gone(GoneRecord {
        queue_id: held.queue_id.to_string(),
        charter: held.charter.clone(),
        list: held.list.clone(),
        sender: Some(held.sender.clone()),
        decision: decision(entry),
        reason: missing.map_or(LEFT_QUEUE, Missing::as_str).to_owned(),
    })
}

/// The record of a message that is not delivered.
#[must_use]
pub fn cancel(entry: &Entry, why: Overdue, reference: Option<&str>) -> Event {
    let held = &entry.held;
    Event::Cancel(CancelRecord {
        queue_id: held.queue_id.to_string(),
        charter: held.charter.clone(),
        list: held.list.clone(),
        sender: Some(held.sender.clone()),
        decision: decision(entry),
        reason: why.as_str().to_owned(),
        reference: reference.map(str::to_owned),
    })
}

/// The index of the record that held the message: the number at the head of its reference.
fn decision(entry: &Entry) -> Option<u64> {
    entry.held.reference.split('-').next()?.parse().ok()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::decision_log::record::NEVER_QUEUED;

    #[test]
    fn the_log_knows_which_of_our_reasons_are_anomalies() {
        let is_anomaly = |reason: &str| GoneRecord { reason: reason.to_owned(), ..GoneRecord::default() }.is_anomaly();
        assert_eq!(Missing::NeverQueued.as_str(), NEVER_QUEUED);
        assert!(!is_anomaly(LEFT_QUEUE));
        let anomalies: Vec<_> = Missing::ALL.iter().filter(|why| is_anomaly(why.as_str())).collect();
        assert_eq!(anomalies, [&Missing::Vanished, &Missing::ReleasedByOther, &Missing::Changed]);
    }
}
