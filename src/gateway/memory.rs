//! What other messages left behind, and what the network says: stops, counters, copies, waiting mail, DKIM.

use std::sync::Arc;

use data_encoding::HEXLOWER;
use jiff::{SignedDuration, Timestamp};

use super::{Matter, Settlement};
use crate::charter::case::{Counted, QuotaState, Stop};
use crate::charter::copies::Fingerprint;
use crate::charter::quota::Demand;
use crate::charter::verdict::ReasonCode;
use crate::charter::{Charter, List, Scope};
use crate::decision_log::keys::KeyError;
use crate::decision_log::pseudonym::mac;
use crate::decision_log::{JournalError, KeyPeriod, Pseudonymizer};
use crate::hold::ledger;
use crate::store::sqlite::Sqlite;
use crate::store::{Copies as _, NewCopy, Quotas as _, ReservationId, Reserved, StopSubject, Stops as _, StoreError};

/// How long a reserved place waits for its message to be settled: longer than any end of message takes, short enough
/// that a killed daemon does not cost a candidate the evening.
const RESERVATION_KEPT_FOR: SignedDuration = SignedDuration::from_mins(10);

/// Why nothing can be decided now. The cause is for the operator; the sender is asked to come back.
#[derive(Debug, thiserror::Error)]
pub enum Trouble {
    /// The store.
    #[error("{0}")]
    Store(#[from] StoreError),
    /// The ledger.
    #[error("{0}")]
    Ledger(#[from] ledger::LedgerError),
    /// The decision log.
    #[error("{0}")]
    Log(#[from] JournalError),
    /// The keys of the decision log.
    #[error("{0}")]
    Keys(#[from] KeyError),
    /// A message is to be held that cannot be: it has no queue id, or no window.
    #[error("the mail server gave no queue id (macro i) for a message that is to be held")]
    NotHoldable,
    /// The system gives no random octets.
    #[error("no random octets can be had")]
    Random,
}

impl Trouble {
    /// The reason code.
    #[must_use]
    pub fn reason(&self) -> ReasonCode {
        match self {
            Self::Store(_) => ReasonCode::StoreUnavailable,
            Self::Ledger(_) => ReasonCode::LedgerUnavailable,
            Self::Log(_) | Self::Keys(_) => ReasonCode::LogUnavailable,
            Self::Random | Self::NotHoldable => ReasonCode::InternalFault,
        }
    }

    /// The part of the house whose failure the metric `unwritable` shows.
    #[must_use]
    pub fn writer(&self) -> Option<&'static str> {
        match self {
            Self::Store(_) => Some("store"),
            Self::Ledger(_) => Some("ledger"),
            Self::Log(_) | Self::Keys(_) => Some("log"),
            Self::Random | Self::NotHoldable => None,
        }
    }
}

/// The daemon's memory.
#[derive(Clone)]
pub struct Memory {
    /// Quotas, stops, copies.
    pub store: Arc<Sqlite>,
    /// Held mail.
    pub ledger: ledger::Writer,
    /// Pseudonyms of the decision log.
    pub pseudonyms: Pseudonymizer,
    /// The key of the fingerprints and of the names that counters have: without it, nobody can tell whether a guessed text was
    /// among those compared, or who is counted.
    pub copies_key: [u8; 32],
}

/// A text to be compared with others, and among which.
pub(super) struct Compared {
    pub scope: String,
    pub fingerprint: Fingerprint,
    pub window: SignedDuration,
    /// More than so many need not be counted.
    pub count_max: u64,
}

/// The answer of the counters.
pub(super) struct Asked {
    pub quota: QuotaState,
    pub copies: Option<u64>,
    pub reservation: Option<ReservationId>,
}

impl Asked {
    /// No counter was concerned.
    fn nothing() -> Self {
        Self { quota: QuotaState::Granted(Vec::new()), copies: None, reservation: None }
    }
}

impl Memory {
    /// Forgets counters whose span ended before this.
    pub(super) async fn forget_counters(&self, before: Timestamp) -> Result<(), Trouble> {
        self.store.forget(before).await?;
        Ok(())
    }

    /// Whether the store answers.
    pub(super) async fn store_works(&self) -> Result<(), Trouble> {
        self.store.works().await?;
        Ok(())
    }

    /// Whether the ledger answers.
    pub(super) async fn ledger_works(&self) -> Result<(), Trouble> {
        self.ledger.waiting("").await?;
        Ok(())
    }

    /// The stops in force on any of these.
    pub(super) async fn stops(&self, matter: &Matter, subjects: Vec<StopSubject>) -> Result<Vec<Stop>, Trouble> {
        let stops = self.store.in_force(subjects, matter.now).await?;
        Ok(stops
            .into_iter()
            .map(|stop| Stop { automatic: stop.is_automatic(), subject: stop.subject, reference: stop.reference })
            .collect())
    }

    /// Whether earlier messages to the list still wait for their release.
    pub(super) async fn earlier_wait(&self, matter: &Matter) -> Result<bool, Trouble> {
        for place in &matter.places {
            if let (Some(Scope::List(list)), Some(_)) = (place.scope(), &place.charter.night_window)
                && self.ledger.waiting(&list.address.to_string()).await? > 0
            {
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Reserves a place in every counter, or says which is full; counts near copies, this text included.
    pub(super) async fn ask(
        &self,
        now: Timestamp,
        demands: Vec<Demand>,
        compared: Vec<Compared>,
    ) -> Result<Asked, Trouble> {
        if demands.is_empty() && compared.is_empty() {
            return Ok(Asked::nothing());
        }
        let mut octets = [0; 16];
        getrandom::fill(&mut octets).map_err(|_| Trouble::Random)?;
        let id = ReservationId::new(octets);
        let expires = now.saturating_add(RESERVATION_KEPT_FOR).unwrap_or(Timestamp::MAX);
        let mut asked = self.reserve(id, demands, now, expires).await?;
        for Compared { scope, fingerprint, window, count_max } in compared {
            let copy = NewCopy { id, scope, fingerprint, window, count_max };
            let counted = self.store.count_and_remember(copy, now, expires).await?;
            asked.copies = asked.copies.max(Some(counted));
            asked.reservation = Some(id);
        }
        Ok(asked)
    }

    async fn reserve(
        &self,
        id: ReservationId,
        demands: Vec<Demand>,
        now: Timestamp,
        expires: Timestamp,
    ) -> Result<Asked, Trouble> {
        if demands.is_empty() {
            return Ok(Asked::nothing());
        }
        let reserved = self.store.reserve(id, demands.clone(), now, expires).await?;
        let counted = |demand: &Demand, counted: u64| Counted {
            charter: demand.charter.clone(),
            source: demand.source,
            counted,
            limit: demand.limit,
        };
        let asked = match reserved {
            Reserved::Granted { used } => {
                let counts = demands.iter().zip(used).map(|(demand, used)| counted(demand, used)).collect();
                Asked { quota: QuotaState::Granted(counts), copies: None, reservation: Some(id) }
            }
            Reserved::Exhausted { which, used, .. } => {
                let full = demands.get(which).zip(used.get(which));
                let full = full.map(|(demand, used)| counted(demand, used.saturating_add(demand.amount)));
                let quota = full.map_or(QuotaState::NotAsked, QuotaState::Exhausted);
                Asked { quota, copies: None, reservation: None }
            }
        };
        Ok(asked)
    }

    /// Keeps or gives back reserved places; those of a message that waits on hold stay taken until it leaves.
    pub(super) async fn settle(&self, settlement: &Settlement, keep: bool) -> Result<(), Trouble> {
        let id = settlement.reservation;
        match (keep, settlement.held) {
            (true, true) => self.store.prolong(id).await?,
            (true, false) => self.store.confirm(id).await?,
            (false, _) => self.store.cancel(id).await?,
        };
        Ok(())
    }

    /// The name under which an address or login is counted for a charter.
    pub(super) fn counted_as(&self, charter: &Charter, name: &str) -> String {
        HEXLOWER.encode(&mac(&self.copies_key, &[b"counter", charter.id.as_bytes(), name.as_bytes()]))
    }

    /// The pseudonym of an address or login in the current key period of a charter.
    pub(super) fn pseudonym(
        &self,
        charter: &Charter,
        list: Option<&List>,
        now: Timestamp,
        name: &str,
    ) -> Result<String, KeyError> {
        self.pseudonyms.pseudonym(&key_period(charter, list, now), name)
    }
}

/// The key period in force for a charter (and list) at an instant.
pub(super) fn key_period(charter: &Charter, list: Option<&List>, now: Timestamp) -> KeyPeriod {
    let rule = list.and_then(|list| list.period.as_ref()).or(charter.period.as_ref());
    let today = now.to_zoned(charter.time_zone.clone()).date();
    KeyPeriod::of(&charter.id, rule.map(|rule| rule.period), today)
}
