//! E-petitions and chain letters (cnrs:III.i, am:5.1.c): recognised by signals that can be named, never by a verdict that
//! cannot be explained.
//!
//! An e-petition asks its readers to sign, endorse or pass on a collective request, by means it brings along: a link to
//! a petition page, a form, a list of names to extend, a letter to send. A message that talks about petitions is none,
//! nor is a call to vote, to strike, to come, to answer a survey, to sign a contract. A link alone is no reason either
//! (cnrs:III.j). `docs/petitions.md` says the same to users.
//!
//! The signals are data: a rule [`Pack`], compiled once. [`analyse`] finds them in a [`Reading`] in time linear in its
//! length and adds their weights up. A signal counts once, however often it is found.

mod disguise;
mod find;
mod index;
mod pack;
mod phrase;
mod raw;

pub use pack::{Explanation, Pack, PackError, Signal, SignalRule};

use crate::charter::rules::{PetitionRule, RuleName};
use crate::message::mime::PartId;
use crate::message::text::{Place, Reading};
use crate::wording::Language;

/// The rule pack that is part of the program, so that a charter needs no other file.
const DEFAULT_PACK: &str = include_str!("../../../conf/petition/default.toml");

/// Words of others count so much: a reply that quotes a petition does not ask for signatures itself.
const QUOTED_FACTOR: f64 = 0.4;
/// However strong they are, the words of others weigh no more than this together: declining a petition is no petition.
const QUOTED_MAX: f64 = 0.6;
/// An author who says no more than this beside a quotation hands it on.
const OWN_WORDS_MIN: usize = 6;
/// Counter-signals take away so much at most: a sentence about a charter does not turn a petition into a report.
const COUNTER_MAX: f64 = 0.6;
/// Scores are sums of hundredths; less than this is rounding.
const EPSILON: f64 = 1e-6;

/// Which signals count, and how much is too much. Built from a charter's rules.
#[derive(Debug, Clone, Copy, Default)]
pub struct Settings<'a> {
    /// The rule `petition`, if the charter has one.
    pub petition: Option<&'a PetitionRule>,
    /// The rule `chain-letter`, if the charter has one.
    pub chain_letter: Option<&'a PetitionRule>,
}

impl<'a> Settings<'a> {
    fn rule(self, rule: SignalRule) -> Option<&'a PetitionRule> {
        match rule {
            SignalRule::Petition => self.petition,
            SignalRule::ChainLetter => self.chain_letter,
        }
    }

    /// The weight of a signal: the charter's own, or the pack's; `None` when it is silenced.
    fn weight(self, signal: &Signal) -> Option<f64> {
        let Some(rule) = self.rule(signal.rule) else { return Some(signal.weight) };
        if rule.silenced.contains(&signal.id) {
            return None;
        }
        let own = rule.weights.iter().find(|(id, _)| *id == signal.id).map(|(_, weight)| *weight);
        Some(own.unwrap_or(signal.weight))
    }
}

/// What was found.
#[derive(Debug, Clone, PartialEq)]
pub struct Report {
    /// The id and version of the pack, such as `default 1`.
    pub pack: String,
    /// SHA-256 of the pack's file, lower-case hex.
    pub pack_digest: String,
    /// How much the message is an e-petition.
    pub petition: Score,
    /// How much the message is a chain letter.
    pub chain_letter: Score,
    /// The signals, the heaviest first; counter-signals last.
    pub signals: Vec<SignalHit>,
}

/// A sum of weights.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Score {
    /// The sum, at least 0, in hundredths.
    pub value: f64,
    /// The rule's threshold; the pack's when the charter has no such rule.
    pub threshold: f64,
    /// The threshold is reached.
    pub reached: bool,
}

/// A signal that was found.
#[derive(Debug, Clone, PartialEq)]
pub struct SignalHit {
    /// Its stable name.
    pub id: String,
    /// The rule it counts for.
    pub rule: RuleName,
    /// What it adds to the score; negative for a counter-signal, less than its full weight in quoted text, 0 when a
    /// heavier signal of its group stands for it.
    pub weight: f64,
    /// The part with the evidence; 0 for the subject.
    pub part: PartId,
    /// First character of the evidence in the decoded text of the part.
    pub start: u32,
    /// First character after it.
    pub end: u32,
    /// What it means, in one line.
    pub explanation: Explanation,
}

impl SignalHit {
    /// Its one-line explanation.
    #[must_use]
    pub fn help(&self, language: Language) -> &str {
        match language {
            Language::French => &self.explanation.french,
            Language::English => &self.explanation.english,
        }
    }
}

