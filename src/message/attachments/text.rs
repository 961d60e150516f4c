//! A text part, decoded as far as needed to find files written into it, and to cut them out again.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::{Class, blocks, data_uri};
use crate::message::mime::{Part, Tree, decode};

/// So often a text is looked at again for what the last cut has made a file of.
const LOOKS_MAX: usize = 4;

/// A text part with its transfer encoding undone, in a form in which ASCII is ASCII.
pub(crate) struct TextBody<'a> {
    /// The octets; ranges of [`TextBlock`] refer to them.
    pub(crate) octets: Cow<'a, [u8]>,
    /// How they relate to the charset of the part.
    pub(crate) charset: TextCharset,
    pub(crate) is_html: bool,
}

/// The charset of a text part.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum TextCharset {
    /// ASCII octets are ASCII characters: the octets are those of the part.
    AsciiCompatible(&'static Encoding),
    /// UTF-16, given here as UTF-8.
    Utf16 {
        /// Low octet first.
        little_endian: bool,
        /// It began with a byte order mark.
        marked: bool,
    },
    /// Something that hides ASCII and cannot be written back as it was, given here as UTF-8: UTF-7, UTF-16 with octets missing.
    Opaque,
}

/// Something in a text that is no text.
pub(crate) struct TextBlock {
    /// Where it is in [`TextBody::octets`].
    pub(crate) range: Range<usize>,
    pub(crate) class: Class,
    pub(crate) name: Option<String>,
    pub(crate) media_type: String,
    pub(crate) size_bytes: u64,
    pub(crate) form: Form,
}

/// How a block is taken out of its text.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// Whole lines: the notice stands in their place.
    Lines,
    /// A tag of HTML that is nothing without its data: the notice stands in its place.
    Tag,
    /// The value of an attribute, or of a function in a style sheet: it is emptied, the notice stands elsewhere.
    Value,
}

impl<'a> TextBody<'a> {
    pub(crate) fn of(tree: &Tree, raw: &'a [u8], part: &Part) -> Self {
        let label = part.media_type.parameter("charset").unwrap_or("us-ascii").trim().to_owned();
        let is_html = part.media_type.name == "text/html";
        let octets = decode::transfer(part.encoding, raw.get(part.body.clone()).unwrap_or_default());
        let encoding = Encoding::for_label(label.as_bytes());
        match encoding {
            Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => {
                let is_bare = label.eq_ignore_ascii_case("utf-16");
                let little_endian = match octets.get(..2) {
                    Some(b"\xff\xfe") => true,
                    Some(b"\xfe\xff") => false,
                    _ => encoding == UTF_16LE && !is_bare,
                };
                let marked = matches!(octets.get(..2), Some(b"\xff\xfe" | b"\xfe\xff"));
                let named = if little_endian { UTF_16LE } else { UTF_16BE };
                let (text, is_damaged) = named.decode_with_bom_removal(&octets);
                // What has no meaning could not be written back as it was.
                let charset =
                    if is_damaged { TextCharset::Opaque } else { TextCharset::Utf16 { little_endian, marked } };
                Self { octets: Cow::Owned(text.into_owned().into_bytes()), charset, is_html }
            }
            Some(encoding) if encoding.is_ascii_compatible() || encoding == encoding_rs::ISO_2022_JP => {
                Self { octets, charset: TextCharset::AsciiCompatible(encoding), is_html }
            }
            _ if decode::is_utf7(&label) => {
                let text = tree.decode_text(raw, part.id).into_owned();
                Self { octets: Cow::Owned(text.into_bytes()), charset: TextCharset::Opaque, is_html }
            }
            _ => Self { octets, charset: TextCharset::AsciiCompatible(encoding_rs::WINDOWS_1252), is_html },
        }
    }

    /// Blocks can be cut out one by one; otherwise the whole part must go.
    pub(crate) fn can_be_cut(&self) -> bool {
        self.charset != TextCharset::Opaque
    }

    /// Everything in the text that is no text, in order, none overlapping another.
    ///
    /// What is cut out may have kept apart what then is a file, as a block of lines may have held the end of a style sheet. So
    /// the text is looked at again as it will be, until nothing more is found in it.
    pub(crate) fn blocks(&self) -> Vec<TextBlock> {
        let mut found = self.blocks_in(&self.octets);
        for _ in 0..LOOKS_MAX {
            if found.is_empty() {
                return found;
            }
            let rest = Rest::of(&self.octets, &found, self.is_html);
            let more = self.blocks_in(&rest.octets);
            if more.is_empty() {
                return found;
            }
            for mut block in more {
                block.range = rest.place(&block.range);
                // Those it reaches over go with it.
                found.retain(|other| {
                    let apart = other.range.end <= block.range.start || block.range.end <= other.range.start;
                    if !apart {
                        block.range.start = block.range.start.min(other.range.start);
                        block.range.end = block.range.end.max(other.range.end);
                    }
                    apart
                });
                found.push(block);
            }
            found.sort_by_key(|block| block.range.start);
        }
        // A text that goes on making files of what is left is no letter: it goes as a whole.
        found.truncate(1);
        for block in &mut found {
            (block.range, block.form) = (0..self.octets.len(), Form::Lines);
        }
        found
    }

    fn blocks_in(&self, octets: &[u8]) -> Vec<TextBlock> {
        let mut found = blocks::find(octets);
        if self.is_html {
            let encoding = match self.charset {
                TextCharset::AsciiCompatible(encoding) => encoding,
                TextCharset::Utf16 { .. } | TextCharset::Opaque => encoding_rs::UTF_8,
            };
            found.extend(data_uri::find(octets, encoding));
        }
        found.sort_by_key(|block| block.range.start);
        let mut end = 0;
        found.retain(|block| {
            let apart = block.range.start >= end;
            end = if apart { block.range.end } else { end };
            apart
        });
        found
    }
}

/// A text as it will be without its blocks.
struct Rest {
    octets: Vec<u8>,
    /// What follows what: octets of this text, and the place in the other that they are or stand for.
    pieces: Vec<(Range<usize>, Range<usize>)>,
}

impl Rest {
    fn of(text: &[u8], blocks: &[TextBlock], is_html: bool) -> Self {
        let mut rest = Self { octets: Vec::new(), pieces: Vec::new() };
        let mut at = 0;
        for block in blocks {
            rest.push(text.get(at..block.range.start).unwrap_or_default(), at..block.range.start);
            let notice: &[u8] = match block.form {
                Form::Value => b"",
                Form::Lines | Form::Tag if is_html => b"<p>.</p>\r\n",
                Form::Lines | Form::Tag => b".\r\n",
            };
            rest.push(notice, block.range.clone());
            at = block.range.end;
        }
        rest.push(text.get(at..).unwrap_or_default(), at..text.len());
        rest
    }

    fn push(&mut self, octets: &[u8], place: Range<usize>) {
        let start = self.octets.len();
        self.octets.extend_from_slice(octets);
        self.pieces.push((start..self.octets.len(), place));
    }

    /// The place in the other text of a range of this one; a notice stands for its whole block.
    fn place(&self, range: &Range<usize>) -> Range<usize> {
        let touched = self.pieces.iter().filter(|(own, _)| own.start < range.end && range.start < own.end);
        let places = touched.map(|(own, place)| {
            if own.len() != place.len() {
                return place.clone();
            }
            let inside = |at: usize| place.start + at.clamp(own.start, own.end) - own.start;
            inside(range.start)..inside(range.end)
        });
        places.reduce(|a, b| a.start..b.end).unwrap_or(0..0)
    }
}
