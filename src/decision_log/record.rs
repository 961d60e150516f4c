//! The closed set of records: what the log can say, and nothing else.
//!
//! Names inside records are stable strings (`reject`, `night-window`…), not types of other rooms: a record written today
//! must be readable when those types have long changed. No field holds content, a subject, or the address of a sender or
//! member; lists are not members and may be named. The table of all fields is [`super::fields::FIELDS`].

mod house;
mod messages;

use jiff::Timestamp;

pub use self::house::{
    CheckpointReason, CheckpointRecord, ClockRecord, ConfigRecord, FileDigest, KeyRecord, OperatorRecord, PurgeRecord,
    RecoveryRecord, StopRecord,
};
pub use self::messages::{
    CancelRecord, Commitment, DecisionRecord, DrawRecord, GoneRecord, JudgementRecord, LEFT_QUEUE, NEVER_QUEUED,
    QuotaUse, ReleaseRecord, RuleOutcomeRecord, SeenInQueueRecord,
};
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