/// Looks for the signals of the pack in a message.
#[must_use]
pub fn analyse(pack: &Pack, reading: &Reading, settings: &Settings<'_>) -> Report {
    let own = find::find(pack, reading, false);
    let quoted = find::find(pack, reading, true);
    let hands_on = reading.own.words.len() < OWN_WORDS_MIN || own.iter().any(|found| pack.hands_on(found.signal));
    let quoted_factor = if hands_on { 1.0 } else { QUOTED_FACTOR };
    let (mut signals, mut of_others) = (Vec::new(), Vec::new());
    for (index, signal) in pack.signals().iter().enumerate() {
        // A signal of no weight only stands beside others.
        let Some(weight) = settings.weight(signal).filter(|weight| weight.abs() > EPSILON) else { continue };
        let in_own = own.iter().find(|found| found.signal == index).map(|found| (found, 1.0));
        let in_quoted = || quoted.iter().find(|found| found.signal == index).map(|found| (found, quoted_factor));
        // Counter-signals of quoted words excuse nobody.
        let found = if weight < 0.0 { in_own } else { in_own.or_else(in_quoted) };
        if let Some((found, factor)) = found {
            if factor < 1.0 {
                of_others.push(signal.id.as_str());
            }
            signals.push(hit(signal, weight * factor, found.place));
        }
    }
    weigh_groups(pack, &mut signals);
    limit_quoted(&mut signals, &of_others);
    signals.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.id.cmp(&b.id)));
    Report {
        pack: format!("{} {}", pack.id(), pack.version()),
        pack_digest: pack.digest().to_owned(),
        petition: score(pack, &signals, settings, SignalRule::Petition),
        chain_letter: score(pack, &signals, settings, SignalRule::ChainLetter),
        signals,
    }
}

fn hit(signal: &Signal, weight: f64, place: Place) -> SignalHit {
    SignalHit {
        id: signal.id.clone(),
        rule: signal.rule.name(),
        weight,
        part: place.part,
        start: place.start,
        end: place.end,
        explanation: signal.explanation.clone(),
    }
}

/// Of each group only the heaviest signal counts: two ways of saying one thing.
fn weigh_groups(pack: &Pack, signals: &mut [SignalHit]) {
    let group_of =
        |id: &str| pack.signals().iter().find(|s| s.id == id).and_then(|s| s.group.clone().map(|g| (s.rule, g)));
    let groups: Vec<_> = signals.iter().map(|hit| group_of(&hit.id)).collect();
    let weights: Vec<f64> = signals.iter().map(|hit| hit.weight.abs()).collect();
    for (index, hit) in signals.iter_mut().enumerate() {
        let Some(Some(group)) = groups.get(index) else { continue };
        let heavier = groups.iter().zip(&weights).enumerate().any(|(other, (g, weight))| {
            let own = hit.weight.abs();
            g.as_ref() == Some(group) && (*weight > own + EPSILON || other < index && (*weight - own).abs() <= EPSILON)
        });
        if heavier {
            hit.weight = 0.0;
        }
    }
}

/// Makes the signals that only quoted words have weigh less together, for each rule.
fn limit_quoted(signals: &mut [SignalHit], of_others: &[&str]) {
    for rule in [SignalRule::Petition, SignalRule::ChainLetter].map(SignalRule::name) {
        let is_quoted = |hit: &SignalHit| hit.rule == rule && of_others.contains(&hit.id.as_str());
        let sum: f64 = signals.iter().filter(|hit| is_quoted(hit)).map(|hit| hit.weight).sum();
        if sum > QUOTED_MAX {
            signals.iter_mut().filter(|hit| is_quoted(hit)).for_each(|hit| hit.weight *= QUOTED_MAX / sum);
        }
    }
}

fn score(pack: &Pack, signals: &[SignalHit], settings: &Settings<'_>, rule: SignalRule) -> Score {
    let of_rule = || signals.iter().filter(|hit| hit.rule == rule.name()).map(|hit| hit.weight);
    let found: f64 = of_rule().filter(|weight| *weight > 0.0).sum();
    let counter: f64 = of_rule().filter(|weight| *weight < 0.0).sum();
    let value = (found + counter.max(-COUNTER_MAX)).max(0.0);
    let value = (value * 100.0).round() / 100.0 + 0.0;
    let threshold = settings.rule(rule).map_or(pack.threshold(), |rule| rule.threshold);
    Score { value, threshold, reached: value + EPSILON >= threshold }
}

#[cfg(test)]
mod tests;
