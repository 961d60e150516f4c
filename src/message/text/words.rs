//! Words and sentences: the form in which texts are compared. A [`View`] is one string of folded words, one blank around
//! each word and one line feed after each sentence, with the place in the message of each word.

use std::ops::Range;

use linkify::{LinkFinder, LinkKind};

use super::fold::{Cluster, is_invisible};
use super::page::{LINE, PARAGRAPH, Page};
use crate::message::links::{self, LINKS_MAX, Link};
use crate::message::mime::PartId;

/// Stands in a view where the text shows a link, or where the text of a link ends. No text folds to it.
pub const LINK_WORD: &str = "§lien";
/// Stands in a view where the text shows a mail address.
pub const ADDRESS_WORD: &str = "§adresse";

/// The rest of a longer word is dropped; no language we read has one, encoded data does.
const WORD_CHARS_MAX: usize = 64;
/// A longer sentence is cut here; phrases look at a dozen words.
const SENTENCE_WORDS_MAX: u32 = 120;
/// No URL shown in a text is longer; RFC 9110 section 4.1 asks for 8000 of software, people for less.
const SHOWN_URL_BYTES_MAX: usize = 2048;
/// Longer text between quotation marks is not a quotation but an unclosed mark.
const QUOTATION_WORDS_MAX: usize = 80;
/// So many signs before a word are kept: they may stand for its first letters.
const SIGNS_KEPT: usize = 2;
/// Of a link's own text so much is kept.
const LINK_TEXT_CHARS_MAX: usize = 200;

/// Where something stands: characters `[start, end)` of the decoded text of a part, or of the subject for part 0.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default, PartialOrd, Ord)]
pub struct Place {
    /// The part.
    pub part: PartId,
    /// First character.
    pub start: u32,
    /// First character after it.
    pub end: u32,
}

/// One word of a view.
#[derive(Debug, Clone, Copy)]
pub struct Word {
    /// Byte offset in the view's text.
    pub at: u32,
    /// Bytes.
    pub len: u32,
    /// Where it stands in the message.
    pub place: Place,
    /// No white space stands between the word before and this one.
    pub joined: bool,
    /// The last signs right before it, NUL where there are fewer.
    pub before: [char; SIGNS_KEPT],
    /// It stands between quotation marks.
    pub quoted: bool,
}

/// One sentence of a view. Its words are `words[first..last]`.
#[derive(Debug, Clone, Copy)]
pub struct Sentence {
    /// Index of the first word.
    pub first: u32,
    /// Index after the last word.
    pub last: u32,
}

/// A text as words and sentences.
#[derive(Debug, Clone, Default)]
pub struct View {
    /// Folded words, a blank before each; sentences end with a blank and a line feed.
    pub text: String,
    /// The words in order.
    pub words: Vec<Word>,
    /// The sentences in order, none empty.
    pub sentences: Vec<Sentence>,
}

impl Word {
    /// The last signs right before it.
    pub fn signs(&self) -> impl Iterator<Item = char> {
        self.before.into_iter().filter(|c| *c != '\0')
    }
}

impl View {
    /// A word's text.
    #[must_use]
    pub fn word(&self, word: &Word) -> &str {
        let start = word.at as usize;
        self.text.get(start..start + word.len as usize).unwrap_or_default()
    }

    /// The words of a sentence.
    #[must_use]
    pub fn words_of(&self, sentence: Sentence) -> &[Word] {
        self.words.get(sentence.first as usize..sentence.last as usize).unwrap_or_default()
    }

    /// The text of a sentence: its words, with one blank before each and one at the end.
    #[must_use]
    pub fn text_of(&self, sentence: Sentence) -> &str {
        let words = self.words_of(sentence);
        let (Some(first), Some(last)) = (words.first(), words.last()) else { return "" };
        self.text
            .get((first.at as usize).saturating_sub(1)..last.at as usize + last.len as usize + 1)
            .unwrap_or_default()
    }

