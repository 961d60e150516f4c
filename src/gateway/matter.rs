//! Which charters a message falls under: the protected lists among its recipients, and the general rules.

use std::collections::HashSet;
use std::sync::Arc;

use jiff::Timestamp;

use super::InForce;
use crate::charter::case::{Addressed, Case, State};
use crate::charter::facts::Content;
use crate::charter::rules::RuleName;
use crate::charter::verdict::{Decision, Effect, Evidence, Finding, Outcome, ReasonCode, Ruling};
use crate::charter::{Charter, List, MailboxState, Mode, RecipientState, Scope};
use crate::config::daemon::Limits;
use crate::message::address::{Address, RecipientSyntax, candidates};
use crate::message::envelope::{Envelope, Recipient};
use crate::wording::Language;
use crate::wording::replies::{self, Reply};

/// A message that some rule concerns, with the configuration it is judged under from beginning to end.
#[derive(Clone)]
pub struct Matter {
    pub(super) in_force: Arc<InForce>,
    pub(super) places: Vec<Place>,
    /// The reference of the decision, known to sender and auditor alike.
    pub(super) reference: String,
    /// The time it is judged by: that of DATA, or of its end where that is much later.
    pub(super) now: Timestamp,
    /// A recipient has more readings than anybody would follow: nobody can say where it would go.
    pub(super) unreadable_recipient: bool,
    /// Recipients beside the list.
    elsewhere: u32,
}

/// One scope of one charter.
#[derive(Clone)]
pub(super) struct Place {
    pub charter: Arc<Charter>,
    /// The list's index in the charter; `None` for the general rules.
    list: Option<usize>,
    trusted_client: bool,
}

impl Place {
    pub fn list(&self) -> Option<&List> {
        self.list.and_then(|index| self.charter.lists.get(index))
    }

    pub fn scope(&self) -> Option<Scope<'_>> {
        match self.list {
            Some(index) => self.charter.lists.get(index).map(Scope::List),
            None => self.charter.general.as_ref().map(Scope::General),
        }
    }
}

impl Matter {
    /// The message is there to its end, and is judged by this time: however long it took, nothing is delivered after the period
    /// or outside of the night (cnrs:I.b, cnrs:III.b), and its record is not behind those of others.
    pub(super) fn has_arrived(&mut self, now: Timestamp) {
        self.now = self.now.max(now);
    }

    /// Finds the rules that concern this envelope; `None` when there are none.
    pub(super) fn find(
        in_force: &Arc<InForce>,
        envelope: &Envelope,
        reference: impl FnOnce() -> String,
        now: Timestamp,
    ) -> Option<Self> {
        let mut matter = Self {
            in_force: Arc::clone(in_force),
            places: Vec::new(),
            reference: String::new(),
            now,
            unreadable_recipient: false,
            elsewhere: 0,
        };
        for recipient in &envelope.recipients {
            matter.add_recipient(recipient);
        }
        for charter in &in_force.config.charters {
            matter.add_general(charter, envelope);
        }
        if matter.places.is_empty() && !matter.unreadable_recipient {
            return None;
        }
        matter.count_elsewhere(envelope);
        matter.reference = reference();
        Some(matter)
    }

    /// A recipient concerns a list when any reading of it that some mail server follows leads there.
    fn add_recipient(&mut self, recipient: &Recipient) {
        let Ok(readings) = candidates(&recipient.raw, &self.in_force.syntax) else {
            self.unreadable_recipient = true;
            return;
        };
        for (charter, list) in readings.iter().flat_map(|reading| self.in_force.config.lists(reading)) {
            let index = charter.lists.iter().position(|other| other.address == list.address);
            // Of several lists the first speaks for its charter: a message to more than one is refused in any case.
            let known = self.places.iter().any(|place| place.charter.id == charter.id);
            if !known {
                self.places.push(Place { charter: Arc::clone(charter), list: index, trusted_client: false });
            }
        }
    }

