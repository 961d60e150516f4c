//! Header fields: cutting a header block into fields, unfolding, and reading structured values with parameters
//! (RFC 5322 section 2.2, RFC 2045 section 5.1, RFC 2231).
//!
//! The same function cuts the header of the message and the header of every part, so that the house has one idea of
//! what a field is.

use std::borrow::Cow;
use std::collections::BTreeMap;
use std::ops::Range;

use super::ambiguity::AmbiguityKind;
use super::decode;

/// One header field as it stands in a header block.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field<'a> {
    /// The name, without space before the colon; empty when the line has no colon or nothing before it.
    pub name: &'a [u8],
    /// Everything after the colon, leading space and folds included, without the final line end.
    pub value: &'a [u8],
    /// Where the field stands in the block, from its name to the end of its last line, line end included.
    pub range: Range<usize>,
    /// What is wrong with its first line.
    pub oddity: Option<AmbiguityKind>,
    /// One of its continuation lines is nothing but spaces.
    pub has_blank_continuation: bool,
}

impl Field<'_> {
    /// Whether the name is `name`, whatever its case.
    #[must_use]
    pub fn is(&self, name: &str) -> bool {
        self.name.eq_ignore_ascii_case(name.as_bytes())
    }

    /// Whether the field describes the content (`Content-…`).
    #[must_use]
    pub fn is_content(&self) -> bool {
        self.name.get(..8).is_some_and(|start| start.eq_ignore_ascii_case(b"content-"))
    }

    /// The value on one line, without surrounding space (RFC 5322 section 2.2.3).
    #[must_use]
    pub fn unfolded(&self) -> Cow<'_, [u8]> {
        unfold(self.value)
    }
}

/// Cuts a header block (without the empty line that ends it) into fields, in order. Never fails: lines that are no
/// fields are returned with an [`Field::oddity`].
#[must_use]
pub fn fields(block: &[u8]) -> Fields<'_> {
    Fields { block, at: 0 }
}

/// Iterator of [`fields`].
#[derive(Debug, Clone)]
pub struct Fields<'a> {
    block: &'a [u8],
    at: usize,
}

impl<'a> Iterator for Fields<'a> {
    type Item = Field<'a>;

    fn next(&mut self) -> Option<Field<'a>> {
        let start = self.at;
        if start >= self.block.len() {
            return None;
        }
        let mut end = line_end(self.block, start);
        let mut has_blank_continuation = false;
        while matches!(self.block.get(end), Some(b' ' | b'\t')) {
            let next = line_end(self.block, end);
            has_blank_continuation |= self.block.get(end..next).is_some_and(|line| line.trim_ascii().is_empty());
            end = next;
        }
        self.at = end;
        let line = self.block.get(start..end)?;
        let (name, value, oddity) = split_field(line, start == 0);
        Some(Field { name, value, range: start..end, oddity, has_blank_continuation })
    }
}

fn split_field(line: &[u8], first: bool) -> (&[u8], &[u8], Option<AmbiguityKind>) {
    let text = trim_line_end(line);
    let Some(colon) = memchr::memchr(b':', text) else {
        // An mbox separator at the very start belongs to the file the message was kept in, not to the message.
        let oddity = (!(first && text.starts_with(b"From "))).then_some(AmbiguityKind::MalformedHeaderLine);
        return (b"", text, oddity);
    };
    let (name, value) = text.split_at(colon);
    let value = value.get(1..).unwrap_or_default();
    if first && text.starts_with(b"From ") {
        return (b"", text, None);
    }
    let trimmed = name.trim_ascii_end();
    let oddity = if trimmed.is_empty() || trimmed.iter().any(|b| !b.is_ascii_graphic()) {
        Some(AmbiguityKind::MalformedHeaderLine)
    } else if trimmed.len() != name.len() {
        Some(AmbiguityKind::SpaceBeforeColon)
    } else {
        None
    };
    (trimmed, value, oddity)
}

/// The start of the line after the one at `from`: just behind its line feed, or the end of `bytes`.
pub(super) fn line_end(bytes: &[u8], from: usize) -> usize {
    bytes.get(from..).and_then(|rest| memchr::memchr(b'\n', rest)).map_or(bytes.len(), |at| from + at + 1)
}

