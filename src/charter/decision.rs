//! The decision: the ordered table of rules, asked one after another.
//!
//! [`decide`] is asked twice for a message: at DATA with the envelope alone, so that what the envelope decides is refused
//! before the content travels, and at end of message with everything. What needs the counters (quotas, copies) is put
//! off, and [`complete`] asks it only when nothing else refuses the message, so that a refused message costs its sender
//! nothing.

use super::answer::Answer;
use super::case::Case;
use super::rules::{Rule, RuleName};
use super::verdict::{Evidence, Finding, NotRun, Outcome, ReasonCode, Ruling, Verdict};
use super::{Clause, Inspection, Mode};
use super::{content, privacy, shape, traffic};

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
        // A suspension is an order of the day, not a rule on trial: it holds in mode `monitor` too. Nobody ordered what the breaker
        // did: its clause speaks for it.
        let answer = traffic::stop(case, sender);
        let is_breaker = matches!(answer.outcome, Outcome::Hit { reason: ReasonCode::Flood, .. });
        let clause = case.rules().flood.as_ref().filter(|_| is_breaker).map(|rule| &rule.clause);
        self.put(RuleName::Stop, clause, Mode::Enforce, answer);
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
