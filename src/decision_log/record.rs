//! The closed set of records: what the log can say, and nothing else.
//!
//! Names inside records are stable strings (`reject`, `night-window`…), not types of other rooms: a record written today
//! must be readable when those types have long changed. No field holds content, a subject, or the address of a sender or
//! member; lists are not members and may be named. The table of all fields is [`super::fields::FIELDS`].

use std::collections::BTreeMap;

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

use crate::closed_list::closed_list;

/// The version of the format, in every line.
pub const FORMAT_VERSION: u32 = 1;

closed_list! {
    /// The kinds of records.
    Kind {
        /// A message was judged.
        Decision = "decision",
        /// A held message was found in the mail server's queue.
        SeenInQueue = "seen-in-queue",
        /// The order of a night was drawn; written before its window opens.
        Draw = "draw",
        /// A held message was let go.
        Release = "release",
        /// A held message is no longer in the queue: it left after a release, or nobody here let it go.
        Gone = "gone",
        /// A held message was returned or removed by order.
        Cancel = "cancel",
        /// A sender, a list or a charter was suspended, or a suspension lifted.
        Stop = "stop",
        /// A configuration came into force.
        Config = "config",
        /// A signing key was announced.
        Key = "key",
        /// The tree was signed.
        Checkpoint = "checkpoint",
        /// Old lines were deleted, their hashes kept.
        Purge = "purge",
        /// Something was repaired after a crash or a failed write.
        Recovery = "recovery",
        /// The clock jumped.
        Clock = "clock",
        /// A command read or changed held mail or the log.
        Operator = "operator",
    }
}

impl Kind {
    /// Whether a purge keeps lines of this kind: they carry the chain of keys and checkpoints, or the trace of operators
    /// (five years, am:A3), and name no sender.
    #[must_use]
    pub fn outlives_purge(self) -> bool {
        matches!(
            self,
            Self::Config | Self::Key | Self::Checkpoint | Self::Purge | Self::Recovery | Self::Clock | Self::Operator
        )
    }
}

/// A record before it has its place in the log.
#[derive(Debug, Clone, PartialEq)]
pub struct Record {
    /// When it happened, by the clock of the caller.
    pub at: Timestamp,
    /// What happened.
    pub event: Event,
}

impl Record {
    /// A record of `event`, at `at`.
    #[must_use]
    pub fn new(at: Timestamp, event: Event) -> Self {
        Self { at, event }
    }
}

