//! Undoing transfer encodings and charsets, for texts and names only; bodies of attachments never come here.
//!
//! The decoders are lenient on purpose: they must see whatever the most lenient mail program would show. What strict
//! programs would see otherwise is an ambiguity of its own.

use std::borrow::Cow;

use encoding_rs::{Encoding, REPLACEMENT, UTF_8, UTF_16BE, UTF_16LE, WINDOWS_1252};

use super::{Part, TransferEncoding};

/// Undoes a transfer encoding.
#[must_use]
pub fn transfer(encoding: TransferEncoding, body: &[u8]) -> Cow<'_, [u8]> {
    match encoding {
        TransferEncoding::Base64 => Cow::Owned(base64(body)),
        TransferEncoding::QuotedPrintable => Cow::Owned(quoted_printable(body).map(|octet| octet.byte).collect()),
        TransferEncoding::SevenBit
        | TransferEncoding::EightBit
        | TransferEncoding::Binary
        | TransferEncoding::Unknown => Cow::Borrowed(body),
    }
}

/// The six bits of a base64 digit (RFC 4648 section 4).
#[must_use]
pub fn base64_digit(byte: u8) -> Option<u8> {
    match byte {
        b'A'..=b'Z' => Some(byte - b'A'),
        b'a'..=b'z' => Some(byte - b'a' + 26),
        b'0'..=b'9' => Some(byte - b'0' + 52),
        b'+' => Some(62),
        b'/' => Some(63),
        _ => None,
    }
}

/// Decodes base64, skipping foreign characters and going on after padding, as the most lenient readers do.
#[must_use]
pub fn base64(body: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(body.len() / 4 * 3);
    let (mut bits, mut count) = (0u32, 0u8);
    for byte in body {
        if *byte == b'=' {
            (bits, count) = (0, 0);
            continue;
        }
        let Some(digit) = base64_digit(*byte) else { continue };
        bits = bits << 6 | u32::from(digit);
        count += 6;
        if count >= 8 {
            count -= 8;
            bytes.push((bits >> count & 0xff) as u8);
        }
    }
    bytes
}

/// One decoded octet of a quoted-printable body.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct QuotedOctet {
    /// Its value.
    pub byte: u8,
    /// Where its encoded form starts.
    pub at: usize,
}

/// Decodes quoted-printable (RFC 2045 section 6.7) and keeps where every octet came from. Malformed escapes stand for
/// themselves; spaces at the end of a line are transport padding and vanish.
pub fn quoted_printable(body: &[u8]) -> impl Iterator<Item = QuotedOctet> + '_ {
    let mut at = 0;
    // Up to here spaces are known to be no padding, so that each run of spaces is looked at once.
    let mut spaces_until = 0;
    std::iter::from_fn(move || {
        loop {
            let byte = *body.get(at)?;
            let start = at;
            if byte == b'=' {
                if let Some(value) = hex_pair(body.get(at + 1..at + 3)) {
                    at += 3;
                    return Some(QuotedOctet { byte: value, at: start });
                }
                if let Some(next) = soft_break(body, at + 1) {
                    at = next;
                    continue;
                }
            }
            if matches!(byte, b' ' | b'\t') && at >= spaces_until {
                spaces_until = spaces_end(body, at);
                if matches!(body.get(spaces_until), Some(b'\r' | b'\n')) {
                    at = spaces_until;
                    continue;
                }
            }
            at += 1;
            return Some(QuotedOctet { byte, at: start });
        }
    })
}

fn hex_pair(pair: Option<&[u8]>) -> Option<u8> {
    let [high, low] = pair? else { return None };
    let digit = |b: &u8| char::from(*b).to_digit(16).and_then(|d| u8::try_from(d).ok());
    Some(digit(high)? << 4 | digit(low)?)
}

/// After `=`: the start of the next line when only padding stands before the line end.
fn soft_break(body: &[u8], from: usize) -> Option<usize> {
    let rest = body.get(from..)?;
    let padding = rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count();
    match rest.get(padding..)? {
        [b'\r', b'\n', ..] => Some(from + padding + 2),
        [b'\n', ..] => Some(from + padding + 1),
        [] => Some(body.len()),
        _ => None,
    }
}

/// Where a run of spaces ends.
fn spaces_end(body: &[u8], from: usize) -> usize {
    let rest = body.get(from..).unwrap_or_default();
    from + rest.iter().take_while(|b| matches!(b, b' ' | b'\t')).count()
}

