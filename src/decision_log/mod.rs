//! The decision log: one durable line for each decision, in daily segments that form a Merkle tree auditors can verify.
//!
//! [`journal`] is how the rest of the house writes; [`record`] is all that can be written. A line is a leaf of the tree
//! ([`line`], [`tree`]); the daemon signs the tree every hour ([`notary`], [`checkpoint`]) with keys of one day
//! ([`keys`]). Senders have [`pseudonym`]s.
//!
//! Nothing here reads the clock: whoever calls says what time it is.

pub mod checkpoint;
pub mod disk;
pub mod failure;
pub mod fields;
pub mod journal;
pub mod keys;
pub mod line;
pub mod mail;
pub mod notary;
pub mod operator;
pub mod options;
pub mod prove;
pub mod pseudonym;
pub mod purge;
pub mod reader;
pub mod record;
pub mod report;
mod shape;
pub mod tail;
pub mod tree;
pub mod verify;
mod when;
mod writer;

pub use failure::JournalError;
pub use journal::Journal;
pub use line::Reference;
pub use options::{Options, Role};
pub use pseudonym::{KeyPeriod, Pseudonymizer};
pub use record::{Event, Record};
