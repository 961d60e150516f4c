//! From laid-out pages to words and sentences: letters are folded, words cut, sentences ended, links set in their places.

use std::iter::Peekable;
use std::ops::Range;
use std::slice;
use std::sync::LazyLock;

use aho_corasick::AhoCorasick;
use linkify::{LinkFinder, LinkKind};

use super::fold::{Cluster, is_invisible};
use super::page::{Anchor, PARAGRAPH, Page};
use super::view::{ADDRESS_WORD, LINK_WORD, Place, SIGNS_KEPT, Sentence, View, Word};
use crate::message::links::{self, LINKS_MAX, Link};
use crate::message::mime::PartId;

/// The rest of a longer word is dropped; no language we read has one, encoded data does.
const WORD_CHARS_MAX: usize = 64;
/// A longer sentence is cut here; phrases look at a dozen words.
const SENTENCE_WORDS_MAX: u32 = 120;
/// No URL shown in a text is longer; RFC 9110 section 4.1 asks for 8000 of software, people for less.
const SHOWN_URL_BYTES_MAX: usize = 2048;
/// Longer text between quotation marks is not a quotation but an unclosed mark.
const QUOTATION_WORDS_MAX: usize = 80;
/// Of a link's own text so much is kept.
const LINK_TEXT_CHARS_MAX: usize = 200;

/// The links found so far.
#[derive(Debug, Default)]
pub(super) struct Found {
    /// In order.
    pub links: Vec<Link>,
    /// Links are looked at.
    pub follow: bool,
}

/// Builds the two views of a reading.
#[derive(Default)]
pub(super) struct Builder {
    own: Writer,
    quoted: Writer,
}

impl Builder {
    /// Adds a laid-out part.
    pub fn add(&mut self, page: &Page, part: Option<PartId>, links: &mut Found) {
        let shown = shown_links(page);
        let mut events = Events::new(page, &shown);
        let mut last_source = 0;
        for piece in page.pieces() {
            // What is left of the piece, and the number of its first character.
            let (mut rest, mut nth) = (piece.text, 0u32);
            while let Some(c) = rest.chars().next() {
                let at = piece.at + piece.text.len() - rest.len();
                last_source = piece.source(nth);
                if at >= events.next {
                    self.meet(&mut events, at, last_source, page, part, links);
                }
                let until_next = events.next.saturating_sub(at).min(rest.len());
                let (mut taken, mut characters) = if at < events.skip_to {
                    let skipped = until_next.min(events.skip_to - at);
                    (skipped, rest.get(..skipped).map_or(1, |skipped| count(skipped.chars().count())))
                } else {
                    let writer = self.writer(events.in_quoted);
                    let source = |more: u32| piece.source(nth.saturating_add(more));
                    let plain = writer.plain(rest, until_next, part, source);
                    if plain.0 == 0 {
                        writer.character(c, part, last_source);
                    }
                    plain
                };
                if taken == 0 {
                    (taken, characters) = (c.len_utf8(), 1);
                }
                last_source = piece.source(nth.saturating_add(characters.saturating_sub(1)));
                nth = nth.saturating_add(characters);
                rest = rest.get(taken..).unwrap_or_default();
            }
        }
        for anchor in events.anchors {
            self.writer(events.in_quoted).anchor(anchor, page, part, events.in_quoted, links);
        }
        self.own.end_part(part, last_source);
        self.quoted.end_part(part, last_source);
    }

    /// At a place where a link or a quotation begins or ends.
    fn meet(
        &mut self,
        events: &mut Events<'_>,
        at: usize,
        source: u32,
        page: &Page,
        part: Option<PartId>,
        links: &mut Found,
    ) {
        while let Some(anchor) = events.anchors.next_if(|anchor| anchor.range.end <= at) {
            self.writer(events.in_quoted).anchor(anchor, page, part, events.in_quoted, links);
        }
        while events.quoted.next_if(|range| range.end <= at).is_some() {}
        let now_quoted = events.quoted.peek().is_some_and(|range| range.contains(&at));
        if now_quoted != events.in_quoted {
            self.writer(events.in_quoted).end_sentence();
            events.in_quoted = now_quoted;
        }
        if at >= events.skip_to
            && let Some(found) = events.shown.next_if(|shown| shown.range.start <= at)
        {
            let place = Place { part, start: source, end: page.source_behind(&found.range, source) };
            events.skip_to = found.range.end;
            let in_anchor = page.anchors.get(page.anchors.partition_point(|anchor| anchor.range.end <= at));
            let in_anchor = in_anchor.is_some_and(|anchor| anchor.range.start <= at);
            self.writer(events.in_quoted).shown(found, place, events.in_quoted, in_anchor, links);
        }
        events.look_ahead();
    }

