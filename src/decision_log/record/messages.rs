//! What records say of messages: how each was judged, and what became of those that were held.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde::{Deserialize, Serialize};

/// One message, as it was judged under every charter that concerns it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DecisionRecord {
    /// The message's own reference, which banners quote: known before the record has its place in the log.
    pub reference: String,
    /// The strongest verdict of all judgements in force: `accept`, `hold`, `tempfail`, `reject`.
    pub verdict: String,
    /// How far the message had come: `envelope` or `content`.
    pub stage: String,
    /// One entry for each charter and list (or general rules) that the message was judged under.
    pub judgements: Vec<JudgementRecord>,
    /// Names of the edits made, in order, with their number where there may be several: `tracking-removed=1`.
    pub edits: Vec<String>,
    /// The mail server's queue id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_id: Option<String>,
    /// Octets of the message as received; absent when it was refused at the envelope.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_bytes: Option<u64>,
    /// Number of recipients of the message.
    pub recipients: u32,
    /// The Message-ID, sealed.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub message_id: Option<Commitment>,
    /// The rule pack in force: id, version, and the digest of its file in lower-case hex.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rule_pack: Option<String>,
    /// Digest of the configuration in force, lower-case hex.
    pub config: String,
}

/// The judgement of one message under one charter.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct JudgementRecord {
    /// The charter's id.
    pub charter: String,
    /// The protected list's main address; absent for the charter's general rules.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// What this charter says: `accept`, `hold`, `tempfail`, `reject`.
    pub verdict: String,
    /// `enforce` or `monitor`.
    pub mode: String,
    /// `content` or `structure`.
    pub inspection: String,
    /// The reason code of the deciding rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The clause of the deciding rule.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// Whether figures for each sender may be computed (drancy:III.3.d).
    pub statistics: bool,
    /// Pseudonym of the registered sender, with the reason `sender-not-proven` of the one that the message claims to be
    /// from; absent when none was recognised.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Pseudonym of the address in From, when it is no registered sender's or differs from `sender`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<String>,
    /// The proof that was used: `sasl`, `network`, `tls`, `dkim`, `authentication-results`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub proof: Option<String>,
    /// Use of each quota, this message included.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub quotas: Vec<QuotaUse>,
    /// The outcome of every rule, in order.
    pub rules: Vec<RuleOutcomeRecord>,
    /// When a held message may leave at the earliest.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub hold_until: Option<Timestamp>,
}

/// Use of one quota.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct QuotaUse {
    /// `hour`, `day`, `week`, `month`, `period`.
    pub per: String,
    /// `sender`, `mailbox`, `login`.
    pub of: String,
    /// `list`, `all-lists`.
    pub over: String,
    /// How many were used, this message included.
    pub used: u64,
    /// How many are allowed.
    pub max: u64,
    /// The clause.
    pub clause: String,
}

/// The outcome of one rule.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RuleOutcomeRecord {
    /// The rule's name.
    pub rule: String,
    /// `hit`, `miss`, `exempt`, `not-run`.
    pub outcome: String,
    /// `monitor` when the rule only records; absent when it acts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub mode: Option<String>,
    /// Why it hit, or why it did not run.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reason: Option<String>,
    /// The clause it enforces.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
    /// Numbers that explain the outcome, by stable names: sizes, counts, scores, limits. Never content.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub evidence: BTreeMap<String, serde_json::Number>,
    /// What was seen, a hundred at most: signals by identifier, parts by number and class. Never content.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub signals: Vec<String>,
}

/// A Message-ID sealed for one record: HMAC-SHA-256 under an opening key that only this record has.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Commitment {
    /// Random, 16 octets, base64url without padding: makes the opening key this record's own.
    pub nonce: String,
    /// The seal, 32 octets, base64url without padding.
    pub seal: String,
    /// Which period key the opening key comes from.
    pub key: String,
}

/// A held message was found in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct SeenInQueueRecord {
    /// The queue id.
    pub queue_id: String,
    /// The charter's id.
    pub charter: String,
    /// The list's main address.
    pub list: String,
    /// Pseudonym of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Index of the decision that held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
    /// Arrival, by the mail server's clock.
    pub arrived: Timestamp,
    /// Octets in the queue.
    pub message_bytes: u64,
}

/// The order of a night was drawn.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DrawRecord {
    /// The charter's id.
    pub charter: String,
    /// The window's first instant.
    pub window_opens: Timestamp,
    /// The seed, lower-case hex: with the pseudonyms of those who wait it gives the order (cnrs:pre).
    pub seed: String,
    /// Pseudonyms in the order drawn, when it is known at this point.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub order: Vec<String>,
}

/// A held message was let go.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ReleaseRecord {
    /// The queue id.
    pub queue_id: String,
    /// The charter's id.
    pub charter: String,
    /// The list's main address.
    pub list: String,
    /// Pseudonym of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Whether figures for each sender may be computed (drancy:III.3.d).
    pub statistics: bool,
    /// Index of the decision that held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
    /// Arrival, by the mail server's clock.
    pub arrived: Timestamp,
    /// The window it left in; absent when it left outside of any window, by order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub window_opens: Option<Timestamp>,
    /// Its place in the order of that window, from 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub rank: Option<u32>,
    /// Why: `window`, `operator`…
    pub reason: String,
}

/// The reason in a [`GoneRecord`] of a message that was let go and has left the queue; every other reason is an anomaly,
/// except [`NEVER_QUEUED`].
pub const LEFT_QUEUE: &str = "left-queue";
/// The reason in a [`GoneRecord`] of a message that the mail server did not take after all; its sender was told so.
pub const NEVER_QUEUED: &str = "never-queued";

/// A held message is no longer in the queue.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct GoneRecord {
    /// The queue id.
    pub queue_id: String,
    /// The charter's id.
    pub charter: String,
    /// The list's main address.
    pub list: String,
    /// Pseudonym of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Index of the decision that held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
    /// What is known: `left-queue` after a release, `never-queued`; anomalies are `vanished`, `changed`, `released-by-other`.
    pub reason: String,
}

impl GoneRecord {
    /// Whether the message is missing for no reason that this gateway knows.
    #[must_use]
    pub fn is_anomaly(&self) -> bool {
        self.reason != LEFT_QUEUE && self.reason != NEVER_QUEUED
    }
}

/// A held message was returned or removed by order.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CancelRecord {
    /// The queue id.
    pub queue_id: String,
    /// The charter's id.
    pub charter: String,
    /// The list's main address.
    pub list: String,
    /// Pseudonym of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// Index of the decision that held it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub decision: Option<u64>,
    /// Why: `operator`, `period-over`, `suspended`…
    pub reason: String,
    /// Reference of the order, in the organisation's own numbering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}
