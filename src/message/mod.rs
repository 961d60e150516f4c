//! A message as facts, and edits as bytes: addresses, envelope, header fields, MIME tree, text, links; surgery, banner.
//!
//! This room knows nothing of charters, does no I/O, reads no clock and cannot fail; whatever it does not understand it
//! says so, and [`crate::charter`] refuses it.

pub mod address;
pub mod attachments;
pub mod banner;
mod charset;
pub mod edit;
pub mod envelope;
pub mod headers;
pub mod links;
pub mod mime;
mod readings;
pub mod receipts;
pub mod splice;
pub mod subject;
pub mod surgery;
pub mod text;
pub mod tracking;