    fn writer(&mut self, quoted: bool) -> &mut Writer {
        if quoted { &mut self.quoted } else { &mut self.own }
    }

    /// The author's own words, and those quoted.
    pub fn finish(self) -> (View, View) {
        (self.own.view, self.quoted.view)
    }
}

/// Where on a page something begins or ends that is no character.
struct Events<'a> {
    anchors: Peekable<slice::Iter<'a, Anchor>>,
    quoted: Peekable<slice::Iter<'a, Range<usize>>>,
    shown: Peekable<slice::Iter<'a, Shown>>,
    in_quoted: bool,
    /// The end of what is shown and taken as a whole.
    skip_to: usize,
    /// Nothing happens before.
    next: usize,
}

impl<'a> Events<'a> {
    fn new(page: &'a Page, shown: &'a [Shown]) -> Self {
        let (anchors, quoted) = (page.anchors.iter().peekable(), page.quoted.iter().peekable());
        let mut events =
            Self { anchors, quoted, shown: shown.iter().peekable(), in_quoted: false, skip_to: 0, next: 0 };
        events.look_ahead();
        events
    }

    fn look_ahead(&mut self) {
        let anchor = self.anchors.peek().map(|anchor| anchor.range.end);
        let quoted = self.quoted.peek().map(|range| if self.in_quoted { range.end } else { range.start });
        let shown = self.shown.peek().map(|shown| shown.range.start);
        self.next = [anchor, quoted, shown].into_iter().flatten().min().unwrap_or(usize::MAX);
    }
}

/// A length as the views count.
fn count(length: usize) -> u32 {
    u32::try_from(length).unwrap_or(u32::MAX)
}

/// Letters and digits of ASCII and Latin-1 that nothing behind them changes: the bulk of every text, taken as it is.
#[derive(Default)]
struct Row {
    octets: usize,
    characters: usize,
    /// No capital is among them.
    is_folded: bool,
}

impl Row {
    /// The row that the text begins with, in at most `limit` octets.
    fn at_start_of(all: &[u8], limit: usize) -> Self {
        let mut row = Self { is_folded: true, ..Self::default() };
        let text = all.get(..limit.min(all.len())).unwrap_or_default();
        let mut last = 0;
        loop {
            let rest = text.get(row.octets..).unwrap_or_default();
            let small = rest.iter().take_while(|octet| matches!(octet, b'a'..=b'z' | b'0'..=b'9')).count();
            row.octets += small;
            row.characters += small;
            last = if small > 0 { 1 } else { last };
            let length = match rest.get(small..) {
                Some([b'A'..=b'Z', ..]) => {
                    row.is_folded = false;
                    1
                }
                // À to ÿ without the two signs among them; ß and the small letters come last.
                Some([0xc3, low, ..]) if !matches!(low, 0x97 | 0xb7) => {
                    row.is_folded &= *low >= 0x9f;
                    2
                }
                _ => break,
            };
            last = length;
            row.octets += length;
            row.characters += 1;
        }
        // Whatever else follows may combine with the last letter, or be invisible and be followed by a mark that does.
        let is_final = matches!(all.get(row.octets), Some(b'\t'..=b'\r' | b' '..=b'~' | 0xc3));
        if !is_final && row.characters > 0 {
            row.octets -= last;
            row.characters -= 1;
        }
        row
    }
}

/// A URL or mail address that the text shows.
struct Shown {
    range: Range<usize>,
    /// The URL, with a scheme; `None` for a mail address.
    url: Option<String>,
}

