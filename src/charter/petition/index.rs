//! Which phrases of a pack a sentence can have at all: those of which every word is there. Few sentences are ever compared
//! with a phrase.

use std::collections::BTreeSet;

use super::phrase::Phrase;
use super::vocabulary::{self, Set, Sets, Vocabulary, Words};

/// The words of the phrases, and the phrases by the rarest of them.
#[derive(Debug)]
pub(super) struct Index {
    vocabulary: Vocabulary,
    /// The sets that are the rarest of some phrase: one bit for each.
    rarest: Vec<u64>,
    /// The phrases of which a set is the rarest, with the other sets they need.
    phrases_of: Vec<Vec<(usize, Vec<Set>)>>,
}

impl Index {
    /// `phrases` need their rarest words first.
    pub(super) fn new<'p>(sets: Sets, phrases: impl Iterator<Item = &'p Phrase>) -> Self {
        let mut phrases_of = vec![Vec::new(); sets.len()];
        for (index, phrase) in phrases.enumerate() {
            let Some((rarest, others)) = phrase.needs.split_first() else { continue };
            if let Some(phrases) = phrases_of.get_mut(*rarest) {
                phrases.push((index, others.to_vec()));
            }
        }
        let mut rarest = vec![0; sets.len().div_ceil(64)];
        for (set, _) in phrases_of.iter().enumerate().filter(|(_, phrases)| !phrases.is_empty()) {
            vocabulary::add(&mut rarest, set);
        }
        Self { vocabulary: Vocabulary::new(sets), rarest, phrases_of }
    }

    /// The words of the phrases.
    pub(super) fn vocabulary(&self) -> &Vocabulary {
        &self.vocabulary
    }

    /// The phrases that a sentence with these words may have, in the order of the file.
    pub(super) fn candidates(&self, words: &Words<'_>, candidates: &mut Vec<usize>) {
        candidates.clear();
        for (place, (sets, rarest)) in words.sets().iter().zip(&self.rarest).enumerate() {
            let mut left = sets & rarest;
            while left != 0 {
                let phrases = self.phrases_of.get(place * 64 + left.trailing_zeros() as usize);
                for (index, others) in phrases.into_iter().flatten() {
                    if others.iter().all(|other| words.has(*other)) {
                        candidates.push(*index);
                    }
                }
                left &= left - 1;
            }
        }
        candidates.sort_unstable();
    }
}

/// The rarest words of several phrases: a sentence without any of them has none of the phrases.
#[derive(Debug, Default)]
pub(super) struct Clues {
    /// Numbers of sets in the places where they have a bit, and those places.
    bits: Vec<(usize, u64)>,
}

impl Clues {
    /// `phrases` need their rarest words first.
    pub(super) fn to(phrases: &[Phrase]) -> Self {
        let mut bits: Vec<(usize, u64)> = Vec::new();
        let rarest = phrases.iter().filter_map(|phrase| phrase.needs.first());
        for set in rarest.copied().collect::<BTreeSet<Set>>() {
            match bits.last_mut().filter(|(place, _)| *place == set / 64) {
                Some((_, bits)) => *bits |= 1 << (set % 64),
                None => bits.push((set / 64, 1 << (set % 64))),
            }
        }
        Self { bits }
    }

    pub(super) fn are_in(&self, words: &Words<'_>) -> bool {
        let sets = words.sets();
        self.bits.iter().any(|(place, bits)| sets.get(*place).is_some_and(|sets| sets & bits != 0))
    }
}
