//! Which phrases of a pack a sentence can have at all: those of which every word is there. One automaton looks for the words
//! of all phrases at once, so that few sentences are ever compared with a phrase.

use std::collections::{BTreeMap, HashMap};
use std::sync::OnceLock;

use aho_corasick::{AhoCorasick, AhoCorasickKind};
use regex::{Regex, RegexBuilder};

use super::phrase::{Need, Translated};

/// No phrase that [`Needs::pattern`] takes compiles to more octets; see its test.
const COMPILED_BYTES_MAX: usize = 64 << 20;
/// A phrase with a longer pattern is too large.
const PATTERN_BYTES_MAX: usize = 32 << 10;

/// A phrase as it is looked for. Most are never met, so that each is compiled where a sentence first has all of its words.
#[derive(Debug, Clone)]
pub(super) struct Pattern {
    source: String,
    compiled: OnceLock<Option<Regex>>,
    /// The needs of its words, the rarest first.
    needs: Vec<usize>,
}

impl Pattern {
    /// Its first place in a sentence from here on, when the sentence has all of its words.
    pub(super) fn find_at<'t>(&self, sentence: &'t str, seen: &Seen, from: usize) -> Option<regex::Match<'t>> {
        self.regex(seen)?.find_at(sentence, from)
    }

    /// Its places in a sentence.
    pub(super) fn find_iter<'s>(&'s self, sentence: &'s str, seen: &Seen) -> impl Iterator<Item = regex::Match<'s>> {
        self.regex(seen).map(|regex| regex.find_iter(sentence)).into_iter().flatten()
    }

    /// Whether a sentence has it.
    pub(super) fn is_match(&self, sentence: &str, seen: &Seen) -> bool {
        self.regex(seen).is_some_and(|regex| regex.is_match(sentence))
    }

    /// What finds it, if the sentence has all of its words.
    fn regex(&self, seen: &Seen) -> Option<&Regex> {
        let is_possible = self.needs.iter().all(|need| seen.has(*need));
        is_possible.then(|| self.compiled.get_or_init(|| compile(&self.source)).as_ref()).flatten()
    }
}

fn compile(pattern: &str) -> Option<Regex> {
    RegexBuilder::new(pattern).size_limit(COMPILED_BYTES_MAX).build().ok()
}

/// Which needs a sentence meets: one bit for each.
#[derive(Debug, Clone, Default)]
pub(super) struct Seen {
    bits: Vec<u64>,
}

impl Seen {
    fn has(&self, need: usize) -> bool {
        self.bits.get(need / 64).is_some_and(|bits| bits & 1 << (need % 64) != 0)
    }

    fn add(&mut self, need: usize) {
        if let Some(bits) = self.bits.get_mut(need / 64) {
            *bits |= 1 << (need % 64);
        }
    }
}

/// The needs of all phrases of a pack, while it is read.
#[derive(Debug, Default)]
pub(super) struct Needs {
    numbers: HashMap<Need, usize>,
}

impl Needs {
    /// A phrase to look for; many share a need. `None` when it is too large.
    pub(super) fn pattern(&mut self, translated: Translated) -> Option<Pattern> {
        if translated.pattern.len() > PATTERN_BYTES_MAX {
            return None;
        }
        let mut number = |need| {
            let next = self.numbers.len();
            *self.numbers.entry(need).or_insert(next)
        };
        let needs = translated.needs.into_iter().map(&mut number).collect();
        Some(Pattern { source: translated.pattern, compiled: OnceLock::new(), needs })
    }
}

/// What finds the needs of a sentence, and the phrases that have their rarest word there.
#[derive(Debug)]
pub(super) struct Index {
    finder: AhoCorasick,
    /// The needs that each pattern of the finder meets.
    needs_of: Vec<Vec<usize>>,
    /// The phrases of which a need is the rarest, with their other needs.
    phrases_of: Vec<Vec<(usize, Vec<usize>)>>,
}