/// A line without its CRLF or LF.
pub(super) fn trim_line_end(line: &[u8]) -> &[u8] {
    let line = line.strip_suffix(b"\n").unwrap_or(line);
    line.strip_suffix(b"\r").unwrap_or(line)
}

/// Removes the line ends of a folded value and the space around it (RFC 5322 section 2.2.3).
#[must_use]
pub fn unfold(value: &[u8]) -> Cow<'_, [u8]> {
    let value = value.trim_ascii();
    if memchr::memchr2(b'\r', b'\n', value).is_none() {
        return Cow::Borrowed(value);
    }
    Cow::Owned(value.iter().copied().filter(|b| !matches!(b, b'\r' | b'\n')).collect())
}

/// More parameters than this are not read: each is compared with those before it. Names that are cut into pieces (RFC 2231) have
/// a dozen.
const PARAMETERS_MAX: usize = 128;

/// A value of the form `word; name=value; …`.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Structured {
    /// The word before the first semicolon, lower case, without comments.
    pub value: String,
    /// The parameters, continuations joined and percent-encoding undone (RFC 2231), in order of first appearance.
    pub parameters: Vec<Parameter>,
    /// Where programs would disagree, each once; for the word or for a parameter.
    pub oddities: Vec<Oddity>,
}

/// One parameter.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Parameter {
    /// The name, lower case, without RFC 2231 marks.
    pub name: String,
    /// The value, decoded.
    pub value: String,
    /// It was split or encoded after RFC 2231.
    pub is_extended: bool,
}

/// Something in a structured value that programs would read differently.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Oddity {
    /// The parameter it is about; `None` for the word itself or for text between parameters.
    pub parameter: Option<String>,
    /// What it is.
    pub kind: AmbiguityKind,
}

impl Structured {
    /// The first plain value of a parameter, else its extended value.
    #[must_use]
    pub fn parameter(&self, name: &str) -> Option<&str> {
        let mut named = self.parameters.iter().filter(|p| p.name == name);
        let first = named.clone().find(|p| !p.is_extended).or_else(|| named.next())?;
        Some(&first.value)
    }

    /// The extended value of a parameter, else its plain value: the better one for names that people read.
    #[must_use]
    pub fn name_parameter(&self, name: &str) -> Option<&str> {
        let mut named = self.parameters.iter().filter(|p| p.name == name);
        let first = named.clone().find(|p| p.is_extended).or_else(|| named.next())?;
        Some(&first.value)
    }

    /// Reads an unfolded value. Never fails; what it cannot make sense of it leaves out and names in `oddities`.
    #[must_use]
    pub fn parse(value: &[u8]) -> Self {
        let mut structured = Self::default();
        let (pieces, is_cut) = pieces(value);
        if is_cut {
            structured.oddity(None, AmbiguityKind::HeaderTooLong);
        }
        let mut pieces = pieces.into_iter();
        let word = pieces.next().unwrap_or_default();
        let (text, had_comment) = without_comments(&word);
        structured.value = decode::raw_text(text.trim_ascii()).to_ascii_lowercase();
        if had_comment {
            structured.oddity(None, AmbiguityKind::CommentInField);
        }
        if structured.value.contains("=?") {
            structured.oddity(None, AmbiguityKind::EncodedWordInField);
        }
        let mut segments: BTreeMap<String, Vec<Segment>> = BTreeMap::new();
        let mut is_behind_word = false;
        for piece in pieces {
            let piece = piece.trim_ascii();
            // MIME::Parser reads no further than a word alone, and so finds no boundary behind it.
            is_behind_word |= !piece.is_empty() && !piece.contains(&b'=');
            if is_behind_word && piece.get(..8).is_some_and(|name| name.eq_ignore_ascii_case(b"boundary")) {
                structured.oddity(Some("boundary"), AmbiguityKind::MalformedParameter);
            }
            structured.read_piece(piece, &mut segments);
        }
        for (name, mut list) in segments {
            list.sort_by_key(|segment| segment.number);
            structured.parameters.push(join_segments(name, &list));
        }
        structured
    }

