//! What happens to entries: a message is entered, seen in the queue, moved from state to state, and at last forgotten. A move
//! names the state it starts from, so that two processes can never move the same entry twice.

use jiff::Timestamp;
use rusqlite::{ToSql, named_params};

use super::schema::OPEN;
use super::{Ledger, LedgerError, rows};
use crate::hold::entry::{EntryNumber, Held, Removal, Sighting, State};

impl Ledger {
    /// Enters messages that are about to be held; they are on the disk when this returns.
    ///
    /// # Errors
    /// [`LedgerError`]; then none of them is entered.
    pub fn enter(&mut self, messages: &[&Held]) -> Result<(), LedgerError> {
        self.write(|transaction| messages.iter().try_for_each(|held| rows::insert(transaction, held)))
    }

    /// Notes what the queue listing showed when the message was first seen, and moves it from `from` to `seen-in-queue`.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the entry is not in state `from` any more.
    pub fn see(&mut self, number: EntryNumber, from: State, seen: Sighting, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            number,
            from,
            "state = 'seen-in-queue', since = :now, seen_arrival = :arrival, seen_size_bytes = :size",
            named_params! {
                ":now": now.as_millisecond(),
                ":arrival": seen.arrival.as_millisecond(),
                ":size": rows::signed(seen.size_bytes),
            },
        )
    }

    /// Moves an entry from one state to another. `released` keeps the time for pace and turns; a concluded entry
    /// forgets who sent it.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the entry is not in state `from` any more.
    pub fn advance(&mut self, number: EntryNumber, from: State, to: State, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            number,
            from,
            "state = :to, since = :now,
             released = CASE WHEN :to = 'released' THEN :now ELSE released END,
             registered_as = CASE WHEN :open THEN registered_as ELSE NULL END,
             return_to = CASE WHEN :open THEN return_to ELSE NULL END,
             beside = CASE WHEN :open THEN beside ELSE NULL END",
            named_params! {
                ":to": to.as_str(),
                ":now": now.as_millisecond(),
                // A vanished message may turn up again and still have to be returned.
                ":open": to.is_open() || to == State::Vanished,
            },
        )
    }

    /// Marks an entry as let go by order of the postmaster: no window, pace or turn applies to it any more.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the entry is not in state `from` any more.
    pub fn release_by_order(&mut self, number: EntryNumber, from: State, now: Timestamp) -> Result<(), LedgerError> {
        self.change(
            number,
            from,
            "state = 'released', since = :now, released = :now, by_order = 1",
            named_params! { ":now": now.as_millisecond() },
        )
    }

    /// Notes that a message is being taken out of the queue, and how far that has got: a crash between the deletion and the
    /// conclusion must not look as if the message had vanished, and its sender is told once.
    ///
    /// # Errors
    /// [`LedgerError::Moved`] when the entry is not in state `from` any more.
    pub fn note_removal(&mut self, number: EntryNumber, from: State, removal: &Removal) -> Result<(), LedgerError> {
        let removal =
            serde_json::to_string(removal).map_err(|error| rusqlite::Error::ToSqlConversionFailure(error.into()));
        let removal = removal.map_err(|source| self.error(source))?;
        self.change(number, from, "removal = :removal", named_params! { ":removal": removal })
    }

    /// Forgets entries concluded before an instant, and the seeds of windows that opened before it. Returns how many entries went.
    ///
    /// # Errors
    /// [`LedgerError`].
    pub fn forget_before(&mut self, before: Timestamp) -> Result<usize, LedgerError> {
        self.write(|transaction| {
            transaction.execute("DELETE FROM draw WHERE opened < ?1", [before.as_millisecond()])?;
            transaction
                .execute(&format!("DELETE FROM held WHERE since < ?1 AND NOT ({OPEN})"), [before.as_millisecond()])
        })
    }

    /// Sets columns of an entry if it still is in state `from`; every move goes through here.
    fn change(
        &mut self,
        number: EntryNumber,
        from: State,
        set: &str,
        values: &[(&str, &dyn ToSql)],
    ) -> Result<(), LedgerError> {
        let sql = format!("UPDATE held SET {set} WHERE number = :number AND state = :from");
        let from_there = named_params! { ":number": number.0, ":from": from.as_str() };
        let values = [values, from_there].concat();
        match self.write(|transaction| transaction.execute(&sql, values.as_slice()))? {
            1 => Ok(()),
            _ => Err(LedgerError::Moved { number, from }),
        }
    }
}
