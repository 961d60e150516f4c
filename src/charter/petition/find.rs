//! Where the signals of a pack stand in a message.

use std::collections::HashMap;
use std::ops::Range;

use regex::Regex;

use super::pack::{Pack, Signal, What, letters, plain_path};
use super::raw::{Fact, Scope};
use crate::message::links::{Link, Target};
use crate::message::text::{Place, Reading, Sentence, View, Word, plain_letters};

/// The first so many places of a signal are kept; more say nothing new.
const PLACES_MAX: usize = 16;
/// Strong words are looked for in disguised spellings of at most so many pieces.
const PIECES_MAX: usize = 40;
/// A shorter prefilled text is a form to fill in, not a letter.
const PREFILLED_CHARS_MIN: usize = 60;

/// A signal found at a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Its index in the pack.
    pub signal: usize,
    /// Where its evidence stands.
    pub place: Place,
    /// The index of the sentence.
    sentence: usize,
}

/// Finds the signals in the author's words or in those quoted; each signal's first place comes first.
pub(super) fn find(pack: &Pack, reading: &Reading, quoted: bool) -> Vec<Found> {
    let view = if quoted { &reading.quoted } else { &reading.own };
    let mut search = Search { pack, view, found: Vec::new(), counts: HashMap::new() };
    search.phrases();
    search.disguised();
    search.links(reading.links.iter().filter(|link| link.quoted == quoted));
    if !quoted {
        search.forms(reading);
    }
    supported(pack, search.found)
}

/// Leaves out the signals that are not near to what they must be near to, or stand beside what they yield to.
fn supported(pack: &Pack, mut found: Vec<Found>) -> Vec<Found> {
    // What leaves may have supported others, so look again until nothing changes; each round removes a signal for good.
    loop {
        let near = |one: &Found| {
            let Some(signal) = pack.signals().get(one.signal) else { return false };
            signal.near.is_empty()
                || found.iter().any(|other| {
                    signal.near.contains(&other.signal)
                        && other.sentence.abs_diff(one.sentence) <= signal.within as usize
                })
        };
        let kept: Vec<Found> = found.iter().filter(|one| near(one)).copied().collect();
        if kept.len() == found.len() {
            break;
        }
        found = kept;
    }
    let yields = |one: &Found| {
        let to = pack.signals().get(one.signal).map(|signal| signal.yields_to.as_slice()).unwrap_or_default();
        found.iter().any(|other| to.contains(&other.signal))
    };
    found.iter().filter(|one| !yields(one)).copied().collect()
}

struct Search<'a> {
    pack: &'a Pack,
    view: &'a View,
    found: Vec<Found>,
    counts: HashMap<usize, usize>,
}

