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

    /// Adds characters of the part from the character `source` on; returns how many.
    pub fn push_str(&mut self, text: &str, source: u32) -> u32 {
        if self.next_source != Some(source) {
            self.runs.push(Run { at: self.text.len(), source, linear: true });
        }
        let count = u32::try_from(text.chars().count()).unwrap_or(u32::MAX);
        self.next_source = Some(source.saturating_add(count));
        self.text.push_str(text);
        count
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

    /// The place in the part behind the last character of a range of the page whose first character comes from `first`.
    pub fn source_behind(&self, range: &Range<usize>, first: u32) -> u32 {
        // The last stretch in it; only that of its first character may begin before it.
        let last = self.runs.partition_point(|run| run.at < range.end).checked_sub(1).and_then(|at| self.runs.get(at));
        let (at, source) = match last {
            Some(run) if run.at > range.start => (run.at, run.source),
            _ => (range.start, first),
        };
        let characters = match last {
            Some(run) if run.linear => self.text.get(at..range.end).map_or(0, |text| text.chars().count()),
            _ => 1,
        };
        source.saturating_add(u32::try_from(characters).unwrap_or(u32::MAX))
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
        std::iter::from_fn(move || {
            let rest = self.text.get(at..).filter(|rest| !rest.is_empty())?;
            let (length, mark) = line_end(rest);
            let start = at;
            at += length + mark;
            Some((start, rest.get(..length).unwrap_or_default()))
        })
    }
}

/// Octets before the mark that ends the first line, and those of the mark.
fn line_end(text: &str) -> (usize, usize) {
    let octets = text.as_bytes();
    let mut paragraph = [0; 4];
    let paragraph = PARAGRAPH.encode_utf8(&mut paragraph).as_bytes();
    let first = paragraph.first().copied().unwrap_or_default();
    let mut ends = memchr::memchr2_iter(b'\n', first, octets);
    let end = ends.find_map(|at| {
        let rest = octets.get(at..).unwrap_or_default();
        let mark = if rest.starts_with(paragraph) { paragraph.len() } else { usize::from(rest.starts_with(b"\n")) };
        (mark > 0).then_some((at, mark))
    });
    end.unwrap_or((octets.len(), 0))
}
