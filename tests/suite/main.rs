//! The integration suite: one binary, one module for each topic.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::indexing_slicing,
    clippy::print_stdout,
    reason = "a test stops at the first surprise"
)]

mod charters;
mod check;
mod config;
mod counters;
mod decisions;
mod demo;
mod differential;
mod doctor;
mod e2e;
mod edits;
mod explain;
mod golden;
mod hold;
mod home;
mod install;
mod log_attacks;
mod log_cli;
mod log_faults;
mod log_journal;
mod log_purge;
mod log_report;
mod log_verifier;
mod log_words;
mod mta;
mod mta_fixtures;
mod notice;
mod petition_corpus;
mod properties;
mod stop;
mod systemd;
