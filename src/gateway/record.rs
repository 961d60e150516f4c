//! A decision as the line of the log that stands for it. Figures and names from closed lists; never content, never an
//! address: senders are pseudonyms, and the Message-ID is sealed.

use std::collections::BTreeMap;

use jiff::Timestamp;
use serde_json::Number;

use super::matter::Place;
use super::memory::key_period;
use super::{Deliberation, Matter, Memory, Trouble};
use crate::charter::calendar::{self, Hours};
use crate::charter::rules::RuleName;
use crate::charter::verdict::{Decision, Evidence, Finding, Outcome, Ruling};
use crate::charter::{Charter, List, Mode, Scope, Sender};
use crate::config::daemon::MtaKind;
use crate::decision_log::Pseudonymizer;
use crate::decision_log::keys::KeyError;
use crate::decision_log::record::{DecisionRecord, JudgementRecord, QuotaUse, RuleOutcomeRecord};
use crate::hold::{Beside, Held, Route};
use crate::message::address::Address;
use crate::message::envelope::Envelope;

/// How far a message had come when it was decided.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stage {
    /// Only the envelope was known.
    Envelope,
    /// The content was known.
    Content,
}

/// Everything a record is made from.
pub(super) struct Writing<'a> {
    pub matter: &'a Matter,
    pub envelope: &'a Envelope,
    pub decision: &'a Decision,
    pub deliberation: Option<&'a Deliberation>,
    pub stage: Stage,
    pub edits: Vec<String>,
}