impl Index {
    /// `None` when the words are too many to be looked for at once.
    pub(super) fn new<'p>(needs: Needs, phrases: impl Iterator<Item = &'p Pattern>) -> Option<Self> {
        let mut phrases_of: Vec<Vec<_>> = vec![Vec::new(); needs.numbers.len()];
        for (index, phrase) in phrases.enumerate() {
            let Some((rarest, others)) = phrase.needs.split_first() else { continue };
            if let Some(phrases) = phrases_of.get_mut(*rarest) {
                phrases.push((index, others.to_vec()));
            }
        }
        let mut by_start: BTreeMap<String, Vec<usize>> = BTreeMap::new();
        for (need, number) in needs.numbers {
            for start in need {
                by_start.entry(start).or_default().push(number);
            }
        }
        // A full automaton would take a tenth less time to analyse a text, and as much memory as all the rest of a daemon at rest.
        let finder = AhoCorasick::builder().kind(Some(AhoCorasickKind::ContiguousNFA)).build(by_start.keys()).ok()?;
        Some(Self { finder, needs_of: by_start.into_values().collect(), phrases_of })
    }

    /// Finds out which needs a sentence meets.
    pub(super) fn read(&self, sentence: &str, seen: &mut Seen) {
        seen.bits.clear();
        seen.bits.resize(self.phrases_of.len().div_ceil(64), 0);
        for found in self.finder.find_overlapping_iter(sentence) {
            for need in self.needs_of.get(found.pattern().as_usize()).into_iter().flatten() {
                seen.add(*need);
            }
        }
    }

    /// The phrases that a sentence with these needs may have, in the order of the file.
    pub(super) fn candidates(&self, seen: &Seen, candidates: &mut Vec<usize>) {
        candidates.clear();
        for (place, bits) in seen.bits.iter().enumerate() {
            let mut left = *bits;
            while left != 0 {
                let need = place * 64 + left.trailing_zeros() as usize;
                let phrases = self.phrases_of.get(need).into_iter().flatten();
                let possible = phrases.filter(|(_, others)| others.iter().all(|other| seen.has(*other)));
                candidates.extend(possible.map(|(index, _)| *index));
                left &= left - 1;
            }
        }
        candidates.sort_unstable();
    }
}

#[cfg(test)]
mod tests {
    use super::super::phrase::{Classes, translate};
    use super::super::{Pack, pack::What};
    use super::*;

    #[test]
    fn every_phrase_of_the_pack_compiles() {
        let pack = Pack::embedded().unwrap();
        let of_signals = pack.signals().iter().flat_map(|signal| {
            let mail = if let What::Mail(patterns) = &signal.what { patterns.as_slice() } else { &[] };
            let guards = signal.guards.iter().flat_map(|guard| guard.phrases.iter().chain(&guard.except));
            mail.iter().chain(guards)
        });
        let phrases = (0..).map_while(|index| pack.phrase(index)).map(|phrase| &phrase.pattern);
        let sources: Vec<&str> = of_signals.chain(phrases).map(|pattern| pattern.source.as_str()).collect();
        assert!(sources.len() > 500, "{}", sources.len());
        for source in sources {
            assert!(compile(source).is_some(), "{source}");
        }
    }

    #[test]
    fn the_largest_phrase_that_is_taken_compiles_and_a_larger_one_is_not_taken() {
        // Nothing compiles to more for each of its letters than the widest gap.
        let of_size = |gaps: usize| translate(&format!("mot {}", "..24 ".repeat(gaps)), &Classes::new()).unwrap();
        let gap = of_size(2).pattern.len() - of_size(1).pattern.len();
        let fitting = (PATTERN_BYTES_MAX - of_size(0).pattern.len()) / gap;
        assert!(Needs::default().pattern(of_size(fitting + 1)).is_none());
        let largest = Needs::default().pattern(of_size(fitting)).unwrap();
        assert!(compile(&largest.source).is_some());
    }
}
