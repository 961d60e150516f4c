//! Putting octets into a body, or taking some out, without touching the others, whatever the transfer encoding.
//!
//! Places are given in the decoded body. In quoted-printable everything outside them stays byte for byte; in base64 the
//! lines before the first place do, and what follows is encoded anew because its grouping shifts.

use std::fmt::Write as _;
use std::ops::Range;

use data_encoding::BASE64;

use super::mime::TransferEncoding;
use super::mime::decode;

/// The longest line of quoted-printable and base64 (RFC 2045 sections 6.7 and 6.8).
const LINE_BYTES_MAX: usize = 76;

/// One change: these octets of the decoded body become those.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Splice {
    /// What goes, in the decoded body; empty to insert.
    pub range: Range<usize>,
    /// What comes in its place.
    pub with: Vec<u8>,
}

impl Splice {
    /// Inserts octets.
    #[must_use]
    pub fn insert(at: usize, with: impl Into<Vec<u8>>) -> Self {
        Self { range: at..at, with: with.into() }
    }

    /// Removes octets.
    #[must_use]
    pub fn remove(range: Range<usize>) -> Self {
        Self { range, with: Vec::new() }
    }
}

/// Makes changes in a body that stands as it is; they are ordered and do not overlap.
#[must_use]
pub fn plain(body: &[u8], splices: &[Splice]) -> Vec<u8> {
    let added: usize = splices.iter().map(|s| s.with.len()).sum();
    let mut result = Vec::with_capacity(body.len() + added);
    let mut at = 0;
    for splice in splices {
        result.extend_from_slice(body.get(at..splice.range.start).unwrap_or_default());
        result.extend_from_slice(&splice.with);
        at = splice.range.end;
    }
    result.extend_from_slice(body.get(at..).unwrap_or_default());
    result
}

/// What the octets of a decoded body are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Octets {
    /// Text in lines: CR LF, or LF, ends one.
    Lines,
    /// Text in units of two octets and more (UTF-16), where the octets of a line end can stand for anything.
    Wide,
}

/// Makes changes in an encoded body. Line ends in `with` are as in the decoded body; `line_end` is that of the message.
#[must_use]
pub fn encoded(body: &[u8], encoding: TransferEncoding, splices: &[Splice], octets: Octets, line_end: &str) -> Vec<u8> {
    if splices.is_empty() {
        return body.to_vec();
    }
    match encoding {
        TransferEncoding::QuotedPrintable => in_quoted_printable(body, splices, octets, line_end),
        TransferEncoding::Base64 => in_base64(body, splices, line_end),
        TransferEncoding::SevenBit
        | TransferEncoding::EightBit
        | TransferEncoding::Binary
        | TransferEncoding::Unknown => plain(body, splices),
    }
}

fn in_quoted_printable(body: &[u8], splices: &[Splice], kind: Octets, line_end: &str) -> Vec<u8> {
    let mut octets = decode::quoted_printable(body).map(|octet| octet.at).enumerate();
    let mut next = octets.next();
    let mut place = |decoded: usize| {
        while let Some((count, at)) = next {
            if count >= decoded {
                return at;
            }
            next = octets.next();
        }
        body.len()
    };
    let mut result = Vec::with_capacity(body.len() + 256);
    let mut at = 0;
    for splice in splices {
        let start = place(splice.range.start);
        // An octet is its whole escape; soft line breaks behind it stay.
        let end = if splice.range.is_empty() { start } else { place(splice.range.end - 1) };
        let end = if splice.range.is_empty() { end } else { end + quoted_length(body, end) };
        result.extend_from_slice(body.get(at..start).unwrap_or_default());
        let rest = body.get(end..).unwrap_or_default();
        let next = if splice.with.is_empty() { rest } else { &splice.with };
        let ends_line = next.starts_with(b"\r\n") || next.starts_with(b"\n");
        if ends_line && (kind == Octets::Lines || splice.with.is_empty()) {
            protect_last_space(&mut result);
        }
        put_quoted(&mut result, &splice.with, rest, kind, line_end);
        let broke_line = body.get(start..end).is_some_and(|removed| removed.contains(&b'\n'));
        if splice.with.is_empty() && broke_line && parts_lines(&result, rest) {
            // The soft line break that went is still needed.
            result.push(b'=');
            result.extend_from_slice(line_end.as_bytes());
        }
        at = end;
    }
    result.extend_from_slice(body.get(at..).unwrap_or_default());
    result
}

/// Would a soft line break here stand inside a line?
fn parts_lines(before: &[u8], rest: &[u8]) -> bool {
    let ends_line = before.is_empty() || before.ends_with(b"\n");
    !ends_line
        && !rest.is_empty()
        && !rest.starts_with(b"\r\n")
        && !rest.starts_with(b"\n")
        && !rest.starts_with(b"=\r\n")
}

/// A space that comes to stand at the end of a line would vanish as transport padding: it is written as an escape.
fn protect_last_space(out: &mut Vec<u8>) {
    let escape: &[u8] = match out.last() {
        Some(b' ') => b"=20",
        Some(b'\t') => b"=09",
        _ => return,
    };
    out.pop();
    out.extend_from_slice(escape);
}

