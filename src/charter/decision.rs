//! The decision: the ordered table of rules, asked one after another.
//!
//! [`decide`] is asked twice for a message: at DATA with the envelope alone, so that what the envelope decides is refused
//! before the content travels, and at end of message with everything. What needs the counters (quotas, copies) is put
//! off, and [`complete`] asks it only when nothing else refuses the message, so that a refused message costs its sender
//! nothing.

use jiff::Timestamp;
use jiff::civil::Date;

use super::calendar::{self, Bound, Days, Hours};
use super::facts::Content;
use super::quota::DemandSource;
use super::rules::{Rule, RuleName, Rules};
use super::stop::StopSubject;
use super::verdict::{Effect, Evidence, Finding, NotRun, Outcome, ReasonCode, Ruling, Verdict};
use super::{Charter, Clause, Inspection, List, Mode, Scope, Sender};
use super::{authorization, content, privacy, shape, traffic};
use crate::message::edit::Edit;
use crate::message::envelope::Envelope;

/// Everything one scope of one charter is asked about one message.
#[derive(Clone, Copy)]
pub struct Case<'a> {
    /// The charter.
    pub charter: &'a Charter,
    /// The list, or the general rules.
    pub scope: Scope<'a>,
    /// The envelope.
    pub envelope: &'a Envelope,
    /// How the recipients relate to the scope.
    pub addressed: Addressed,
    /// The content; `None` while only the envelope is known.
    pub content: Option<&'a Content<'a>>,
    /// What is remembered of other messages.
    pub state: &'a State,
    /// The reference of the decision, for the words in banners.
    pub reference: &'a str,
    /// The instant of the decision.
    pub now: Timestamp,
    /// What the other charters that judge the message say of the time at which it may be delivered (am:4.1).
    pub beside: &'a [Bound<'a>],
}

/// How the recipients of a message relate to the scope.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Addressed {
    /// Recipients that are not the scope's list.
    pub elsewhere: u32,
    /// All recipients.
    pub total: u32,
    /// At least one recipient is outside the organisation's own domains.
    pub outgoing: bool,
    /// The client is one whose mail the general rules trust.
    pub trusted_client: bool,
}

/// What is remembered of other messages, as far as this decision needs it.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct State {
    /// The suspensions in force now.
    pub stops: Vec<Stop>,
    /// The answer of the quota counters.
    pub quota: QuotaState,
    /// Near-identical messages within the span, this one included; `None` when not asked.
    pub copies: Option<u64>,
    /// Earlier messages to this list still wait for their release.
    pub earlier_wait: bool,
    /// Domains with a verified DKIM signature, and what our own server's Authentication-Results say.
    pub credentials: Credentials,
}

/// What the content proves about its sender; established by [`crate::proof`].
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Credentials {
    /// Domains aligned with From whose DKIM signature was verified here.
    pub dkim: Vec<String>,
    /// DNS did not answer for at least one signature.
    pub dkim_unavailable: bool,
    /// `(authserv-id, domain)` pairs that passed, of fields that our own servers wrote.
    pub authentication_results: Vec<(String, String)>,
}

/// A suspension (drancy:V.a, pm:6).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Stop {
    /// Who or what is suspended.
    pub subject: StopSubject,
    /// The reference of the decision that suspended it.
    pub reference: String,
    /// The flood breaker did, and nobody has decided anything yet.
    pub automatic: bool,
}

/// The answer of the quota counters.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub enum QuotaState {
    /// They were not asked.
    #[default]
    NotAsked,
    /// A place is reserved in each; the count includes this message.
    Granted(Vec<Counted>),
    /// This counter has no place left; the count includes this message.
    Exhausted(Counted),
}

/// One counter's answer.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Counted {
    /// The id of the charter whose rule counts: a local and a shared charter may both count a message (am:4.1).
    pub charter: String,
    /// The rule that counts.
    pub source: DemandSource,
    /// How much it would hold with this message.
    pub counted: u64,
    /// How much it may hold.
    pub limit: u64,
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

/// What a rule answers when it is asked.
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

/// Asks every rule of the scope, in the order of [`RuleName::ALL`].
#[must_use]
pub fn decide(case: &Case<'_>) -> Ruling {
    let mut table = Table::new(case);
    table.traffic_before_sender();
    table.sender();
    table.traffic_after_sender();
    table.content();
    table.shape();
    table.window();
    // Asked in the order that spares content and quota; recorded in the order of the table.
    table.ruling.findings.sort_by_key(|finding| finding.rule);
    table.ruling
}

