//! E-petitions and chain letters (cnrs:III.i, am:5.1.c): recognised by signals that can be named, never by a verdict that
//! cannot be explained.
//!
//! An e-petition asks its readers to sign, endorse or pass on a collective request, by means it brings along: a link to
//! a petition page, a form, a list of names to extend, a letter to send. A message that talks about petitions is none,
//! nor is a call to vote, to strike, to come, to answer a survey, to sign a contract. A link alone is no reason either
//! (cnrs:III.j). `docs/petitions.md` says the same to users.
//!
//! The signals are data: a rule [`Pack`], compiled once. [`analyse`] finds them in a [`Reading`] in time linear in its
//! length and adds their weights up (`weigh`). A signal counts once, however often it is found.

mod disguise;
mod find;
mod index;
mod language;
mod pack;
mod phrase;
mod raw;
mod vocabulary;
mod weigh;

pub use pack::{Explanation, Pack, PackError, Signal, SignalRule};

use crate::charter::rules::{PetitionRule, RuleName};
use crate::message::mime::PartId;
use crate::message::text::Reading;
use crate::wording::Language;

/// The rule pack that is part of the program, so that a charter needs no other file.
const DEFAULT_PACK: &str = include_str!("../../../conf/petition/default.toml");

/// An author who says no more than this beside a quotation hands it on.
const OWN_WORDS_MIN: usize = 6;

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
    /// The part with the evidence; `None` for the subject.
    pub part: Option<PartId>,
    /// First character of the evidence in the decoded text.
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
    let weigh = |rule| weigh::weigh(pack, rule, (&own, &quoted), hands_on, settings);
    let (mut signals, petition) = weigh(SignalRule::Petition);
    let (of_chain_letter, chain_letter) = weigh(SignalRule::ChainLetter);
    signals.extend(of_chain_letter);
    signals.sort_by(|a, b| b.weight.total_cmp(&a.weight).then_with(|| a.id.cmp(&b.id)));
    Report { petition, chain_letter, signals }
}

#[cfg(test)]
mod tests;
