//! From a message to its decision: the facts are gathered, what other messages left behind is asked for, and the table
//! is walked — first without the counters, so that a message that is refused anyway costs its sender nothing.

use jiff::SignedDuration;

use super::memory::{Compared, Memory, Trouble};
use super::{Budget, Matter};
use crate::charter::Proof;
use crate::charter::case::{Case, Credentials, QuotaState, State};
use crate::charter::decision::{complete, decide};
use crate::charter::facts::Content;
use crate::charter::petition::SignalRule;
use crate::charter::quota::{self, Demand, DemandSource, Identity};
use crate::charter::rules::{FloodSubject, RuleName};
use crate::charter::verdict::{Decision, ReasonCode};
use crate::decision_log::record::StopRecord;
use crate::message::address::Address;
use crate::message::edit::{self, EditName, Edited};
use crate::message::envelope::Envelope;
use crate::message::headers::Header;
use crate::message::mime::{self, Skim, Tree};
use crate::proof::{self, authentication_results, dkim};
use crate::store::{FLOOD_BREAKER, NewStop, ReservationId, StopSubject, Stops as _};
use crate::wording;

/// A decision and what led to it.
pub struct Deliberation {
    /// The decision.
    pub decision: Decision,
    /// The planned edits; `None` when the message is refused.
    pub edited: Option<Edited>,
    /// The places reserved for it.
    pub reservation: Option<ReservationId>,
    /// The flood breaker that it opened.
    pub breaker: Option<StopRecord>,
    /// The Message-ID, for the sealed field of the record.
    pub message_id: Option<String>,
    /// The address in From, for its pseudonym.
    pub from: Option<Address>,
    /// The strongest reasons of the text rules, in words, for the reply.
    pub reasons: Vec<String>,
    /// Octets as received.
    pub size_bytes: u64,
    /// How many header fields already claim to be our reference.
    pub references_found: u32,
}

/// What a deliberation may ask: the daemon asks everything, `explain` asks what it is given.
#[derive(Clone, Copy)]
pub struct Sources<'a> {
    /// What other messages left behind; `None` leaves the counters unasked.
    pub memory: Option<&'a Memory>,
    /// DKIM verification; `None` leaves signatures unverified.
    pub dkim: Option<&'a dkim::Verifier>,
    /// What reading long texts waits for; `None` reads them at once.
    pub budget: Option<&'a Budget>,
}

/// Decides with the envelope alone.
pub(super) async fn envelope(matter: &Matter, envelope: &Envelope, sources: Sources<'_>) -> Result<Decision, Trouble> {
    let mut state = State::default();
    if let Some(memory) = sources.memory {
        state.stops = memory.stops(matter, subjects(matter, envelope, None)).await?;
    }
    Ok(first_walk(matter, envelope, None, &state))
}

/// Decides with everything: the message, and what was seen of it while it arrived.
pub(super) async fn content(
    matter: &Matter,
    envelope: &Envelope,
    (raw, skim): (&[u8], Skim),
    sources: Sources<'_>,
) -> Result<Deliberation, Trouble> {
    let facts = Facts::new(matter, raw, skim);
    let mut state = State { credentials: facts.credentials(matter, sources.dkim).await, ..State::default() };
    if let Some(memory) = sources.memory {
        state.stops = memory.stops(matter, facts.subjects(matter, envelope)).await?;
        state.earlier_wait = memory.earlier_wait(matter).await?;
    }
    let First { mut decision, demands, compared, reasons } = {
        let _turn = match sources.budget {
            Some(budget) => budget.turn_to_read(facts.text_bytes()).await,
            None => None,
        };
        facts.decide(matter, envelope, &state, sources.memory)
    };
    let (mut reservation, mut breaker) = (None, None);
    if let Some(memory) = sources.memory.filter(|_| !decision.verdict().refuses()) {
        let asked = memory.ask(matter.now, demands, compared).await?;
        (state.quota, state.copies, reservation) = (asked.quota, asked.copies, asked.reservation);
        decision = second_walk(matter, envelope, &state, decision);
        let flood = facts.flood(matter, envelope, &state, memory)?;
        if let Some((stop, record)) = flood {
            breaker = memory.store.add_once(stop, matter.now).await?.map(|_| record);
        }
    }
    let edited = facts.edit(matter, &mut decision);
    Ok(Deliberation {
        message_id: facts.header.message_ids().into_iter().next(),
        from: facts.header.from().ok().map(|mailbox| mailbox.address),
        size_bytes: u64::try_from(raw.len()).unwrap_or(u64::MAX),
        references_found: u32::try_from(facts.header.count(super::REFERENCE_FIELD)).unwrap_or(u32::MAX),
        decision,
        edited,
        reservation,
        breaker,
        reasons,
    })
}

