//! Strong words in spellings that hide them: digits and signs for letters, words in pieces, letters set apart.
//!
//! Every word of every message comes by here, so that what cannot be a disguise is told by its first letter and its
//! length before anything is compared.

use std::ops::ControlFlow;

use aho_corasick::AhoCorasick;

use crate::message::text::{Place, Sentence, View, Word, plain_letters, push_plain_letters};

/// Strong words are looked for in disguised spellings of at most so many pieces.
const PIECES_MAX: usize = 40;
/// No disguise of a strong word has fewer or more octets.
const DISGUISE_BYTES: std::ops::RangeInclusive<usize> = 4..=40;

/// So many letters tell most words from the strong ones; the pack's rules make these longer.
const BEGINNING: usize = 3;
/// A masked word of which fewer letters are left is anybody's guess.
const KNOWN_LETTERS_MIN: usize = 4;
/// Plain letters of a piece of at most two characters, in octets.
const LETTER_BYTES_MAX: usize = 16;
/// Stands for a letter left out.
const MASK: char = '*';

/// The words worth disguising.
#[derive(Debug, Default)]
pub(super) struct Disguises {
    words: Vec<Strong>,
    /// The plain letters they begin with.
    beginnings: Vec<[char; BEGINNING]>,
    /// What the characters up to U+00FF stand for.
    latin: Vec<Option<char>>,
    /// Whether a disguise may begin with two ASCII characters, of which the number is made.
    ascii: Vec<bool>,
    /// Letters of the shortest and of the longest.
    letters: (usize, usize),
    /// Finds their letters in other letters; `None` when there are none, or far too many.
    finder: Option<AhoCorasick>,
}

#[derive(Debug)]
struct Strong {
    word: String,
    /// Without accents: a honest spelling as well.
    bare: String,
    /// As disguised spellings are compared.
    letters: String,
}

impl Disguises {
    /// Prepares the strong words of a pack.
    pub(super) fn new(words: impl IntoIterator<Item = String>) -> Self {
        let mut disguises = Self::default();
        for word in words {
            let letters = plain_letters(&word);
            disguises.beginnings.extend(letters.chars().collect::<Vec<char>>().first_chunk());
            let count = letters.chars().count();
            let (shortest, longest) = disguises.letters;
            disguises.letters =
                if disguises.words.is_empty() { (count, count) } else { (shortest.min(count), longest.max(count)) };
            disguises.words.push(Strong { bare: without_accents(&word), letters, word });
        }
        disguises.beginnings.sort_unstable();
        disguises.beginnings.dedup();
        disguises.finder = AhoCorasick::new(disguises.words.iter().map(|strong| &strong.letters)).ok();
        disguises.latin = (0..=u8::MAX).map(|c| plain_letter(char::from(c))).collect();
        let pairs = (0..1u16 << 14).map(|pair| [pair >> 7, pair & 0x7f].map(|c| char::from(c.to_le_bytes()[0])));
        disguises.ascii = pairs.map(|pair| disguises.may_begin_with_letters(pair.into_iter())).collect();
        disguises
    }

    fn get(&self, letters: &str) -> Option<&Strong> {
        self.words.iter().find(|strong| strong.letters == letters)
    }

    /// The plain letter that a character stands for; `None` for what stands for none, or for several.
    fn stands_for(&self, c: char) -> Option<char> {
        self.latin.get(c as usize).map_or_else(|| plain_letter(c), |letter| *letter)
    }

    /// Whether a disguise may begin with this sign.
    fn may_begin_with(&self, sign: char) -> bool {
        self.stands_for(sign).is_some_and(|letter| self.beginnings.iter().any(|[first, ..]| *first == letter))
    }

    /// Whether a disguise may begin with these letters, which no sign precedes; a single one may be its first piece.
    fn may_begin_as(&self, text: &str) -> bool {
        let is_possible = match text.as_bytes() {
            [first @ 0..=0x7f, second @ 0..=0x7f, ..] => {
                self.ascii.get(usize::from(*first) << 7 | usize::from(*second)).is_some_and(|may| *may)
            }
            _ => true,
        };
        is_possible && self.may_begin_with_letters(text.chars())
    }

    fn may_begin_with_letters(&self, letters: impl Iterator<Item = char> + Clone) -> bool {
        // Behind what may be several letters, anything may follow.
        let known = letters.map_while(|c| self.stands_for(c));
        self.beginnings.iter().any(|beginning| known.clone().zip(beginning).all(|(seen, letter)| seen == *letter))
    }
}