/// What every URL and address has.
static LINK_SIGNS: LazyLock<Option<AhoCorasick>> =
    LazyLock::new(|| AhoCorasick::builder().ascii_case_insensitive(true).build([":", "@", "/", "www."]).ok());

/// Finds the URLs and addresses in a laid-out text. Works blank by blank, so that it stays linear.
fn shown_links(page: &Page) -> Vec<Shown> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url, LinkKind::Email]).url_must_have_scheme(true);
    let mut found = Vec::new();
    let text = page.text();
    let mut at = 0;
    while let Some(sign) = text.get(at..).and_then(|rest| LINK_SIGNS.as_ref()?.find(rest)) {
        let before = text.get(at..at + sign.start()).unwrap_or_default();
        let start =
            at + before.char_indices().rev().find(|(_, c)| c.is_whitespace()).map_or(0, |(i, c)| i + c.len_utf8());
        let after = text.get(start..).unwrap_or_default();
        let chunk = after.split(char::is_whitespace).next().unwrap_or_default();
        at = start + chunk.len();
        if chunk.len() > SHOWN_URL_BYTES_MAX || found.len() >= LINKS_MAX {
            continue;
        }
        if let Some(at) = chunk.find("mailto:") {
            let url = chunk.get(at..).unwrap_or_default().trim_end().trim_end_matches(['>', ')', '"', '.', ',']);
            found.push(Shown { range: start + at..start + at + url.len(), url: Some(url.to_owned()) });
            continue;
        }
        let before = found.len();
        for link in finder.links(chunk) {
            let url = (*link.kind() == LinkKind::Url).then(|| link.as_str().to_owned());
            found.push(Shown { range: start + link.start()..start + link.end(), url });
        }
        if found.len() == before
            && let Some((from, host_and_path)) = links::without_scheme(chunk)
        {
            let range = start + from..start + from + host_and_path.len();
            found.push(Shown { range, url: Some(format!("https://{host_and_path}")) });
        }
    }
    found
}

/// Writes one view.
#[derive(Default)]
struct Writer {
    view: View,
    cluster: Cluster,
    /// Where the characters of the cluster come from.
    cluster_source: u32,
    word: String,
    word_place: Place,
    /// Characters seen since the last word: white space among them, the last sign, a full stop.
    gap: Gap,
    /// Words of the sentence so far.
    sentence_first: u32,
    /// The first word after an open quotation mark, and the mark.
    quotation: Option<(usize, char)>,
    /// The last word was the ending of an inclusive spelling and was dropped.
    dropped: bool,
}

#[derive(Default, Clone, Copy)]
struct Gap {
    space: bool,
    signs: [char; SIGNS_KEPT],
    /// A sign that may end a sentence.
    stop: bool,
    /// White space after it: it does.
    ended: bool,
}

impl Gap {
    fn sign(&mut self, c: char) {
        self.signs.rotate_left(1);
        if let Some(last) = self.signs.last_mut() {
            *last = c;
        }
    }

    fn last(&self) -> Option<char> {
        self.signs.last().copied().filter(|c| *c != '\0')
    }
}

impl Writer {
    /// Takes the next character of the page.
    fn character(&mut self, c: char, part: Option<PartId>, source: u32) {
        if is_invisible(c) {
            return;
        }
        if c == PARAGRAPH || c.is_ascii() && !c.is_ascii_alphanumeric() {
            // Marks of the page, and signs: nothing makes a letter of them.
            self.flush(part);
            self.letter(c, Place { part, start: source, end: source.saturating_add(1) });
            return;
        }
        if !self.cluster.joins(c) {
            self.flush(part);
            self.cluster_source = source;
        }
        self.cluster.take(c);
    }