macro_rules! events {
    ($($(#[doc = $help:literal])+ $variant:ident($body:ty),)+) => {
        /// What a record says.
        #[derive(Debug, Clone, PartialEq)]
        pub enum Event { $($(#[doc = $help])+ $variant($body),)+ }

        impl Event {
            /// Its kind.
            #[must_use]
            pub fn kind(&self) -> Kind {
                match self { $(Self::$variant(_) => Kind::$variant),+ }
            }

            /// Its body as JSON.
            ///
            /// # Errors
            ///
            /// When a number in it is not finite.
            pub fn body_json(&self) -> Result<String, serde_json::Error> {
                match self { $(Self::$variant(body) => serde_json::to_string(body)),+ }
            }

            /// Reads the body of a record of this kind. Unknown, missing and repeated fields are errors.
            ///
            /// # Errors
            ///
            /// When the body is not one that this kind of record has.
            pub fn from_body(kind: Kind, body: &str) -> Result<Self, serde_json::Error> {
                match kind { $(Kind::$variant => serde_json::from_str(body).map(Self::$variant)),+ }
            }
        }

        $(impl From<$body> for Event {
            fn from(body: $body) -> Self { Self::$variant(body) }
        })+
    };
}

events! {
    /// See [`Kind::Decision`].
    Decision(DecisionRecord),
    /// See [`Kind::SeenInQueue`].
    SeenInQueue(SeenInQueueRecord),
    /// See [`Kind::Draw`].
    Draw(DrawRecord),
    /// See [`Kind::Release`].
    Release(ReleaseRecord),
    /// See [`Kind::Gone`].
    Gone(GoneRecord),
    /// See [`Kind::Cancel`].
    Cancel(CancelRecord),
    /// See [`Kind::Stop`].
    Stop(StopRecord),
    /// See [`Kind::Config`].
    Config(ConfigRecord),
    /// See [`Kind::Key`].
    Key(KeyRecord),
    /// See [`Kind::Checkpoint`].
    Checkpoint(CheckpointRecord),
    /// See [`Kind::Purge`].
    Purge(PurgeRecord),
    /// See [`Kind::Recovery`].
    Recovery(RecoveryRecord),
    /// See [`Kind::Clock`].
    Clock(ClockRecord),
    /// See [`Kind::Operator`].
    Operator(OperatorRecord),
}

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
    /// Digest of the rule pack in force, lower-case hex.
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
    /// Pseudonym of the registered sender; absent when none was recognised.
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
    /// Identifiers of the signals of the rule pack that were seen. Never content.
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

/// A suspension began or ended (pm:6, drancy:V.a).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StopRecord {
    /// `stop`, `resume`, or `breaker` when the flood breaker opened by itself.
    pub action: String,
    /// What is suspended: `sender`, `mailbox`, `list`, `charter`, `all`.
    pub target: String,
    /// The charter's id.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub charter: Option<String>,
    /// The list's main address.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub list: Option<String>,
    /// Pseudonym of the sender.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sender: Option<String>,
    /// From when; absent means at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub from: Option<Timestamp>,
    /// Until when; absent means until it is lifted.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub until: Option<Timestamp>,
    /// Why, in the words of who ordered it; for `breaker`, the reason code.
    pub reason: String,
    /// Reference of the order, in the organisation's own numbering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
    /// The clause.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clause: Option<String>,
}

/// A configuration came into force.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ConfigRecord {
    /// Digest over all files, lower-case hex; decision records quote it.
    pub digest: String,
    /// Every file.
    pub files: Vec<FileDigest>,
    /// Version of the program.
    pub version: String,
}

/// One configuration file.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct FileDigest {
    /// Its name, relative to the directory of the main file.
    pub name: String,
    /// SHA-256, lower-case hex.
    pub sha256: String,
}

/// A signing key was announced.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct KeyRecord {
    /// Number of the epoch that this key signs, from 0.
    pub epoch: u64,
    /// The public half as a C2SP verifier key.
    pub key: String,
    /// From when it signs.
    pub from: Timestamp,
    /// A signed note by the key before it; absent for epoch 0, whose key the auditors hold on paper.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub endorsement: Option<String>,
}

/// The tree was signed.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct CheckpointRecord {
    /// Number of the epoch whose key signed.
    pub epoch: u64,
    /// Why now.
    pub reason: CheckpointReason,
    /// The charters whose night window opened or closed.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub charters: Vec<String>,
    /// The checkpoint, a C2SP signed note over all lines before this one.
    pub note: String,
}

/// Why a checkpoint was made.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Hash, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum CheckpointReason {
    /// The daemon started.
    Start,
    /// An hour has passed, whether or not anything happened.
    #[default]
    Hourly,
    /// The key of the day signs for the last time.
    Rotation,
    /// A night window opened.
    WindowOpened,
    /// A night window closed.
    WindowClosed,
    /// A command asked for it, or the daemon stops.
    Requested,
}

impl CheckpointReason {
    /// The stable name.
    #[must_use]
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Start => "start",
            Self::Hourly => "hourly",
            Self::Rotation => "rotation",
            Self::WindowOpened => "window-opened",
            Self::WindowClosed => "window-closed",
            Self::Requested => "requested",
        }
    }
}

/// Old lines were deleted, their hashes kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct PurgeRecord {
    /// Segments that began before this day were purged.
    pub before: Date,
    /// First index of the range.
    pub first: u64,
    /// Last index of the range.
    pub last: u64,
    /// How many lines this purge deletes.
    pub purged: u64,
    /// How many lines of the range stay: keys, checkpoints and the like.
    pub kept: u64,
    /// Names of the period keys destroyed.
    pub keys: Vec<String>,
}

/// Something was repaired.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct RecoveryRecord {
    /// `torn-line` after a crash, `write-error` after a failed write.
    pub what: String,
    /// The segment's file name.
    pub segment: String,
    /// Where in the segment, octets.
    pub offset: u64,
    /// How many octets were set aside.
    pub bytes: u64,
    /// SHA-256 of what was set aside, lower-case hex.
    pub sha256: String,
}

/// The clock jumped.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ClockRecord {
    /// What the clock was expected to show, or showed last.
    pub before: Timestamp,
    /// What it shows.
    pub now: Timestamp,
    /// `back` or `forward`.
    pub jump: String,
}

/// A command read or changed held mail or the log (am:A3).
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct OperatorRecord {
    /// The command, such as `log person`.
    pub command: String,
    /// Its arguments, without addresses and Message-IDs.
    pub arguments: Vec<String>,
    /// Login name of the operator.
    pub user: String,
    /// Login name before `sudo`, when there is one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub behind: Option<String>,
    /// Reference of the order, in the organisation's own numbering.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub reference: Option<String>,
}