    /// Recipients beside the one list a message may go to: other lists, everybody else, and the same list by another name or at
    /// a sub-address, to which the mail server would deliver the message once more. The same address twice is one to it.
    fn count_elsewhere(&mut self, envelope: &Envelope) {
        if self.concerns_list() {
            let different: HashSet<_> =
                envelope.recipients.iter().map(|to| to.address.as_ref().ok_or(&to.raw)).collect();
            self.elsewhere = u32::try_from(different.len().saturating_sub(1)).unwrap_or(u32::MAX);
        }
    }

    fn add_general(&mut self, charter: &Arc<Charter>, envelope: &Envelope) {
        let Some(general) = &charter.general else { return };
        // The charter's own lists have rules of their own; a shared charter's general rules hold beside another's.
        if self.places.iter().any(|place| place.charter.id == charter.id) {
            return;
        }
        let trusted_client = envelope
            .client_address
            .is_some_and(|client| general.exempt_networks.iter().any(|network| network.contains(&client)));
        let ours = |address: &Address| charter.domains.iter().any(|domain| domain == address.domain());
        let from_here = envelope.sasl_login.is_some() || envelope.sender.as_ref().is_some_and(ours);
        // From can claim one of our mailboxes whatever the envelope says (am:5.1.e): only the header tells.
        let header_tells = general.rules.identity.is_some();
        if deactivated(charter, envelope, &self.in_force.syntax).is_some()
            || (!trusted_client && (from_here || header_tells))
        {
            self.places.push(Place { charter: Arc::clone(charter), list: None, trusted_client });
        }
    }

    /// Whether the header shows that no rule concerns the message after all: it only came this far because From might
    /// have claimed a mailbox of the organisation.
    #[must_use]
    pub fn ends_with_header(&self, envelope: &Envelope, header: &[u8]) -> bool {
        if self.concerns_list() || self.unreadable_recipient {
            return false;
        }
        let header = crate::message::headers::Header::parse(header);
        let claims = |domains: &[String]| {
            let ours = |address: &Address| domains.iter().any(|domain| domain == address.domain());
            envelope.sasl_login.is_some()
                || envelope.sender.as_ref().is_some_and(ours)
                || header.addresses("From").iter().any(ours)
        };
        !self.places.iter().any(|place| claims(&place.charter.domains))
    }

