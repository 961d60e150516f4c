//! Words in every text and HTML body of a message: banner, footer, disclaimer (cnrs:III.d, drancy:III.3.b, am:3.2.3).
//!
//! The author's bytes stay as they are around the words. A body that cannot take them (its charset is unknown, its HTML
//! would hide them, a signature covers it) is left whole, and the words stand beside it in an outer `multipart/mixed`.
//! Words that are there already are not added again; they are recognised by themselves, at the place where they would
//! go, so that no mark in a message can pretend they were there.

pub(super) mod html;
mod plain;

use std::fmt::Write as _;
use std::ops::Range;

use super::charset::Decoded;
use super::edit::SignedPolicy;
use super::headers::{Draft, Header, apply, without_blank_lines};
use super::mime::{Part, PartId, TransferEncoding, Tree, decode, header};
use super::splice::Octets;
use super::surgery::notice::NOTICE_FIELD;
use super::{splice, surgery};

/// The words for one message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Words {
    /// Before the author's text, in order.
    pub before: Vec<String>,
    /// After the author's text, in order.
    pub after: Vec<String>,
    /// What was changed in the message (am:5.1.d): stands before the first of `after` that is added, or after the last of
    /// `before`.
    pub declaration: Option<String>,
}

/// Why words were not added.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum NotAdded {
    /// They are there already.
    Present,
    /// A signature covers the text, and the policy is to refuse the message.
    Signed,
    /// A signature covers the text, and the policy is to let the message pass without them.
    SignedKept,
}

/// Which words are missing in a text.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Missing<'a> {
    before: Vec<&'a str>,
    after: Vec<&'a str>,
}

/// The words as one text for each side.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Sides<'a> {
    before: Vec<&'a str>,
    after: Vec<&'a str>,
}

/// A body that cannot take words.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Unwritable;

/// How words got into a text.
enum Written {
    /// As octets of its own charset.
    Spliced(Vec<splice::Splice>),
    /// They do not fit the charset: this is the whole text, to be written in UTF-8.
    Recoded(String),
}

/// A part that has changed.
struct Change {
    range: Range<usize>,
    with: Vec<u8>,
}

/// Adds the words and returns the new message, header included: the fields `Content-…` may have changed.
///
/// # Errors
/// [`NotAdded`] when nothing was to be done or the policy forbids it.
pub fn add(raw: &[u8], tree: &Tree, words: &Words, signed: SignedPolicy) -> Result<Vec<u8>, NotAdded> {
    let bodies = bodies(raw, tree);
    if is_beside(raw, tree, words) {
        return Err(NotAdded::Present);
    }
    let covered = |part: &&Part| tree.signed_ancestor(part.id).is_some();
    let is_signed = bodies.iter().any(covered) || bodies.is_empty() && tree.is_signed();
    if is_signed {
        match signed {
            SignedPolicy::Reject => return Err(NotAdded::Signed),
            SignedPolicy::Pass => return Err(NotAdded::SignedKept),
            SignedPolicy::Wrap => return Ok(beside(raw, tree, words)),
            SignedPolicy::Break => {}
        }
    }
    let mut changes = Vec::new();
    for part in &bodies {
        match change(raw, tree, part, words) {
            Ok(change) => changes.extend(change),
            Err(Unwritable) => return Ok(beside(raw, tree, words)),
        }
    }
    if bodies.is_empty() {
        return Ok(beside(raw, tree, words));
    }
    if changes.is_empty() {
        return Err(NotAdded::Present);
    }
    changes.sort_by_key(|change| change.range.start);
    let splices: Vec<_> = changes.into_iter().map(|c| splice::Splice { range: c.range, with: c.with }).collect();
    Ok(splice::plain(raw, &splices))
}

/// The parts whose text takes the words: all that are shown as text, but not the notices of removed attachments that
/// stand beside them.
fn bodies<'t>(raw: &[u8], tree: &'t Tree) -> Vec<&'t Part> {
    let all: Vec<&Part> = tree.text_bodies().into_iter().filter_map(|id| tree.part(id)).collect();
    let is_notice = |part: &Part| {
        let block = raw.get(part.header.clone()).unwrap_or_default();
        // Where readers choose among parts, each needs the words, whatever it says it is.
        part.parent.is_some()
            && tree.ancestors(part.id).all(|around| around.media_type.name == "multipart/mixed")
            && header::fields(block).any(|field| field.is(NOTICE_FIELD))
    };
    let own: Vec<&Part> = all.iter().copied().filter(|part| !is_notice(part)).collect();
    if own.is_empty() { all } else { own }
}

