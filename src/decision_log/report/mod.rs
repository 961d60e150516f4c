//! The report: what an electoral commission or an ethics committee asks of the log, counted from its records.
//!
//! [`data`] counts, in one pass; [`pages`] and [`csv`] show. Where a charter forbids statistics (drancy:III.3.d)
//! no figure for a single sender is computed at all.

pub mod csv;
pub mod data;
pub mod pages;
mod plots;
pub mod words;