/// Asks what [`decide`] put off because it needs the counters; everything else stays as it was found.
#[must_use]
pub fn complete(case: &Case<'_>, mut ruling: Ruling) -> Ruling {
    let rules = case.rules();
    let mut quota = 0;
    for finding in &mut ruling.findings {
        let index = quota;
        quota += usize::from(finding.rule == RuleName::Quota);
        if let (RuleName::Stop, Outcome::Miss, Some(rule)) = (finding.rule, &finding.outcome, &rules.flood) {
            let answer = traffic::flood(case);
            if matches!(answer.outcome, Outcome::Hit { .. }) {
                (finding.outcome, finding.evidence) = (answer.outcome, answer.evidence);
                (finding.clause, finding.mode) = (Some(rule.clause.clone()), rule.mode);
            }
            continue;
        }
        if finding.outcome != Outcome::NotRun(NotRun::StateNotAsked) {
            continue;
        }
        let answer = match finding.rule {
            RuleName::Quota => traffic::quota(case, index),
            RuleName::Recipients => match &rules.recipients {
                Some(rule) => traffic::recipients(case, &rule.settings),
                None => continue,
            },
            RuleName::Copies => match &rules.copies {
                Some(rule) => content::copies(case, &rule.settings),
                None => continue,
            },
            _ => continue,
        };
        finding.outcome = answer.outcome;
        finding.evidence = answer.evidence;
        if finding.mode == Mode::Enforce {
            ruling.edits.extend(answer.edits);
        }
    }
    ruling
}

impl<'a> Case<'a> {
    /// The rules in force.
    #[must_use]
    pub fn rules(&self) -> &'a Rules {
        self.scope.rules()
    }

    /// Whether the text may be looked at: the charter allows it, and the message is not exempt.
    #[must_use]
    pub fn reads_text(&self) -> bool {
        self.charter.inspection == Inspection::Content && !privacy::exempt(self)
    }

    /// The list, in the scope of a list.
    #[must_use]
    pub fn list(&self) -> Option<&'a List> {
        match self.scope {
            Scope::List(list) => Some(list),
            Scope::General(_) => None,
        }
    }

    /// How many recipients count against the limit per span; `None` when nobody counts them, as for those on the register
    /// (am:5.1.a).
    #[must_use]
    pub fn recipients_counted(&self) -> Option<u64> {
        (!traffic::recipients_are_free(self)).then_some(u64::from(self.addressed.total))
    }

    /// What the charter says of the time at which mail of this sender to the list may be delivered.
    #[must_use]
    pub fn bound(&self, sender: Option<&Sender>) -> Bound<'a> {
        let tz = &self.charter.time_zone;
        let hours = self.list().and_then(|_| Hours::of(self.charter));
        let days = match self.scope {
            Scope::List(list) => calendar::binding_days(self.charter, Some(list), sender),
            Scope::General(_) => Days::Always,
        };
        Bound { hours, days, tz }
    }

    /// The local day.
    #[must_use]
    pub fn today(&self) -> Date {
        self.now.to_zoned(self.charter.time_zone.clone()).date()
    }

    /// The sender on the register, by the best name known: From once the header has come, else the envelope sender.
    ///
    /// # Errors
    /// Why nobody on the register may write here under that name. `None` inside the error: no name is known yet.
    pub fn registered_sender(&self) -> Result<&'a Sender, Option<authorization::Refusal>> {
        let Some(list) = self.list() else { return Err(None) };
        let plain = |reason| Some(authorization::Refusal { reason, evidence: Evidence::None });
        let rule = self.rules().sender.as_ref();
        let adherence = rule.is_some_and(|rule| rule.settings.adherence);
        let mailbox = match self.content {
            Some(content) => match content.names.from.defect() {
                Some(reason) => return Err(plain(reason)),
                None => content.names.from.one(),
            },
            None if self.rules().identity.as_ref().is_some_and(|rule| rule.settings.envelope) => {
                if self.envelope.sender.is_none() {
                    return Err(plain(ReasonCode::EnvelopeSenderNull));
                }
                self.envelope.sender.as_ref()
            }
            None => None,
        };
        let Some(mailbox) = mailbox else { return Err(None) };
        authorization::registered(self.charter, list, mailbox, self.today(), adherence).map_err(Some)
    }
}

/// What a rule needs to be asked.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Need {
    /// The envelope.
    Envelope,
    /// The header and the structure.
    Structure,
    /// The marks and links of the text, not its words: what reports on readers (pm:5.b) is taken out also where nobody
    /// may read what they read (pm:5.a).
    Marks,
    /// The text.
    Text,
}

