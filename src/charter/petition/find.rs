//! Where the signals of a pack stand in a message.

use std::ops::Range;

use super::disguise::Respeller;
use super::pack::{Pack, Signal, What, address_words};
use super::phrase::Phrase;
use super::raw::{Fact, Scope};
use super::vocabulary::Words;
use crate::message::links::{Link, Target};
use crate::message::text::{Place, Reading, View, Word};

/// The first so many places of a signal are kept. Only signals that stand close together are added up, so nobody shall use them up
/// before the request comes.
const PLACES_MAX: usize = 1_000;
/// A shorter prefilled text is a form to fill in, not a letter.
const PREFILLED_CHARS_MIN: usize = 60;

/// A signal yields to what stands so many sentences from it at most: a long message has several affairs.
const YIELDS_WITHIN: usize = 4;

/// A signal found at a place.
#[derive(Debug, Clone, Copy)]
pub(super) struct Found {
    /// Its index in the pack.
    pub signal: usize,
    /// Where its evidence stands.
    pub place: Place,
    /// The index of the sentence.
    pub sentence: usize,
}

/// Finds the signals in the author's words or in those quoted; each signal's first place comes first.
pub(super) fn find(pack: &Pack, reading: &Reading, quoted: bool) -> Vec<Found> {
    let view = if quoted { &reading.quoted } else { &reading.own };
    let mut search = Search {
        pack,
        view,
        found: Vec::new(),
        counts: vec![0; pack.signals().len()],
        candidates: Vec::new(),
        here: Words::new(pack.index().vocabulary()),
        before: Words::new(pack.index().vocabulary()),
    };
    search.phrases();
    search.disguised();
    search.links(reading.links.iter().filter(|link| link.quoted == quoted));
    if !quoted {
        search.forms(reading);
    }
    supported(pack, search.found)
}

/// Leaves out the signals that are not near to what they must be near to, or stand beside what they yield to.
fn supported(pack: &Pack, found: Vec<Found>) -> Vec<Found> {
    let near = near_to_their_support(pack, found);
    let sentences = Sentences::of(pack, &near);
    let yields = |one: &Found| {
        let to = pack.signals().get(one.signal).map(|signal| signal.yields_to.as_slice()).unwrap_or_default();
        to.iter().any(|other| sentences.has(*other, one.sentence, YIELDS_WITHIN))
    };
    // What yields supports nothing either.
    near_to_their_support(pack, near.iter().filter(|one| !yields(one)).copied().collect())
}

/// The signals that are near to what they must be near to.
fn near_to_their_support(pack: &Pack, mut found: Vec<Found>) -> Vec<Found> {
    // What leaves may have supported others, so look again until nothing changes; each round removes a signal for good.
    loop {
        let sentences = Sentences::of(pack, &found);
        let near = |one: &Found| {
            let Some(signal) = pack.signals().get(one.signal) else { return false };
            [&signal.near, &signal.beside].into_iter().all(|of| {
                let is_near = |other: &usize| sentences.has(*other, one.sentence, signal.within as usize);
                of.is_empty() || of.iter().any(is_near)
            })
        };
        let kept: Vec<Found> = found.iter().filter(|one| near(one)).copied().collect();
        if kept.len() == found.len() {
            return kept;
        }
        found = kept;
    }
}

/// The sentences in which each signal of a pack was found, in ascending order.
struct Sentences(Vec<Vec<usize>>);

impl Sentences {
    fn of(pack: &Pack, found: &[Found]) -> Self {
        let mut sentences = vec![Vec::new(); pack.signals().len()];
        for one in found {
            if let Some(of_signal) = sentences.get_mut(one.signal) {
                of_signal.push(one.sentence);
            }
        }
        for of_signal in &mut sentences {
            of_signal.sort_unstable();
        }
        Self(sentences)
    }

    /// Whether a signal was found at most so many sentences from this one.
    fn has(&self, signal: usize, sentence: usize, within: usize) -> bool {
        let of_signal = self.0.get(signal).map(Vec::as_slice).unwrap_or_default();
        let first = of_signal.partition_point(|other| *other + within < sentence);
        of_signal.get(first).is_some_and(|other| *other <= sentence + within)
    }
}

struct Search<'a> {
    pack: &'a Pack,
    view: &'a View,
    found: Vec<Found>,
    /// How many places each signal of the pack was found at.
    counts: Vec<usize>,
    /// Room for the phrases that one sentence may have.
    candidates: Vec<usize>,
    /// The words of the sentence that is being read.
    here: Words<'a>,
    /// Those of the sentence before it; none before the first.
    before: Words<'a>,
}