    fn oddity(&mut self, parameter: Option<&str>, kind: AmbiguityKind) {
        let oddity = Oddity { parameter: parameter.map(str::to_owned), kind };
        if !self.oddities.contains(&oddity) {
            self.oddities.push(oddity);
        }
    }

    fn read_piece(&mut self, piece: &[u8], segments: &mut BTreeMap<String, Vec<Segment>>) {
        if piece.is_empty() {
            return; // a semicolon at the end is common and harmless
        }
        let Some(equals) = memchr::memchr(b'=', piece) else {
            // A word alone, such as a charset without its name, says nothing to anybody.
            if piece.contains(&b'(') {
                self.oddity(None, AmbiguityKind::CommentInField);
            }
            return;
        };
        let (name, value) = piece.split_at(equals);
        let (name, name_has_comment) = without_comments(name);
        let name = decode::raw_text(name.trim_ascii()).to_ascii_lowercase();
        let mark = ParameterMark::of(&name);
        if name_has_comment {
            self.oddity(Some(mark.base), AmbiguityKind::CommentInField);
        }
        if mark.base.is_empty() || !mark.base.bytes().all(is_token) {
            self.oddity(Some(mark.base), AmbiguityKind::MalformedParameter);
        }
        let value_text = value.get(1..).unwrap_or_default();
        let (value, kind) = read_value(value_text);
        if let Some(kind) = kind {
            self.oddity(Some(mark.base), kind);
        }
        // MIME::Parser cuts an unquoted boundary at the first character that is no token.
        let is_bare = !value_text.trim_ascii_start().starts_with(b"\"");
        if mark.base == "boundary" && is_bare && !value.iter().all(|b| is_token(*b)) {
            self.oddity(Some(mark.base), AmbiguityKind::MalformedParameter);
        }
        if memchr::memmem::find(&value, b"=?").is_some() {
            self.oddity(Some(mark.base), AmbiguityKind::EncodedWordInField);
        }
        if mark.extended || mark.number.is_some() {
            let segment = Segment { number: mark.number.unwrap_or(0), percent: mark.extended, value };
            segments.entry(mark.base.to_owned()).or_default().push(segment);
            return;
        }
        let value = decode::raw_text(&value).into_owned();
        if self.parameters.iter().any(|p| p.name == mark.base && p.value != value) {
            self.oddity(Some(mark.base), AmbiguityKind::DuplicateParameter);
        }
        self.parameters.push(Parameter { name: mark.base.to_owned(), value, is_extended: false });
    }
}

/// One RFC 2231 segment of a parameter.
struct Segment {
    number: u32,
    percent: bool,
    value: Vec<u8>,
}

/// A parameter name taken apart: `filename*1*` is base `filename`, number 1, extended.
struct ParameterMark<'a> {
    base: &'a str,
    number: Option<u32>,
    extended: bool,
}

impl<'a> ParameterMark<'a> {
    fn of(name: &'a str) -> Self {
        let (rest, extended) = name.strip_suffix('*').map_or((name, false), |rest| (rest, true));
        if let Some((base, digits)) = rest.rsplit_once('*')
            && let Ok(number) = digits.parse()
        {
            return Self { base, number: Some(number), extended };
        }
        Self { base: rest, number: None, extended }
    }
}

fn join_segments(name: String, segments: &[Segment]) -> Parameter {
    let mut charset = None;
    let mut bytes = Vec::new();
    for (index, segment) in segments.iter().enumerate() {
        let mut value = segment.value.as_slice();
        if segment.percent && index == 0 {
            // charset'language'text (RFC 2231 section 4)
            let mut split = value.splitn(3, |b| *b == b'\'');
            if let (Some(label), Some(_), Some(text)) = (split.next(), split.next(), split.next()) {
                charset = Some(label.to_vec());
                value = text;
            }
        }
        if segment.percent {
            bytes.extend(decode::percent(value));
        } else {
            bytes.extend_from_slice(value);
        }
    }
    let value = match charset {
        Some(label) => decode::charset(&bytes, &String::from_utf8_lossy(&label)).into_owned(),
        None => decode::raw_text(&bytes).into_owned(),
    };
    Parameter { name, value, is_extended: true }
}

