//! A text part, decoded as far as needed to find files written into it, and to cut them out again.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::{Class, Form, TextBlock, WRITTEN_MAX, blocks, data_uri};
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
    /// Something that hides ASCII and cannot be written back as it was, given here as UTF-8: UTF-7, ISO-2022-JP, UTF-16 with
    /// octets missing.
    Opaque,
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
            Some(encoding) if encoding.is_ascii_compatible() => {
                Self { octets, charset: TextCharset::AsciiCompatible(encoding), is_html }
            }
            // Escapes that change nothing may stand anywhere in ISO-2022-JP, in the midst of a word.
            _ if decode::is_utf7(&label) || encoding == Some(encoding_rs::ISO_2022_JP) => {
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
        self.separate_blocks().unwrap_or_else(|| {
            // A text that is full of files, or goes on making files of what is left, is no letter: it goes as a whole.
            let size_bytes = self.octets.len() as u64;
            let (range, form) = (0..self.octets.len(), Form::Lines);
            let media_type = if self.is_html { "text/html" } else { "text/plain" }.to_owned();
            vec![TextBlock { range, class: Class::Unreadable, name: None, media_type, size_bytes, form }]
        })
    }

    /// The text as it will be without its blocks.
    pub(super) fn without_blocks(&self) -> String {
        let rest = Rest::of(&self.octets, &self.blocks(), self.is_html);
        self.encoding().decode_without_bom_handling(&rest.octets).0.into_owned()
    }

    /// How [`Self::octets`] are read.
    fn encoding(&self) -> &'static Encoding {
        match self.charset {
            TextCharset::AsciiCompatible(encoding) => encoding,
            TextCharset::Utf16 { .. } | TextCharset::Opaque => encoding_rs::UTF_8,
        }
    }

    fn separate_blocks(&self) -> Option<Vec<TextBlock>> {
        let mut found = self.blocks_in(&self.octets)?;
        for _ in 0..LOOKS_MAX {
            if found.is_empty() {
                return Some(found);
            }
            let rest = Rest::of(&self.octets, &found, self.is_html);
            let more = self.blocks_in(&rest.octets)?;
            if more.is_empty() {
                return Some(found);
            }
            let more = more.into_iter().map(|block| TextBlock { range: rest.place(&block.range), ..block });
            // What is new comes first: those it reaches over go with it.
            found = in_order(more.chain(found).collect());
        }
        None
    }

    /// `None` when there are too many.
    fn blocks_in(&self, octets: &[u8]) -> Option<Vec<TextBlock>> {
        let mut found = blocks::find(octets);
        if self.is_html {
            found.extend(data_uri::find(octets, self.encoding()));
        }
        (found.len() <= WRITTEN_MAX).then(|| in_order(found))
    }
}

/// The blocks in the order of the text. Those that overlap are one, which is what the first of them is.
fn in_order(mut blocks: Vec<TextBlock>) -> Vec<TextBlock> {
    blocks.sort_by_key(|block| block.range.start);
    blocks.dedup_by(|block, before| {
        let overlap = block.range.start < before.range.end;
        if overlap {
            before.range.end = before.range.end.max(block.range.end);
        }
        overlap
    });
    blocks
}

/// A text as it will be without its blocks.
struct Rest {
    octets: Vec<u8>,
    /// In order, without gaps.
    pieces: Vec<Piece>,
}

/// A piece of what is left.
struct Piece {
    /// Where it stands in what is left.
    own: Range<usize>,
    /// Where it stood, or the block stood that it stands for.
    place: Range<usize>,
    /// It stands for a block.
    is_cut: bool,
}

impl Rest {
    fn of(text: &[u8], blocks: &[TextBlock], is_html: bool) -> Self {
        let mut rest = Self { octets: Vec::new(), pieces: Vec::new() };
        let mut at = 0;
        for block in blocks {
            rest.push(text.get(at..block.range.start).unwrap_or_default(), at..block.range.start, false);
            let notice: &[u8] = match block.form {
                Form::Value => b"",
                Form::Lines | Form::Tag if is_html => b"<p>.</p>\r\n",
                Form::Lines | Form::Tag => b".\r\n",
            };
            rest.push(notice, block.range.clone(), true);
            at = block.range.end;
        }
        rest.push(text.get(at..).unwrap_or_default(), at..text.len(), false);
        rest
    }

    fn push(&mut self, octets: &[u8], place: Range<usize>, is_cut: bool) {
        let start = self.octets.len();
        self.octets.extend_from_slice(octets);
        self.pieces.push(Piece { own: start..self.octets.len(), place, is_cut });
    }

    /// The place in the whole text of a range of what is left; a notice stands for its whole block.
    fn place(&self, range: &Range<usize>) -> Range<usize> {
        let first = self.pieces.partition_point(|piece| piece.own.end <= range.start);
        let last = self.pieces.partition_point(|piece| piece.own.start < range.end).saturating_sub(1);
        let inside = |piece: &Piece, at: usize| piece.place.start + at.saturating_sub(piece.own.start);
        let start = self
            .pieces
            .get(first)
            .map_or(0, |piece| if piece.is_cut { piece.place.start } else { inside(piece, range.start) });
        let end = self
            .pieces
            .get(last)
            .map_or(0, |piece| if piece.is_cut { piece.place.end } else { inside(piece, range.end) });
        start..end
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::message::mime::{Limits, parse};

    fn blocks(html: &str) -> Vec<(Class, String)> {
        let raw = format!("Content-Type: text/html; charset=utf-8\r\n\r\n{html}");
        let tree = parse(raw.as_bytes(), &Limits::default());
        let body = TextBody::of(&tree, raw.as_bytes(), tree.root().unwrap());
        let text = |block: &TextBlock| String::from_utf8_lossy(&body.octets[block.range.clone()]).into_owned();
        body.blocks().iter().map(|block| (block.class, text(block))).collect()
    }

    #[test]
    fn what_a_cut_makes_a_file_of_is_found_where_it_stands() {
        let uri = "data:image/gif;base64,R0lGODlh";
        let file = "begin 644 a.txt\r\n</style>\r\n#0V%T\r\nend\r\n";
        let count = WRITTEN_MAX - 1;
        let words = format!("a {{ b: url({uri}) }}\r\n").repeat(count);
        let found = blocks(&format!("<style>\r\n{file}{words}</style><p>Bonjour</p>"));
        assert_eq!(found.len(), 1 + count);
        assert_eq!(found[0], (Class::EncodedInText, file.to_owned()));
        assert!(found[1..].iter().all(|block| *block == (Class::DataUri, uri.to_owned())));
        // A text with more of them goes as a whole.
        let more = format!("<style>{words}{words}{words}</style><p>Bonjour</p>");
        assert_eq!(blocks(&more), [(Class::Unreadable, more.clone())]);
        // With its end left in the text, the style sheet ends there, and what follows are words.
        assert!(blocks(&format!("<style></style>{words}")).is_empty());
    }
}
