//! What the ledger knows of one held message: where it waits, when it may leave, and how far it has got.
//!
//! A queue id alone never identifies a message: short Postfix ids are inode numbers and come back. A message is
//! recognised by its queue id together with the arrival time and the size that the mail server's own listing shows;
//! these two are noted when the message is first seen in the queue ([`Sighting`]) and must be equal ever after.

use std::fmt;
use std::str::FromStr;

use jiff::Timestamp;
use serde::de::Error as _;
use serde::{Deserialize, Deserializer, Serialize};

use crate::charter::overdue::Overdue;
use crate::closed_list::closed_list;
use crate::store::ReservationId;

/// Shortest queue id any supported mail server makes: Postfix short ids are five hexadecimal digits of microseconds and an inode.
const QUEUE_ID_CHARS_MIN: usize = 6;
/// Longest queue id accepted: Postfix long ids have about 16 characters, Sendmail's 14; the margin is for future ones.
const QUEUE_ID_CHARS_MAX: usize = 40;

closed_list! {
    /// The mail server in whose queue a message waits.
    Route {
        /// Postfix's hold queue.
        Postfix = "postfix",
        /// A quarantined queue file of Sendmail.
        Sendmail = "sendmail",
    }
}

closed_list! {
    /// How far a held message has got.
    State {
        /// The mail server was told to hold it; it has not been seen in the queue yet.
        Entered = "entered",
        /// It was seen on hold in the queue and waits for its window.
        SeenInQueue = "seen-in-queue",
        /// It was let go; the mail server is delivering it.
        Released = "released",
        /// It was let go and has left the queue.
        Gone = "gone",
        /// The postmaster cancelled it; it was deleted from the queue.
        Cancelled = "cancelled",
        /// It could not leave in time and went back to its sender with the reason.
        Returned = "returned",
        /// It is not in the queue although nothing here let it go.
        Vanished = "vanished",
    }
}

impl State {
    /// Whether the message still needs attention.
    #[must_use]
    pub fn is_open(self) -> bool {
        matches!(self, Self::Entered | Self::SeenInQueue | Self::Released)
    }

    /// Whether the message waits for its turn.
    #[must_use]
    pub fn is_waiting(self) -> bool {
        matches!(self, Self::Entered | Self::SeenInQueue)
    }
}

/// The name of a message in the mail server's queue. Only letters and digits, so that it can be an argument or a line of input
/// of the mail server's tools and nothing else: no option, no path, and not the word `ALL`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct QueueId(String);

/// A text that is not a queue id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("not a queue id: {QUEUE_ID_CHARS_MIN} to {QUEUE_ID_CHARS_MAX} letters and digits are expected")]
pub struct NotAQueueId;

impl QueueId {
    /// The id as the mail server writes it.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl FromStr for QueueId {
    type Err = NotAQueueId;

    fn from_str(text: &str) -> Result<Self, NotAQueueId> {
        let length_fits = (QUEUE_ID_CHARS_MIN..=QUEUE_ID_CHARS_MAX).contains(&text.len());
        if length_fits && text.bytes().all(|byte| byte.is_ascii_alphanumeric()) {
            Ok(Self(text.to_owned()))
        } else {
            Err(NotAQueueId)
        }
    }
}

impl fmt::Display for QueueId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// A message that the mail server is about to be told to hold.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Held {
    /// The mail server that keeps it.
    pub route: Route,
    /// Its name in that server's queue (macro `{i}`).
    pub queue_id: QueueId,
    /// When MAIL FROM came in; this is the time the queue listing will show, give or take a second.
    pub arrival: Timestamp,
    /// When it was judged: now.
    pub entered: Timestamp,
    /// Its size as received, in octets; the queue listing will show about the same.
    pub size_bytes: u64,
    /// The id of the charter it waits under: its turn, pace and draw are that charter's.
    pub charter: String,
    /// The list's main address.
    pub list: String,
    /// The sender's pseudonym, as the decision log writes it.
    pub sender: String,
    /// The reference of the message's decision record.
    pub reference: String,
    /// The name under which the sender is registered, so that a stop can be looked up. Erased when the message is concluded.
    pub registered_as: Option<String>,
    /// Where to return the message if it cannot leave in time: the envelope sender as received, before any edit of the
    /// return path. Erased when the message is concluded.
    pub return_to: Option<String>,
    /// Start of the first window in which it may leave.
    pub release_not_before: Timestamp,
    /// End of that window.
    pub window_ends: Timestamp,
    /// From this instant on it may not be delivered any more; `None` when the list is always open.
    pub period_ends: Option<Timestamp>,
    /// What its places in quotas are settled by, once it leaves or is taken out of the queue; `None` when it takes none.
    pub reservation: Option<ReservationId>,
    /// The other charters that judged it, and bind its delivery too (am:4.1). Erased when the message is concluded.
    pub beside: Vec<Beside>,
}

/// A charter that judged a held message beside the one it waits under.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Beside {
    /// The charter's id.
    pub charter: String,
    /// The main address of its list; `None` where its general rules were asked.
    pub list: Option<String>,
    /// The name under which the sender is on its register.
    pub registered_as: Option<String>,
    /// From this instant on the message may not be delivered any more, as far as this charter goes.
    pub period_ends: Option<Timestamp>,
}

