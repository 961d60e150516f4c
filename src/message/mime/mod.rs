//! The MIME structure of a message, scanned without decoding: a tree of byte ranges, and everything about it on which
//! two mail programs could disagree.
//!
//! The scan is linear in the size of the message and in the number of its parts. It looks for boundary lines and reads
//! the headers of parts; bodies are not looked into, except that texts in base64 are checked for foreign characters.
//! All ranges are offsets into the bytes that were scanned, which every later step needs beside the tree.

pub mod ambiguity;
mod content;
pub mod decode;
mod draw;
pub mod header;
mod scan;
mod skim;

use std::borrow::Cow;
use std::ops::Range;

pub use ambiguity::{Ambiguity, AmbiguityKind};
pub use draw::draw;
pub use scan::{parse, parse_skimmed};
pub use skim::Skim;

/// A body part, by its place in the tree's preorder; 0 is the message itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub struct PartId(pub u32);

impl PartId {
    /// The message itself.
    pub const ROOT: Self = Self(0);

    fn index(self) -> usize {
        self.0 as usize
    }
}

/// Bounds of the scan. What exceeds them is an [`Ambiguity`], never an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Limits {
    /// So many multiparts and messages inside one another. Each level costs a comparison for every line that starts
    /// with `--`; amavis stops at 14, people's forwarded threads stay under 10.
    pub depth_max: u32,
    /// So many parts in all. amavis stops at 1,500; a digest of a busy list has some 200.
    pub parts_max: u32,
    /// The header of one part (the message's own excepted, which the mail server bounds), octets. libmilter stops at
    /// 64 KiB for one field.
    pub part_header_bytes_max: usize,
}

impl Default for Limits {
    fn default() -> Self {
        Self { depth_max: 16, parts_max: 1_500, part_header_bytes_max: 64 * 1024 }
    }
}

/// The structure of a message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Tree {
    parts: Vec<Part>,
    ambiguities: Vec<Ambiguity>,
    line_end: &'static str,
}

/// One part: a leaf, a multipart, or a message inside the message.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Part {
    /// Its place in the tree.
    pub id: PartId,
    /// The multipart or message that contains it; `None` for the message itself.
    pub parent: Option<PartId>,
    /// The parts it contains, in order; one for a message inside the message.
    pub children: Vec<PartId>,
    /// 0 for the message itself.
    pub depth: u32,
    /// The boundary line that announces it, from the line end before the dashes (which belongs to the boundary, RFC 2046
    /// section 5.1.1) to the end of the line; empty for a part that no boundary announces.
    pub delimiter: Range<usize>,
    /// Its header block, without the empty line that ends it.
    pub header: Range<usize>,
    /// Its body, without the line end that belongs to the next boundary.
    pub body: Range<usize>,
    /// Its type: what it says, or the default of its place (RFC 2045 section 5.2, RFC 2046 section 5.1.5).
    pub media_type: MediaType,
    /// Its Content-Disposition (RFC 2183).
    pub disposition: Option<Disposition>,
    /// Its Content-Transfer-Encoding.
    pub encoding: TransferEncoding,
    /// Its Content-ID, without angle brackets.
    pub content_id: Option<String>,
    /// Its Content-Location.
    pub content_location: Option<String>,
    /// Its Content-Description, decoded.
    pub description: Option<String>,
    /// What only multiparts have.
    pub multipart: Option<Multipart>,
    /// It is HTML with more tags and attributes than can be looked at; nothing looks into it.
    pub is_overfull: bool,
}

/// The outer shape of a multipart.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Multipart {
    /// The boundary, without dashes.
    pub boundary: Vec<u8>,
    /// What stands before its first boundary line.
    pub preamble: Range<usize>,
    /// Its closing boundary line, from the line end before the dashes, without the line end behind it; `None` when it is
    /// missing.
    pub close: Option<Range<usize>>,
    /// What stands after its closing boundary line; begins with that line's end, unless this belongs to the next boundary.
    pub epilogue: Range<usize>,
}

/// A media type (RFC 2045 section 5).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct MediaType {
    /// `type/subtype`, lower case; [`MALFORMED_TYPE`] when the field cannot be read.
    pub name: String,
    /// Its parameters.
    pub parameters: Vec<header::Parameter>,
    /// The part has a Content-Type field.
    pub is_declared: bool,
}

/// The name of a type that cannot be read; no reader understands it.
pub const MALFORMED_TYPE: &str = "application/x-malformed-type";

