//! A phrase, and where it stands in a sentence. Boundaries are counted: 0 lies before the first word, 1 behind it. A set of
//! boundaries is one number, so that each step of a phrase is taken at all places of a sentence at once.

use std::ops::Range;

use super::vocabulary::{Set, Words};

/// A phrase as it is looked for.
#[derive(Debug, Clone)]
pub(super) struct Phrase {
    /// What follows what.
    pub steps: Vec<Step>,
    /// The sentence begins with it.
    pub at_start: bool,
    /// The sentence ends with it.
    pub at_end: bool,
    /// A sentence that lacks one of these sets cannot have it. In a whole pack the rarest comes first.
    pub needs: Vec<Set>,
}

/// A part of a phrase.
#[derive(Debug, Clone)]
pub(super) enum Step {
    /// Up to so many words of any kind.
    Gap(u32),
    /// Words of this set.
    One {
        /// The set.
        set: Set,
        /// None need stand there.
        optional: bool,
    },
}

impl Phrase {
    /// Whether a sentence has it.
    pub(super) fn is_in(&self, sentence: &Words<'_>) -> bool {
        self.is_possible(sentence) && self.starts(sentence, 0, |_| ()) != 0
    }

    /// The words of its first place in a sentence at or behind a boundary.
    pub(super) fn find(&self, sentence: &Words<'_>, from: usize) -> Option<Range<usize>> {
        if !self.is_possible(sentence) || self.starts(sentence, from, |_| ()) == 0 {
            return None;
        }
        // From where the rest of the phrase fits, the last step first.
        let mut fits = Vec::with_capacity(self.steps.len());
        let starts = self.starts(sentence, from, |boundaries| fits.push(boundaries));
        let start = starts.trailing_zeros() as usize;
        let steps = self.steps.iter().zip(fits.iter().rev());
        let end = steps.fold(start, |at, (step, fitting)| step.end(sentence, at, *fitting));
        Some(start..end)
    }

    /// Its places in a sentence that have no word in common.
    pub(super) fn places(&self, sentence: &Words<'_>) -> impl Iterator<Item = Range<usize>> {
        let next = move |from: usize| self.find(sentence, from);
        std::iter::successors(next(0), move |last| next(last.end))
    }

    /// Whether a sentence has a word of each set it needs.
    fn is_possible(&self, words: &Words<'_>) -> bool {
        self.needs.iter().all(|need| words.has(*need))
    }

    /// The boundaries it begins at. `fits` is told from where on, behind each step, the rest fits; the last step comes first.
    fn starts(&self, sentence: &Words<'_>, from: usize, mut fits: impl FnMut(u128)) -> u128 {
        let end = sentence.len();
        let mut boundaries = between(if self.at_end { end } else { 0 }, end);
        for step in self.steps.iter().rev() {
            if boundaries == 0 {
                return 0;
            }
            fits(boundaries);
            boundaries = step.before(sentence, boundaries);
        }
        boundaries & between(from, if self.at_start { 0 } else { end })
    }
}

impl Step {
    /// From where it leads to one of these boundaries.
    fn before(&self, sentence: &Words<'_>, after: u128) -> u128 {
        match self {
            Self::Gap(words) => {
                let (mut before, mut reach) = (after, 0);
                while reach < *words {
                    let more = (reach + 1).min(words - reach);
                    before |= before >> more;
                    reach += more;
                }
                before
            }
            Self::One { set, optional } => {
                let before = sentence.before(*set, after);
                before | if *optional { after } else { 0 }
            }
        }
    }

    /// Where it leads to, of these boundaries: with the words that are there, in a gap as far as it can.
    fn end(&self, sentence: &Words<'_>, at: usize, fitting: u128) -> usize {
        match self {
            Self::Gap(words) => {
                let reached = fitting & between(at, (at + *words as usize).min(sentence.len()));
                reached.checked_ilog2().map_or(at, |last| last as usize)
            }
            Self::One { set, .. } => {
                let mut ends = sentence.after(*set, at);
                ends.find(|end| fitting & between(*end, *end) != 0).unwrap_or(at)
            }
        }
    }
}

