//! The rules that look at the outside of a message: recipients, suspensions, days, sender, number, size, hours.

use super::answer::{Answer, refuse_or_tag};
use super::authorization::{self, Names, Proven, Refusal};
use super::calendar::{self, Bound, Delivery, Hours, Position};
use super::case::{Addressed, Case};
use super::quota::DemandSource;
use super::rules::{Direction, IdentityRule, RecipientsRule, SizeRule};
use super::stop::StopSubject;
use super::verdict::{Effect, Evidence, NotRun, ReasonCode};
use super::{Clause, Mode, NightWindow, Period, Scope, Sender};
use crate::message::address::Address;

/// Rule `recipient-state` (am:3.2.1): a deactivated mailbox refuses; a suspended one still takes mail.
pub(super) fn recipient_state<'a>(case: &Case<'a>) -> (Option<&'a Clause>, Answer) {
    let states = &case.charter.recipients;
    if states.is_empty() {
        return (None, Answer::not_run(NotRun::NotConfigured));
    }
    let clause = states.first().map(|state| &state.clause);
    match case.addressed.deactivated.and_then(|place| states.get(place)) {
        Some(state) => (Some(&state.clause), Answer::hit(ReasonCode::RecipientDeactivated, Effect::Reject)),
        None => (clause, Answer::miss()),
    }
}

/// Rule `stop` (drancy:V.a, pm:6). What was ordered about a sender is told to no one who only uses the address: that is for the rule
/// `sender` to refuse.
pub(super) fn stop(case: &Case<'_>, sender: Option<&Sender>) -> Answer {
    let concerns = |subject: &StopSubject| match subject {
        StopSubject::Everything => true,
        StopSubject::Charter(id) => *id == case.charter.id,
        StopSubject::List(address) => case.list().is_some_and(|list| list.is_called(address)),
        StopSubject::Mailbox(address) => {
            case.envelope.sender.as_ref() == Some(address)
                || case.content.is_some_and(|content| content.names.from.one() == Some(address))
        }
        StopSubject::Sender { charter, name } => {
            *charter == case.charter.id && sender.is_some_and(|sender| sender.name == *name)
        }
    };
    let is_proof_asked = case.rules().sender.as_ref().is_some_and(|rule| rule.mode == Mode::Enforce);
    let is_proven = || sender.is_some_and(|one| matches!(proven(case, one), Proven::By(_) | Proven::Unavailable));
    let is_told = |subject: &StopSubject| {
        let is_about_sender = matches!(subject, StopSubject::Mailbox(_) | StopSubject::Sender { .. });
        !is_about_sender || !is_proof_asked || is_proven()
    };
    let stops = case.state.stops.iter().filter(|stop| concerns(&stop.subject));
    // What somebody has decided comes before what the breaker did.
    match stops.filter(|stop| is_told(&stop.subject)).min_by_key(|stop| stop.automatic) {
        // Nobody has decided anything yet: the sender's mail server shall try again.
        Some(stop) if stop.automatic => {
            Answer::hit(ReasonCode::Flood, Effect::Tempfail).because(Evidence::Reference(stop.reference.clone()))
        }
        Some(stop) => {
            Answer::hit(ReasonCode::Stopped, Effect::Reject).because(Evidence::Reference(stop.reference.clone()))
        }
        None => Answer::miss(),
    }
}

/// The flood breaker (pm:6), once the counters have been asked.
pub(super) fn flood(case: &Case<'_>) -> Answer {
    case.state.quota.answer(&case.charter.id, DemandSource::Flood, (ReasonCode::Flood, Effect::Tempfail))
}

/// Rule `period` (cnrs:I.b): local days, both included.
pub(super) fn period(case: &Case<'_>, period: Period) -> Answer {
    match calendar::position(period, &case.charter.time_zone, case.now) {
        Position::Open | Position::Never => Answer::miss(),
        Position::NotOpen { .. } => {
            Answer::hit(ReasonCode::PeriodNotOpen, Effect::Reject).because(Evidence::Day(period.opens))
        }
        Position::Closed { .. } => {
            Answer::hit(ReasonCode::PeriodClosed, Effect::Reject).because(Evidence::Day(period.closes))
        }
    }
}