/// The message, whole, in an outer `multipart/mixed` with the words before and after it.
fn beside(raw: &[u8], tree: &Tree, words: &Words) -> Vec<u8> {
    let missing = Missing {
        before: words.before.iter().map(String::as_str).collect(),
        after: words.after.iter().map(String::as_str).collect(),
    };
    let Some(sides) = missing.sides(words.declaration.as_deref()) else { return raw.to_vec() };
    let text = |words: &[&str]| (!words.is_empty()).then(|| words.join("\n\n"));
    let wrapped = surgery::wrap(raw, tree, text(&sides.before).as_deref(), text(&sides.after).as_deref());
    let body_start = tree.root().map_or(0, |root| root.body.start);
    [apply(raw.get(..body_start).unwrap_or_default(), &wrapped.header_edits), wrapped.body].concat()
}

/// Do the words stand in a part of their own beside the message, as [`beside`] puts them?
fn is_beside(raw: &[u8], tree: &Tree, words: &Words) -> bool {
    let Some(root) = tree.root().filter(|root| root.media_type.name == "multipart/mixed") else { return false };
    let says = |id: Option<&PartId>, words: &[String]| {
        let part =
            id.and_then(|id| tree.part(*id)).filter(|part| part.is_text() && part.media_type.name == "text/plain");
        part.is_some_and(|part| plain::consists_of(&tree.decode_text(raw, part.id), words))
    };
    root.children.len() > 1
        && (words.before.is_empty() || says(root.children.first(), &words.before))
        && (words.after.is_empty() || says(root.children.last(), &words.after))
}

/// The change of one part; `None` when it has the words.
fn change(raw: &[u8], tree: &Tree, part: &Part, words: &Words) -> Result<Option<Change>, Unwritable> {
    let body = raw.get(part.body.clone()).unwrap_or_default();
    let octets = decode::transfer(part.encoding, body);
    let label = part.media_type.parameter("charset");
    let text = Decoded::read(&octets, label).ok_or(Unwritable)?;
    // In a wide text an octet too few shifts all that follows, and what it shows is no guide to where words go.
    if part.encoding == TransferEncoding::Unknown || text.is_wide() && (part.encoding.is_identity() || !text.is_whole())
    {
        return Err(Unwritable);
    }
    let written = if part.media_type.name == "text/html" {
        html::write(&text, words)?
    } else {
        plain::write(&text, words, is_flowed(part))?
    };
    let Some(written) = written else { return Ok(None) };
    let line_end = tree.line_end();
    let (charset, encoding, new_body) = match written {
        Written::Spliced(splices) => {
            let has_eight = splices.iter().any(|s| !s.with.is_ascii());
            if part.encoding == TransferEncoding::SevenBit && has_eight && body.is_ascii() {
                let octets = splice::plain(&octets, &splices);
                (None, Some("quoted-printable"), splice::quoted_printable(&octets, line_end))
            } else {
                let octets = if text.is_wide() { Octets::Wide } else { Octets::Lines };
                (None, None, splice::encoded(body, part.encoding, &splices, octets, line_end))
            }
        }
        Written::Recoded(text) => recoded(part.encoding, &text, body, line_end),
    };
    let charset = charset.or_else(|| text.undeclared_utf8().then_some("utf-8"));
    // Mail servers on the way can convert octets only where they are said to be there (RFC 6152 section 3) and what they mean.
    let is_mislabelled = part.encoding == TransferEncoding::SevenBit && !body.is_ascii();
    let encoding = encoding.or_else(|| (is_mislabelled && charset.or(label).is_some()).then_some("8bit"));
    let header = raw.get(part.header.clone()).unwrap_or_default();
    let header = with_content_fields(header, part, charset, encoding, line_end);
    // Between header and body stands the empty line, if there is one.
    let between = raw.get(part.header.end..part.body.start).unwrap_or_default();
    let between = if between.is_empty() && !header.is_empty() { line_end.as_bytes() } else { between };
    Ok(Some(Change { range: part.entity(), with: [header.as_slice(), between, &new_body].concat() }))
}