/// Whether programs would read different words in a text: octets of which the order is not told, or told twice (RFC 2781
/// section 4.3), and charsets in which ASCII is no ASCII and that only some programs know. `body` is that of the part.
pub(super) fn is_unclear(part: &Part, body: &[u8]) -> bool {
    let head = body.get(..body.len().min(HEAD_BYTES)).unwrap_or_default();
    let head = transfer(part.encoding, head);
    let mark = Encoding::for_bom(&head).map(|(encoding, _)| encoding).filter(|encoding| *encoding != UTF_8);
    let Some(label) = part.media_type.parameter("charset") else {
        return mark.is_some() || undeclared_is_unclear(&transfer(part.encoding, body));
    };
    let label = label.trim().to_ascii_lowercase();
    match Encoding::for_label(label.as_bytes()) {
        Some(encoding) if encoding == UTF_16LE || encoding == UTF_16BE => {
            let tells_order = label.ends_with("le") || label.ends_with("be");
            mark.map_or(!tells_order, |mark| tells_order && mark != encoding)
        }
        Some(encoding) => encoding == REPLACEMENT || mark.is_some(),
        None => mark.is_some() || hides_ascii(&label),
    }
}

/// Enough octets of a text for its byte order mark, however it is encoded.
const HEAD_BYTES: usize = 16;

/// Whether a text that declares no charset switches to one by escapes (ISO 2022), or names one for itself in which ASCII is no
/// ASCII: some programs follow.
fn undeclared_is_unclear(text: &[u8]) -> bool {
    let escapes = memchr::memchr_iter(0x1b, text).any(|at| matches!(text.get(at + 1), Some(b'(' | b'$' | b')' | b'.')));
    escapes || named_charsets(text).any(|label| hides_ascii(&label) || is_utf7(&label))
}

/// What stands behind each `charset=`, as `<meta>` has it, in lower case.
fn named_charsets(text: &[u8]) -> impl Iterator<Item = String> + '_ {
    const NAME: &[u8] = b"charset";
    let behind = |at: usize| {
        let start = at.checked_sub(1)?;
        let rest = text.get(start..start + NAME.len()).filter(|name| name.eq_ignore_ascii_case(NAME));
        let rest = rest.and_then(|_| text.get(start + NAME.len()..))?.trim_ascii_start();
        let rest = rest.strip_prefix(b"=")?.trim_ascii_start();
        let rest = rest.strip_prefix(b"\"").or_else(|| rest.strip_prefix(b"'")).unwrap_or(rest).trim_ascii_start();
        let octets = rest.iter().take_while(|octet| octet.is_ascii_graphic() && !b"\"'<>;/".contains(octet));
        Some(octets.take(LABEL_BYTES_MAX).map(|octet| char::from(octet.to_ascii_lowercase())).collect())
    };
    memchr::memchr2_iter(b'h', b'H', text).filter_map(behind)
}

/// No charset has a longer name.
const LABEL_BYTES_MAX: usize = 40;

/// Charsets that no browser knows and some mail programs do.
fn hides_ascii(label: &str) -> bool {
    const FAMILIES: [&str; 9] = ["utf-32", "utf32", "ucs-4", "ucs4", "iso-10646-ucs", "hz", "scsu", "bocu", "ebcdic"];
    /// Code pages of EBCDIC.
    const PAGES: [&str; 18] = [
        "037", "37", "273", "277", "278", "280", "284", "285", "290", "297", "420", "424", "500", "870", "871", "875",
        "1026", "1047",
    ];
    // Of the charsets with escapes only one is read here.
    let plain = plain_label(label);
    let has_escapes = ["iso2022", "5022"].iter().any(|family| plain.contains(family))
        && Encoding::for_label(label.as_bytes()) != Some(encoding_rs::ISO_2022_JP);
    let page = label.trim_start_matches("ibm").trim_start_matches("cp").trim_start_matches(['-', '0']);
    has_escapes
        || FAMILIES.iter().any(|family| label.starts_with(family))
        || page != label && (PAGES.contains(&page) || page.len() == 4 && page.starts_with("114"))
}

