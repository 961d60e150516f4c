//! End to end: SMTP to a real mail server with charter-milter in front, and a look at what the next server received, what
//! is on hold, and what the decision log says.

mod edits;
mod faults;
mod general;
mod hold;
mod input;
mod limits;
mod log;
mod proofs;
mod rules;
mod sendmail;
mod service;
pub mod world;
