//! Which phrases of a pack a sentence can have at all: those of which every word is there. Few sentences are ever compared
//! with a phrase.

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
    pub(super) fn new<'p>(sets: Sets, phrases: impl Iterator<Item = &'p Phrase>) -> Self {
        let commonness = sets.commonness();
        let common = |set: &Set| commonness.get(*set).copied().unwrap_or_default();
        let mut phrases_of = vec![Vec::new(); sets.len()];
        for (index, phrase) in phrases.enumerate() {
            let Some(rarest) = phrase.needs.iter().min_by_key(|set| common(set)) else { continue };
            let mut others: Vec<Set> = phrase.needs.iter().filter(|set| *set != rarest).copied().collect();
            others.sort_by_key(common);
            if let Some(phrases) = phrases_of.get_mut(*rarest) {
                phrases.push((index, others));
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