/// Decodes a charset. Unknown labels are read as windows-1252, which never fails and agrees with ASCII.
#[must_use]
pub fn charset<'a>(bytes: &'a [u8], label: &str) -> Cow<'a, str> {
    let label = label.trim();
    if let Some(encoding) = Encoding::for_label(label.as_bytes())
        && encoding != encoding_rs::REPLACEMENT
    {
        return encoding.decode(bytes).0;
    }
    let known = if is_utf7(label) { "utf-7" } else { label };
    if let Some(decoder) = mail_parser::decoders::charsets::map::charset_decoder(known.as_bytes()) {
        return Cow::Owned(decoder(bytes));
    }
    raw_text(bytes)
}

/// UTF-7 writes ASCII in ways that only a decoder sees (RFC 2152). It goes by many names; Windows calls it code page 65000.
pub(crate) fn is_utf7(label: &str) -> bool {
    let plain = plain_label(label);
    plain.contains("utf7") || plain.ends_with("65000")
}

/// A label without what some write in it and others do not.
fn plain_label(label: &str) -> String {
    label.chars().filter(char::is_ascii_alphanumeric).map(|c| c.to_ascii_lowercase()).collect()
}

/// Bytes of an undeclared charset: UTF-8 when they are valid UTF-8, else windows-1252.
#[must_use]
pub fn raw_text(bytes: &[u8]) -> Cow<'_, str> {
    match std::str::from_utf8(bytes) {
        Ok(text) => Cow::Borrowed(text),
        Err(_) => WINDOWS_1252.decode(bytes).0,
    }
}

/// Undoes percent-encoding (RFC 2231 section 4); malformed escapes stand for themselves.
#[must_use]
pub fn percent(text: &[u8]) -> Vec<u8> {
    let mut bytes = Vec::with_capacity(text.len());
    let mut at = 0;
    while let Some(byte) = text.get(at) {
        if *byte == b'%'
            && let Some(value) = hex_pair(text.get(at + 1..at + 3))
        {
            bytes.push(value);
            at += 3;
        } else {
            bytes.push(*byte);
            at += 1;
        }
    }
    bytes
}

/// Undoes encoded words (RFC 2047) in a text for people.
#[must_use]
pub fn encoded_words(text: &str) -> String {
    if !text.contains("=?") {
        return text.to_owned();
    }
    let line = format!("{text}\n");
    match mail_parser::parsers::MessageStream::new(line.as_bytes()).parse_unstructured() {
        mail_parser::HeaderValue::Text(decoded) => decoded.into_owned(),
        _ => text.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lenient_base64_sees_what_lenient_readers_see() {
        assert_eq!(base64(b"Qm9u\r\nam91cg=="), b"Bonjour");
        assert_eq!(base64(b"Qm9u!am91cg=="), b"Bonjour");
        assert_eq!(base64(b"Qm9u\r\nam91cg==\r\nIQ=="), b"Bonjour!");
    }

    #[test]
    fn quoted_printable_keeps_where_octets_came_from() {
        let octets: Vec<_> = quoted_printable(b"a=C3=\r\n=A9  \r\nz=ZZ").collect();
        let bytes: Vec<u8> = octets.iter().map(|o| o.byte).collect();
        assert_eq!(bytes, "aé\r\nz=ZZ".as_bytes());
        assert_eq!(octets[2], QuotedOctet { byte: 0xa9, at: 7 });
    }

    #[test]
    fn spaces_at_line_ends_are_padding_however_many() {
        let bytes = |body: &[u8]| quoted_printable(body).map(|octet| octet.byte).collect::<Vec<u8>>();
        assert_eq!(bytes(&[&b"a"[..], &b" \t".repeat(300), b"\r\nb  c "].concat()), b"a\r\nb  c ");
        assert_eq!(bytes(&b" ".repeat(2_000_000)).len(), 2_000_000);
    }

    #[test]
    fn charsets_are_undone() {
        assert_eq!(charset(b"\xe9\x80", "windows-1252"), "é€");
        assert_eq!(charset(b"\xe9\xa4", "ISO-8859-15"), "é€");
        for label in
            ["utf-7", "UTF7", "utf_7", "unicode-1-1-utf-7", "csUnicode11UTF7", "x-unicode-2-0-utf-7", "cp65000"]
        {
            assert_eq!(charset(b"+AOk-", label), "é", "{label}");
        }
        assert_eq!(charset(b"\xe9", "x-nobody-knows"), "é");
        assert_eq!(encoded_words("=?utf-8?B?w6l0w6k=?= =?utf-8?Q?.pdf?="), "été.pdf");
    }
}