/// How one charter judged a held message.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Judged<'a> {
    /// The charter's id.
    pub charter: &'a str,
    /// The main address of its list.
    pub list: Option<&'a str>,
    /// The sender's name on its register.
    pub registered_as: Option<&'a str>,
    /// The end of its period, as it was then.
    pub period_ends: Option<Timestamp>,
}

impl Held {
    /// How every charter judged the message; the one it waits under comes first.
    pub fn judged_by(&self) -> impl Iterator<Item = Judged<'_>> {
        let first = Judged {
            charter: &self.charter,
            list: Some(&self.list),
            registered_as: self.registered_as.as_deref(),
            period_ends: self.period_ends,
        };
        let beside = self.beside.iter().map(|other| Judged {
            charter: &other.charter,
            list: other.list.as_deref(),
            registered_as: other.registered_as.as_deref(),
            period_ends: other.period_ends,
        });
        std::iter::once(first).chain(beside)
    }
}

/// The number of an entry in the ledger; never reused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct EntryNumber(pub i64);

impl fmt::Display for EntryNumber {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.0.fmt(f)
    }
}

/// A line of the ledger.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Entry {
    /// Its number.
    pub number: EntryNumber,
    /// What was entered.
    pub held: Held,
    /// How far the message has got.
    pub state: State,
    /// Since when it is in that state.
    pub since: Timestamp,
    /// What the queue listing showed when the message was first seen.
    pub sighting: Option<Sighting>,
    /// When it was last let go.
    pub released: Option<Timestamp>,
    /// It was let go by order of the postmaster, whatever the hour.
    pub by_order: bool,
    /// It is being taken out of the queue.
    pub removal: Option<Removal>,
}

/// How a message is taken out of the queue, and how far that has got.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Removal {
    /// What it is then: returned or cancelled.
    #[serde(deserialize_with = "word")]
    pub to: State,
    /// Why.
    #[serde(deserialize_with = "word")]
    pub why: Overdue,
    /// The reference of the order to do so.
    pub order: Option<String>,
    /// Its sender is not told.
    pub silent: bool,
    /// How far it has got.
    #[serde(deserialize_with = "word")]
    pub stage: Stage,
}

impl Removal {
    /// Whether it will be finished whatever happens. A return of which nothing is recorded yet is begun anew, or not at all where
    /// the message may leave again.
    #[must_use]
    pub fn is_binding(&self) -> bool {
        self.to == State::Cancelled || self.stage != Stage::Begun
    }
}

/// A word of a closed list.
fn word<'de, D: Deserializer<'de>, T: FromStr>(deserializer: D) -> Result<T, D::Error> {
    let word = String::deserialize(deserializer)?;
    word.parse().map_err(|_| D::Error::custom("not a word of the list"))
}

closed_list! {
    /// The steps of a removal that have been done. Each is noted before the next, so that nothing is said twice that was said.
    Stage {
        /// It is going to be recorded.
        Begun = "begun",
        /// It is in the decision log.
        Recorded = "recorded",
        /// Its sender knows, or need not.
        Told = "told",
    }
}

impl Entry {
    /// When the message arrived and how large it is: as the queue showed it, or as it came in while it has not been seen there.
    #[must_use]
    pub fn known(&self) -> Sighting {
        self.sighting.unwrap_or(Sighting { arrival: self.held.arrival, size_bytes: self.held.size_bytes })
    }
}

/// What a queue listing says of a message, beside its id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Sighting {
    /// Arrival time, whole seconds.
    pub arrival: Timestamp,
    /// Size in octets, as the mail server counts.
    pub size_bytes: u64,
}

/// A message let go earlier, for the pace and for whose turn it is.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PastRelease {
    /// The charter.
    pub charter: String,
    /// The sender's pseudonym.
    pub sender: String,
    /// When it was let go.
    pub at: Timestamp,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn queue_ids_of_both_servers_are_accepted() {
        for id in ["3F2A41C2B", "4Xvk2N1zQkz9sQ", "4ALJ1x2Y012345", "0A1B2C"] {
            assert_eq!(QueueId::from_str(id).map(|id| id.to_string()), Ok(id.to_owned()));
        }
    }

    #[test]
    fn nothing_that_a_tool_could_misread_is_a_queue_id() {
        for text in [
            "",
            "ALL",
            "-",
            "-d",
            "ABC",
            "../../etc/x",
            "3F2A41C2B\n",
            "3F2A41C2B ALL",
            "3F2A41C2Bé",
            "%41%42%43",
            "3F2A_1C2B",
        ] {
            assert_eq!(QueueId::from_str(text), Err(NotAQueueId), "{text:?}");
        }
        assert_eq!(QueueId::from_str(&"A".repeat(QUEUE_ID_CHARS_MAX + 1)), Err(NotAQueueId));
    }

    #[test]
    fn every_state_is_waiting_open_or_concluded() {
        let open: Vec<_> = State::ALL.iter().filter(|s| s.is_open()).collect();
        assert_eq!(open, [&State::Entered, &State::SeenInQueue, &State::Released]);
        assert!(State::ALL.iter().all(|s| s.is_open() || !s.is_waiting()));
    }
}