/// Cuts a value at the semicolons that stand outside quotes and comments; also says whether there were too many.
fn pieces(value: &[u8]) -> (Vec<Vec<u8>>, bool) {
    let mut pieces = Vec::new();
    let mut piece = Vec::new();
    let mut quoted = false;
    let mut comments = 0u32;
    let mut bytes = value.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if quoted || comments > 0 => {
                piece.push(byte);
                piece.extend(bytes.next());
                continue;
            }
            b'"' if comments == 0 => quoted = !quoted,
            b'(' if !quoted => comments += 1,
            b')' if !quoted => comments = comments.saturating_sub(1),
            b';' if !quoted && comments == 0 => {
                pieces.push(std::mem::take(&mut piece));
                if pieces.len() > PARAMETERS_MAX {
                    return (pieces, true);
                }
                continue;
            }
            _ => {}
        }
        piece.push(byte);
    }
    pieces.push(piece);
    (pieces, false)
}

/// Removes comments outside quotes; also says whether there were any.
fn without_comments(text: &[u8]) -> (Cow<'_, [u8]>, bool) {
    if memchr::memchr(b'(', text).is_none() {
        return (Cow::Borrowed(text), false);
    }
    let (mut kept, mut depth, mut quoted, mut had) = (Vec::with_capacity(text.len()), 0u32, false, false);
    let mut bytes = text.iter().copied();
    while let Some(byte) = bytes.next() {
        match byte {
            b'\\' if quoted || depth > 0 => {
                let next = bytes.next();
                if depth == 0 {
                    kept.push(byte);
                    kept.extend(next);
                }
                continue;
            }
            b'"' if depth == 0 => quoted = !quoted,
            b'(' if !quoted => {
                depth += 1;
                had = true;
            }
            b')' if !quoted && depth > 0 => {
                depth -= 1;
                continue;
            }
            _ => {}
        }
        if depth == 0 {
            kept.push(byte);
        }
    }
    (Cow::Owned(kept), had)
}

/// Reads the value of a parameter: a quoted string, or whatever stands there; and what is odd about it.
fn read_value(text: &[u8]) -> (Vec<u8>, Option<AmbiguityKind>) {
    let text = text.trim_ascii();
    let Some(inner) = text.strip_prefix(b"\"") else {
        let kind = if text.contains(&b'(') {
            Some(AmbiguityKind::CommentInField)
        } else if text.iter().all(|b| is_token(*b) || b"/:=?@,[]".contains(b)) && !text.is_empty() {
            None // tolerated by everybody, though RFC 2045 wants quotes around some of these
        } else {
            Some(AmbiguityKind::MalformedParameter)
        };
        return (text.to_vec(), kind);
    };
    let mut value = Vec::with_capacity(inner.len());
    let mut bytes = inner.iter().copied().enumerate();
    while let Some((at, byte)) = bytes.next() {
        match byte {
            b'"' => {
                let rest = inner.get(at + 1..).unwrap_or_default().trim_ascii();
                let kind = match rest.first() {
                    None => None,
                    Some(b'(') => Some(AmbiguityKind::CommentInField),
                    Some(_) => Some(AmbiguityKind::MalformedParameter),
                };
                return (value, kind);
            }
            b'\\' => value.extend(bytes.next().map(|(_, escaped)| escaped)),
            _ => value.push(byte),
        }
    }
    (value, Some(AmbiguityKind::MalformedParameter))
}