/// Rule `sender` (cnrs:I.a, pm:3): on the register, for this list, adhered, proven.
pub(super) fn sender(case: &Case<'_>, registered: &Result<&Sender, Option<Refusal>>) -> Answer {
    let sender = match registered {
        Ok(sender) => *sender,
        Err(None) => return Answer::not_run(NotRun::ContentNotSeen),
        Err(Some(refusal)) => {
            return Answer::hit(refusal.reason, Effect::Reject).because(refusal.evidence.clone());
        }
    };
    match proven(case, sender) {
        Proven::By(proof) => Answer::miss().because(Evidence::Proof(proof)),
        Proven::Open => Answer::not_run(NotRun::ContentNotSeen),
        Proven::Unavailable => Answer::hit(ReasonCode::ProofUnavailable, Effect::Tempfail),
        Proven::No => Answer::hit(ReasonCode::SenderNotProven, Effect::Reject),
    }
}

fn proven(case: &Case<'_>, sender: &Sender) -> Proven {
    let mailbox = match case.content {
        Some(content) => content.names.from.one(),
        None => case.envelope.sender.as_ref(),
    };
    authorization::proven(sender, case.envelope, mailbox, &case.state.credentials, case.content.is_some())
}

/// Rule `identity` (am:5.1.e).
pub(super) fn identity(case: &Case<'_>, rule: &IdentityRule, sender: Option<&Sender>) -> Answer {
    let names = Names {
        envelope: case.envelope,
        from: case.content.map(|content| &content.names.from),
        display: case.content.and_then(|content| content.names.display.as_deref()),
        sender_field: case.content.and_then(|content| content.names.sender.as_ref()),
    };
    let disagreement = match (case.scope, sender) {
        (Scope::List(_), Some(sender)) => {
            authorization::disagreement(names, sender, &case.charter.senders, rule.envelope, rule.login)
        }
        (Scope::List(_), None) if names.from.is_none() => None,
        // The register does not know the sender, so there is nothing to agree with: `sender` has refused already.
        (Scope::List(_), None) => return Answer::not_run(NotRun::AlreadyRefused),
        (Scope::General(_), _) => authorization::general_disagreement(
            names,
            &case.charter.domains,
            case.addressed.trusted_client,
            rule.envelope,
            rule.login,
        ),
    };
    match (disagreement, names.from) {
        (Some(reason), _) => refuse_or_tag(reason, rule.action),
        (None, None) => Answer::not_run(NotRun::ContentNotSeen),
        (None, Some(_)) => Answer::miss(),
    }
}

/// Rule `reply` (cnrs:III.f): an answer to list mail does not go back to the list.
pub(super) fn reply(case: &Case<'_>) -> Answer {
    match case.content.zip(case.list()) {
        Some((content, list)) if content.answers(list, &case.charter.senders) => {
            Answer::hit(ReasonCode::AnswersList, Effect::Reject)
        }
        _ => Answer::miss(),
    }
}

/// The part of rule `recipients` that holds for every list: it stands alone in the envelope.
pub(super) fn mixed(case: &Case<'_>) -> Option<Answer> {
    let Addressed { elsewhere, total, .. } = case.addressed;
    (case.list().is_some() && elsewhere > 0).then(|| {
        Answer::hit(ReasonCode::RecipientsMixed, Effect::Reject)
            .because(Evidence::Count { counted: u64::from(total), limit: 1 })
    })
}

/// Rule `recipients` (am:5.1.a): not too many in one message. Those on the register are not concerned.
pub(super) fn recipients(case: &Case<'_>, rule: &RecipientsRule) -> Answer {
    let counted = u64::from(case.addressed.total);
    if rule.hidden && !case.addressed.trusted_client && shows_recipients(case) {
        return Answer::hit(ReasonCode::RecipientsShown, Effect::Reject);
    }
    match rule.per_message_max {
        _ if recipients_are_free(case) => Answer::miss(),
        Some(limit) if counted > u64::from(limit) => Answer::hit(ReasonCode::RecipientsTooMany, Effect::Reject)
            .because(Evidence::Count { counted, limit: u64::from(limit) }),
        _ if rule.per_span.is_some() => case.state.quota.answer(
            &case.charter.id,
            DemandSource::Recipients,
            (ReasonCode::RecipientsExhausted, Effect::Reject),
        ),
        _ => Answer::miss(),
    }
}

/// Whether To or Cc name anybody but the list and the sender, so that recipients learn of each other (Prime Minister 2015,
/// Defence 2014). Mail to one person alone shows nobody to anybody.
fn shows_recipients(case: &Case<'_>) -> bool {
    let Some(content) = case.content.filter(|_| case.list().is_some() || case.addressed.total > 1) else {
        return false;
    };
    let of_list =
        |address: &Address| case.list().is_some_and(|list| list.address == *address || list.aliases.contains(address));
    content.visible_recipients().iter().any(|address| !of_list(address) && content.names.from.one() != Some(address))
}