impl Search<'_> {
    fn add(&mut self, signal: usize, place: Place, sentence: usize) {
        let count = self.counts.entry(signal).or_default();
        if *count < PLACES_MAX {
            *count += 1;
            self.found.push(Found { signal, place, sentence });
        }
    }

    fn is_full(&self, signal: usize) -> bool {
        self.counts.get(&signal).is_some_and(|count| *count >= PLACES_MAX)
    }

    /// Phrases in sentences as they are written.
    fn phrases(&mut self) {
        for (index, sentence) in self.view.sentences.iter().enumerate() {
            let words = self.view.words_of(*sentence);
            self.sentence(index, self.view.text_of(*sentence), words, false);
        }
    }

    /// Phrases in one sentence: `text` is the words with a blank before each and one at the end. Who disguises a word neither
    /// quotes a rule nor reports, so that only guards at the hit itself hold in a sentence put right.
    fn sentence(&mut self, index: usize, text: &str, words: &[Word], respelled: bool) {
        let (pack, view) = (self.pack, self.view);
        let mut starts: Option<Vec<usize>> = None;
        for phrase in pack.candidates(text) {
            let Some(signal) = pack.signals().get(phrase.signal) else { continue };
            if self.is_full(phrase.signal) || respelled && signal.weight < 0.0 {
                continue;
            }
            let mut from = 0;
            while let Some(hit) = phrase.pattern.find_at(text, from) {
                // The blank at its end may begin the next.
                from = hit.end().saturating_sub(1).max(hit.start() + 1);
                let starts = starts.get_or_insert_with(|| word_starts(text));
                let first = starts.partition_point(|at| *at <= hit.start());
                let last = starts.partition_point(|at| *at < hit.end()).max(first + 1);
                let covered = words.get(first..last).unwrap_or_default();
                let (Some(head), Some(tail)) = (covered.first(), covered.last()) else { continue };
                let in_quotation = !signal.quotations && covered.iter().all(|word| word.quoted);
                let at = At { view, index, text, hit: hit.start()..hit.end(), only_hit: respelled };
                if in_quotation || at.guarded(signal) {
                    continue;
                }
                // The word of a link stands where its tag begins, before its text.
                let place = Place {
                    part: head.place.part,
                    start: head.place.start.min(tail.place.start),
                    end: head.place.end.max(tail.place.end),
                };
                self.add(phrase.signal, place, index);
                break;
            }
        }
    }

    /// Strong words in spellings that hide them: the sentence is read again with the words put right.
    fn disguised(&mut self) {
        let strong: HashMap<String, &str> =
            self.pack.strong().iter().map(|word| (letters(word), word.as_str())).collect();
        let disguise = self.pack.signals().iter().position(|s| matches!(s.what, What::Fact(Fact::DisguisedSpelling)));
        let view = self.view;
        for (index, sentence) in view.sentences.iter().enumerate() {
            let Some(respelled) = respell(view, *sentence, &strong) else { continue };
            self.sentence(index, &respelled.text, &respelled.words, true);
            if let Some(signal) = disguise {
                self.add(signal, respelled.place, index);
            }
        }
    }

    fn links<'l>(&mut self, links: impl Iterator<Item = &'l Link>) {
        for link in links {
            let sentence = self.view.sentence_of(link.word);
            for (index, signal) in self.pack.signals().iter().enumerate() {
                if !self.is_full(index) && self.leads(signal, link) {
                    self.add(index, link.place, sentence);
                }
            }
        }
    }

    /// Whether a link is what a signal looks for.
    fn leads(&self, signal: &Signal, link: &Link) -> bool {
        match (&signal.what, &link.target) {
            (What::Sites(class), Target::Web(pages)) => pages.iter().any(|page| self.pack.covers(class, page)),
            (What::Paths(parts), Target::Web(pages)) => pages.iter().any(|page| {
                let path = plain_path(&page.path);
                parts.iter().any(|part| path.contains(part.as_str()))
            }),
            (What::Mail(patterns), Target::Mail(mail)) => {
                let sentences = || mail.words.sentences.iter().map(|s| mail.words.text_of(*s));
                let guards = || signal.guards.iter().flat_map(|guard| &guard.phrases);
                mail.body_chars > 0
                    && sentences().any(|text| patterns.iter().any(|p| p.is_match(text)))
                    && !sentences().any(|text| guards().any(|p| p.is_match(text)))
            }
            (What::Fact(Fact::PrefilledMail), Target::Mail(mail)) => mail.body_chars >= PREFILLED_CHARS_MIN,
            (What::Fact(Fact::AnyLink), Target::Web(_)) => true,
            _ => false,
        }
    }

    fn forms(&mut self, reading: &Reading) {
        for form in reading.forms.iter().filter(|form| form.fields > 0 && form.asks_identity) {
            let word = self
                .view
                .words
                .partition_point(|word| word.place.start < form.place.start && word.place.part <= form.place.part);
            let sentence = self.view.sentence_of(u32::try_from(word).unwrap_or(u32::MAX));
            for (index, signal) in self.pack.signals().iter().enumerate() {
                if matches!(signal.what, What::Fact(Fact::IdentityForm)) {
                    self.add(index, form.place, sentence);
                }
            }
        }
    }
}

/// Byte offsets of the words of a sentence.
fn word_starts(text: &str) -> Vec<usize> {
    text.match_indices(' ').map(|(at, _)| at + 1).filter(|at| *at < text.len()).collect()
}

/// A hit in a sentence.
struct At<'a> {
    view: &'a View,
    index: usize,
    text: &'a str,
    hit: Range<usize>,
    only_hit: bool,
}

impl At<'_> {
    /// Whether a guard takes this hit back.
    fn guarded(&self, signal: &Signal) -> bool {
        signal.guards.iter().any(|guard| {
            (guard.scope == Scope::Hit || !self.only_hit)
                && guard.phrases.iter().any(|phrase| self.holds(guard.scope, phrase))
                && !guard.except.iter().any(|phrase| self.holds(guard.scope, phrase))
        })
    }

    fn holds(&self, scope: Scope, phrase: &Regex) -> bool {
        match scope {
            Scope::Sentence => phrase.is_match(self.text),
            Scope::Before => phrase.find(self.text).is_some_and(|found| found.start() < self.hit.end),
            Scope::Hit => phrase
                .find_iter(self.text)
                .any(|found| found.start() + 1 < self.hit.end && found.end() > self.hit.start + 1),
            Scope::Nearby => phrase.is_match(self.text) || is_match_before(phrase, self.view, self.index),
        }
    }
}

fn is_match_before(pattern: &Regex, view: &View, index: usize) -> bool {
    let before = index.checked_sub(1).and_then(|before| view.sentences.get(before));
    before.is_some_and(|sentence| pattern.is_match(view.text_of(*sentence)))
}