/// Asks every rule that needs no counter.
fn first_walk(matter: &Matter, envelope: &Envelope, content: Option<&Content<'_>>, state: &State) -> Decision {
    let cases = matter.places.iter().filter_map(|place| matter.case(place, envelope, content, state));
    let cases: Vec<_> = cases.collect();
    let bounds: Vec<_> = cases.iter().map(|case| case.bound(case.registered_sender().ok())).collect();
    let ruling = |(index, case): (usize, &Case<'_>)| {
        let (before, after) = (bounds.get(..index).unwrap_or_default(), bounds.get(index + 1..).unwrap_or_default());
        decide(&Case { beside: &[before, after].concat(), ..*case })
    };
    Decision { rulings: cases.iter().enumerate().map(ruling).collect() }
}

/// Asks the rules that need a counter.
fn second_walk(matter: &Matter, envelope: &Envelope, state: &State, decision: Decision) -> Decision {
    let rulings = matter.places.iter().zip(decision.rulings);
    let completed = rulings.map(|(place, ruling)| match matter.case(place, envelope, None, state) {
        Some(case) => complete(&case, ruling),
        None => ruling,
    });
    Decision { rulings: completed.collect() }
}

/// Whom a suspension could concern.
fn subjects(matter: &Matter, envelope: &Envelope, content: Option<&Content<'_>>) -> Vec<StopSubject> {
    let state = State::default();
    let mut subjects = vec![StopSubject::Everything];
    let from = content.and_then(|content| content.names.from.one());
    subjects.extend(envelope.sender.iter().chain(from).cloned().map(StopSubject::Mailbox));
    for place in &matter.places {
        subjects.push(StopSubject::Charter(place.charter.id.clone()));
        let Some(case) = matter.case(place, envelope, content, &state) else { continue };
        // A stop holds, whichever of its addresses the list had as its main one then.
        let addresses = case.list().into_iter().flat_map(|list| std::iter::once(&list.address).chain(&list.aliases));
        subjects.extend(addresses.cloned().map(StopSubject::List));
        if let Ok(sender) = case.registered_sender() {
            subjects.push(StopSubject::Sender { charter: place.charter.id.clone(), name: sender.name.clone() });
        }
    }
    subjects
}

/// The message taken apart. Nothing in it is decoded; [`Content`] does that when a rule asks.
struct Facts<'a> {
    raw: &'a [u8],
    header: Header,
    tree: Tree,
}

/// What the first walk of the table yields.
struct First {
    decision: Decision,
    demands: Vec<Demand>,
    compared: Vec<Compared>,
    reasons: Vec<String>,
}

impl<'a> Facts<'a> {
    fn new(matter: &Matter, raw: &'a [u8], skim: Skim) -> Self {
        let (header, _) = Header::split(raw);
        Self { raw, header, tree: mime::parse_skimmed(raw, skim, &matter.in_force.mime_limits) }
    }

    /// Octets of its texts, as they are written.
    fn text_bytes(&self) -> usize {
        let texts = self.tree.text_bodies().into_iter().filter_map(|id| self.tree.part(id));
        texts.map(|part| part.body.len()).sum()
    }

    fn content<'b>(&'b self, matter: &'b Matter) -> Content<'b> {
        Content::new(self.raw, &self.header, &self.tree, &matter.in_force.config.petition)
    }

    fn subjects(&self, matter: &Matter, envelope: &Envelope) -> Vec<StopSubject> {
        subjects(matter, envelope, Some(&self.content(matter)))
    }