impl MediaType {
    /// The first plain value of a parameter, else its RFC 2231 value.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut named = self.parameters.iter().filter(|p| p.name == name);
        let first = named.clone().find(|p| !p.is_extended).or_else(|| named.next())?;
        Some(&first.value)
    }

    /// The part before the slash.
    #[must_use]
    pub fn main(&self) -> &str {
        self.name.split_once('/').map_or(self.name.as_str(), |(main, _)| main)
    }

    /// Whether it is `multipart/…`.
    #[must_use]
    pub fn is_multipart(&self) -> bool {
        self.main() == "multipart"
    }

    /// Whether it holds a whole message (RFC 2046 section 5.2.1, RFC 6532 section 3.7).
    #[must_use]
    pub fn is_message(&self) -> bool {
        matches!(self.name.as_str(), "message/rfc822" | "message/global" | "message/news")
    }

    /// Whether it is one of the two types whose text readers show.
    #[must_use]
    pub fn is_text(&self) -> bool {
        matches!(self.name.as_str(), "text/plain" | "text/html")
    }
}

/// A Content-Disposition (RFC 2183).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Disposition {
    /// `inline`, `attachment` or another word, lower case; empty when it cannot be read.
    pub kind: String,
    /// Its parameters.
    pub parameters: Vec<header::Parameter>,
}

/// A Content-Transfer-Encoding (RFC 2045 section 6.1).
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum TransferEncoding {
    /// `7bit`, or no field.
    SevenBit,
    /// `8bit`.
    EightBit,
    /// `binary`.
    Binary,
    /// `quoted-printable`.
    QuotedPrintable,
    /// `base64`.
    Base64,
    /// Anything else; RFC 2045 section 6.4 says to treat such a body as opaque.
    Unknown,
}

impl TransferEncoding {
    /// Whether the body stands as it is.
    #[must_use]
    pub fn is_identity(self) -> bool {
        matches!(self, Self::SevenBit | Self::EightBit | Self::Binary)
    }
}

impl Part {
    /// From its header to the end of its body: all of it except the boundary lines around it.
    #[must_use]
    pub fn entity(&self) -> Range<usize> {
        self.header.start..self.body.end
    }

    /// A file name in any form: `filename` and `name`, plain, split or encoded, encoded words undone. Never empty.
    #[must_use]
    pub fn file_name(&self) -> Option<String> {
        let of_disposition = self.disposition.as_ref().map(|disposition| disposition.parameters.as_slice());
        let (first, second) = (of_disposition.unwrap_or_default(), self.media_type.parameters.as_slice());
        // Some programs read either word in either field.
        for (list, wanted) in [(first, "filename"), (second, "name"), (first, "name"), (second, "filename")] {
            let mut named = list.iter().filter(|p| p.name == wanted && !p.value.trim().is_empty());
            if let Some(first) = named.clone().find(|p| p.is_extended).or_else(|| named.next()) {
                return Some(decode::encoded_words(&first.value).trim().to_owned());
            }
        }
        self.description.as_deref().filter(|d| looks_like_file_name(d)).map(str::to_owned)
    }

    /// Whether readers show it as text that can be looked at: plain text or HTML, not an attachment by disposition, without a
    /// file name.
    #[must_use]
    pub fn is_text(&self) -> bool {
        let shown = self.disposition.as_ref().is_none_or(|d| d.kind == "inline");
        self.media_type.is_text() && shown && !self.is_overfull && self.file_name().is_none()
    }

    /// How many octets the decoded body has, estimated from its length without decoding it.
    #[must_use]
    pub fn decoded_size_bytes(&self) -> u64 {
        let length = self.body.len() as u64;
        match self.encoding {
            // Lines of 76 characters and CRLF carry 57 octets each; padding and a last line end are not looked at.
            TransferEncoding::Base64 => length / 78 * 57 + (length % 78) / 4 * 3,
            TransferEncoding::SevenBit
            | TransferEncoding::EightBit
            | TransferEncoding::Binary
            | TransferEncoding::QuotedPrintable
            | TransferEncoding::Unknown => length,
        }
    }
}

/// Some programs put a file's name into Content-Description; most put a sentence there.
fn looks_like_file_name(text: &str) -> bool {
    let Some((stem, extension)) = text.rsplit_once('.') else { return false };
    !stem.trim().is_empty()
        && (1..=5).contains(&extension.len())
        && extension.bytes().all(|b| b.is_ascii_alphanumeric())
        && extension.bytes().any(|b| b.is_ascii_alphabetic())
}

impl Tree {
    /// The message itself.
    #[must_use]
    pub fn root(&self) -> Option<&Part> {
        self.parts.first()
    }

    /// A part by its id.
    #[must_use]
    pub fn part(&self, id: PartId) -> Option<&Part> {
        self.parts.get(id.index())
    }

    /// All parts in preorder; never empty.
    #[must_use]
    pub fn parts(&self) -> impl DoubleEndedIterator<Item = &Part> + Clone {
        self.parts.iter()
    }

