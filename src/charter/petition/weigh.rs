//! What the signals of a message weigh together.
//!
//! A long message has several affairs: an excuse in one of them excuses no request in another, and words of one do not make a
//! petition with words of another. So only signals that stand within [`WINDOW_SENTENCES`] of each other are added up, and the
//! heaviest such window is the message's score.

use super::find::Found;
use super::pack::{Pack, Signal, SignalRule};
use super::{Score, Settings, SignalHit};

/// Signals of one affair stand within so many sentences: a request, what it is for and the link are seldom further apart, and the next
/// affair of a tract is.
const WINDOW_SENTENCES: usize = 10;
/// Words of others count so much: a reply that quotes a petition does not ask for signatures itself.
const QUOTED_FACTOR: f64 = 0.4;
/// However strong they are, the words of others weigh no more than this together: declining a petition is no petition.
const QUOTED_MAX: f64 = 0.6;
/// Counter-signals take away so much at most: a sentence about a charter does not turn a petition into a report.
const COUNTER_MAX: f64 = 0.6;
/// Scores are sums of hundredths; less than this is rounding.
const EPSILON: f64 = 1e-6;

/// A signal at a place, with what it adds there.
#[derive(Debug, Clone, Copy)]
struct Evidence<'a> {
    signal: &'a Signal,
    found: Found,
    weight: f64,
    /// Words of others that the author does not make his own.
    of_others: bool,
}

impl Evidence<'_> {
    /// The subject belongs to every affair of the message.
    fn is_in_subject(&self) -> bool {
        self.found.place.part.is_none()
    }
}

/// What was found for a rule in the author's words and in those quoted, which `hands_on` makes the author's own.
pub(super) fn weigh(
    pack: &Pack,
    rule: SignalRule,
    (own, quoted): (&[Found], &[Found]),
    hands_on: bool,
    settings: &Settings<'_>,
) -> (Vec<SignalHit>, Score) {
    let evidence = |found: &[Found], factor: f64, counters: bool| {
        let mut all: Vec<Evidence<'_>> = found
            .iter()
            .filter_map(|found| {
                let signal = pack.signals().get(found.signal).filter(|signal| signal.rule == rule)?;
                // A signal of no weight only stands beside others.
                let weight = settings.weight(signal).filter(|weight| weight.abs() > EPSILON)?;
                let counts = weight > 0.0 || counters;
                counts.then_some(Evidence { signal, found: *found, weight: weight * factor, of_others: factor < 1.0 })
            })
            .collect();
        all.sort_by_key(|evidence| (evidence.found.sentence, evidence.found.signal));
        all
    };
    // Counter-signals of quoted words excuse nobody.
    let of_others = evidence(quoted, if hands_on { 1.0 } else { QUOTED_FACTOR }, false);
    let of_others = heaviest_window(&of_others, &[]);
    let counted = heaviest_window(&evidence(own, 1.0, true), &of_others);
    let weights = weights(&counted);
    let value = sum(&weights);
    let threshold = settings.rule(rule).map_or(pack.threshold(), |rule| rule.threshold);
    let hits = counted.iter().zip(weights).map(|(evidence, weight)| hit(evidence, weight)).collect();
    (hits, Score { value, threshold, reached: value + EPSILON >= threshold })
}

/// The signals, once each, of the window that weighs most together with what stands elsewhere.
fn heaviest_window<'a>(evidence: &[Evidence<'a>], elsewhere: &[Evidence<'a>]) -> Vec<Evidence<'a>> {
    let in_subject = evidence.partition_point(Evidence::is_in_subject);
    let (subject, text) = evidence.split_at(in_subject);
    let of_window = |window: &[Evidence<'a>]| once_each(subject.iter().chain(window).chain(elsewhere));
    let mut heaviest = of_window(&[]);
    let mut most = sum(&weights(&heaviest));
    for (first, evidence) in text.iter().enumerate() {
        let sentence = evidence.found.sentence;
        if first > 0 && text.get(first - 1).is_some_and(|before| before.found.sentence == sentence) {
            continue;
        }
        let rest = text.get(first..).unwrap_or_default();
        let size = rest.partition_point(|other| other.found.sentence < sentence + WINDOW_SENTENCES);
        let window = of_window(rest.get(..size).unwrap_or_default());
        let value = sum(&weights(&window));
        if value > most + EPSILON {
            (heaviest, most) = (window, value);
        }
    }
    heaviest
}

/// The first evidence of each signal.
fn once_each<'e, 'a: 'e>(evidence: impl Iterator<Item = &'e Evidence<'a>>) -> Vec<Evidence<'a>> {
    let mut once: Vec<Evidence<'a>> = Vec::new();
    for evidence in evidence {
        if once.iter().all(|other| other.found.signal != evidence.found.signal) {
            once.push(*evidence);
        }
    }
    once
}

/// What each signal adds beside the others: of a group only the heaviest counts, two ways of saying one thing, and what only others
/// say is limited.
fn weights(evidence: &[Evidence<'_>]) -> Vec<f64> {
    let mut weights: Vec<f64> = evidence.iter().map(|evidence| evidence.weight).collect();
    for (at, one) in evidence.iter().enumerate().filter(|(_, one)| one.signal.group.is_some()) {
        let own = one.weight.abs();
        let heavier = evidence.iter().enumerate().any(|(other_at, other)| {
            let other_weight = other.weight.abs();
            other.signal.group == one.signal.group
                && (other_weight > own + EPSILON || other_at < at && (other_weight - own).abs() <= EPSILON)
        });
        if let Some(weight) = weights.get_mut(at).filter(|_| heavier) {
            *weight = 0.0;
        }
    }
    let of_others: f64 = evidence.iter().zip(&weights).filter(|(one, _)| one.of_others).map(|(_, weight)| weight).sum();
    if of_others > QUOTED_MAX {
        for (_, weight) in evidence.iter().zip(&mut weights).filter(|(one, _)| one.of_others) {
            *weight *= QUOTED_MAX / of_others;
        }
    }
    weights
}

/// At least 0, in hundredths.
fn sum(weights: &[f64]) -> f64 {
    let found: f64 = weights.iter().filter(|weight| **weight > 0.0).sum();
    let counter: f64 = weights.iter().filter(|weight| **weight < 0.0).sum();
    let value = (found + counter.max(-COUNTER_MAX)).max(0.0);
    (value * 100.0).round() / 100.0 + 0.0
}

fn hit(evidence: &Evidence<'_>, weight: f64) -> SignalHit {
    let (signal, place) = (evidence.signal, evidence.found.place);
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