/// The length of the octet that is written here.
fn quoted_length(body: &[u8], at: usize) -> usize {
    let is_escape =
        body.get(at) == Some(&b'=') && body.get(at + 1..at + 3).is_some_and(|d| d.iter().all(u8::is_ascii_hexdigit));
    if is_escape { 3 } else { 1 }
}

/// Writes octets into quoted-printable, parted by soft line breaks from what is on their line before and after.
fn put_quoted(out: &mut Vec<u8>, octets: &[u8], rest: &[u8], kind: Octets, line_end: &str) {
    if octets.is_empty() {
        return;
    }
    // A soft break at the very end of a body has no line end of its own.
    if out.ends_with(b"=") {
        out.extend_from_slice(line_end.as_bytes());
    }
    let is_lines = kind == Octets::Lines;
    let begins_line = out.is_empty() || out.ends_with(b"\n");
    if !begins_line && !(is_lines && (octets.starts_with(b"\r\n") || octets.starts_with(b"\n"))) {
        out.push(b'=');
        out.extend_from_slice(line_end.as_bytes());
    }
    out.extend(match kind {
        Octets::Lines => quoted_printable(octets, line_end),
        Octets::Wide => {
            let mut text = String::with_capacity(octets.len() * 3);
            put_quoted_line(&mut text, octets, line_end);
            text.into_bytes()
        }
    });
    let rest_begins_line = rest.is_empty() || rest.starts_with(b"\r\n") || rest.starts_with(b"\n");
    let ends_line = rest_begins_line || is_lines && octets.ends_with(b"\n");
    if !ends_line {
        out.push(b'=');
        out.extend_from_slice(line_end.as_bytes());
    }
}

/// Encodes octets of a text as quoted-printable (RFC 2045 section 6.7); its line ends, CRLF or LF, become `line_end`.
#[must_use]
pub fn quoted_printable(octets: &[u8], line_end: &str) -> Vec<u8> {
    let mut text = String::with_capacity(octets.len() + octets.len() / 8);
    let mut lines = octets.split(|&b| b == b'\n').peekable();
    while let Some(line) = lines.next() {
        let is_last = lines.peek().is_none();
        let line = if is_last { line } else { line.strip_suffix(b"\r").unwrap_or(line) };
        put_quoted_line(&mut text, line, line_end);
        if !is_last {
            text.push_str(line_end);
        }
    }
    text.into_bytes()
}

fn put_quoted_line(text: &mut String, line: &[u8], line_end: &str) {
    let mut column = 0;
    let last = line.len().saturating_sub(1);
    for (at, &byte) in line.iter().enumerate() {
        let literal = matches!(byte, b'!'..=b'<' | b'>'..=b'~') || matches!(byte, b' ' | b'\t') && at != last;
        // `From ` and `.` at the head of a line are changed by some mail servers.
        let literal =
            literal && !(column == 0 && (byte == b'.' || byte == b'F' && line.get(at..at + 5) == Some(b"From ")));
        let width = if literal { 1 } else { 3 };
        // The last column is for the soft break.
        if column + width > LINE_BYTES_MAX - 1 && !(at == last && column + width <= LINE_BYTES_MAX) {
            text.push('=');
            text.push_str(line_end);
            column = 0;
        }
        if literal {
            text.push(char::from(byte));
        } else {
            // Writing to a String does not fail.
            let _ = write!(text, "={byte:02X}");
        }
        column += width;
    }
}

/// Encodes octets as base64 in lines (RFC 2045 section 6.8), each with its line end.
#[must_use]
pub fn base64(octets: &[u8], line_end: &str) -> Vec<u8> {
    let mut text = Vec::with_capacity(octets.len() / 57 * 78 + 80);
    for chunk in octets.chunks(LINE_BYTES_MAX / 4 * 3) {
        text.extend_from_slice(BASE64.encode(chunk).as_bytes());
        text.extend_from_slice(line_end.as_bytes());
    }
    text
}

fn in_base64(body: &[u8], splices: &[Splice], line_end: &str) -> Vec<u8> {
    let first = splices.first().map_or(0, |splice| splice.range.start);
    let (kept, decoded_before) = whole_lines_before(body, first);
    let decoded = decode::base64(body);
    let result = plain(&decoded, splices);
    let mut text = body.get(..kept).unwrap_or_default().to_vec();
    text.extend(base64(result.get(decoded_before..).unwrap_or_default(), line_end));
    if !body.ends_with(b"\n") && text.ends_with(line_end.as_bytes()) {
        text.truncate(text.len() - line_end.len());
    }
    text
}