impl Case<'_> {
    /// How many recipients count against the limit per span; `None` when nobody counts them, as for those on the register
    /// (am:5.1.a).
    #[must_use]
    pub fn recipients_counted(&self) -> Option<u64> {
        (!recipients_are_free(self)).then_some(u64::from(self.addressed.total))
    }
}

/// Whether neither the recipients of a message nor their number in a span are limited.
fn recipients_are_free(case: &Case<'_>) -> bool {
    // Senders of the register are limited where they are known as such: in the rules of their lists.
    case.addressed.trusted_client || (case.list().is_none() && on_register(case))
}

/// Whether the envelope sender is on the register, and the envelope proves it: an envelope sender alone is as easily
/// forged as a From line.
fn on_register(case: &Case<'_>) -> bool {
    let Some(mailbox) = case.envelope.sender.as_ref() else { return false };
    let credentials = &case.state.credentials;
    case.charter.senders.iter().filter(|sender| sender.owns(mailbox)).any(|sender| {
        matches!(authorization::proven(sender, case.envelope, Some(mailbox), credentials, false), Proven::By(_))
    })
}

/// Rule `size` (cnrs:III.a, drancy:III.1, am:5.1.b): the strictest limit that fits the direction.
pub(super) fn size(case: &Case<'_>, rule: &SizeRule) -> Answer {
    let bytes = match case.content {
        Some(content) => content.size_bytes,
        None => match case.envelope.declared_size_bytes {
            Some(bytes) => bytes,
            None => return Answer::not_run(NotRun::ContentNotSeen),
        },
    };
    let mailbox = case.content.and_then(|content| content.names.from.one()).or(case.envelope.sender.as_ref());
    let own = case
        .charter
        .senders
        .iter()
        .flat_map(|sender| &sender.mailboxes)
        .filter(|own| Some(&own.address) == mailbox)
        .flat_map(|own| &own.sizes);
    let fits = |direction: Direction| match direction {
        Direction::Any => true,
        Direction::Internal => !case.addressed.outgoing,
        Direction::Outgoing => case.addressed.outgoing,
    };
    let limit = own.chain(&rule.limits).filter(|limit| fits(limit.direction)).map(|limit| limit.bytes_max).min();
    match limit {
        Some(bytes_max) if bytes > bytes_max => {
            Answer::hit(ReasonCode::TooLarge, Effect::Reject).because(Evidence::Size { bytes, bytes_max })
        }
        Some(bytes_max) => Answer::miss().because(Evidence::Size { bytes, bytes_max }),
        None => Answer::miss(),
    }
}

/// Rule `quota` (cnrs:III.a): the answer of the counters to the demand of this index.
pub(super) fn quota(case: &Case<'_>, index: usize) -> Answer {
    case.state.quota.answer(&case.charter.id, DemandSource::Quota(index), (ReasonCode::QuotaExhausted, Effect::Reject))
}

/// Rule `night-window` (cnrs:III.b, cnrs:I.b): outside the window a message waits; what cannot leave before the period
/// ends is refused on arrival.
pub(super) fn night_window(case: &Case<'_>, window: &NightWindow, sender: Option<&Sender>) -> Answer {
    let hours = Hours { window, tz: &case.charter.time_zone };
    let own = Bound { hours: Some(hours), ..case.bound(sender) };
    let hold = |reason, from| Answer {
        held_until: Some(from),
        ..Answer::hit(reason, Effect::Hold).because(Evidence::Until(from))
    };
    match calendar::delivery(case.now, own, case.beside) {
        Delivery::Now if case.state.earlier_wait => hold(ReasonCode::WaitsItsTurn, case.now),
        Delivery::Now => Answer::miss(),
        Delivery::Held { from } => hold(ReasonCode::OutsideWindow, from),
        // The rule `period` has refused it already; said here too because the record shows each rule by itself.
        Delivery::NotOpen { .. } => Answer::not_run(NotRun::AlreadyRefused),
        Delivery::TooLate { last_day } => Answer::hit(ReasonCode::DeliveryImpossible, Effect::Reject)
            .because(last_day.map_or(Evidence::None, Evidence::Day)),
    }
}