    /// What one place is asked about this message.
    pub(super) fn case<'a>(
        &'a self,
        place: &'a Place,
        envelope: &'a Envelope,
        content: Option<&'a Content<'a>>,
        state: &'a State,
    ) -> Option<Case<'a>> {
        let inside = |address: &Address| place.charter.domains.iter().any(|domain| domain == address.domain());
        let outgoing = envelope.recipients.iter().any(|recipient| !recipient.address.as_ref().is_some_and(inside));
        let addressed = Addressed {
            elsewhere: self.elsewhere,
            total: u32::try_from(envelope.recipients.len()).unwrap_or(u32::MAX),
            outgoing,
            trusted_client: place.trusted_client,
            deactivated: deactivated(&place.charter, envelope, &self.in_force.syntax),
        };
        Some(Case {
            charter: &place.charter,
            scope: place.scope()?,
            envelope,
            addressed,
            content,
            state,
            reference: &self.reference,
            now: self.now,
            beside: &[],
        })
    }

    /// Leaves only the charters for which a mailbox among the recipients is deactivated (am:3.2.1).
    pub(super) fn keep_deactivated(&mut self, envelope: &Envelope) {
        let syntax = &self.in_force.syntax;
        self.places.retain(|place| deactivated(&place.charter, envelope, syntax).is_some());
        self.unreadable_recipient = false;
    }

    /// Whether no charter is concerned.
    pub(super) fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// A decision that lies in the gateway and not in a charter; every scope concerned gets it.
    pub(super) fn fault(&self, reason: ReasonCode, evidence: &Evidence) -> Decision {
        let effect = if replies::codes(reason).0.starts_with('4') { Effect::Tempfail } else { Effect::Reject };
        // A recipient that nobody can read concerns no charter, and is refused all the same.
        let scopes: Vec<_> = self.places.iter().map(|place| (place.charter.id.clone(), place.list())).collect();
        let scopes = if scopes.is_empty() { vec![(String::new(), None)] } else { scopes };
        let rulings = scopes.into_iter().map(|(charter, list)| Ruling {
            charter,
            list: list.map(|list| list.address.to_string()),
            sender: None,
            proof: None,
            findings: vec![Finding {
                rule: RuleName::Gateway,
                clause: None,
                mode: Mode::Enforce,
                outcome: Outcome::Hit { reason, effect },
                evidence: evidence.clone(),
            }],
            edits: Vec::new(),
            held_until: None,
        });
        Decision { rulings: rulings.collect() }
    }

    /// The reply to a message that is refused, in the language of the charter that refuses it.
    pub(super) fn reply(&self, decision: &Decision, envelope: &Envelope, reference: &str, reasons: &[String]) -> Reply {
        let Some((ruling, finding)) = decision.leading() else {
            return replies::later(self.language(), reference).plain(envelope.smtputf8);
        };
        let place = self.places.iter().find(|place| place.charter.id == ruling.charter);
        let language = place.map(|place| place.charter.language).unwrap_or_default();
        let rules = place.and_then(Place::scope).map(Scope::rules);
        let size = rules.and_then(|rules| rules.size.as_ref());
        let advice = size.filter(|_| finding.rule == RuleName::Size).and_then(|rule| rule.settings.advice.as_deref());
        let contest = place.and_then(|place| place.charter.contest.as_deref());
        let per = match finding.rule {
            RuleName::Quota => {
                let mut quotas = ruling.findings.iter().filter(|finding| finding.rule == RuleName::Quota);
                let index = quotas.position(|other| std::ptr::eq(other, finding));
                rules.zip(index).and_then(|(rules, index)| rules.quotas.get(index)).map(|rule| rule.settings.per)
            }
            RuleName::Recipients => rules.and_then(|rules| rules.recipients.as_ref()?.settings.per_span).map(|of| of.1),
            _ => None,
        };
        let notes = replies::Footnotes { contest, advice, reference, reasons, per };
        replies::refusal(language, finding, ruling, notes).plain(envelope.smtputf8)
    }

    /// The local day, as the charter's language writes it.
    pub(super) fn day_in_words(&self) -> String {
        let zone = self.places.first().map_or(jiff::tz::TimeZone::UTC, |place| place.charter.time_zone.clone());
        self.language().day(self.now.to_zoned(zone).date())
    }

    /// The reason of a quarantine, which the mail server shows its operator; no content, no address.
    pub(super) fn hold_reason(&self, reference: &str) -> String {
        let charter = self.places.first().map_or("", |place| place.charter.id.as_str());
        format!("charter-milter: {charter} {reference}")
    }

    /// Whether a list's charter is enforced, and the message therefore carries our reference.
    pub(super) fn enforces_list(&self) -> bool {
        self.places.iter().any(|place| place.list.is_some() && place.charter.mode == Mode::Enforce)
    }

    /// The limits in force.
    #[must_use]
    pub fn limits(&self) -> &Limits {
        &self.in_force.config.daemon.limits
    }

    /// The language of the first charter concerned.
    #[must_use]
    pub fn language(&self) -> Language {
        self.places.first().map(|place| place.charter.language).unwrap_or_default()
    }

    /// Whether a protected list is concerned, and not only general rules.
    #[must_use]
    pub fn concerns_list(&self) -> bool {
        self.places.iter().any(|place| place.list.is_some())
    }
}

/// The mailbox of a recipient that is deactivated (am:3.2.1), by its place in the charter: a recipient is the mailbox when any
/// reading of it that some mail server follows leads there.
fn deactivated(charter: &Charter, envelope: &Envelope, syntax: &RecipientSyntax) -> Option<usize> {
    if charter.recipients.is_empty() {
        return None;
    }
    let readings: HashSet<Address> =
        envelope.recipients.iter().flat_map(|to| candidates(&to.raw, syntax).unwrap_or_default()).collect();
    let is_deactivated =
        |mailbox: &RecipientState| mailbox.state == MailboxState::Deactivated && readings.contains(&mailbox.address);
    charter.recipients.iter().position(is_deactivated)
}
