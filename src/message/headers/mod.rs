//! The header of a message: its fields in order, exactly as received, and what they say.
//!
//! Values are kept raw (leading space and folding included), so that a signature can be verified on them and so that
//! what is not edited stays byte for byte. [`words`] decodes and encodes RFC 2047, the views read From, Message-ID and
//! the others, [`HeaderEdit`] changes a header the way a milter does.

use std::borrow::Cow;

use super::address;

mod draft;
mod edits;
mod views;
pub mod words;

pub use draft::{Draft, without_blank_lines};
pub use edits::{HeaderEdit, apply, edit_value};
pub use views::{FromDefect, ids, receipt_request, receipt_requests};

/// A header: the ordered fields of a message.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Header {
    fields: Vec<Field>,
}

/// One header field.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    name: Vec<u8>,
    value: Vec<u8>,
}

impl Header {
    /// Reads the header of a message; returns it with the offset at which the body begins (after the empty line).
    ///
    /// Reads as Postfix and Sendmail do: lines end with LF or CRLF; a line that begins with a space continues the field
    /// before it; a line that is neither a field nor a continuation ends the header, and the body begins with it.
    #[must_use]
    pub fn split(message: &[u8]) -> (Self, usize) {
        let mut fields: Vec<Field> = Vec::new();
        let mut at = 0;
        while let Some(rest) = message.get(at..).filter(|rest| !rest.is_empty()) {
            let line = first_line(rest);
            let content = without_line_end(line);
            if content.is_empty() {
                return (Self { fields }, at + line.len());
            }
            match fields.last_mut() {
                Some(field) if matches!(content.first(), Some(b' ' | b'\t')) => {
                    // The line end before a continuation is part of the value.
                    let end = message.get(..at).map_or(&[][..], line_end);
                    field.value.extend_from_slice(end);
                    field.value.extend_from_slice(content);
                }
                _ => match Field::parse(content) {
                    Some(field) => fields.push(field),
                    None => break,
                },
            }
            at += line.len();
        }
        (Self { fields }, at)
    }

    /// Reads a header block: what stands before the empty line, with it or without.
    #[must_use]
    pub fn parse(block: &[u8]) -> Self {
        Self::split(block).0
    }

    /// Adds a field at the end, as the milter protocol delivers it: the value with its leading space (the milter
    /// negotiates it) and folding.
    pub fn push(&mut self, name: impl Into<Vec<u8>>, value: impl Into<Vec<u8>>) {
        self.fields.push(Field { name: name.into(), value: value.into() });
    }

    /// The fields, in order.
    #[must_use]
    pub fn fields(&self) -> &[Field] {
        &self.fields
    }

    /// The fields of this name, in order; letter case does not matter.
    pub fn all<'a>(&'a self, name: &'a str) -> impl Iterator<Item = &'a Field> {
        self.fields.iter().filter(move |field| field.is(name))
    }

    /// The first field of this name.
    #[must_use]
    pub fn first(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.is(name))
    }

    /// How many fields there are of this name.
    #[must_use]
    pub fn count(&self, name: &str) -> usize {
        self.fields.iter().filter(|field| field.is(name)).count()
    }
}

impl Field {
    /// Reads the first line of a field; `None` when it is none. Spaces before the colon are allowed (RFC 5322 section
    /// 4.5; Postfix removes them), any other byte outside printable ASCII is not.
    fn parse(line: &[u8]) -> Option<Self> {
        let colon = line.iter().position(|&b| b == b':')?;
        let name = line.get(..colon)?.trim_ascii_end();
        if name.is_empty() || !name.iter().all(u8::is_ascii_graphic) {
            return None;
        }
        Some(Self { name: name.to_vec(), value: line.get(colon + 1..)?.to_vec() })
    }

    /// The name as received.
    #[must_use]
    pub fn name(&self) -> &[u8] {
        &self.name
    }

    /// Has the field this name?
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.trim_ascii_end().eq_ignore_ascii_case(name.as_bytes())
    }

    /// The value as received: what follows the colon, folding included, without the last line end.
    #[must_use]
    pub fn raw(&self) -> &[u8] {
        &self.value
    }

    /// The value on one line: line ends removed, space trimmed (RFC 5322 section 2.2.3).
    #[must_use]
    pub fn unfolded(&self) -> Cow<'_, [u8]> {
        let value = self.value.trim_ascii();
        if value.iter().any(|b| matches!(b, b'\r' | b'\n')) {
            Cow::Owned(value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect())
        } else {
            Cow::Borrowed(value)
        }
    }

    /// The unfolded value as text, RFC 2047 words not decoded. Bytes that are not UTF-8 are read as windows-1252, the
    /// way mail programs do.
    #[must_use]
    pub fn text(&self) -> String {
        words::lossless(&self.unfolded())
    }

    /// The addresses in the value. Folds are left in it: some programs end a name there.
    #[must_use]
    pub fn mailboxes(&self) -> address::Mailboxes {
        address::mailboxes(&words::lossless(self.value.trim_ascii()))
    }

    /// The unfolded value as text, RFC 2047 words decoded. Only for fields of free text: in address fields, words are
    /// decoded after the addresses have been read.
    #[must_use]
    pub fn decoded(&self) -> String {
        words::decode(&self.unfolded())
    }
}

