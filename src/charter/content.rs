//! The rules that look at the inside of a message: structure, attachments, petitions, chain letters, copies, trackers.

use super::Inspection;
use super::answer::{Answer, mark, refuse_or_tag};
use super::attachments::{self, Fate};
use super::case::Case;
use super::facts::Content;
use super::petition::{Report, Score};
use super::rules::{AttachmentsRule, CopiesRule, PetitionRule, RuleName, StructureRule, TrackingRule};
use super::verdict::{Effect, Evidence, NotRun, PartEvidence, ReasonCode, SignalEvidence};
use crate::message::attachments::Attachment;
use crate::message::edit::{Edit, PartRemoval};
use crate::wording::notices::{self, Removed};

/// Rule `structure`: what two mail programs could read differently nobody can judge.
pub(super) fn structure(case: &Case<'_>, rule: &StructureRule) -> Answer {
    let Some(content) = case.content else { return Answer::miss() };
    let ambiguities = content.ambiguities();
    if !ambiguities.is_empty() {
        return refuse_or_tag(ReasonCode::StructureAmbiguous, rule.ambiguous)
            .because(Evidence::Ambiguities(ambiguities));
    }
    if content.encrypted() && !rule.encrypted_allowed {
        return Answer::hit(ReasonCode::Encrypted, Effect::Reject);
    }
    Answer::miss()
}

/// How far the attachments rule may look into texts: not at all where the charter or an exemption forbids it.
fn inspection(case: &Case<'_>) -> Inspection {
    if case.reads_text() { Inspection::Content } else { Inspection::Structure }
}

/// Rule `attachments` (cnrs:III.h).
pub(super) fn attachments(case: &Case<'_>, rule: &AttachmentsRule) -> Answer {
    let Some(content) = case.content else { return Answer::miss() };
    let found = content.attachments(inspection(case));
    let encrypted_allowed = case.rules().structure.as_ref().is_some_and(|rule| rule.settings.encrypted_allowed);
    let fates = attachments::fates(rule, encrypted_allowed, found);
    let with = |wanted: &[Fate]| -> Vec<&Attachment> {
        found.iter().zip(&fates).filter(|(_, fate)| wanted.contains(fate)).map(|(attachment, _)| attachment).collect()
    };
    let evidence = |some: &[&Attachment]| {
        let parts = some.iter().map(|a| PartEvidence { part: a.part.0, class: a.class.as_str() });
        Evidence::Parts(parts.collect())
    };
    let rejected = with(&[Fate::Reject]);
    if !rejected.is_empty() {
        return Answer::hit(ReasonCode::Attachment, Effect::Reject).because(evidence(&rejected));
    }
    let (removed, tagged) = (with(&[Fate::Strip, Fate::Wrap]), with(&[Fate::Tag]));
    let mut edits = Vec::new();
    if !removed.is_empty() {
        let parts = removed.iter().map(|attachment| removal(case, content, attachment)).collect();
        edits.push(Edit::RemoveParts { parts, signed: rule.signed });
    }
    if !tagged.is_empty() {
        edits.push(mark(ReasonCode::Attachment));
    }
    match edits.last() {
        None => Answer::miss(),
        Some(Edit::RemoveParts { .. }) => {
            Answer { edits, ..Answer::hit(ReasonCode::Attachment, Effect::Edit) }.because(evidence(&removed))
        }
        Some(_) => {
            let seen: Vec<_> = removed.into_iter().chain(tagged).collect();
            Answer { edits, ..Answer::hit(ReasonCode::Attachment, Effect::Tag) }.because(evidence(&seen))
        }
    }
}

/// A part to be removed, with the notice that says what it was, under which clause, and what its reader can do.
fn removal(case: &Case<'_>, content: &Content<'_>, attachment: &Attachment) -> PartRemoval {
    let contents = content.contents_of(attachment);
    let clause = case.rules().attachments.as_ref().map_or("", |rule| rule.clause.0.as_str());
    let what = Removed {
        class: attachment.class,
        name: attachment.name.as_deref(),
        media_type: &attachment.media_type,
        size_bytes: attachment.decoded_size_bytes,
        clause,
        charter: &case.charter.title,
        contents: &contents,
    };
    PartRemoval {
        part: attachment.part,
        place: attachment.place.clone(),
        notice: notices::removed(case.charter.language, &what),
    }
}

/// Rule `petition` (cnrs:III.i).
pub(super) fn petition(case: &Case<'_>, rule: &PetitionRule) -> Answer {
    weigh(case, rule, RuleName::Petition, ReasonCode::Petition, |report| report.petition)
}

/// Rule `chain-letter` (am:5.1.c).
pub(super) fn chain_letter(case: &Case<'_>, rule: &PetitionRule) -> Answer {
    weigh(case, rule, RuleName::ChainLetter, ReasonCode::ChainLetter, |report| report.chain_letter)
}

fn weigh(
    case: &Case<'_>,
    rule: &PetitionRule,
    name: RuleName,
    reason: ReasonCode,
    score: impl FnOnce(&Report) -> Score,
) -> Answer {
    let Some(content) = case.content else { return Answer::miss() };
    let report = content.report(case.rules());
    let score = score(&report);
    let signals = report.signals.iter().filter(|signal| signal.rule == name);
    let evidence = Evidence::Signals {
        score: score.value,
        threshold: score.threshold,
        signals: signals.map(|signal| SignalEvidence { id: signal.id.clone(), weight: signal.weight }).collect(),
    };
    let answer = if score.reached { refuse_or_tag(reason, rule.action) } else { Answer::miss() };
    answer.because(evidence)
}

/// Rule `copies` (drancy:IV): the answer of the store to this message's fingerprint.
pub(super) fn copies(case: &Case<'_>, rule: &CopiesRule) -> Answer {
    let limit = u64::from(rule.messages_max);
    match case.state.copies {
        None => Answer::not_run(NotRun::StateNotAsked),
        Some(counted) if counted > limit => {
            refuse_or_tag(ReasonCode::Copies, rule.action).because(Evidence::Count { counted, limit })
        }
        Some(counted) => Answer::miss().because(Evidence::Count { counted, limit }),
    }
}

/// Rule `tracking` (pm:5.b): the edit finds the trackers, and says how many there were.
pub(super) fn tracking(case: &Case<'_>, rule: TrackingRule) -> Answer {
    if !rule.reject {
        return Answer::edit(Edit::RemoveTracking);
    }
    match case.content {
        Some(content) if !content.trackers().is_empty() => Answer::hit(ReasonCode::Tracker, Effect::Reject),
        _ => Answer::miss(),
    }
}