/// RFC 2045 section 5.1 `token`.
fn is_token(byte: u8) -> bool {
    byte.is_ascii_graphic() && !br#"()<>@,;:\"/[]?="#.contains(&byte)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(block: &str) -> Vec<(String, Option<AmbiguityKind>)> {
        fields(block.as_bytes()).map(|f| (String::from_utf8_lossy(f.name).into_owned(), f.oddity)).collect()
    }

    #[test]
    fn fields_keep_their_folds_and_their_places() {
        let block = b"Subject: a\r\n b\r\nTo: c\r\n";
        let cut: Vec<_> = fields(block).collect();
        assert_eq!(cut.len(), 2);
        assert_eq!(cut[0].range, 0..16);
        assert_eq!(cut[0].value, b" a\r\n b");
        assert_eq!(&*cut[0].unfolded(), b"a b");
        assert_eq!(cut[1].range, 16..block.len());
    }

    #[test]
    fn lines_that_are_no_fields_are_named() {
        assert_eq!(
            names("From x@y Sat\r\nA: 1\r\nnonsense\r\nB : 2\r\n: 3\r\n"),
            [
                (String::new(), None),
                ("A".to_owned(), None),
                (String::new(), Some(AmbiguityKind::MalformedHeaderLine)),
                ("B".to_owned(), Some(AmbiguityKind::SpaceBeforeColon)),
                (String::new(), Some(AmbiguityKind::MalformedHeaderLine)),
            ]
        );
    }

    #[test]
    fn a_plain_content_type_is_read_without_oddity() {
        let ct = Structured::parse(b"Multipart/Mixed; boundary=\"a;b(c\\\"\"; charset=utf-8;");
        assert_eq!(ct.value, "multipart/mixed");
        assert_eq!(ct.parameter("boundary"), Some("a;b(c\""));
        assert_eq!(ct.parameter("charset"), Some("utf-8"));
        assert_eq!(ct.oddities, []);
    }

    #[test]
    fn continuations_are_joined_in_order_and_decoded() {
        let value = b"attachment; filename*1*=%20l%27%C3%A9t%C3%A9.pdf; filename*0*=utf-8'fr'Bilan%20de";
        let disposition = Structured::parse(value);
        assert_eq!(disposition.name_parameter("filename"), Some("Bilan de l'été.pdf"));
        let plain = Structured::parse(b"attachment; filename*0=\"long \"; filename*1=\"name.pdf\"");
        assert_eq!(plain.name_parameter("filename"), Some("long name.pdf"));
        assert_eq!(plain.oddities, []);
    }

    #[test]
    fn a_field_with_more_parameters_than_anybody_writes_is_read_in_part() {
        let many =
            |count: usize, text: &str| Structured::parse(format!("text/plain;{}", text.repeat(count)).as_bytes());
        let honest = many(100, " name*1*=a;");
        assert_eq!(honest.oddities, []);
        for text in [" a=b;", ";", " name*1*=a;", " (x)=y;"] {
            let hostile = many(1_000_000, text);
            assert!(hostile.oddities.iter().any(|oddity| oddity.kind == AmbiguityKind::HeaderTooLong), "{text}");
            assert!(hostile.parameters.len() <= PARAMETERS_MAX, "{text}");
        }
    }

    #[test]
    fn what_programs_read_differently_is_named() {
        let kinds = |text: &str| -> Vec<AmbiguityKind> {
            Structured::parse(text.as_bytes()).oddities.into_iter().map(|o| o.kind).collect()
        };
        assert_eq!(kinds("text/plain (x)"), [AmbiguityKind::CommentInField]);
        assert_eq!(kinds("text/plain; charset=a(b)c"), [AmbiguityKind::CommentInField]);
        assert_eq!(kinds("multipart/mixed; boundary=a; boundary=b"), [AmbiguityKind::DuplicateParameter]);
        assert_eq!(kinds("multipart/mixed; boundary=\"a\"b"), [AmbiguityKind::MalformedParameter]);
        assert_eq!(kinds("multipart/mixed; boundary=\"a"), [AmbiguityKind::MalformedParameter]);
        assert_eq!(kinds("multipart/mixed; boundary=a b"), [AmbiguityKind::MalformedParameter]);
        assert_eq!(kinds("multipart/mixed; boundary=a/b"), [AmbiguityKind::MalformedParameter]);
        assert_eq!(kinds("multipart/mixed; boundary=\"=?x?q?a?=\""), [AmbiguityKind::EncodedWordInField]);
        assert_eq!(kinds("text/plain; x (y)"), [AmbiguityKind::CommentInField]);
        assert_eq!(kinds("multipart/mixed; x; boundary=a"), [AmbiguityKind::MalformedParameter]);
        assert_eq!(kinds("multipart/mixed; boundary=a; x"), []);
    }
}