    /// The sentence that has this word.
    #[must_use]
    pub fn sentence_of(&self, word: u32) -> usize {
        self.sentences.partition_point(|sentence| sentence.last <= word)
    }
}

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
    pub fn add(&mut self, page: &Page, part: PartId, links: &mut Found) {
        let shown = shown_links(page);
        let mut shown = shown.iter().peekable();
        let mut anchors = page.anchors.iter().peekable();
        let mut quoted = page.quoted.iter().peekable();
        let mut in_quoted = false;
        let mut skip_to = 0;
        let mut last_source = 0;
        // Where the next link, quotation or end of either is; before it a character is only a character.
        let mut next_event = 0;
        for (at, c, source) in page.characters() {
            last_source = source;
            if at < next_event {
                if at >= skip_to {
                    self.writer(in_quoted).character(c, part, source);
                }
                continue;
            }
            while let Some(anchor) = anchors.next_if(|a| a.range.end <= at) {
                self.writer(in_quoted).anchor(anchor, page, part, in_quoted, links);
            }
            let now_quoted = {
                while quoted.next_if(|range| range.end <= at).is_some() {}
                quoted.peek().is_some_and(|range| range.contains(&at))
            };
            if now_quoted != in_quoted {
                self.writer(in_quoted).end_sentence();
                in_quoted = now_quoted;
            }
            next_event = [
                anchors.peek().map(|anchor| anchor.range.end),
                quoted.peek().map(|range| if in_quoted { range.end } else { range.start }),
                shown.peek().map(|found| found.range.start),
            ]
            .into_iter()
            .flatten()
            .min()
            .unwrap_or(usize::MAX);
            if at < skip_to {
                continue;
            }
            let writer = self.writer(in_quoted);
            if let Some(found) = shown.next_if(|s| s.range.start <= at) {
                let length = page.text().get(found.range.clone()).map_or(0, |t| t.chars().count());
                let end = source.saturating_add(u32::try_from(length).unwrap_or(u32::MAX));
                let place = Place { part, start: source, end };
                skip_to = found.range.end;
                let in_anchor = page.anchors.get(page.anchors.partition_point(|a| a.range.end <= at));
                let in_anchor = in_anchor.is_some_and(|a| a.range.start <= at);
                writer.shown(found, place, in_quoted, in_anchor, links);
                continue;
            }
            writer.character(c, part, source);
        }
        for anchor in anchors {
            self.writer(in_quoted).anchor(anchor, page, part, in_quoted, links);
        }
        self.own.end_part(part, last_source);
        self.quoted.end_part(part, last_source);
    }

    fn writer(&mut self, quoted: bool) -> &mut Writer {
        if quoted { &mut self.quoted } else { &mut self.own }
    }

    /// The author's own words, and those quoted.
    pub fn finish(self) -> (View, View) {
        (self.own.view, self.quoted.view)
    }
}

/// A URL or mail address that the text shows.
struct Shown {
    range: Range<usize>,
    /// The URL, with a scheme; `None` for a mail address.
    url: Option<String>,
}

/// Finds the URLs and addresses in a laid-out text. Works blank by blank, so that it stays linear.
fn shown_links(page: &Page) -> Vec<Shown> {
    let mut finder = LinkFinder::new();
    finder.kinds(&[LinkKind::Url, LinkKind::Email]).url_must_have_scheme(true);
    let mut found = Vec::new();
    let mut at = 0;
    for chunk in page.text().split_inclusive(char::is_whitespace) {
        let start = at;
        at += chunk.len();
        if !chunk.contains([':', '@', '/']) || chunk.len() > SHOWN_URL_BYTES_MAX || found.len() >= LINKS_MAX {
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
    fn character(&mut self, c: char, part: PartId, source: u32) {
        if is_invisible(c) {
            return;
        }
        if matches!(c, PARAGRAPH | LINE) {
            // Marks of the page, not letters to be folded.
            self.flush(part);
            self.letter(c, Place { part, start: source, end: source.saturating_add(1) });
            return;
        }
        if c.is_ascii() || !self.cluster.take(c) {
            self.flush(part);
            self.cluster.take(c);
            self.cluster_source = source;
        }
    }

    /// Folds what waits in the cluster and takes its letters.
    fn flush(&mut self, part: PartId) {
        let mut cluster = std::mem::take(&mut self.cluster);
        let place = Place { part, start: self.cluster_source, end: self.cluster_source.saturating_add(1) };
        cluster.flush(|c| self.letter(c, place));
        self.cluster = cluster;
    }

    fn letter(&mut self, c: char, place: Place) {
        if c.is_alphanumeric() {
            if self.word.is_empty() {
                if self.gap.ended {
                    self.end_sentence();
                }
                self.word_place = place;
            }
            if self.word.len() < WORD_CHARS_MAX {
                self.word.push(c);
            }
            self.word_place.end = place.end;
            return;
        }
        self.end_word();
        match c {
            PARAGRAPH => self.end_sentence(),
            c if c.is_whitespace() => {
                self.gap.space = true;
                self.gap.ended |= self.gap.stop;
                self.gap.signs = ['\0'; SIGNS_KEPT];
            }
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
        let at = u32::try_from(self.view.text.len()).unwrap_or(u32::MAX);
        let len = u32::try_from(word.len()).unwrap_or(u32::MAX);
        self.view.text.push_str(word);
        self.view.words.push(Word { at, len, place, joined, before: self.gap.signs, quoted: false });
        if self.count().saturating_sub(self.sentence_first) >= SENTENCE_WORDS_MAX {
            self.close_sentence();
        }
    }

    fn count(&self) -> u32 {
        u32::try_from(self.view.words.len()).unwrap_or(u32::MAX)
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

    fn end_part(&mut self, part: PartId, source: u32) {
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
    fn anchor(&mut self, anchor: &super::page::Anchor, page: &Page, part: PartId, quoted: bool, links: &mut Found) {
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
            links.links.push(Link { target, text: text.trim().to_owned(), quoted, word: self.count(), place });
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