    /// What the content proves. Signatures are verified only when the register names a domain for the mailbox in From.
    async fn credentials(&self, matter: &Matter, verifier: Option<&dkim::Verifier>) -> Credentials {
        let Ok(from) = self.header.from().map(|mailbox| mailbox.address) else { return Credentials::default() };
        let mut domains: Vec<&str> = Vec::new();
        let mut servers: Vec<&str> = Vec::new();
        let senders = matter.places.iter().flat_map(|place| &place.charter.senders).filter(|sender| sender.owns(&from));
        for proof in senders.flat_map(|sender| &sender.proofs) {
            match proof {
                Proof::Dkim(domain) if proof::aligned(domain, &from) => domains.push(domain),
                Proof::AuthenticationResults { authserv_id, .. } => servers.push(authserv_id),
                _ => {}
            }
        }
        let mut credentials = Credentials::default();
        for server in servers {
            let fields = self.header.fields().iter().map(|field| (field.name(), field.raw()));
            match authentication_results::passed(fields, server) {
                Ok(passed) => credentials.authentication_results.extend(
                    passed
                        .into_iter()
                        .map(|passed| passed.domain)
                        .filter(|domain| proof::aligned(domain, &from))
                        .map(|domain| (server.to_owned(), domain)),
                ),
                Err(distrust) => tracing::info!(%distrust, "Authentication-Results fields of our own are not believed"),
            }
        }
        if let (Some(verifier), false) = (verifier, domains.is_empty()) {
            let report = verifier.verify(self.raw, &domains, matter.now).await;
            credentials.dkim = report.verified.into_iter().map(|verified| verified.domain).collect();
            credentials.dkim_unavailable = !report.unavailable.is_empty();
        }
        credentials
    }

    /// Walks the table with the content, and works out what the second walk will need of it.
    fn decide(&self, matter: &Matter, envelope: &Envelope, state: &State, memory: Option<&Memory>) -> First {
        let content = self.content(matter);
        let decision = first_walk(matter, envelope, Some(&content), state);
        let mut first = First { decision, demands: Vec::new(), compared: Vec::new(), reasons: Vec::new() };
        first.reasons = reasons(matter, &content, &first.decision);
        let Some(memory) = memory.filter(|_| !first.decision.verdict().refuses()) else { return first };
        for place in &matter.places {
            let Some(case) = matter.case(place, envelope, Some(&content), state) else { continue };
            if let Some(identity) = identity(&case, memory) {
                let recipients = case.recipients_counted();
                first.demands.extend(quota::demands(case.charter, case.scope, &identity, recipients, matter.now));
            }
            first.compared.extend(compared(&case, &content, memory));
        }
        first
    }

    /// The stop that the flood breaker demands (pm:6), and its record; `None` while it stays closed.
    fn flood(
        &self,
        matter: &Matter,
        envelope: &Envelope,
        state: &State,
        memory: &Memory,
    ) -> Result<Option<(NewStop, StopRecord)>, Trouble> {
        let QuotaState::Exhausted(full) = &state.quota else { return Ok(None) };
        let content = self.content(matter);
        let place = matter.places.iter().find(|place| place.charter.id == full.charter);
        let case = place.and_then(|place| matter.case(place, envelope, Some(&content), state));
        let Some((case, rule)) = case.and_then(|case| Some((case, case.rules().flood.as_ref()?))) else {
            return Ok(None);
        };
        let (DemandSource::Flood, Some(list)) = (full.source, case.list()) else { return Ok(None) };
        let charter = case.charter.id.clone();
        let from = content.names.from.one().or(envelope.sender.as_ref());
        let (subject, mailbox) = match (rule.settings.of, case.registered_sender(), from) {
            (FloodSubject::List, ..) => (StopSubject::List(list.address.clone()), None),
            (FloodSubject::Sender, Ok(sender), _) => {
                let subject = StopSubject::Sender { charter: charter.clone(), name: sender.name.clone() };
                (subject, sender.mailboxes.first().map(|mailbox| &mailbox.address))
            }
            // Where the rule about senders is on trial, strangers come this far.
            (FloodSubject::Sender, Err(_), Some(from)) => (StopSubject::Mailbox(from.clone()), Some(from)),
            (FloodSubject::Sender, Err(_), None) => return Ok(None),
        };
        let pseudonym = |mailbox: &Address| memory.pseudonym(case.charter, Some(list), case.now, &mailbox.to_string());
        let record = StopRecord {
            action: "breaker".to_owned(),
            target: subject.kind().to_owned(),
            charter: Some(charter),
            list: Some(list.address.to_string()),
            sender: mailbox.map(pseudonym).transpose()?,
            from: None,
            until: None,
            reason: ReasonCode::Flood.as_str().to_owned(),
            reference: None,
            clause: Some(rule.clause.0.clone()),
        };
        let reason = ReasonCode::Flood.as_str();
        // The constants are not empty and there are no dates, so there is always a stop.
        let stop = NewStop::new(subject, reason, &rule.clause.0, (None, None), FLOOD_BREAKER).ok();
        Ok(stop.map(|stop| (stop, record)))
    }

