//! Stops: dated, reasoned, referenced suspensions of a sender, a mailbox, a list, a charter or everything (drancy:V.a,
//! pm:6).

use std::future::Future;

use jiff::Timestamp;

use super::StoreError;
use crate::charter::stop::StopSubject;

/// Who puts a stop in force when the flood breaker opens (pm:6).
pub const FLOOD_BREAKER: &str = "flood-breaker";

/// A stop to be put in force. [`NewStop::new`] is the only way to make one, so that none is without reason and reference.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NewStop {
    subject: StopSubject,
    reason: String,
    reference: String,
    from: Option<Timestamp>,
    until: Option<Timestamp>,
    by: String,
}

/// Why a stop may not be put in force.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum StopError {
    /// Somebody will ask why.
    #[error("a stop needs a reason")]
    NoReason,
    /// Somebody will ask who decided it.
    #[error("a stop needs a reference: the decision, minutes or letter it rests on")]
    NoReference,
    /// It would never be in force.
    #[error("a stop must begin before it ends")]
    EndsBeforeItBegins,
}

impl NewStop {
    /// A stop of `subject`. Without `from` it is in force at once, whatever the clock says later; without `until` it lasts
    /// until it is lifted.
    ///
    /// # Errors
    /// [`StopError`].
    pub fn new(
        subject: StopSubject,
        reason: &str,
        reference: &str,
        (from, until): (Option<Timestamp>, Option<Timestamp>),
        by: &str,
    ) -> Result<Self, StopError> {
        let (reason, reference) = (reason.trim(), reference.trim());
        if reason.is_empty() {
            return Err(StopError::NoReason);
        }
        if reference.is_empty() {
            return Err(StopError::NoReference);
        }
        if from.zip(until).is_some_and(|(from, until)| until <= from) {
            return Err(StopError::EndsBeforeItBegins);
        }
        let (reason, reference, by) = (reason.to_owned(), reference.to_owned(), by.to_owned());
        Ok(Self { subject, reason, reference, from, until, by })
    }

    /// The stop as it is stored, under its number.
    #[must_use]
    pub fn numbered(self, number: i64, now: Timestamp) -> Stop {
        let Self { subject, reason, reference, from, until, by } = self;
        Stop { number, subject, reason, reference, from, until, by, added: now, lifted: None }
    }
}

/// A stop, in force or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Its number, by which it is lifted.
    pub number: i64,
    /// What it stops.
    pub subject: StopSubject,
    /// Why, for the record and for the sender.
    pub reason: String,
    /// The decision, minutes or letter it rests on.
    pub reference: String,
    /// When it begins; `None` for at once.
    pub from: Option<Timestamp>,
    /// When it ends by itself; `None` for when it is lifted.
    pub until: Option<Timestamp>,
    /// Who put it in force: a login of the gateway, or the name of an automatic breaker.
    pub by: String,
    /// When it was added.
    pub added: Timestamp,
    /// When and by whom it was lifted.
    pub lifted: Option<Lift>,
}

/// The end of a stop by command.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Lift {
    /// When.
    pub at: Timestamp,
    /// By whom.
    pub by: String,
    /// Why.
    pub reason: String,
    /// The decision, minutes or letter it rests on.
    pub reference: String,
}

impl Stop {
    /// Whether no person put it in force, but the flood breaker.
    #[must_use]
    pub fn is_automatic(&self) -> bool {
        self.by == FLOOD_BREAKER
    }

    /// Whether it is in force at `now`.
    #[must_use]
    pub fn is_in_force(&self, now: Timestamp) -> bool {
        self.lifted.is_none() && self.from.is_none_or(|from| from <= now) && self.until.is_none_or(|until| now < until)
    }
}

/// The register of stops. What is added or lifted holds for every process that uses the store from its next message on.
pub trait Stops: Send + Sync {
    /// The stops on any of `subjects` in force at `now`, oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    fn in_force(
        &self,
        subjects: Vec<StopSubject>,
        now: Timestamp,
    ) -> impl Future<Output = Result<Vec<Stop>, StoreError>> + Send;

    /// Adds a stop; it survives a power cut from the moment this answers.
    ///
    /// # Errors
    /// Any [`StoreError`].
    fn add(&self, stop: NewStop, now: Timestamp) -> impl Future<Output = Result<Stop, StoreError>> + Send;

    /// Adds a stop unless there is one in force on the same subject by the same author, and answers it; `None` when there
    /// was one. A breaker that many messages open at once opens once.
    ///
    /// # Errors
    /// Any [`StoreError`].
    fn add_once(&self, stop: NewStop, now: Timestamp) -> impl Future<Output = Result<Option<Stop>, StoreError>> + Send;

    /// Lifts a stop, and answers it; `None` when there is none of that number that is not lifted yet.
    ///
    /// # Errors
    /// Any [`StoreError`].
    fn lift(&self, number: i64, lift: Lift) -> impl Future<Output = Result<Option<Stop>, StoreError>> + Send;

    /// Every stop there ever was, oldest first.
    ///
    /// # Errors
    /// Any [`StoreError`].
    fn history(&self) -> impl Future<Output = Result<Vec<Stop>, StoreError>> + Send;
}