    /// Takes what the text begins with and needs no second look, in at most `limit` octets: rows of letters, blanks and
    /// signs. `source` gives the place of its character of this number. Returns how many octets and characters that were.
    fn plain(&mut self, text: &str, limit: usize, part: Option<PartId>, source: impl Fn(u32) -> u32) -> (usize, u32) {
        let octets = text.as_bytes();
        let (mut at, mut characters) = (0, 0u32);
        while at < limit
            && let Some(octet) = octets.get(at)
        {
            let first = source(characters);
            match octet {
                b'\t' | b'\n' | b'\r' | b' '..=b'/' | b':'..=b'@' | b'['..=b'`' | b'{'..=b'~' => {
                    self.flush(part);
                    self.letter(char::from(*octet), Place { part, start: first, end: first.saturating_add(1) });
                    at += 1;
                    characters += 1;
                }
                _ => {
                    let row = Row::at_start_of(octets.get(at..).unwrap_or_default(), limit - at);
                    let letters = text.get(at..at + row.octets).unwrap_or_default();
                    if letters.is_empty() {
                        break;
                    }
                    characters = characters.saturating_add(count(row.characters));
                    let end = source(characters.saturating_sub(1)).saturating_add(1);
                    self.flush(part);
                    self.letters(letters, row.is_folded, Place { part, start: first, end });
                    at += row.octets;
                }
            }
        }
        (at, characters)
    }

    /// Folds what waits in the cluster and takes its letters.
    fn flush(&mut self, part: Option<PartId>) {
        if self.cluster.is_empty() {
            return;
        }
        let mut cluster = std::mem::take(&mut self.cluster);
        let place = Place { part, start: self.cluster_source, end: self.cluster_source.saturating_add(1) };
        cluster.flush(|c| self.letter(c, place));
        self.cluster = cluster;
    }

    /// Takes the letters of a [`Row`].
    fn letters(&mut self, letters: &str, is_folded: bool, place: Place) {
        self.begin_word(place);
        if is_folded && self.word.len() + letters.len() <= WORD_CHARS_MAX {
            self.word.push_str(letters);
        } else {
            for c in letters.chars().flat_map(char::to_lowercase) {
                if self.word.len() < WORD_CHARS_MAX {
                    self.word.push(c);
                }
            }
        }
        self.word_place.end = place.end;
    }

    fn begin_word(&mut self, place: Place) {
        if self.word.is_empty() {
            if self.gap.ended {
                self.end_sentence();
            }
            self.word_place = place;
        }
    }

    fn letter(&mut self, c: char, place: Place) {
        if c == ' ' {
            self.end_word();
            self.blank();
            return;
        }
        if c.is_alphanumeric() {
            self.begin_word(place);
            if self.word.len() < WORD_CHARS_MAX {
                self.word.push(c);
            }
            self.word_place.end = place.end;
            return;
        }
        self.end_word();
        match c {
            PARAGRAPH => self.end_sentence(),
            c if c.is_whitespace() => self.blank(),
            '«' | '“' | '„' | '»' | '”' | '"' | '‹' | '›' => self.quotation_mark(c),
            '.' => self.gap.stop |= !self.after_abbreviation(),
            '!' | '?' | '…' | ';' => {
                self.gap.stop = true;
                self.gap.sign(c);
            }
            _ => self.gap.sign(c),
        }
        if c == '.' {
            self.gap.sign(c);
        }
    }

    fn blank(&mut self) {
        self.gap.space = true;
        self.gap.ended |= self.gap.stop;
        self.gap.signs = ['\0'; SIGNS_KEPT];
    }

    /// Whether the last word is one that a full stop abbreviates.
    fn after_abbreviation(&self) -> bool {
        let Some(last) = self.view.words.last() else { return false };
        let word = self.view.word(last);
        word.chars().count() == 1 && !word.starts_with(|c: char| c.is_numeric())
            || matches!(
                word,
                "mm" | "mme" | "mmes" | "mlle" | "dr" | "pr" | "art" | "al" | "cf" | "ex" | "tel" | "tél" | "av"
            )
    }

    fn quotation_mark(&mut self, c: char) {
        match (self.quotation, c) {
            (Some((first, _)), '»' | '”' | '›' | '"') => {
                let words = self.view.words.len();
                if words.saturating_sub(first) <= QUOTATION_WORDS_MAX {
                    self.view.words.iter_mut().skip(first).for_each(|word| word.quoted = true);
                }
                self.quotation = None;
            }
            (_, '«' | '“' | '„' | '‹' | '"') => self.quotation = Some((self.view.words.len(), c)),
            _ => {}
        }
        self.gap.sign(c);
    }

