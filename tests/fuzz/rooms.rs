//! The rooms that are fuzzed, from their own sources. The whole program would bring the mail protocol, the data base and the
//! resolver with it, and take five times as long to build; the rooms below know nothing of these.

#[path = "../../src/charter/mod.rs"]
pub mod charter;
#[path = "../../src/closed_list.rs"]
mod closed_list;
#[path = "../../src/decision_log/mod.rs"]
pub mod decision_log;
#[path = "../../src/message/mod.rs"]
pub mod message;
#[path = "../../src/wording/mod.rs"]
pub mod wording;