impl Search<'_> {
    fn add(&mut self, signal: usize, place: Place, sentence: usize) {
        if let Some(count) = self.counts.get_mut(signal).filter(|count| **count < PLACES_MAX) {
            *count += 1;
            self.found.push(Found { signal, place, sentence });
        }
    }

    fn is_full(&self, signal: usize) -> bool {
        self.counts.get(signal).is_some_and(|count| *count >= PLACES_MAX)
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
        let pack = self.pack;
        let mut candidates = std::mem::take(&mut self.candidates);
        std::mem::swap(&mut self.here, &mut self.before);
        self.here.read(text);
        pack.index().candidates(&self.here, &mut candidates);
        for wanted in candidates.iter().filter_map(|index| pack.phrase(*index)) {
            let Some(signal) = pack.signals().get(wanted.signal) else { continue };
            if self.is_full(wanted.signal) || respelled && signal.weight < 0.0 {
                continue;
            }
            let unguarded = |hit: Range<usize>| {
                let covered = words.get(hit.clone()).unwrap_or_default();
                let (head, tail) = (covered.first()?, covered.last()?);
                // From one quotation to another: the words are spoken of, « sign » and « petition ».
                let in_quotation = !signal.quotations && head.quoted && tail.quoted;
                let at = At { search: self, hit, only_hit: respelled };
                // The word of a link stands where its tag begins, before its text.
                (!in_quotation && !at.guarded(signal)).then(|| Place {
                    part: head.place.part,
                    start: head.place.start.min(tail.place.start),
                    end: head.place.end.max(tail.place.end),
                })
            };
            let place = wanted.phrase.places(&self.here).find_map(unguarded);
            if let Some(place) = place {
                self.add(wanted.signal, place, index);
            }
        }
        self.candidates = candidates;
    }

    /// Strong words in spellings that hide them: the sentence is read again with the words put right.
    fn disguised(&mut self) {
        let disguise = self.pack.signals().iter().position(|s| matches!(s.what, What::Fact(Fact::DisguisedSpelling)));
        let mut reader = Respeller::new(self.pack.disguises(), self.view);
        for (index, sentence) in self.view.sentences.iter().enumerate() {
            let Some(respelled) = reader.respell(*sentence) else { continue };
            self.sentence(index, &respelled.text, &respelled.words, true);
            if let Some(signal) = disguise {
                self.add(signal, respelled.place, index);
            }
        }
    }

    fn links<'l>(&mut self, links: impl Iterator<Item = &'l Link>) {
        for link in links {
            let sentence = self.view.sentence_of(link.word);
            // The host of a petition site says nothing of its pages on how petitions work.
            let pages =
                link.target.pages().iter().chain(&link.shown).filter(|page| !self.pack.is_of_petition_site(page));
            let addresses: Vec<String> = pages.map(address_words).collect();
            for index in self.pack.signals_of_links() {
                let signal = self.pack.signals().get(*index).filter(|_| !self.is_full(*index));
                if signal.is_some_and(|signal| self.leads(signal, link, &addresses)) {
                    self.add(*index, link.place, sentence);
                }
            }
        }
    }

    /// Whether a link, with the words of its addresses, is what a signal looks for.
    fn leads(&self, signal: &Signal, link: &Link, addresses: &[String]) -> bool {
        match (&signal.what, &link.target) {
            // A reader goes by what a link shows, though it lead through a counter of clicks.
            (What::Sites(class), target) => {
                target.pages().iter().chain(&link.shown).any(|page| self.pack.covers(class, page))
            }
            (What::Words(words, others), Target::Web(_)) => {
                addresses.iter().any(|address| words.are_in(address) && !others.are_in(address))
            }
            (What::Mail(patterns), Target::Mail(mail)) => {
                let guards = || self.pack.guards_of(signal).flat_map(|guard| &guard.phrases);
                mail.body_chars > 0 && self.is_in(&mail.words, || patterns.iter()) && !self.is_in(&mail.words, guards)
            }
            (What::Fact(Fact::PrefilledMail), Target::Mail(mail)) => mail.body_chars >= PREFILLED_CHARS_MIN,
            (What::Fact(Fact::AnyLink), Target::Web(_)) => true,
            (What::Fact(Fact::OtherAddressShown), _) => link.shown.is_some(),
            _ => false,
        }
    }

    /// Whether one of these phrases stands in another text than the message's own.
    fn is_in<'p, I: Iterator<Item = &'p Phrase>>(&self, view: &View, phrases: impl Fn() -> I) -> bool {
        let mut words = Words::new(self.pack.index().vocabulary());
        view.sentences.iter().map(|sentence| view.text_of(*sentence)).any(|text| {
            words.read(text);
            phrases().any(|phrase| phrase.is_in(&words))
        })
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

/// A hit in a sentence.
struct At<'a> {
    search: &'a Search<'a>,
    /// The words it covers.
    hit: Range<usize>,
    only_hit: bool,
}

impl At<'_> {
    /// Whether a guard takes this hit back.
    fn guarded(&self, signal: &Signal) -> bool {
        let Search { pack, here, before, .. } = self.search;
        pack.guards_of(signal).any(|guard| {
            let is_possible = guard.clues.are_in(here) || guard.scope == Scope::Nearby && guard.clues.are_in(before);
            is_possible
                && (guard.scope == Scope::Hit || !self.only_hit)
                && guard.phrases.iter().any(|phrase| self.holds(guard.scope, phrase))
                && !guard.except.iter().any(|phrase| self.holds(guard.scope, phrase))
        })
    }

    fn holds(&self, scope: Scope, phrase: &Phrase) -> bool {
        let Search { here, before, .. } = self.search;
        match scope {
            Scope::Sentence => phrase.is_in(here),
            Scope::Before => phrase.find(here, 0).is_some_and(|found| found.start <= self.hit.end),
            Scope::Hit => phrase.places(here).any(|found| found.start < self.hit.end && found.end > self.hit.start),
            Scope::Nearby => phrase.is_in(here) || phrase.is_in(before),
        }
    }
}