/// The first line with its line end.
pub(super) fn first_line(bytes: &[u8]) -> &[u8] {
    let end = bytes.iter().position(|&b| b == b'\n').map_or(bytes.len(), |at| at + 1);
    bytes.get(..end).unwrap_or(bytes)
}

/// The line end with which these bytes end: CRLF, LF, or nothing.
fn line_end(bytes: &[u8]) -> &[u8] {
    let length = if bytes.ends_with(b"\r\n") { 2 } else { usize::from(bytes.ends_with(b"\n")) };
    bytes.get(bytes.len() - length..).unwrap_or_default()
}

/// The line without its line end.
pub(super) fn without_line_end(line: &[u8]) -> &[u8] {
    line.get(..line.len() - line_end(line).len()).unwrap_or(line)
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn seen(message: &[u8]) -> Vec<(String, String)> {
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Header::parse(message).fields().iter().map(|f| (text(f.name()), text(f.raw()))).collect()
    }

    #[test]
    fn fields_are_kept_as_received() {
        let fields = seen(b"Subject:  Bonjour\r\n  \xC3\xA0 tous\r\nX-A:b\r\n\r\nbody");
        assert_eq!(
            fields,
            [("Subject".to_owned(), "  Bonjour\r\n  \u{e0} tous".to_owned()), ("X-A".to_owned(), "b".to_owned())]
        );
        let (header, body) = Header::split(b"A: b\n c\n\nbody");
        assert_eq!(header.first("a").unwrap().raw(), b" b\n c");
        assert_eq!(header.first("a").unwrap().unfolded().as_ref(), b"b c");
        assert_eq!(body, 9);
    }

    #[test]
    fn the_header_ends_where_mail_servers_end_it() {
        for (message, fields, body) in [
            (&b""[..], 0, 0),
            (b"\r\nbody", 0, 2),
            (b"body without header\r\n", 0, 0),
            (b"A: b\r\nno colon here\r\nC: d\r\n\r\n", 1, 6),
            (b" A: b\r\n\r\n", 0, 0),
            (b"A: b\r\n \r\nC: d\r\n\r\nx", 2, 17),
            (b"A: b", 1, 4),
            (b"From a@b Mon Jan 1 12:00\nA: b\n\n", 0, 0),
            (b"S\xC3\xBB: b\n\n", 0, 0),
        ] {
            let (header, offset) = Header::split(message);
            assert_eq!((header.fields().len(), offset), (fields, body), "{}", String::from_utf8_lossy(message));
        }
    }

    #[test]
    fn lookup_ignores_case_and_the_space_before_the_colon() {
        let header = Header::parse(b"SUBJECT : a\r\nsubject: b\r\n\r\n");
        assert_eq!(header.count("Subject"), 2);
        assert_eq!(header.first("Subject").unwrap().text(), "a");
        assert_eq!(header.all("subject").nth(1).unwrap().text(), "b");
    }

    #[test]
    fn a_header_built_field_by_field_is_the_one_that_was_parsed() {
        let mut built = Header::default();
        built.push("From", " a@b.example");
        built.push("Subject", " Bonjour\r\n\t\u{e0} tous");
        assert_eq!(built, Header::parse("From: a@b.example\r\nSubject: Bonjour\r\n\t\u{e0} tous\r\n\r\n".as_bytes()));
    }

    #[test]
    fn huge_headers_take_linear_time() {
        let many = b"X-A: b\r\n".repeat(100_000);
        assert_eq!(Header::parse(&many).fields().len(), 100_000);
        let long = [b"X-A: b\r\n".to_vec(), b" c\r\n".repeat(100_000)].concat();
        assert_eq!(Header::parse(&long).fields().len(), 1);
    }

    proptest! {
        #[test]
        fn any_bytes_can_be_read(bytes in prop::collection::vec(any::<u8>(), 0..400)) {
            let (header, body) = Header::split(&bytes);
            prop_assert!(body <= bytes.len());
            for field in header.fields() {
                let _ = (field.text(), field.decoded());
            }
        }
    }
}