/// A sentence with its disguised words put right.
struct Respelled {
    text: String,
    words: Vec<Word>,
    /// Where the first disguised word stands.
    place: Place,
}

/// Reads a sentence again with strong words in the place of their disguises; `None` when there are none.
fn respell(view: &View, sentence: Sentence, strong: &HashMap<String, &str>) -> Option<Respelled> {
    let words = view.words_of(sentence);
    let mut respelled = Respelled { text: String::new(), words: Vec::new(), place: Place::default() };
    let mut first: Option<Place> = None;
    let mut at = 0;
    while let Some(word) = words.get(at) {
        let rest = words.get(at..).unwrap_or_default();
        let found = disguised_word(view, word, strong)
            .map(|w| (vec![w], 1))
            .or_else(|| joined_pieces(view, rest, strong))
            .or_else(|| spaced_letters(view, rest, strong));
        let (replacements, pieces) = match &found {
            Some((replacements, pieces)) => (replacements.as_slice(), *pieces),
            None => (&[] as &[&str], 1),
        };
        if replacements.is_empty() {
            respelled.push(view.word(word), *word);
        } else {
            let last = words.get(at + pieces - 1).unwrap_or(word);
            let place = Place { end: last.place.end.max(word.place.end), ..word.place };
            first.get_or_insert(place);
            for replacement in replacements {
                respelled.push(replacement, Word { place, ..*word });
            }
        }
        at += pieces;
    }
    respelled.place = first?;
    respelled.text.push(' ');
    Some(respelled)
}

impl Respelled {
    fn push(&mut self, text: &str, word: Word) {
        self.text.push(' ');
        self.text.push_str(text);
        self.words.push(word);
    }
}

/// One word with digits or signs for letters, or accents no such word has: `pet1tion`, `$ignez`.
fn disguised_word<'s>(view: &View, word: &Word, strong: &HashMap<String, &'s str>) -> Option<&'s str> {
    let text = view.word(word);
    if text.len() > 40 || text.len() < 4 {
        return None;
    }
    let plain = plain_letters(text);
    if let Some(found) = strong.get(&(plain_letters(&word.signs()) + &plain))
        && !word.signs().is_empty()
        && !plain_letters(&word.signs()).is_empty()
    {
        return Some(found);
    }
    // The honest spelling, and the one without accents, are no disguise.
    strong.get(&plain).copied().filter(|found| text != *found && text != without_accents(found))
}

fn without_accents(word: &str) -> String {
    use unicode_normalization::UnicodeNormalization as _;
    word.nfd().filter(|c| !unicode_normalization::char::is_combining_mark(*c)).collect()
}

/// Pieces of one word with signs but no white space between them: `pé-ti-tion`, `p€tition`, `s.i.g.n.e.z`.
fn joined_pieces<'s>(view: &View, words: &[Word], strong: &HashMap<String, &'s str>) -> Option<(Vec<&'s str>, usize)> {
    let pieces = 1 + words.iter().skip(1).take_while(|word| word.joined).take(PIECES_MAX).count();
    if pieces < 2 {
        return None;
    }
    let mut joined = String::new();
    for word in words.iter().take(pieces) {
        // The sign between two pieces may stand for a letter.
        joined.push_str(&plain_letters(&word.signs()));
        joined.push_str(&plain_letters(view.word(word)));
    }
    let found = strong.get(&joined).or_else(|| {
        // Signs that merely part the pieces.
        let bare: String = words.iter().take(pieces).map(|word| plain_letters(view.word(word))).collect();
        strong.get(&bare)
    })?;
    Some((vec![found], pieces))
}

/// Letters one by one, with white space between them: `p é t i t i o n`; several strong words may follow each other.
fn spaced_letters<'s>(view: &View, words: &[Word], strong: &HashMap<String, &'s str>) -> Option<(Vec<&'s str>, usize)> {
    let pieces =
        words.iter().take_while(|word| word.len <= 4 && view.word(word).chars().count() <= 2).take(PIECES_MAX).count();
    let single = words.iter().take(pieces).filter(|word| view.word(word).chars().count() == 1).count();
    if pieces < 4 || single * 2 < pieces {
        return None;
    }
    let joined: String = words.iter().take(pieces).map(|word| plain_letters(view.word(word))).collect();
    let mut found: Vec<(usize, &str)> =
        strong.iter().filter_map(|(letters, word)| Some((joined.find(letters)?, *word))).collect();
    found.sort_unstable_by_key(|(at, word)| (*at, std::cmp::Reverse(word.len())));
    found.dedup_by_key(|(at, _)| *at);
    (!found.is_empty()).then(|| (found.into_iter().map(|(_, word)| word).collect(), pieces))
}