    /// The parts around a part, from its parent to the message itself.
    pub fn ancestors(&self, id: PartId) -> impl Iterator<Item = &Part> {
        std::iter::successors(self.part(id).and_then(|p| p.parent), |id| self.part(*id).and_then(|p| p.parent))
            .filter_map(|id| self.part(id))
    }

    /// Everything on which mail programs could disagree, by part and kind, each once.
    #[must_use]
    pub fn ambiguities(&self) -> &[Ambiguity] {
        &self.ambiguities
    }

    /// The line end the message uses: CRLF, unless it has none at all.
    #[must_use]
    pub fn line_end(&self) -> &'static str {
        self.line_end
    }

    /// A signature covers the message or a part of it (RFC 1847, RFC 8551); signatures written into a text are not seen.
    #[must_use]
    pub fn is_signed(&self) -> bool {
        self.parts.iter().any(|p| p.media_type.name == "multipart/signed" || is_opaque_signed(p))
    }

    /// The message or a part of it is encrypted (RFC 1847, RFC 8551); nobody between sender and reader can check it.
    #[must_use]
    pub fn is_encrypted(&self) -> bool {
        self.parts.iter().any(is_encrypted)
    }

    /// The innermost signed part that covers this one (or is this one).
    #[must_use]
    pub fn signed_ancestor(&self, id: PartId) -> Option<PartId> {
        self.part(id)
            .into_iter()
            .chain(self.ancestors(id))
            .find(|p| p.media_type.name == "multipart/signed" || is_opaque_signed(p))
            .map(|p| p.id)
    }

    /// The texts a reader shows: plain text and HTML that are no attachments, those of messages inside the message left out.
    #[must_use]
    pub fn text_bodies(&self) -> Vec<PartId> {
        let mut bodies = Vec::new();
        let mut embedded_until = None;
        for part in &self.parts {
            if embedded_until.is_some_and(|depth| part.depth > depth) {
                continue;
            }
            embedded_until = part.media_type.is_message().then_some(part.depth);
            if part.is_text() {
                bodies.push(part.id);
            }
        }
        bodies
    }

    /// The text of a part: transfer encoding and charset undone. Unknown ids give the empty text, unknown charsets are
    /// read as windows-1252.
    #[must_use]
    pub fn decode_text<'a>(&self, raw: &'a [u8], id: PartId) -> Cow<'a, str> {
        let Some(part) = self.part(id) else { return Cow::Borrowed("") };
        let body = raw.get(part.body.clone()).unwrap_or_default();
        let label = part.media_type.parameter("charset").unwrap_or("us-ascii");
        match decode::transfer(part.encoding, body) {
            Cow::Borrowed(bytes) => decode::charset(bytes, label),
            Cow::Owned(bytes) => Cow::Owned(decode::charset(&bytes, label).into_owned()),
        }
    }
}

/// `application/pkcs7-mime`, under its registered and its older name.
fn is_pkcs7(part: &Part) -> bool {
    matches!(part.media_type.name.as_str(), "application/pkcs7-mime" | "application/x-pkcs7-mime")
}

fn smime_type(part: &Part) -> Option<String> {
    part.media_type.parameter("smime-type").map(str::to_ascii_lowercase)
}

/// A signature with the signed text inside it (RFC 8551 section 3.5.2): nobody can look into it without unpacking.
pub(crate) fn is_opaque_signed(part: &Part) -> bool {
    is_pkcs7(part) && smime_type(part).as_deref() == Some("signed-data")
}

/// Certificates or compressed data in PKCS #7 form (RFC 8551 section 3.2.2) are files, not encryption.
pub(crate) fn is_encrypted(part: &Part) -> bool {
    if is_pkcs7(part) {
        return !matches!(smime_type(part).as_deref(), Some("signed-data" | "certs-only" | "compressed-data"));
    }
    matches!(part.media_type.name.as_str(), "multipart/encrypted" | "application/pgp-encrypted")
}

/// Turns a message whose lines all end in a bare LF, as files on disk do, into the CRLF form of RFC 5322. A message
/// that has any CR is left alone.
#[must_use]
pub fn with_crlf(raw: &[u8]) -> Cow<'_, [u8]> {
    if memchr::memchr(b'\r', raw).is_some() || memchr::memchr(b'\n', raw).is_none() {
        return Cow::Borrowed(raw);
    }
    let mut lines = Vec::with_capacity(raw.len() + raw.len() / 32);
    for line in raw.split_inclusive(|b| *b == b'\n') {
        match line.strip_suffix(b"\n") {
            Some(text) => {
                lines.extend_from_slice(text);
                lines.extend_from_slice(b"\r\n");
            }
            None => lines.extend_from_slice(line),
        }
    }
    Cow::Owned(lines)
}