fn plain_letter(c: char) -> Option<char> {
    let letters = plain_letters(c.encode_utf8(&mut [0; 4]));
    let mut letters = letters.chars();
    letters.next().filter(|_| letters.next().is_none())
}

/// A sentence with its disguised words put right.
pub(super) struct Respelled {
    /// The words with a blank before each and one at the end.
    pub text: String,
    /// The words; their offsets are those of the view.
    pub words: Vec<Word>,
    /// Where the first disguised word stands.
    pub place: Place,
}

impl Respelled {
    fn push(&mut self, text: &str, word: Word) {
        self.text.push(' ');
        self.text.push_str(text);
        self.words.push(word);
    }
}

/// Reads the sentences of a view again.
pub(super) struct Respeller<'a> {
    disguises: &'a Disguises,
    view: &'a View,
    /// Room for the letters of one word.
    letters: String,
}

/// Strong words that stand in the place of some words of the text.
type Unmasked<'a> = (Vec<&'a str>, usize);

impl<'a> Respeller<'a> {
    pub(super) fn new(disguises: &'a Disguises, view: &'a View) -> Self {
        Self { disguises, view, letters: String::new() }
    }

    /// Reads a sentence again with strong words in the place of their disguises; `None` when there are none.
    pub(super) fn respell(&mut self, sentence: Sentence) -> Option<Respelled> {
        let view = self.view;
        let words = view.words_of(sentence);
        let mut respelled: Option<Respelled> = None;
        let mut at = 0;
        // Letters set apart are known to hide nothing before this word.
        let mut searched = 0;
        while let Some(word) = words.get(at) {
            let rest = words.get(at..).unwrap_or_default();
            let unmasked = self.unmask(rest).or_else(|| {
                if at < searched {
                    return None;
                }
                match self.spaced_letters(rest) {
                    ControlFlow::Break(found) => Some(found),
                    ControlFlow::Continue(words) => {
                        searched = at + words;
                        None
                    }
                }
            });
            let Some((replacements, pieces)) = unmasked else {
                if let Some(respelled) = &mut respelled {
                    respelled.push(view.word(word), *word);
                }
                at += 1;
                continue;
            };
            let last = words.get(at + pieces - 1).unwrap_or(word);
            let place = Place { end: last.place.end.max(word.place.end), ..word.place };
            let respelled = respelled.get_or_insert_with(|| {
                let mut before = Respelled { text: String::new(), words: Vec::new(), place };
                words.iter().take(at).for_each(|word| before.push(view.word(word), *word));
                before
            });
            for replacement in replacements {
                respelled.push(replacement, Word { place, ..*word });
            }
            at += pieces;
        }
        if let Some(respelled) = &mut respelled {
            respelled.text.push(' ');
        }
        respelled
    }