impl Writing<'_> {
    /// The record.
    ///
    /// # Errors
    /// A key of the pseudonyms cannot be had.
    pub fn record(&self, pseudonyms: &Pseudonymizer) -> Result<DecisionRecord, KeyError> {
        let places = self.matter.places.iter().zip(&self.decision.rulings);
        let judgements =
            places.map(|(place, ruling)| self.judgement(place, ruling, pseudonyms)).collect::<Result<_, _>>()?;
        Ok(DecisionRecord {
            reference: self.matter.reference.clone(),
            verdict: self.decision.verdict().as_str().to_owned(),
            stage: match self.stage {
                Stage::Envelope => "envelope".to_owned(),
                Stage::Content => "content".to_owned(),
            },
            judgements,
            edits: self.edits.clone(),
            queue_id: self.envelope.queue_id.clone(),
            message_bytes: self.deliberation.map(|deliberation| deliberation.size_bytes),
            recipients: u32::try_from(self.envelope.recipients.len()).unwrap_or(u32::MAX),
            message_id: self.sealed_message_id(pseudonyms)?,
            rule_pack: Some(self.matter.in_force.config.petition.designation()),
            config: self.matter.in_force.digest.clone(),
        })
    }

    /// The ledger's entry for a message that is about to be held.
    ///
    /// # Errors
    /// It has no queue id, or no window to wait for; or a key of the pseudonyms cannot be had.
    pub fn held(&self, reference: &str, memory: &Memory) -> Result<Held, Trouble> {
        let (matter, envelope) = (self.matter, self.envelope);
        let judged = || matter.places.iter().zip(&self.decision.rulings);
        // Always the same of several charters, so that all mail to a list waits in one line.
        let waits =
            judged().find_map(|(place, ruling)| Some((place, ruling, place.list()?, Hours::of(&place.charter)?)));
        let (place, ruling, list, Hours { window, tz }) = waits.ok_or(Trouble::NotHoldable)?;
        let charter = &place.charter;
        let sender = registered(charter, ruling);
        let mailbox = sender.and_then(|sender| sender.mailboxes.first()).map(|mailbox| &mailbox.address);
        let pseudonym = mailbox.or(envelope.sender.as_ref());
        let pseudonym = pseudonym
            .map(|mailbox| memory.pseudonym(charter, Some(list), matter.now, &mailbox.to_string()))
            .transpose()?;
        let from = self.decision.rulings.iter().filter_map(|ruling| ruling.held_until).max().unwrap_or(matter.now);
        let hours = calendar::window_containing(window, tz, from);
        let others = judged().filter(|(other, _)| !std::ptr::eq(*other, place));
        Ok(Held {
            route: match matter.in_force.config.daemon.mta.kind {
                MtaKind::Postfix => Route::Postfix,
                MtaKind::Sendmail => Route::Sendmail,
            },
            queue_id: envelope.queue_id.as_deref().unwrap_or_default().parse().map_err(|_| Trouble::NotHoldable)?,
            arrival: envelope.arrived.unwrap_or(matter.now),
            entered: matter.now,
            size_bytes: self.deliberation.map_or(0, |deliberation| deliberation.size_bytes),
            charter: charter.id.clone(),
            list: list.address.to_string(),
            sender: pseudonym.unwrap_or_default(),
            reference: reference.to_owned(),
            registered_as: sender.map(|sender| sender.name.clone()),
            return_to: envelope.sender.as_ref().map(Address::to_string),
            release_not_before: from,
            window_ends: hours.map_or(Timestamp::MAX, |hours| hours.closes),
            period_ends: period_ends(charter, Some(list), sender),
            reservation: self.deliberation.and_then(|deliberation| deliberation.reservation),
            beside: others.map(|(other, ruling)| beside(other, ruling)).collect(),
        })
    }

    fn sealed_message_id(
        &self,
        pseudonyms: &Pseudonymizer,
    ) -> Result<Option<crate::decision_log::record::Commitment>, KeyError> {
        let Some(id) = self.deliberation.and_then(|deliberation| deliberation.message_id.as_ref()) else {
            return Ok(None);
        };
        let Some(place) = self.matter.places.first() else { return Ok(None) };
        pseudonyms.seal(&key_period(&place.charter, place.list(), self.matter.now), id).map(Some)
    }

    fn judgement(
        &self,
        place: &Place,
        ruling: &Ruling,
        pseudonyms: &Pseudonymizer,
    ) -> Result<JudgementRecord, KeyError> {
        let charter = &place.charter;
        let period = key_period(charter, place.list(), self.matter.now);
        let name = |address: &Address| pseudonyms.pseudonym(&period, &address.to_string());
        let sender =
            registered(charter, ruling).and_then(|sender| sender.mailboxes.first()).map(|mailbox| &mailbox.address);
        let from = self.deliberation.and_then(|d| d.from.as_ref()).or(self.envelope.sender.as_ref());
        let decisive = ruling.decisive().next();
        Ok(JudgementRecord {
            charter: charter.id.clone(),
            list: ruling.list.clone(),
            verdict: ruling.verdict().as_str().to_owned(),
            mode: charter.mode.as_str().to_owned(),
            inspection: charter.inspection.as_str().to_owned(),
            reason: decisive.and_then(Finding::reason).map(|reason| reason.as_str().to_owned()),
            clause: decisive.and_then(|finding| finding.clause.as_ref()).map(|clause| clause.0.clone()),
            statistics: charter.statistics,
            sender: sender.map(name).transpose()?,
            from: from.filter(|from| Some(*from) != sender).map(name).transpose()?,
            proof: ruling.proof.map(|proof| proof.replace('_', "-")),
            quotas: quotas(place, ruling),
            rules: ruling.findings.iter().map(rule_outcome).collect(),
            hold_until: ruling.held_until,
        })
    }
}

fn registered<'a>(charter: &'a Charter, ruling: &Ruling) -> Option<&'a Sender> {
    charter.senders.iter().find(|sender| Some(&sender.name) == ruling.sender.as_ref())
}

/// The end of the days on which a charter lets the sender's mail be delivered.
fn period_ends(charter: &Charter, list: Option<&List>, sender: Option<&Sender>) -> Option<Timestamp> {
    calendar::binding_days(charter, list, sender).end(&charter.time_zone)
}