/// The table while it is being filled.
struct Table<'c, 'a> {
    case: &'c Case<'a>,
    exempt: bool,
    ruling: Ruling,
}

impl<'c, 'a> Table<'c, 'a> {
    fn new(case: &'c Case<'a>) -> Self {
        let ruling = Ruling {
            charter: case.charter.id.clone(),
            list: case.list().map(|list| list.address.to_string()),
            sender: None,
            proof: None,
            findings: Vec::with_capacity(RuleName::ALL.len()),
            edits: Vec::new(),
            held_until: None,
        };
        Self { case, exempt: privacy::exempt(case), ruling }
    }

    fn refused(&self) -> bool {
        self.ruling.verdict().refuses()
    }

    /// Puts an answer into the table; what a monitored rule would have done is recorded and not done.
    fn put(&mut self, rule: RuleName, clause: Option<&Clause>, mode: Mode, answer: Answer) {
        if mode == Mode::Enforce {
            self.ruling.edits.extend(answer.edits);
            self.ruling.held_until = self.ruling.held_until.max(answer.held_until);
        }
        self.ruling.findings.push(Finding {
            rule,
            clause: clause.cloned(),
            mode,
            outcome: answer.outcome,
            evidence: answer.evidence,
        });
    }

    /// Asks one rule, if it is configured and what it needs is at hand.
    fn ask<S>(
        &mut self,
        name: RuleName,
        rule: Option<&Rule<S>>,
        need: Need,
        answer: impl FnOnce(&Case<'a>, &S) -> Answer,
    ) {
        let Some(rule) = rule else {
            self.put(name, None, self.case.charter.mode, Answer::not_run(NotRun::NotConfigured));
            return;
        };
        let answer = match self.obstacle(need) {
            Some(outcome) => Answer { outcome, ..Answer::miss() },
            None => answer(self.case, &rule.settings),
        };
        self.put(name, Some(&rule.clause), rule.mode, answer);
    }

    /// Why a rule with this need is not asked now.
    fn obstacle(&self, need: Need) -> Option<Outcome> {
        if need == Need::Envelope {
            return None;
        }
        if self.case.content.is_none() {
            return Some(Outcome::NotRun(NotRun::ContentNotSeen));
        }
        if matches!(need, Need::Marks | Need::Text) {
            if self.exempt {
                return Some(Outcome::Exempt);
            }
            if need == Need::Text && self.case.charter.inspection == Inspection::Structure {
                return Some(Outcome::NotRun(NotRun::StructureOnly));
            }
        }
        None
    }

    /// Rules that concern recipients, suspensions and days.
    fn traffic_before_sender(&mut self) {
        let (case, mode) = (self.case, self.case.charter.mode);
        let (clause, answer) = traffic::recipient_state(case);
        self.put(RuleName::RecipientState, clause, mode, answer);
        let sender = case.registered_sender().ok();
        // A suspension is an order of the day, not a rule on trial: it holds in mode `monitor` too.
        self.put(RuleName::Stop, None, Mode::Enforce, traffic::stop(case, sender));
        match case.list().and_then(|list| list.period.as_ref().or(case.charter.period.as_ref())) {
            Some(rule) => self.put(RuleName::Period, Some(&rule.clause), rule.mode, traffic::period(case, rule.period)),
            None => self.put(RuleName::Period, None, mode, Answer::not_run(NotRun::NotConfigured)),
        }
    }

    /// The rules about who it is.
    fn sender(&mut self) {
        let rules = self.case.rules();
        let registered = self.case.registered_sender();
        let mut proof = None;
        self.ask(RuleName::Sender, rules.sender.as_ref(), Need::Envelope, |case, _| {
            let answer = traffic::sender(case, &registered);
            if let Evidence::Proof(name) = answer.evidence {
                proof = Some(name);
            }
            answer
        });
        if let (Some(rule), Some(finding)) = (&rules.sender, self.ruling.findings.last_mut())
            && finding.reason() == Some(ReasonCode::SenderNotAdhered)
            && let Some(clause) = &rule.settings.adherence_clause
        {
            finding.clause = Some(clause.clone());
        }
        self.ruling.proof = proof;
        self.ruling.sender = registered.as_ref().ok().map(|sender| sender.name.clone());
        let sender = registered.ok();
        self.ask(RuleName::Identity, rules.identity.as_ref(), Need::Envelope, |case, rule| {
            traffic::identity(case, rule, sender)
        });
    }

    /// The rules about how, how many and how much.
    fn traffic_after_sender(&mut self) {
        let rules = self.case.rules();
        self.ask(RuleName::Reply, rules.reply.as_ref(), Need::Structure, |case, ()| traffic::reply(case));
        let mixed = traffic::mixed(self.case);
        match (&rules.recipients, mixed) {
            // One charter must not decide for another's mail, whether or not the charter limits recipients.
            (None, Some(answer)) => self.put(RuleName::Recipients, None, Mode::Enforce, answer),
            (Some(rule), Some(answer)) => self.put(RuleName::Recipients, Some(&rule.clause), Mode::Enforce, answer),
            (rule, None) => {
                self.ask(RuleName::Recipients, rule.as_ref(), Need::Envelope, traffic::recipients);
            }
        }
        self.ask(RuleName::Size, rules.size.as_ref(), Need::Envelope, traffic::size);
    }

    /// The rules about what is in it, and last the quota, which only a message that nothing else refuses uses up.
    fn content(&mut self) {
        let rules = self.case.rules();
        let refused = self.refused();
        self.ask_unless(refused, RuleName::Structure, rules.structure.as_ref(), Need::Structure, content::structure);
        let refused = self.refused();
        self.ask_unless(
            refused,
            RuleName::Attachments,
            rules.attachments.as_ref(),
            Need::Structure,
            content::attachments,
        );
        self.ask_unless(refused, RuleName::Petition, rules.petition.as_ref(), Need::Text, content::petition);
        self.ask_unless(refused, RuleName::ChainLetter, rules.chain_letter.as_ref(), Need::Text, content::chain_letter);
        self.ask_unless(refused, RuleName::Tracking, rules.tracking.as_ref(), Need::Marks, |case, rule| {
            content::tracking(case, *rule)
        });
        let refused = self.refused();
        self.ask_unless(refused, RuleName::Copies, rules.copies.as_ref(), Need::Text, content::copies);
        if rules.quotas.is_empty() {
            self.put(RuleName::Quota, None, self.case.charter.mode, Answer::not_run(NotRun::NotConfigured));
        }
        let refused = self.refused();
        for (index, rule) in rules.quotas.iter().enumerate() {
            self.ask_unless(refused, RuleName::Quota, Some(rule), Need::Envelope, |case, _| {
                traffic::quota(case, index)
            });
        }
    }

    fn ask_unless<S>(
        &mut self,
        refused: bool,
        name: RuleName,
        rule: Option<&Rule<S>>,
        need: Need,
        answer: impl FnOnce(&Case<'a>, &S) -> Answer,
    ) {
        match rule {
            Some(rule) if refused => {
                self.put(name, Some(&rule.clause), rule.mode, Answer::not_run(NotRun::AlreadyRefused));
            }
            rule => self.ask(name, rule, need, answer),
        }
    }

    /// The rules that change the message's shape.
    fn shape(&mut self) {
        let rules = self.case.rules();
        let refused = self.refused();
        self.ask_unless(refused, RuleName::Receipts, rules.receipts.as_ref(), Need::Structure, |case, rule| {
            shape::receipts(case, *rule)
        });
        let refused = self.refused();
        self.ask_unless(refused, RuleName::Subject, rules.subject.as_ref(), Need::Structure, shape::subject);
        self.ask_unless(
            refused,
            RuleName::ListHeaders,
            rules.list_headers.as_ref(),
            Need::Structure,
            shape::list_headers,
        );
        self.ask_unless(refused, RuleName::ReplyTo, rules.reply_to.as_ref(), Need::Structure, shape::reply_to);
        self.ask_unless(refused, RuleName::ReturnPath, rules.return_path.as_ref(), Need::Structure, |case, ()| {
            shape::return_path(case)
        });
        self.ask_unless(refused, RuleName::Banner, rules.banner.as_ref(), Need::Structure, shape::banner);
        self.ask_unless(refused, RuleName::Disclaimer, rules.disclaimer.as_ref(), Need::Structure, shape::disclaimer);
    }

    /// The night window: outside it a message waits, unless it could never leave in time.
    fn window(&mut self) {
        let mode = self.case.charter.mode;
        let Some(window) = self.case.list().and(self.case.charter.night_window.as_ref()) else {
            self.put(RuleName::NightWindow, None, mode, Answer::not_run(NotRun::NotConfigured));
            return;
        };
        let answer = if self.ruling.verdict() == Verdict::Reject {
            Answer::not_run(NotRun::AlreadyRefused)
        } else {
            let registered = self.case.registered_sender();
            traffic::night_window(self.case, window, registered.as_ref().ok().copied())
        };
        self.put(RuleName::NightWindow, Some(&window.clause), window.mode, answer);
    }
}