    /// What the first of these words hides, alone or with those that are joined to it, and how many words that takes.
    fn unmask(&mut self, words: &[Word]) -> Option<Unmasked<'a>> {
        let first = words.first()?;
        let is_possible = self.disguises.may_begin_as(self.view.word(first))
            || first.signs().any(|sign| self.disguises.may_begin_with(sign));
        if !is_possible {
            return None;
        }
        match self.one_word(first) {
            Some(word) => Some((vec![word], 1)),
            None => self.joined_pieces(words),
        }
    }

    /// One word with digits or signs for letters, or accents no such word has: `pet1tion`, `$ignez`.
    fn one_word(&mut self, word: &Word) -> Option<&'a str> {
        let text = self.view.word(word);
        if !DISGUISE_BYTES.contains(&text.len()) {
            return None;
        }
        // A sign before it may stand for one letter more.
        let (shortest, longest) = self.disguises.letters;
        let count = text.chars().count();
        if count > longest || count + word.before.len() < shortest {
            return None;
        }
        self.letters.clear();
        push_plain_letters(word.signs(), &mut self.letters);
        let signs = self.letters.len();
        push_plain_letters(text.chars(), &mut self.letters);
        if signs > 0
            && let Some(found) = self.disguises.get(&self.letters)
        {
            return Some(&found.word);
        }
        let found = self.disguises.get(self.letters.get(signs..).unwrap_or_default())?;
        // The honest spelling, and the one without accents, are no disguise.
        (text != found.word && text != found.bare).then_some(&found.word)
    }

    /// Pieces of one word with signs but no white space between them: `pé-ti-tion`, `p€tition`, `s.i.g.n.e.z`.
    fn joined_pieces(&mut self, words: &[Word]) -> Option<Unmasked<'a>> {
        if !words.get(1)?.joined {
            return None;
        }
        let pieces = 1 + words.iter().skip(1).take_while(|word| word.joined).take(PIECES_MAX).count();
        // First with the signs, which may stand for letters; then without, where they merely part the pieces.
        for with_signs in [true, false] {
            self.letters.clear();
            for word in words.iter().take(pieces) {
                if with_signs {
                    push_plain_letters(word.signs(), &mut self.letters);
                }
                push_plain_letters(self.view.word(word).chars(), &mut self.letters);
            }
            if let Some(found) = self.disguises.get(&self.letters) {
                return Some((vec![&found.word], pieces));
            }
        }
        self.masked_word(words.get(..pieces)?).map(|found| (vec![found], pieces))
    }

    /// Pieces of one word with signs for the letters left out: `p*tition`, `sig##ture`.
    fn masked_word(&mut self, pieces: &[Word]) -> Option<&'a str> {
        let mut masked = 0;
        self.letters.clear();
        for (index, piece) in pieces.iter().enumerate() {
            if index > 0 {
                let masks = piece.signs().filter(|sign| matches!(sign, '*' | '•' | '#' | '_')).count();
                masked += masks;
                self.letters.extend(std::iter::repeat_n(MASK, masks));
            }
            push_plain_letters(self.view.word(piece).chars(), &mut self.letters);
        }
        let (_, longest) = self.disguises.letters;
        let all = self.letters.chars().count();
        if masked == 0 || all > longest || all - masked < KNOWN_LETTERS_MIN.max(masked * 2) {
            return None;
        }
        let fits = |strong: &&Strong| {
            strong.letters.chars().count() == all
                && strong.letters.chars().zip(self.letters.chars()).all(|(is, seen)| is == seen || seen == MASK)
        };
        self.disguises.words.iter().find(fits).map(|strong| strong.word.as_str())
    }

    /// Letters one by one, with white space between them: `p é t i t i o n`; several strong words may follow each other. Where
    /// these words begin with none, says for how many of them that is settled.
    fn spaced_letters(&mut self, words: &[Word]) -> ControlFlow<Unmasked<'a>, usize> {
        let view = self.view;
        let length = |word: &Word| view.word(word).chars().count();
        let pieces = words.iter().take_while(|word| word.len <= 4 && length(word) <= 2).take(PIECES_MAX).count();
        let (shortest, longest) = self.disguises.letters;
        let settled = if pieces < PIECES_MAX { pieces + 1 } else { PIECES_MAX.saturating_sub(longest) + 1 };
        let Some(finder) = self.disguises.finder.as_ref().filter(|_| pieces * 2 >= shortest) else {
            return ControlFlow::Continue(settled);
        };
        self.letters.clear();
        // The piece that each octet of the letters is of.
        let mut piece_of = [0u8; PIECES_MAX * LETTER_BYTES_MAX];
        for (piece, word) in (0..).zip(words.iter().take(pieces)) {
            let start = self.letters.len();
            push_plain_letters(view.word(word).chars(), &mut self.letters);
            piece_of.iter_mut().take(self.letters.len()).skip(start).for_each(|of| *of = piece);
        }
        let mut found: Vec<(usize, &str)> = finder
            .find_overlapping_iter(&self.letters)
            .filter(|found| {
                let covered = piece_of.get(found.range()).unwrap_or_default();
                let (Some(first), Some(last)) = (covered.first(), covered.last()) else { return false };
                let covered = words.get(usize::from(*first)..=usize::from(*last)).unwrap_or_default();
                covered.iter().filter(|word| length(word) == 1).count() * 2 >= covered.len()
            })
            .filter_map(|found| {
                Some((found.start(), self.disguises.words.get(found.pattern().as_usize())?.word.as_str()))
            })
            .collect();
        found.sort_unstable_by_key(|(at, word)| (*at, std::cmp::Reverse(word.len())));
        found.dedup_by_key(|(at, _)| *at);
        if found.is_empty() {
            return ControlFlow::Continue(settled);
        }
        ControlFlow::Break((found.into_iter().map(|(_, word)| word).collect(), pieces))
    }
}

fn without_accents(word: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    word.nfd().filter(|c| !unicode_normalization::char::is_combining_mark(*c)).collect()
}