/// A charter that judged the message beside the one it waits under.
fn beside(place: &Place, ruling: &Ruling) -> Beside {
    let sender = registered(&place.charter, ruling);
    Beside {
        charter: place.charter.id.clone(),
        list: ruling.list.clone(),
        registered_as: sender.map(|sender| sender.name.clone()),
        period_ends: place.list().and_then(|list| period_ends(&place.charter, Some(list), sender)),
    }
}

fn quotas(place: &Place, ruling: &Ruling) -> Vec<QuotaUse> {
    let rules = place.scope().map(Scope::rules).into_iter().flat_map(|rules| &rules.quotas);
    let findings = ruling.findings.iter().filter(|finding| finding.rule == RuleName::Quota);
    let counted = findings.zip(rules).filter_map(|(finding, rule)| match finding.evidence {
        Evidence::Count { counted, limit } => Some((rule, counted, limit)),
        _ => None,
    });
    counted
        .map(|(rule, used, max)| QuotaUse {
            per: rule.settings.per.as_str().to_owned(),
            of: rule.settings.of.as_str().to_owned(),
            over: rule.settings.over.as_str().to_owned(),
            used,
            max,
            clause: rule.clause.0.clone(),
        })
        .collect()
}

fn rule_outcome(finding: &Finding) -> RuleOutcomeRecord {
    let (outcome, reason) = match &finding.outcome {
        Outcome::Hit { reason, .. } => ("hit", Some(reason.as_str())),
        Outcome::Miss => ("miss", None),
        Outcome::Exempt => ("exempt", None),
        Outcome::NotRun(why) => ("not-run", Some(why.as_str())),
    };
    let (evidence, signals) = figures(&finding.evidence);
    RuleOutcomeRecord {
        rule: finding.rule.as_str().to_owned(),
        outcome: outcome.to_owned(),
        mode: (finding.mode == Mode::Monitor).then(|| finding.mode.as_str().to_owned()),
        reason: reason.map(str::to_owned),
        clause: finding.clause.as_ref().map(|clause| clause.0.clone()),
        evidence,
        signals,
    }
}

/// A record names so many things that were seen; how many there were is one of its numbers.
const NAMED_MAX: usize = 100;

/// Evidence as numbers by name, and names from closed lists.
fn figures(evidence: &Evidence) -> (BTreeMap<String, Number>, Vec<String>) {
    let number = |name: &str, value: u64| (name.to_owned(), Number::from(value));
    let decimal = |name: &str, value: f64| Number::from_f64(value).map(|value| (name.to_owned(), value));
    let mut names = Vec::new();
    let numbers = match evidence {
        Evidence::None | Evidence::Day(_) | Evidence::Until(_) => BTreeMap::new(),
        Evidence::Count { counted, limit } => [number("counted", *counted), number("limit", *limit)].into(),
        Evidence::Size { bytes, bytes_max } => [number("bytes", *bytes), number("bytes-max", *bytes_max)].into(),
        Evidence::Parts(parts) | Evidence::Ambiguities(parts) => {
            names = parts.iter().take(NAMED_MAX).map(|part| format!("{}:{}", part.part, part.class)).collect();
            [number("found", u64::try_from(parts.len()).unwrap_or(u64::MAX))].into()
        }
        Evidence::Signals { score, threshold, signals } => {
            names = signals.iter().map(|signal| signal.id.clone()).collect();
            [decimal("score", *score), decimal("threshold", *threshold)].into_iter().flatten().collect()
        }
        Evidence::Proof(name) | Evidence::Limit(name) => {
            names.push((*name).to_owned());
            BTreeMap::new()
        }
        Evidence::Reference(reference) => {
            names.push(reference.clone());
            BTreeMap::new()
        }
        Evidence::Fields(fields) => {
            names.clone_from(fields);
            BTreeMap::new()
        }
    };
    (numbers, names)
}