/// All boundaries from one to another; none when they are the wrong way round.
fn between(first: usize, last: usize) -> u128 {
    let up_to =
        |boundaries: usize| u32::try_from(boundaries).map_or(0, |n| 1u128.checked_shl(n).unwrap_or(0)).wrapping_sub(1);
    if first > last { 0 } else { up_to(last + 1) & !up_to(first) }
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use regex::Regex;

    use super::super::language::{self, Classes};
    use super::super::vocabulary::{Sets, Vocabulary};
    use super::*;

    /// What a phrase means, said in another language.
    fn regex_of(phrase: &str) -> Regex {
        let word = |word: &str| word.replace('*', "[^ ]*").replace('é', "[ée]").replace('_', " ");
        let one = |token: &str| format!(" (?:{})", token.split('|').map(word).collect::<Vec<_>>().join("|"));
        let mut pattern = String::new();
        for token in phrase.split(' ') {
            let part = match (token, token.strip_prefix(".."), token.strip_suffix('?')) {
                ("^", ..) => "^".to_owned(),
                ("$", ..) => "(?: $)".to_owned(),
                (_, Some(gap), _) => format!("(?: [^ ]+){{0,{gap}}}"),
                (_, _, Some(token)) => format!("(?:{})?", one(token)),
                _ => one(token),
            };
            pattern.push_str(&part);
        }
        if !phrase.ends_with('$') {
            pattern.push(' ');
        }
        Regex::new(&pattern).unwrap()
    }

    /// The words of its first place at or behind a boundary.
    fn find(phrase: &str, text: &str, from: usize) -> Option<Range<usize>> {
        let mut sets = Sets::default();
        let phrase = language::read(phrase, &Classes::new(), &mut sets).unwrap();
        let vocabulary = Vocabulary::new(sets);
        let mut words = Words::new(&vocabulary);
        // What was read before leaves nothing behind.
        words.read(" a b c dé a ");
        words.read(text);
        let found = phrase.find(&words, from);
        assert_eq!(phrase.is_in(&words), phrase.find(&words, 0).is_some());
        found
    }

    fn phrases() -> impl Strategy<Value = String> {
        let word = || prop::sample::select(vec!["a", "b", "c", "dé", "d*", "a_b", "a_a", "b_d*", "c_a_b"]);
        let choice = prop::collection::vec(word(), 1..4).prop_map(|words| words.join("|"));
        let token = prop_oneof![
            6 => choice.clone(),
            1 => choice.prop_map(|choice| format!("{choice}?")),
            2 => (1..4).prop_map(|words| format!("..{words}")),
        ];
        let edge = |sign: &'static str| prop_oneof![3 => Just(""), 1 => Just(sign)];
        let middle = (prop::collection::vec(token.clone(), 0..3), word(), prop::collection::vec(token, 0..3));
        (edge("^"), middle, edge("$")).prop_map(|(start, (before, word, behind), end)| {
            let tokens = [vec![start.to_owned()], before, vec![word.to_owned()], behind, vec![end.to_owned()]].concat();
            tokens.into_iter().filter(|token| !token.is_empty()).collect::<Vec<_>>().join(" ")
        })
    }

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(2_000))]
        #[test]
        fn a_phrase_is_where_a_regular_expression_finds_it(
            phrase in phrases(),
            words in prop::collection::vec(prop::sample::select(vec!["a", "b", "c", "de", "dé", "d", "dx", "x"]), 1..9),
            from in 0usize..3,
        ) {
            let text = format!(" {} ", words.join(" "));
            let starts: Vec<usize> = text.match_indices(' ').map(|(at, _)| at).collect();
            let regex = regex_of(&phrase);
            let expected = starts.get(from).and_then(|from| regex.find_at(&text, *from));
            let found = find(&phrase, &text, from);
            prop_assert_eq!(found.as_ref().map(|found| starts[found.start]), expected.map(|found| found.start()));
            if let Some(found) = found {
                // Of several ends either may take another.
                let covered = text.get(..=starts[found.end]).unwrap();
                prop_assert!(regex.find_at(covered, starts[found.start]).is_some_and(|all| all.end() == covered.len()));
            }
        }
    }

    #[test]
    fn the_last_word_of_the_longest_sentence_is_read() {
        let text = format!("{} fin ", " mot".repeat(126));
        assert_eq!(find("fin $", &text, 0), Some(126..127));
        assert_eq!(find("^ mot ..24 mot", &text, 0), Some(0..26));
        assert_eq!(find("mot ..24 fin $", &text, 100), Some(101..127));
    }
}
