//! The metrics: a closed list with help texts, all registered at zero when the daemon starts.
//!
//! Labels come from closed lists too (verdicts, reason codes, rules); nothing about a person ever becomes a label.

use std::net::SocketAddr;

use jiff::Timestamp;
use metrics::{Unit, counter, describe_counter, describe_gauge, describe_histogram, gauge, histogram};

use crate::charter::verdict::{ReasonCode, Verdict};

/// Connections from the MTA.
pub const CONNECTIONS: &str = "charter_milter_connections_total";
/// Failed accepts.
pub const ACCEPT_ERRORS: &str = "charter_milter_accept_errors_total";
/// Messages that no rule concerned.
pub const UNCONCERNED: &str = "charter_milter_unconcerned_messages_total";
/// Decisions, by verdict.
pub const DECISIONS: &str = "charter_milter_decisions_total";
/// Refusals, by leading reason.
pub const REFUSALS: &str = "charter_milter_refusals_total";
/// How long a decision took, seconds, from the end of message to the effects.
pub const DECISION_SECONDS: &str = "charter_milter_decision_seconds";
/// 1 while the last reload failed.
pub const RELOAD_FAILED: &str = "charter_milter_reload_failed";
/// 1 while the decision log, the ledger or the store cannot be written.
pub const UNWRITABLE: &str = "charter_milter_unwritable";
/// Seconds since the epoch at which the configuration in force was loaded.
pub const CONFIG_LOADED: &str = "charter_milter_config_loaded_timestamp_seconds";

/// Every metric.
pub const ALL: [&str; 9] = [
    CONNECTIONS,
    ACCEPT_ERRORS,
    UNCONCERNED,
    DECISIONS,
    REFUSALS,
    DECISION_SECONDS,
    RELOAD_FAILED,
    UNWRITABLE,
    CONFIG_LOADED,
];

const COUNTERS: [(&str, &str); 3] = [
    (CONNECTIONS, "Connections from the mail server."),
    (ACCEPT_ERRORS, "Connections that could not be accepted."),
    (UNCONCERNED, "Messages that no rule of any charter concerned."),
];

/// The parts of the house whose failure `charter_milter_unwritable` shows.
pub const WRITERS: [&str; 3] = ["log", "ledger", "store"];

/// Upper bounds of the histogram of decision times, seconds: from far below a disk's fdatasync to the MTA's patience.
const DECISION_SECONDS_BUCKETS: [f64; 12] =
    [0.0005, 0.001, 0.0025, 0.005, 0.01, 0.025, 0.05, 0.1, 0.25, 1.0, 5.0, 25.0];

/// Serves the metrics at this address, when there is one, and registers them all. Must be called inside the runtime.
///
/// # Errors
/// The address, and why it cannot be used.
pub fn serve(address: Option<SocketAddr>) -> Result<(), (SocketAddr, String)> {
    use metrics_exporter_prometheus::{Matcher, PrometheusBuilder};
    if let Some(address) = address {
        let named = |error: &dyn std::fmt::Display| (address, error.to_string());
        PrometheusBuilder::new()
            .with_http_listener(address)
            .set_buckets_for_metric(Matcher::Full(DECISION_SECONDS.to_owned()), &DECISION_SECONDS_BUCKETS)
            .and_then(PrometheusBuilder::install)
            .map_err(|error| named(&error))?;
    }
    register();
    Ok(())
}

/// Notes that a configuration came into force.
pub fn config_loaded(now: Timestamp) {
    #[expect(clippy::cast_precision_loss, reason = "seconds since the epoch are far below 2^53")]
    gauge!(CONFIG_LOADED).set(now.as_second() as f64);
}

/// Describes every metric and sets it to zero, so that a graph or an alarm can be made before anything happens.
fn register() {
    for (name, help) in COUNTERS {
        describe_counter!(name, help);
        counter!(name).absolute(0);
    }
    describe_counter!(DECISIONS, "Decisions about messages, by verdict.");
    for verdict in [Verdict::Accept, Verdict::Hold, Verdict::Tempfail, Verdict::Reject] {
        counter!(DECISIONS, "verdict" => verdict.as_str()).absolute(0);
    }
    describe_counter!(REFUSALS, "Messages refused or deferred, by leading reason.");
    for reason in ReasonCode::ALL {
        counter!(REFUSALS, "reason" => reason.as_str()).absolute(0);
    }
    describe_histogram!(DECISION_SECONDS, Unit::Seconds, "Time from the end of a message to its decision.");
    drop(histogram!(DECISION_SECONDS));
    describe_gauge!(RELOAD_FAILED, "1 while the last reload of the configuration failed and the old one is in force.");
    gauge!(RELOAD_FAILED).set(0.0);
    describe_gauge!(UNWRITABLE, "1 while the decision log, the ledger or the store cannot be written.");
    for writer in WRITERS {
        gauge!(UNWRITABLE, "writer" => writer).set(0.0);
    }
    describe_gauge!(CONFIG_LOADED, Unit::Seconds, "When the configuration in force was loaded.");
    gauge!(CONFIG_LOADED).set(0.0);
}