/// A text in UTF-8: charset, transfer encoding when it is another, body.
fn recoded<'a>(
    encoding: TransferEncoding,
    text: &str,
    body: &[u8],
    line_end: &str,
) -> (Option<&'a str>, Option<&'a str>, Vec<u8>) {
    match encoding {
        TransferEncoding::Base64 => {
            let mut encoded = splice::base64(text.as_bytes(), line_end);
            if !body.ends_with(b"\n") {
                encoded.truncate(encoded.len().saturating_sub(line_end.len()));
            }
            (Some("utf-8"), None, encoded)
        }
        TransferEncoding::EightBit | TransferEncoding::Binary => (Some("utf-8"), None, text.as_bytes().to_vec()),
        TransferEncoding::SevenBit if !body.is_ascii() => (Some("utf-8"), None, text.as_bytes().to_vec()),
        TransferEncoding::SevenBit | TransferEncoding::QuotedPrintable | TransferEncoding::Unknown => {
            (Some("utf-8"), Some("quoted-printable"), splice::quoted_printable(text.as_bytes(), line_end))
        }
    }
}

fn is_flowed(part: &Part) -> bool {
    part.media_type.parameter("format").is_some_and(|format| format.trim().eq_ignore_ascii_case("flowed"))
}

/// The header block of a part with another charset or transfer encoding; as it was when neither changes.
fn with_content_fields(
    block: &[u8],
    part: &Part,
    charset: Option<&str>,
    encoding: Option<&str>,
    line_end: &str,
) -> Vec<u8> {
    // Some programs end the header at a line of nothing but blanks; what is added behind it would be text to them.
    let joined = without_blank_lines(block);
    let mut draft = Draft::new(&Header::parse(&joined));
    if let Some(charset) = charset {
        draft.set("Content-Type", content_type(part, charset));
    }
    if let Some(encoding) = encoding {
        draft.set("Content-Transfer-Encoding", format!(" {encoding}").into_bytes());
    }
    if part.parent.is_none() && (charset.is_some() || encoding.is_some()) && draft.header().count("MIME-Version") == 0 {
        draft.append("MIME-Version", b" 1.0".to_vec());
    }
    let edits = draft.into_edits();
    if edits.is_empty() {
        return block.to_vec();
    }
    let made = apply(&joined, &edits);
    // A block of one line may have no line end to copy.
    if line_end == "\n" && !block.contains(&b'\n') {
        return made.into_iter().filter(|&b| b != b'\r').collect();
    }
    made
}

/// Content-Type with another charset, the other parameters kept.
fn content_type(part: &Part, charset: &str) -> Vec<u8> {
    let mut value = format!(" {}; charset={charset}", part.media_type.name);
    for parameter in part.media_type.parameters.iter().filter(|p| p.name != "charset") {
        let plain = parameter.value.replace(['\\', '"', '\r', '\n'], "");
        if plain.is_ascii() && !plain.contains(char::is_control) && !parameter.is_extended {
            // Writing to a String does not fail.
            let _ = write!(value, ";\n {}=\"{plain}\"", parameter.name);
        }
    }
    value.into_bytes()
}

/// The words that are missing on each side of a text, given what is found at its ends: `strip_end` and `strip_start` take
/// one of the words off the text when it stands there.
fn missing<T: Clone>(
    words: &Words,
    text: T,
    strip_start: impl Fn(&T, &str) -> Option<T>,
    strip_end: impl Fn(&T, &str) -> Option<T>,
) -> Missing<'_> {
    let mut missing = Missing::default();
    let mut rest = text.clone();
    for word in &words.before {
        match strip_start(&rest, word) {
            Some(left) => rest = left,
            None => missing.before.push(word),
        }
    }
    let mut rest = text;
    for word in words.after.iter().rev() {
        match strip_end(&rest, word) {
            Some(left) => rest = left,
            None => missing.after.insert(0, word),
        }
    }
    missing
}

impl<'a> Missing<'a> {
    /// What is to be written: the missing words and the declaration; `None` when nothing is missing.
    fn sides(self, declaration: Option<&'a str>) -> Option<Sides<'a>> {
        if self.before.is_empty() && self.after.is_empty() {
            return None;
        }
        let mut sides = Sides { before: self.before, after: self.after };
        if let Some(declaration) = declaration {
            if sides.after.is_empty() {
                sides.before.push(declaration);
            } else {
                sides.after.insert(0, declaration);
            }
        }
        Some(sides)
    }
}

#[cfg(test)]
mod tests;
