//! A text part laid out: the characters a reader sees, each with its place in the part, and the anchors of links.

use std::ops::Range;

/// Ends a line inside a paragraph.
pub(super) const LINE: char = '\n';
/// Ends a paragraph, a cell, a list item: words before and after it do not belong to one sentence.
pub(super) const PARAGRAPH: char = '\u{2029}';

/// A laid-out text. Lines end with [`LINE`] or [`PARAGRAPH`].
#[derive(Debug, Default)]
pub(super) struct Page {
    /// The characters.
    text: String,
    /// Where they come from, in ascending order of `at`.
    runs: Vec<Run>,
    /// The source offset that would continue the last run.
    next_source: Option<u32>,
    /// Anchors with a target, in order of their end.
    pub anchors: Vec<Anchor>,
    /// Byte ranges of the text that quote somebody else, ascending, apart.
    pub quoted: Vec<Range<usize>>,
}

/// From the byte `at` of the page on, characters come from the character `source` of the part on.
#[derive(Debug, Clone, Copy)]
struct Run {
    at: usize,
    source: u32,
    /// Each character of the page is one of the source; otherwise all of them stand for one place.
    linear: bool,
}

/// A piece of a page.
#[derive(Debug, Clone, Copy)]
pub(super) struct Piece<'a> {
    /// Its byte offset in the page.
    pub at: usize,
    /// Its characters.
    pub text: &'a str,
    source: u32,
    linear: bool,
}

impl Piece<'_> {
    /// The place in the part of its character number `nth`.
    pub fn source(&self, nth: u32) -> u32 {
        if self.linear { self.source.saturating_add(nth) } else { self.source }
    }
}

/// A hyperlink of HTML.
#[derive(Debug)]
pub(super) struct Anchor {
    /// The bytes of the page that are its text.
    pub range: Range<usize>,
    /// The attribute `href`.
    pub href: String,
    /// Character offset of its start tag in the part.
    pub source: u32,
}

impl Page {
    /// The characters.
    pub fn text(&self) -> &str {
        &self.text
    }

    /// Adds a character that is the character `source` of the part.
    pub fn push(&mut self, c: char, source: u32) {
        if self.next_source != Some(source) {
            self.runs.push(Run { at: self.text.len(), source, linear: true });
        }
        self.next_source = Some(source.saturating_add(1));
        self.text.push(c);
    }

    /// Adds characters of the part from the character `source` on.
    pub fn push_str(&mut self, text: &str, source: u32) {
        if self.next_source != Some(source) {
            self.runs.push(Run { at: self.text.len(), source, linear: true });
        }
        let count = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        self.next_source = Some(source.saturating_add(count));
        self.text.push_str(text);
    }

    /// Adds words that stand for what is at the character `source`, such as the description of an image.
    pub fn push_for(&mut self, words: &str, source: u32) {
        self.runs.push(Run { at: self.text.len(), source, linear: false });
        self.next_source = None;
        self.text.push_str(words);
    }

    /// Ends a line or a paragraph; empty ones are not repeated.
    pub fn end(&mut self, mark: char, source: u32) {
        match self.text.chars().next_back() {
            None | Some(PARAGRAPH) => {}
            Some(LINE) if mark == LINE => {}
            Some(_) => self.push_for(mark.encode_utf8(&mut [0; 4]), source),
        }
    }

    /// The text in pieces, each from one stretch of the part.
    pub fn pieces(&self) -> impl Iterator<Item = Piece<'_>> {
        let ends = self.runs.iter().skip(1).map(|run| run.at).chain([self.text.len()]);
        self.runs.iter().zip(ends).map(|(run, end)| Piece {
            at: run.at,
            text: self.text.get(run.at..end).unwrap_or_default(),
            source: run.source,
            linear: run.linear,
        })
    }

    /// The lines with their byte offset, without the mark at their end.
    pub fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        let mut at = 0;
        self.text.split_inclusive([LINE, PARAGRAPH]).map(move |line| {
            let start = at;
            at += line.len();
            (start, line.trim_end_matches([LINE, PARAGRAPH]))
        })
    }
}