    fn end_word(&mut self) {
        if self.word.is_empty() {
            return;
        }
        // Its room goes to the next word.
        let mut word = std::mem::take(&mut self.word);
        let joined = !self.gap.space && self.view.words.len() as u64 > u64::from(self.sentence_first);
        let long_before = self.dropped || self.view.words.last().is_some_and(|w| w.len >= 3);
        self.dropped = joined && long_before && is_inclusive_ending(&word, self.gap.last());
        if self.dropped {
            if let Some(last) = self.view.words.last_mut() {
                last.place.end = self.word_place.end;
            }
        } else {
            self.push(&word, self.word_place, joined);
        }
        word.clear();
        self.word = word;
        self.gap = Gap::default();
    }

    fn push(&mut self, word: &str, place: Place, joined: bool) {
        self.view.text.push(' ');
        let (at, len) = (count(self.view.text.len()), count(word.len()));
        self.view.text.push_str(word);
        self.view.words.push(Word { at, len, place, joined, before: self.gap.signs, quoted: false });
        if self.count().saturating_sub(self.sentence_first) >= SENTENCE_WORDS_MAX {
            self.close_sentence();
        }
    }

    fn count(&self) -> u32 {
        count(self.view.words.len())
    }

    fn close_sentence(&mut self) {
        let last = self.count();
        if last > self.sentence_first {
            self.view.sentences.push(Sentence { first: self.sentence_first, last });
            self.view.text.push_str(" \n");
            self.sentence_first = last;
        }
    }

    fn end_sentence(&mut self) {
        self.end_word();
        self.gap = Gap { space: true, ..Gap::default() };
        self.dropped = false;
        self.close_sentence();
    }

    fn end_part(&mut self, part: Option<PartId>, source: u32) {
        self.cluster_source = source;
        self.flush(part);
        self.end_sentence();
        self.quotation = None;
    }

    /// A URL or an address that the text shows.
    fn shown(&mut self, found: &Shown, place: Place, quoted: bool, in_anchor: bool, links: &mut Found) {
        self.flush(place.part);
        self.end_word();
        if self.gap.ended {
            self.end_sentence();
        }
        match &found.url {
            None => self.push(ADDRESS_WORD, place, false),
            // The target of an anchor counts, not what it shows; the link's word comes at the anchor's end.
            Some(_) if in_anchor => {}
            Some(url) => self.link(url, "", place, quoted, links),
        }
        self.gap = Gap::default();
    }

    /// The end of an anchor.
    fn anchor(&mut self, anchor: &Anchor, page: &Page, part: Option<PartId>, quoted: bool, links: &mut Found) {
        self.flush(part);
        self.end_word();
        let text = page.text().get(anchor.range.clone()).unwrap_or_default();
        let text: String = text.chars().filter(|c| !is_invisible(*c)).take(LINK_TEXT_CHARS_MAX).collect();
        let place = Place { part, start: anchor.source, end: anchor.source.saturating_add(1) };
        self.link(&anchor.href, &text, place, quoted, links);
    }

    fn link(&mut self, url: &str, text: &str, place: Place, quoted: bool, links: &mut Found) {
        if links.follow
            && links.links.len() < LINKS_MAX
            && let Some(target) = links::Target::parse(url)
        {
            let shown = target.other_shown(text);
            links.links.push(Link { target, shown, quoted, word: self.count(), place });
        }
        self.push(LINK_WORD, place, false);
    }
}

/// The endings that inclusive spelling adds: agent·e·s, électeur·rice, tou.te.s, soussigné(e), candidat-e-s. After a hyphen
/// only those that are no pronoun: *signez-les* asks for something.
fn is_inclusive_ending(word: &str, sign: Option<char>) -> bool {
    let plain = matches!(
        word,
        "e" | "es"
            | "s"
            | "x"
            | "ne"
            | "nes"
            | "rice"
            | "rices"
            | "trice"
            | "trices"
            | "euse"
            | "euses"
            | "ère"
            | "ères"
    );
    match sign {
        Some('-') => plain,
        Some('·' | '•' | '.' | '(' | ')') => plain || matches!(word, "te" | "tes" | "le" | "les"),
        _ => false,
    }
}
