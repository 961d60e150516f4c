//! What decisions have to remember across messages: quota reservations, stops, fingerprints of copies.
//!
//! The traits speak in verbs of the domain and know no SQL; [`sqlite`] is the embedded store. One suite of tests, generic
//! over the traits, says what every store has to do (`conformance`).
//!
//! * Time is an argument everywhere. A clock that is set back frees nothing: counters are kept by the span they belong
//!   to, and a reservation expires when the clock says so, at the latest it was told.
//! * Every error means that protected mail gets 451. Nothing is guessed, nothing is counted twice.
//! * No address of a member is ever stored. Senders are pseudonyms in counters; stops name senders, mailboxes on the
//!   register and lists as the charter file does, because a postmaster has to read them.

pub mod sqlite;
mod stops;

#[cfg(test)]
mod conformance;

use std::future::Future;

use jiff::{SignedDuration, Timestamp};

use crate::charter::copies::Fingerprint;
use crate::charter::quota::{CounterKey, Demand};

pub use stops::{FLOOD_BREAKER, Lift, NewStop, Stop, StopError, Stops};

pub use crate::charter::stop::StopSubject;

/// Why the store could not do what it was asked.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum StoreError {
    /// No space is left for it.
    #[error("no space is left for the store")]
    Full,
    /// Its file may not be written.
    #[error("the store is read-only")]
    ReadOnly,
    /// Its file is damaged, or holds what this program did not write.
    #[error("the store is damaged: {0}")]
    Corrupt(String),
    /// Another process kept it locked for longer than the busy timeout.
    #[error("the store is locked by another process")]
    Locked,
    /// Its file is a database of another program.
    #[error("the file belongs to another program")]
    Foreign,
    /// It was written by a newer version of this program.
    #[error("the store has version {found}, and this program knows versions up to {known}")]
    TooNew {
        /// The version of the file.
        found: i64,
        /// The newest version this program knows.
        known: i64,
    },
    /// It cannot be reached: opened, read or written.
    #[error("the store cannot be reached: {0}")]
    Unavailable(String),
    /// It has been closed.
    #[error("the store is closed")]
    Closed,
}

/// The name of a reservation, chosen by who makes it. Never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct ReservationId([u8; 16]);

impl ReservationId {
    /// A name from 16 octets that nobody else has: random ones.
    #[must_use]
    pub fn new(octets: [u8; 16]) -> Self {
        Self(octets)
    }

    /// The octets.
    #[must_use]
    pub fn octets(&self) -> &[u8; 16] {
        &self.0
    }
}

/// The answer to a demand of places.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Reserved {
    /// All of them.
    Granted {
        /// What each counter holds with this message, in the order of the demands.
        used: Vec<u64>,
    },
    /// None of them, because a limit that binds would be passed.
    Exhausted {
        /// The index of the first such demand.
        which: usize,
        /// What each counter holds without this message, in the order of the demands.
        used: Vec<u64>,
        /// The limit of that demand.
        limit: u64,
    },
}

/// What a counter holds, for reports.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Usage {
    /// The counter.
    pub key: CounterKey,
    /// The first instant of the span.
    pub opens: Timestamp,
    /// The first instant after the span.
    pub closes: Timestamp,
    /// How much was used in it: confirmed and, as far as they have not expired, reserved places.
    pub used: u64,
}

/// Places in quotas: taken before the message is judged to the end, and kept only by messages that are let through.
///
/// A message that is refused or lost costs nothing: its reservation is cancelled, or expires. Two sessions never both
/// take the last place: a place that is reserved is taken.
pub trait Quotas: Send + Sync {
    /// Takes a place in every counter of `demands`, or in none. Until `expires` the places count as used; a reservation
    /// under the same id is replaced. Where two demands name the same counter and span, both limits apply, and the
    /// greatest amount is counted once.
    ///
    /// # Errors
    /// Any [`StoreError`]; nothing is reserved then.
    fn reserve(
        &self,
        id: ReservationId,
        demands: Vec<Demand>,
        now: Timestamp,
        expires: Timestamp,
    ) -> impl Future<Output = Result<Reserved, StoreError>> + Send;

    /// Lets the places count for as long as their spans last, and what [`Copies`] remembers under this id for as long as its
    /// window: the message waits on hold. They are still to be confirmed or cancelled. Answers whether there was something
    /// to prolong.
    ///
    /// # Errors
    /// Any [`StoreError`]; the reservation is still there, and expires.
    fn prolong(&self, id: ReservationId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Keeps the places for good: the message was let through. What [`Copies`] remembers of it under this id is kept with
    /// them. This works after the reservation has expired, too: what was let through is counted. Answers whether there
    /// was something to confirm.
    ///
    /// # Errors
    /// Any [`StoreError`]; the reservation is still there, and expires.
    fn confirm(&self, id: ReservationId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// Gives the places back, and forgets what [`Copies`] remembers under this id. Answers whether there was something to
    /// cancel.
    ///
    /// # Errors
    /// Any [`StoreError`]; the reservation is still there, and expires.
    fn cancel(&self, id: ReservationId) -> impl Future<Output = Result<bool, StoreError>> + Send;

    /// What the counters of a charter hold, by counter and span. (A charter that keeps no statistics,
    /// drancy:III.3.d, must not be asked: the caller sees to it.)
    ///
    /// # Errors
    /// Any [`StoreError`].
    fn usage(&self, charter: &str, now: Timestamp) -> impl Future<Output = Result<Vec<Usage>, StoreError>> + Send;

    /// Drops counters whose span ended before `before` (am:4.2: kept only as long as needed), and answers how many.
    /// Leave room for a clock that was wrong: a counter that is dropped too early begins anew.
    ///
    /// # Errors
    /// Any [`StoreError`].
    fn forget(&self, before: Timestamp) -> impl Future<Output = Result<u64, StoreError>> + Send;
}

/// A text to be remembered and compared with others (drancy:IV).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewCopy {
    /// What it is settled by, together with the places in quotas: [`Quotas::confirm`] or [`Quotas::cancel`].
    pub id: ReservationId,
    /// Among whose texts it is compared: a charter and a list of it, in any form that does not change.
    pub scope: String,
    /// Its fingerprint.
    pub fingerprint: Fingerprint,
    /// How far back others count.
    pub window: SignedDuration,
    /// Counting may stop here: one more than is allowed says enough.
    pub count_max: u64,
}

/// Fingerprints of texts. A message that is refused, or tried again later, is not counted as a copy of itself.
pub trait Copies: Send + Sync {
    /// How many texts of the scope were near copies of this one within the window before `now`, this one included; and
    /// remembers it, until `expires` or, once it is confirmed, for as long as the window. A message may be remembered in
    /// several scopes under one id; asked again in the same scope, it takes its own place.
    ///
    /// # Errors
    /// Any [`StoreError`]; nothing is remembered then.
    fn count_and_remember(
        &self,
        copy: NewCopy,
        now: Timestamp,
        expires: Timestamp,
    ) -> impl Future<Output = Result<u64, StoreError>> + Send;
}
