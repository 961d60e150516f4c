//! A text part, decoded as far as needed to find files written into it, and to cut them out again.

use std::borrow::Cow;
use std::ops::Range;

use encoding_rs::{Encoding, UTF_16BE, UTF_16LE};

use super::{Class, blocks, data_uri};
use crate::message::mime::{Part, Tree, decode};

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
    pub(crate) fn blocks(&self) -> Vec<TextBlock> {
        let mut found = blocks::find(&self.octets);
        if self.is_html {
            let encoding = match self.charset {
                TextCharset::AsciiCompatible(encoding) => encoding,
                TextCharset::Utf16 { .. } | TextCharset::Opaque => encoding_rs::UTF_8,
            };
            found.extend(data_uri::find(&self.octets, encoding));
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
