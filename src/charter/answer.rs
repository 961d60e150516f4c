//! What a rule answers when it is asked about a [`Case`](super::case::Case).

use jiff::Timestamp;

use super::case::{Counted, QuotaState};
use super::quota::DemandSource;
use super::rules::RefuseOrTag;
use super::verdict::{Effect, Evidence, NotRun, Outcome, ReasonCode};
use crate::message::edit::Edit;

/// An answer.
#[derive(Debug, Clone, PartialEq)]
pub struct Answer {
    pub(super) outcome: Outcome,
    pub(super) evidence: Evidence,
    pub(super) edits: Vec<Edit>,
    pub(super) held_until: Option<Timestamp>,
}

impl Answer {
    /// The rule found nothing.
    pub(super) fn miss() -> Self {
        Self { outcome: Outcome::Miss, evidence: Evidence::None, edits: Vec::new(), held_until: None }
    }

    /// The rule found what it looks for.
    pub(super) fn hit(reason: ReasonCode, effect: Effect) -> Self {
        Self { outcome: Outcome::Hit { reason, effect }, ..Self::miss() }
    }

    /// The rule's edit is due.
    pub(super) fn edit(edit: Edit) -> Self {
        Self { edits: vec![edit], ..Self::hit(ReasonCode::EditDue, Effect::Edit) }
    }

    /// The rule cannot be asked yet, or at all.
    pub(super) fn not_run(why: NotRun) -> Self {
        Self { outcome: Outcome::NotRun(why), ..Self::miss() }
    }

    /// With these figures.
    pub(super) fn because(self, evidence: Evidence) -> Self {
        Self { evidence, ..self }
    }
}

impl From<RefuseOrTag> for Effect {
    fn from(action: RefuseOrTag) -> Self {
        match action {
            RefuseOrTag::Reject => Self::Reject,
            RefuseOrTag::Tag => Self::Tag,
        }
    }
}

/// A hit that refuses or marks, as the charter chose.
pub(super) fn refuse_or_tag(reason: ReasonCode, action: RefuseOrTag) -> Answer {
    let answer = Answer::hit(reason, action.into());
    match action {
        RefuseOrTag::Reject => answer,
        RefuseOrTag::Tag => Answer { edits: vec![mark(reason)], ..answer },
    }
}

/// The header field that marks a message without refusing it.
pub(super) fn mark(reason: ReasonCode) -> Edit {
    Edit::MarkHeader { name: "X-Charter-Finding".to_owned(), value: reason.as_str().to_owned() }
}

impl QuotaState {
    /// What the counters say to the rule that asks.
    pub(super) fn answer(&self, charter: &str, source: DemandSource, (reason, effect): (ReasonCode, Effect)) -> Answer {
        let asked = |counted: &&Counted| counted.charter == charter && counted.source == source;
        let (counted, exhausted) = match self {
            Self::NotAsked => return Answer::not_run(NotRun::StateNotAsked),
            Self::Granted(counts) => (counts.iter().find(asked), false),
            Self::Exhausted(counted) if asked(&counted) => (Some(counted), true),
            Self::Exhausted(_) => return Answer::not_run(NotRun::AlreadyRefused),
        };
        let Some(&Counted { counted, limit, .. }) = counted else { return Answer::miss() };
        // A monitored counter grants what an enforced one would not; the record shows it.
        let answer = if exhausted || counted > limit { Answer::hit(reason, effect) } else { Answer::miss() };
        answer.because(Evidence::Count { counted, limit })
    }
}