    /// Plans the edits. One that the charter demands and that cannot be made refuses the message.
    fn edit(&self, matter: &Matter, decision: &mut Decision) -> Option<Edited> {
        if decision.verdict().refuses() {
            return None;
        }
        let context = edit::Context {
            language: matter.language(),
            date: matter.day_in_words(),
            reference: matter.reference.clone(),
        };
        let edited = edit::plan(self.raw, &self.header, &self.tree, &decision.edits(), &context);
        let Some(refused) = edited.refusal() else { return Some(edited) };
        decision.obstruct(match refused.edit {
            EditName::AttachmentsRemoved => RuleName::Attachments,
            EditName::TrackingRemoved => RuleName::Tracking,
            _ => RuleName::Banner,
        });
        None
    }
}

/// The text to be compared with others, when the charter asks for it and allows it to be read.
fn compared(case: &Case<'_>, content: &Content<'_>, memory: &Memory) -> Option<Compared> {
    let rule = case.rules().copies.as_ref().filter(|_| case.reads_text())?;
    let fingerprint = content.fingerprint(&memory.copies_key, case.rules())?;
    let list = case.list().map(|list| list.address.to_string()).unwrap_or_default();
    let window = SignedDuration::from_secs(i64::try_from(rule.settings.within_seconds).unwrap_or(i64::MAX));
    let count_max = u64::from(rule.settings.messages_max).saturating_add(1);
    Some(Compared { scope: format!("{} {list}", case.charter.id), fingerprint, window, count_max })
}

/// Under which names the counters count a message, as pseudonyms. They hold longer than those of the log, whose keys change with
/// periods and lists: a count goes on. A sender is known by the first of its mailboxes in the order of the alphabet, so that
/// the order on the register counts for nothing.
fn identity(case: &Case<'_>, memory: &Memory) -> Option<Identity> {
    let from = case.content.and_then(|content| content.names.from.one()).or(case.envelope.sender.as_ref());
    let from = from?;
    let name = |address: &Address| memory.counted_as(case.charter, &address.to_string());
    let mailboxes = case.registered_sender().ok().map(|sender| sender.mailboxes.iter().map(|mailbox| &mailbox.address));
    Some(Identity {
        sender: name(mailboxes.and_then(Iterator::min).unwrap_or(from)),
        mailbox: name(from),
        login: case.envelope.sasl_login.as_ref().map(|login| memory.counted_as(case.charter, login)),
    })
}

/// The two strongest reasons of a text rule that refuses the message, in the charter's language.
fn reasons(matter: &Matter, content: &Content<'_>, decision: &Decision) -> Vec<String> {
    let Some((ruling, finding)) = decision.leading() else { return Vec::new() };
    let rule = match finding.rule {
        RuleName::Petition => SignalRule::Petition,
        RuleName::ChainLetter => SignalRule::ChainLetter,
        _ => return Vec::new(),
    };
    let place = matter.places.iter().find(|place| place.charter.id == ruling.charter);
    let Some((place, scope)) = place.and_then(|place| Some((place, place.scope()?))) else { return Vec::new() };
    let report = content.report(scope.rules());
    let reasons = wording::petition::reasons(place.charter.language, &report, rule);
    reasons.into_iter().map(str::to_owned).collect()
}
