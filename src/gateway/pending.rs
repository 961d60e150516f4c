//! Decisions on their way from the `edit` socket to the `hold` socket.
//!
//! Where a DKIM signer must run after our edits, the MTA calls us twice for one message, because in Postfix a quarantine
//! ends the chain of milters. The decision is made once, on the first socket, and found again by queue id on the second.

use std::collections::HashMap;
use std::sync::{Mutex, PoisonError};

use jiff::{SignedDuration, Timestamp};

/// Between the end of message on the first socket and on the second lies the signer; an hour is beyond any MTA's patience.
const KEPT_FOR: SignedDuration = SignedDuration::from_hours(1);

/// How many decisions may be on their way before the old ones are looked for.
const SWEEP_FROM: usize = 1024;

/// What was decided for a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Decided {
    /// It passes.
    Pass,
    /// It is held, for this reason.
    Hold(String),
}

/// The decisions that the second socket has not fetched yet.
#[derive(Debug, Default)]
pub struct Pending {
    decided: Mutex<HashMap<String, (Timestamp, Decided)>>,
}

impl Pending {
    /// Remembers a decision.
    pub fn put(&self, queue_id: String, decided: Decided, now: Timestamp) {
        let mut map = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        if map.len() >= SWEEP_FROM {
            map.retain(|_, (at, _)| now.duration_since(*at) < KEPT_FOR);
        }
        map.insert(queue_id, (now, decided));
    }

    /// Takes the decision for a message; `None` when there is none, or none that is recent enough to be about it.
    #[must_use]
    pub fn take(&self, queue_id: &str, now: Timestamp) -> Option<Decided> {
        let mut map = self.decided.lock().unwrap_or_else(PoisonError::into_inner);
        map.remove(queue_id).filter(|(at, _)| now.duration_since(*at) < KEPT_FOR).map(|(_, decided)| decided)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_decision_is_found_once_and_not_for_ever() {
        let pending = Pending::default();
        let now = Timestamp::UNIX_EPOCH;
        pending.put("A1".into(), Decided::Hold("night".into()), now);
        assert_eq!(pending.take("A1", now), Some(Decided::Hold("night".into())));
        assert_eq!(pending.take("A1", now), None);
        pending.put("A1".into(), Decided::Pass, now);
        assert_eq!(pending.take("A1", now + KEPT_FOR), None);
    }
}
