//! What records say of the house: suspensions, configurations, keys and checkpoints, repairs, and what operators did.

use jiff::Timestamp;
use jiff::civil::Date;
use serde::{Deserialize, Serialize};

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
