//! Mail that waits for the night: the ledger of what is held in the mail server's own queue, the order of release, and the
//! release itself.
//!
//! Only the mail server ever stores mail. The daemon answers *quarantine* and *accept*, after it has entered the message in the
//! [`ledger`]; every minute `release` compares the ledger with the mail server's own queue listing and lets go what may leave.

pub mod chronicle;
pub mod draw;
pub mod entry;
pub mod ledger;
pub mod mta;
pub mod notice;
pub mod plan;
pub mod regime;
pub mod release;

pub use entry::{Beside, Entry, EntryNumber, Held, NotAQueueId, QueueId, Removal, Route, Sighting, Stage, State};