/// How much of a base64 body are whole lines of whole groups that decode to octets before this place: encoded length,
/// decoded length.
fn whole_lines_before(body: &[u8], place: usize) -> (usize, usize) {
    let (mut encoded, mut digits) = (0, 0);
    let mut whole = (0, 0);
    for line in body.split_inclusive(|&b| b == b'\n') {
        encoded += line.len();
        digits += line.iter().filter(|b| decode::base64_digit(**b).is_some()).count();
        if line.contains(&b'=') || digits / 4 * 3 > place {
            break;
        }
        if digits % 4 == 0 && line.ends_with(b"\n") {
            whole = (encoded, digits / 4 * 3);
        }
    }
    whole
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    fn quoted(body: &str, splices: &[Splice]) -> String {
        let encoding = TransferEncoding::QuotedPrintable;
        String::from_utf8(encoded(body.as_bytes(), encoding, splices, Octets::Lines, "\r\n")).unwrap()
    }

    #[test]
    fn quoted_printable_around_a_change_stays_byte_for_byte() {
        let body = "caf=c3=a9 =3D bon=\r\njour\r\nfin";
        assert_eq!(quoted(body, &[Splice::insert(22, "\r\n--\r\né")]), format!("{body}\r\n--\r\n=C3=A9"));
        assert_eq!(quoted(body, &[Splice::insert(0, "à\r\n")]), format!("=C3=A0\r\n{body}"));
        // In the middle of a line the new octets get a line of their own, which readers do not see.
        assert_eq!(quoted("ab</body>", &[Splice::insert(2, "x=")]), "ab=\r\nx=3D=\r\n</body>");
        assert_eq!(quoted("ab=\r\n</body>", &[Splice::insert(2, "x")]), "ab=\r\nx=\r\n</body>");
        assert_eq!(quoted("a=C3=A9b", &[Splice::remove(1..3)]), "ab");
        assert_eq!(quoted("aXX=\r\nXXb", &[Splice::remove(1..5)]), "a=\r\nb");
        assert_eq!(quoted("abc=", &[Splice::insert(3, "\r\nx")]), "abc=\r\n\r\nx");
        assert_eq!(quoted("a b", &[Splice::insert(2, "\r\n")]), "a=20\r\nb");
    }

    #[test]
    fn base64_lines_before_a_change_stay() {
        let body = "QUJD\r\nREVG\r\nRw==\r\n";
        let spliced =
            encoded(body.as_bytes(), TransferEncoding::Base64, &[Splice::insert(7, "xyz")], Octets::Lines, "\r\n");
        assert_eq!(spliced, b"QUJD\r\nREVG\r\nR3h5eg==\r\n");
    }

    fn splices(length: usize, cuts: &[(usize, usize, Vec<u8>)]) -> Vec<Splice> {
        let mut places: Vec<_> = cuts.iter().map(|(a, b, with)| ((a % (length + 1)), b % 5, with.clone())).collect();
        places.sort();
        let mut end = 0;
        let mut splices = Vec::new();
        for (start, size, with) in places {
            let start = start.max(end);
            end = (start + size).min(length).max(start);
            splices.push(Splice { range: start..end, with });
        }
        splices
    }

    proptest! {
        #[test]
        fn changes_mean_the_same_in_every_encoding(
            text in "([a-zé=. ]{0,100}(\r\n)?){0,6}",
            cuts in prop::collection::vec((0_usize..500, 0_usize..5, "[a-zé=]{0,90}(\r\n)?".prop_map(String::into_bytes)), 0..4),
        ) {
            let octets = text.as_bytes();
            let splices = splices(octets.len(), &cuts);
            let expected = plain(octets, &splices);
            let base = encoded(&base64(octets, "\r\n"), TransferEncoding::Base64, &splices, Octets::Lines, "\r\n");
            prop_assert_eq!(decode::base64(&base), expected.clone());
            let body = quoted_printable(octets, "\r\n");
            for line in body.split(|&b| b == b'\n') {
                prop_assert!(line.len() <= LINE_BYTES_MAX + 1);
            }
            let spliced = encoded(&body, TransferEncoding::QuotedPrintable, &splices, Octets::Lines, "\r\n");
            let decoded: Vec<u8> = decode::quoted_printable(&spliced).map(|o| o.byte).collect();
            prop_assert_eq!(String::from_utf8_lossy(&decoded), String::from_utf8_lossy(&expected));
        }

        #[test]
        fn changes_in_wide_text_mean_the_same_too(
            octets in prop::collection::vec(prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), Just(b' '), any::<u8>()], 0..200),
            cuts in prop::collection::vec((0_usize..250, 0_usize..5, prop::collection::vec(
                prop_oneof![Just(b'\r'), Just(b'\n'), Just(0), any::<u8>()], 0..90)), 0..4),
        ) {
            let splices = splices(octets.len(), &cuts);
            let expected = plain(&octets, &splices);
            let mut body = String::new();
            put_quoted_line(&mut body, &octets, "\r\n");
            let encoding = TransferEncoding::QuotedPrintable;
            let spliced = encoded(body.as_bytes(), encoding, &splices, Octets::Wide, "\r\n");
            let decoded: Vec<u8> = decode::quoted_printable(&spliced).map(|o| o.byte).collect();
            prop_assert_eq!(decoded, expected);
        }
    }
}
