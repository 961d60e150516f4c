//! charter-milter enforces, at the mail gateway, the charter under which candidates and trade unions may write to
//! protected mailing lists.
//!
//! A tour of the house, in the order a message walks through it:
//!
//! * [`milter`] speaks the milter protocol with Postfix or Sendmail; nothing else in the house knows it.
//! * [`gateway`] takes one message from its envelope to the effects of the decision, without a word of protocol.
//! * [`message`] turns the bytes of a message into facts, and edits into new bytes. It knows nothing of charters.
//! * [`proof`] establishes who really sent it: login, network, client certificate, DKIM, Authentication-Results.
//! * [`charter`] holds the vocabulary and decides; it is pure, and it cannot fail.
//! * [`decision_log`] writes one durable line for each decision, in a form auditors can verify.
//! * [`hold`] keeps account of what waits in the mail server's own queue, and lets it go at night.
//! * [`store`] keeps what decisions need to remember: quotas, copies, stops.
//! * [`config`] reads the files of the postmaster into the types of [`charter`], and reports every error at once.
//! * [`wording`] has every sentence that senders and members read, in each language.
//! * [`cli`] is the command line, one file for each subcommand.

pub mod charter;
pub mod cli;
mod closed_list;
pub mod config;
pub mod decision_log;
pub mod gateway;
pub mod hold;
pub mod message;
pub mod milter;
mod ownership;
pub mod proof;
pub mod store;
pub mod wording;
